package plugin

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// What lies in the cache is executed: binaries, modules of Python, sources that are built. So nobody but this user may have put
// it there. The cache is made for him alone (0700), and is refused when it, or a folder in it, is another's or open to others.
// A file in it that is, from a time when the folder was open, is as good as none.

// An exposedError says why something in the cache cannot be trusted.
type exposedError struct{ path, why string }

func (e *exposedError) Error() string { return e.path + " " + e.why }

func owner(info fs.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Uid) }

// private reports whether a file or folder is this user's, and nobody else can write to it.
func private(info fs.FileInfo) bool { return owner(info) == os.Geteuid() && info.Mode()&0o022 == 0 }

// exposed returns why the folder at path cannot be trusted, or nil. One that does not exist, or cannot be looked at, can be: what
// needs it fails by itself. A link to it counts when it is this user's or root's.
func exposed(path string) error {
	info, err := os.Lstat(path)
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if who := owner(info); who != os.Geteuid() && who != 0 {
			return &exposedError{path, "is a link that " + userName(who) + " has made"}
		}
		info, err = os.Stat(path)
	}
	switch {
	case err != nil || private(info):
		return nil
	case owner(info) != os.Geteuid():
		return &exposedError{path, fmt.Sprintf("belongs to %s, not to %s", userName(owner(info)), userName(os.Geteuid()))}
	}
	return &exposedError{path, fmt.Sprintf("can be written to by others (%v)", info.Mode())}
}

func userName(id int) string {
	if u, err := user.LookupId(strconv.Itoa(id)); err == nil {
		return u.Username
	}
	return "user " + strconv.Itoa(id)
}

// parts are the folders in the cache.
var parts = []string{"bin", "models", "sdk", "python", "code", "tested"}

// check fails when another could have put into the cache what this user would execute. A cache that others can only read is
// closed to them.
func (c cache) check() error {
	if err := exposed(c.dir); err != nil {
		return c.fail(err)
	}
	info, err := os.Stat(c.dir)
	if err != nil {
		return nil // what needs it says why not, or makes it
	}
	for _, part := range parts {
		if err := exposed(filepath.Join(c.dir, part)); err != nil {
			return c.fail(err)
		}
	}
	if info.Mode()&0o077 != 0 {
		_ = os.Chmod(c.dir, 0o700)
	}
	return nil
}

// exchangeable returns an error when everybody may rename what is on the way to path. What lies above the home folder is the
// administrator's business. A group is not everybody: its members work in folders of their own below one that they share.
func exchangeable(path string) error {
	home, _ := os.Stat(os.Getenv("HOME"))
	dir := filepath.Dir(path)
	if real, err := filepath.EvalSymlinks(path); err == nil {
		dir = filepath.Dir(real)
	}
	for {
		info, err := os.Stat(dir)
		switch {
		case err == nil && info.Mode()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0:
			return &exposedError{dir, fmt.Sprintf("lets everybody exchange what is in it (%v)", info.Mode())}
		case err == nil && home != nil && os.SameFile(info, home), dir == filepath.Dir(dir):
			return nil
		}
		dir = filepath.Dir(dir)
	}
}

// readPrivate reads a file of the cache. The error of one that is not private is fs.ErrPermission.
func readPrivate(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || !private(info) {
		return nil, &fs.PathError{Op: "read", Path: file, Err: fs.ErrPermission}
	}
	text := make([]byte, info.Size())
	_, err = io.ReadFull(f, text)
	return text, err
}
