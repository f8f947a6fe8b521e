package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
)

// writeResult writes a file whole, and says where it is. "-" is standard output. What is there and is no file, as a pipe or
// /dev/null, is written to and not replaced.
func writeResult(app *app, path string, content []byte) error {
	if path == "-" {
		_, err := app.stdout.Write(content)
		return err
	}
	err := replaceFile(path, content)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return &hintError{fmt.Errorf("write %s: there is no folder %s", path, filepath.Dir(path)), "mkdir -p " + filepath.Dir(path)}
	case err != nil:
		return fmt.Errorf("write %s: %w", path, err)
	}
	if whole, err := filepath.Abs(path); err == nil {
		path = whole
	}
	_, err = fmt.Fprintln(app.stdout, "wrote "+outputs.Clean(path))
	return err
}

// replaceFile puts content at path, whole or not at all where there is a file or nothing. A file keeps its permissions.
func replaceFile(path string, content []byte) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	perm := fs.FileMode(0o666)
	info, err := os.Stat(path)
	if err == nil {
		if !info.Mode().IsRegular() {
			return reason(os.WriteFile(path, content, 0))
		}
		perm = info.Mode().Perm()
	}
	temporary := fmt.Sprintf("%s.%d.new", path, os.Getpid())
	os.Remove(temporary) // which one that was killed has left, or a link to elsewhere
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return reason(err)
	}
	if info != nil {
		_ = f.Chmod(perm) // without it, fewer may read it
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		os.Remove(temporary)
	}
	return reason(err)
}

// reason is an error without the name of a file that the user has not named.
func reason(err error) error {
	var of *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &of):
		return of.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}
