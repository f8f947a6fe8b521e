package outputs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// A HeldError says who else is executing.
type HeldError struct{ Holder string }

func (e *HeldError) Error() string {
	if e.Holder == "" {
		return "this project is being executed already, by a process that has not said which it is"
	}
	return "this project is being executed already by " + e.Holder
}

// A Lock keeps a second execution on this host out. Close gives it back.
type Lock struct {
	path, holder string
	dir          os.FileInfo // the folder of its file
	done         chan struct{}
	kept         sync.WaitGroup // the goroutine of Keep

	mu     sync.Mutex
	lock   *flock.Flock
	claims []Claim
}

const lockPrefix = ".lock-"

// LockFile is what an execution on host locks.
func (f Folder) LockFile(host string) string { return filepath.Join(f.Dir, lockPrefix+host) }

const (
	lockPause = 5 * time.Millisecond
	// lockPatience is how long readers are waited for. One that asks whether the lock is held holds it for some microseconds,
	// unless it is stopped in them.
	lockPatience = 30 * time.Second
	// One that has just taken the lock needs signPause to write down who it is, and may need namePatience.
	signPause    = 50 * time.Millisecond
	namePatience = time.Second
	keepPace     = time.Second
	maxHolder    = 8 << 10 // is how much of a lock file is read
)

// Lock takes the lock of this host, for holder. It fails with a HeldError when it is taken.
func (f Folder) Lock(holder string) (*Lock, error) {
	if err := os.MkdirAll(f.Dir, 0o777); err != nil {
		return nil, fmt.Errorf("make outputs folder: %w", err)
	}
	path := f.LockFile(f.Host)
	lock, err := takeLock(path)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if lock == nil {
		return nil, &HeldError{f.whoHolds()}
	}
	holder = Clean(holder)
	holder = strings.ToValidUTF8(holder[:min(len(holder), maxHolder/2)], "")
	l := &Lock{path: path, holder: holder, done: make(chan struct{}), lock: lock}
	if l.dir, err = os.Stat(f.Dir); err == nil {
		err = l.sign()
	}
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("lock: %w", err)
	}
	return l, nil
}

// takeLock locks a file, which is made when there is none. It returns nil when an execution holds the lock.
func takeLock(path string) (*flock.Flock, error) {
	for began := time.Now(); ; time.Sleep(lockPause) {
		file, err := openOwn(path, os.O_CREATE|os.O_RDWR) // is it one to be locked?
		if err != nil {
			return nil, err
		}
		file.Close()
		lock := flock.New(path, flock.SetFlag(os.O_RDWR|syscall.O_NOFOLLOW))
		mine, err := lock.TryLock()
		shared := false
		switch {
		case err == nil && mine && isFile(lock, path):
			return lock, nil
		case err == nil && !mine:
			shared, err = lock.TryRLock()
			if err == nil && !shared {
				return nil, nil
			}
		}
		lock.Close() // it was deleted meanwhile, or a reader asks
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if time.Since(began) > lockPatience {
			return nil, fmt.Errorf("%s: a program that only asks whether it is locked has kept it locked", path)
		}
	}
}

// isFile reports whether what is locked is still what its path leads to.
func isFile(lock *flock.Flock, path string) bool {
	locked, err := lock.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(path)
	return err == nil && os.SameFile(locked, there)
}

// sign writes down who holds the lock, and what it runs. Readers, who take the first line, see it whole.
func (l *Lock) sign() error {
	file, err := openOwn(l.path, os.O_WRONLY)
	if err != nil {
		return err
	}
	text := []byte(l.holder + "\n")
	for _, c := range l.claims {
		line, err := json.Marshal(c)
		if err == nil {
			text = append(append(text, line...), '\n')
		}
	}
	_, err = file.WriteAt(text, 0)
	return errors.Join(err, file.Truncate(int64(len(text))), file.Close())
}

// A takenError says that an execution has lost its lock to another one.
type takenError struct{ path, holder string }

func (e *takenError) Error() string {
	return fmt.Sprintf("lock %s: it was deleted, and another execution has begun: %s", e.path, e.holder)
}

// check takes the lock anew when its file was deleted. It fails when somebody else has it by now.
func (l *Lock) check() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if isFile(l.lock, l.path) {
		return nil
	}
	dir, err := os.Stat(filepath.Dir(l.path))
	if err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	if !os.SameFile(dir, l.dir) {
		return fmt.Errorf("lock %s: it was deleted, and its folder is another one", l.path) // in which nothing is made
	}
	lock, err := takeLock(l.path)
	if err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	if lock == nil {
		return &takenError{l.path, holderIn(l.path)}
	}
	l.lock.Close()
	l.lock = lock
	return l.sign()
}

// Keep sees to it until Close that the file is there, locked, and says who has locked it: readers, and whoever would execute
// next, go by it. When it was deleted, and another execution has taken the lock since, Keep calls lost, once.
func (l *Lock) Keep(lost func(error)) { l.kept.Go(func() { l.keep(lost) }) }

func (l *Lock) keep(lost func(error)) {
	ticker := time.NewTicker(keepPace)
	defer ticker.Stop()
	for {
		select {
		case <-l.done:
			return
		case <-ticker.C:
		}
		err := l.check()
		var taken *takenError
		if errors.As(err, &taken) {
			lost(err)
			return
		}
		if err == nil && holderIn(l.path) != l.holder {
			l.mu.Lock()
			_ = l.sign() // a disk that is full now may not be later
			l.mu.Unlock()
		}
	}
}

// Close gives the lock back. Its file stays: to delete it could take the lock of the next holder away.
func (l *Lock) Close() error {
	close(l.done)
	l.kept.Wait()
	return l.lock.Close()
}

// whoHolds is Holder for this host, where somebody has just been seen to hold the lock. The text may still be that of the one
// before.
func (f Folder) whoHolds() string {
	for began := time.Now(); ; time.Sleep(lockPause) {
		waited := time.Since(began)
		text := f.Holder(f.Host)
		pid := holderPID(text)
		if alive := pid > 0 && syscall.Kill(pid, 0) != syscall.ESRCH; alive && waited > signPause || waited > namePatience {
			return text
		}
	}
}

// Executing reports whether an execution on host holds its lock in this folder. It is known where the file system shares
// locks between machines, and on this machine.
func (f Folder) Executing(host string) bool {
	path := f.LockFile(host)
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		return false // no pipeline has made it
	}
	lock := flock.New(path, flock.SetFlag(os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK))
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
	return holderPID(f.Holder(host)), true
}

// Holder returns who executes on host, in words, or when nobody does, who has done so last.
func (f Folder) Holder(host string) string { return holderIn(f.LockFile(host)) }

func holderIn(path string) string {
	file, err := open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	text := make([]byte, maxHolder)
	n, _ := file.ReadAt(text, 0)
	first, _, _ := strings.Cut(string(text[:n]), "\n")
	return Clean(strings.TrimSpace(first))
}

func holderPID(holder string) (pid int) {
	fmt.Sscanf(holder, "pid %d", &pid)
	return pid
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
