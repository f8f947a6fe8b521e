package outputs

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// Executions on several hosts that share a folder, and its locks, divide a queue between them: each chooses a version in its
// Turn, and says with Claim that it is taken, in its own lock file, below the line that says who holds it. The history tells
// only later that a run has started, when its program is up and its model directory clean.

// A Claim names a version that is running, or about to.
type Claim struct {
	Model   string `json:"model"`
	Version string `json:"version"`
}

// Claim says all that the execution runs. Without it, as on a full disk, others may run the same.
func (l *Lock) Claim(all []Claim) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.claims = all
	_ = l.sign()
}

// maxClaims is how much of a lock file is looked at for claims.
const maxClaims = 8 << 20

// Claimant returns the other host whose execution, which is alive, has claimed a version. It is empty when there is none.
func (f Folder) Claimant(c Claim) string {
	for _, host := range f.others() {
		file, err := open(f.LockFile(host))
		if err != nil {
			continue
		}
		text, _ := io.ReadAll(io.LimitReader(file, maxClaims))
		file.Close()
		for line := range strings.Lines(string(text)) {
			var claim Claim
			if line[0] == '{' && json.Unmarshal([]byte(line), &claim) == nil && claim == c && f.Executing(host) {
				return host
			}
		}
	}
	return ""
}

// others are the other hosts that have executed something in this folder.
func (f Folder) others() []string {
	return slices.DeleteFunc(f.Hosts(), func(host string) bool { return host == f.Host })
}

// turnPatience is how long the turn of another host is waited for: it takes a moment, unless that one is stopped in it.
const turnPatience = time.Second

// Turn waits until no execution on another host chooses what to run, and keeps them from it until done is called.
func (f Folder) Turn() (done func()) {
	if len(f.others()) == 0 {
		return func() {}
	}
	lock := flock.New(filepath.Join(f.Dir, ".turn"), flock.SetFlag(os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK), flock.SetPermissions(0o666))
	ctx, cancel := context.WithTimeout(context.Background(), turnPatience)
	defer cancel()
	_, _ = lock.TryLockContext(ctx, time.Millisecond) // where there are no locks, it goes without
	return func() { lock.Close() }
}
