package outputs

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// Full reports whether err says that there is no room: on the disk, in a quota or, for one file, below a limit.
func Full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// Sick reports whether err is one of the disk or of a limit, and not of the file that it is about: the next would fare no better.
func Sick(err error) bool {
	for _, e := range []error{syscall.EROFS, syscall.EIO, syscall.ESTALE, syscall.ENOTCONN, syscall.ENXIO, syscall.ENODEV} {
		if errors.Is(err, e) {
			return true
		}
	}
	return Full(err)
}

// errGone is why a file that is open is no longer written to.
var errGone = errors.New("it has been deleted, replaced or cut short while it was in use")

// sameFile fails when path is no longer the file of which info tells, or that has become shorter than size. What is written to
// a file without a name succeeds, and is lost.
func sameFile(path string, info os.FileInfo, size int64) error {
	now, err := os.Stat(path)
	if err == nil && os.SameFile(info, now) && now.Size() >= size {
		return nil
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		err = errGone
	}
	return &fs.PathError{Op: "write", Path: path, Err: reasonOf(err)}
}

// reasonOf is err without the name of its file.
func reasonOf(err error) error {
	var of *fs.PathError
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}

// appendWhole appends text to a file that nobody else writes to, which has size bytes: all of it, or nothing.
func appendWhole(file *os.File, size int64, text []byte) error {
	n, err := file.Write(text)
	if err != nil && n > 0 {
		return errors.Join(err, file.Truncate(size))
	}
	return err
}

// A reserve is room for the end of the runs that go on, should the disk be full by then: a folder with files for each, because
// files can run out as well as bytes.
type reserve struct {
	lent sync.Mutex // held while a run takes from it to its end, and while a record is begun
	mu   sync.Mutex
	dir  string
	runs int
	held int // runs that there are files for
}

// take takes the room for all runs, as far as it is not held.
func (r *reserve) take() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held == r.runs {
		return nil
	}
	filler := make([]byte, reserved/reservedFiles)
	rand.Read(filler) // zeros take no room in a file system that compresses
	err := os.MkdirAll(r.dir, 0o777)
	if info, lerr := os.Lstat(r.dir); err == nil && lerr == nil && info.Mode()&fs.ModeSymlink != 0 {
		err = &fs.PathError{Op: "open", Path: r.dir, Err: errLink}
	}
	if err != nil {
		return fmt.Errorf("keep room for results: %w", err)
	}
	for r.held < r.runs {
		var err error
		for i := 0; err == nil && i < reservedFiles; i++ {
			err = writeOwn(r.file(r.held, i), filler)
		}
		r.held++
		if err != nil {
			r.remove()
			return fmt.Errorf("keep %d KiB free for results: %w", r.runs*reserved>>10, err)
		}
	}
	return nil
}

func (r *reserve) file(run, i int) string {
	return filepath.Join(r.dir, fmt.Sprintf("%d-%d", run, i))
}

// give gives the room for one run back.
func (r *reserve) give() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remove()
}

func (r *reserve) remove() {
	if r.held == 0 {
		return
	}
	r.held--
	for i := range reservedFiles {
		os.Remove(r.file(r.held, i))
	}
}

// drop gives all room back for good.
func (r *reserve) drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.runs > 0 {
		os.RemoveAll(r.dir)
	}
	r.runs, r.held = 0, 0
}

// largest is the limit on the size of a file that this process may write (ulimit -f).
func largest() int64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil || limit.Cur > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(limit.Cur)
}
