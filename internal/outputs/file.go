package outputs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// The outputs folder may be shared, or synchronised with machines that are not trusted: what lies in it need not be what this
// program would write there.

// open opens a file to read it. Only an ordinary one is opened, or what a link to one leads to: the other end of a pipe may
// never come, a device may have no end.
func open(path string) (*os.File, error) { return openOrdinary(path, os.O_RDONLY) }

// openOwn opens a file that the pipeline writes; flag is that of os.OpenFile. A link is not followed, as it may lead out of the
// outputs folder.
func openOwn(path string, flag int) (*os.File, error) {
	file, err := openOrdinary(path, flag|syscall.O_NOFOLLOW)
	if errors.Is(err, syscall.ELOOP) {
		return nil, &fs.PathError{Op: "open", Path: path, Err: errLink}
	}
	return file, err
}

var (
	errLink        = errors.New("it is a symbolic link, which the pipeline does not write through: put an ordinary file there, or nothing")
	errNotOrdinary = errors.New("it is not an ordinary file")
)

func openOrdinary(path string, flag int) (*os.File, error) {
	file, err := os.OpenFile(path, flag|syscall.O_NONBLOCK, 0o666) // which does not wait for the other end of a pipe
	if errors.Is(err, syscall.ENXIO) {
		return nil, &fs.PathError{Op: "open", Path: path, Err: errNotOrdinary} // a pipe without a reader, a socket
	}
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: errNotOrdinary}
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// writeOwn is openOwn for a file that is written whole.
func writeOwn(path string, text []byte) error {
	file, err := openOwn(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Close())
}

// read reads a whole file that is not longer than most.
func read(path string, most int64) ([]byte, error) {
	file, err := open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || info.Size() > most {
		return nil, errors.Join(err, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it is longer than %d MiB, and none of the pipeline's", most>>20)})
	}
	return io.ReadAll(io.LimitReader(file, most))
}
