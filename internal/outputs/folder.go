package outputs

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// A Folder is an outputs folder as one host sees it.
type Folder struct {
	Dir  string
	Host string // names the files that this machine writes
}

// NewFolder returns the outputs folder dir of a machine.
func NewFolder(dir, host string) Folder {
	host = strings.Map(func(r rune) rune {
		if r == '/' || misleads(r) {
			return '_'
		}
		return r
	}, host)
	if host == "" {
		host = "localhost"
	}
	return Folder{Dir: dir, Host: host}
}

// Places are the folders below which an outputs folder holds what others wrote: itself and, as it may be a folder that holds other
// things too, those that it is made of.
func Places(dir string) []string {
	return []string{dir, filepath.Join(dir, "runs"), filepath.Join(dir, "model_ckpts")}
}

// LogFile, OutputFile and HistoryFile are the files that grow with each execution on this host.
func (f Folder) LogFile() string     { return filepath.Join(f.Dir, "log-"+f.Host) }
func (f Folder) OutputFile() string  { return filepath.Join(f.Dir, "output-"+f.Host) }
func (f Folder) HistoryFile() string { return filepath.Join(f.Dir, historyPrefix+f.Host) }

// RunDir is the folder of the record of a run.
func (f Folder) RunDir(run string) string { return filepath.Join(f.Dir, "runs", within(run)) }

// newRuns is where the records of this host are made, to appear whole.
func (f Folder) newRuns() string { return filepath.Join(f.Dir, "runs", ".new-"+f.Host) }

// within is a name that stays in its folder. Names of runs come from journals of other machines too.
func within(name string) string {
	if name == "." || name == ".." {
		return strings.ReplaceAll(name, ".", "%2E")
	}
	return strings.ReplaceAll(name, string(filepath.Separator), "%2F")
}

// ModelDir is the model directory of the versions of model that have suffix.
func (f Folder) ModelDir(model, suffix string) string {
	name := filepath.FromSlash(model)
	if suffix != "" {
		name += "-" + suffix
	}
	return filepath.Join(f.modelDirs(), name)
}

func (f Folder) modelDirs() string { return filepath.Join(f.Dir, "model_ckpts") }

// MakeModelDir makes dir, which is a ModelDir, unless it is there. It follows no link on the way from the folder of all of them,
// which may be one itself: models empty their directories, and what a link leads to is somebody else's.
func (f Folder) MakeModelDir(dir string) error {
	at := f.modelDirs()
	if err := os.MkdirAll(at, 0o777); err != nil {
		return err
	}
	below, err := filepath.Rel(at, dir)
	if err != nil {
		return err
	}
	for name := range strings.SplitSeq(below, string(filepath.Separator)) {
		at = filepath.Join(at, name)
		err := os.Mkdir(at, 0o777)
		if info, lerr := os.Lstat(at); lerr == nil && info.Mode()&os.ModeSymlink != 0 {
			return fmt.Errorf("the model directory %s is a link, which is not followed: models empty their directories; model_ckpts as a whole may be a link", at)
		} else if lerr == nil && info.IsDir() {
			continue
		}
		if errors.Is(err, os.ErrExist) {
			err = &os.PathError{Op: "mkdir", Path: at, Err: syscall.ENOTDIR}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// NewRunID returns a name for a run: the time to the millisecond, so that names sort by it, and a random tail, so that no
// two machines make the same one.
func NewRunID(now time.Time) string {
	var tail [5]byte
	rand.Read(tail[:])
	return runStamp(now) + "-" + strings.ToLower(base32.StdEncoding.EncodeToString(tail[:]))
}

func runStamp(t time.Time) string {
	return strings.Replace(t.UTC().Format("20060102-150405.000"), ".", "", 1)
}

// A HeldError says who else is executing.
type HeldError struct{ Holder string }

func (e *HeldError) Error() string { return "this project is being executed already by " + e.Holder }

// A Lock keeps a second execution on this host out.
type Lock struct {
	folder Folder
	holder string
	mu     sync.Mutex
	lock   *flock.Flock
	info   os.FileInfo // of its file
}

const lockPrefix = ".lock-"

func lockFile(dir, host string) string { return filepath.Join(dir, lockPrefix+host) }

// LockFile is what an execution on host locks.
func (f Folder) LockFile(host string) string { return lockFile(f.Dir, host) }

// A reader that asks whether the lock is held holds it itself for some microseconds: that is waited for.
const (
	lockTries = 20
	lockPause = 5 * time.Millisecond
)

// Lock takes the lock of this host, for holder. It fails with a HeldError when it is taken.
func (f Folder) Lock(holder string) (*Lock, error) {
	if err := os.MkdirAll(f.Dir, 0o777); err != nil {
		return nil, fmt.Errorf("make outputs folder: %w", err)
	}
	path := lockFile(f.Dir, f.Host)
	file, err := openOwn(path, os.O_CREATE|os.O_RDWR) // is it one to be locked?
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	file.Close()
	lock := flock.New(path, flock.SetFlag(os.O_RDWR|syscall.O_NOFOLLOW))
	ok, err := lock.TryLock()
	for try := 1; err == nil && !ok && try < lockTries; try++ {
		time.Sleep(lockPause)
		ok, err = lock.TryLock()
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if !ok {
		return nil, &HeldError{Holder: f.Holder(f.Host)}
	}
	info, err := lock.Stat()
	if err == nil {
		err = writeOwn(path, []byte(holder+"\n"))
	}
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return &Lock{folder: f, holder: holder, lock: lock, info: info}, nil
}

// check takes the lock anew when its file was deleted. It fails when somebody else has it by now.
func (l *Lock) check() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if sameFile(l.lock.Path(), l.info, 0) == nil {
		return nil
	}
	again, err := l.folder.Lock(l.holder)
	var held *HeldError
	switch {
	case errors.As(err, &held):
		return fmt.Errorf("lock %s: it was deleted, and another execution has begun: %s", l.lock.Path(), held.Holder)
	case err != nil:
		return err
	}
	l.lock.Close()
	l.lock, l.info = again.lock, again.info
	return nil
}

// Close gives the lock back. Its file stays: to delete it could take the lock of the next holder away.
func (l *Lock) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lock.Close()
}

// Executing reports whether an execution on host holds its lock in this folder. It is known where the file system shares
// locks between machines, and on this machine.
func (f Folder) Executing(host string) bool {
	path := lockFile(f.Dir, host)
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		return false // no pipeline has made it
	}
	lock := flock.New(path, flock.SetFlag(os.O_RDONLY))
	ok, err := lock.TryRLock()
	lock.Close()
	return err == nil && !ok
}

// Executor returns the process id of the execution that holds the lock of host, as far as Executing knows of it. It is 0
// when it has not been written down.
func (f Folder) Executor(host string) (pid int, ok bool) {
	if !f.Executing(host) {
		return 0, false
	}
	fmt.Sscanf(f.holder(host), "pid %d", &pid)
	return pid, true
}

// Holder returns who executes on host, in words, or when nobody does, who has done so last.
func (f Folder) Holder(host string) string {
	return Clean(strings.TrimSpace(f.holder(host)))
}

// holder is the text of a lock, as far as it could be one.
func (f Folder) holder(host string) string {
	file, err := open(lockFile(f.Dir, host))
	if err != nil {
		return ""
	}
	defer file.Close()
	text, _ := io.ReadAll(io.LimitReader(file, maxLine))
	return string(text)
}

// Hosts returns the hosts that have executed something in this folder, by name.
func (f Folder) Hosts() []string {
	entries, _ := os.ReadDir(f.Dir) // there may be no folder yet
	var hosts []string
	for _, e := range entries {
		if host, ok := strings.CutPrefix(e.Name(), lockPrefix); ok && host != "" && e.Type().IsRegular() {
			hosts = append(hosts, host)
		}
	}
	return hosts
}
