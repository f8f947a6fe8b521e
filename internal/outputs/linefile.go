package outputs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"
)

// A lineFile is a file that grows by lines, and is made when the first is written: most runs that are short print nothing. Lines
// that cannot be written wait until there is room, up to a limit; of those that were written none is torn. It is not safe for
// use by several goroutines.
type lineFile struct {
	path    string
	file    *os.File
	waiting []byte // lines that are not written yet
	lost    int    // lines that there was no room for,
	why     error  // because of this
	err     error  // why the last write failed
	tried   time.Time
}

const (
	lineBuffer = 64 << 10  // as much is written at once
	lineHeld   = 256 << 10 // as much waits while nothing can be written
	lineRetry  = time.Second
)

// line adds a line, which may wait for flush. An error is why lines that wait cannot be written.
func (l *lineFile) line(text []byte) (err error) {
	if len(l.waiting)+len(text) >= lineBuffer {
		err = l.flush()
	}
	if len(l.waiting) > 0 && len(l.waiting)+len(text) >= lineHeld {
		l.lost++
		l.why = l.err
		return err
	}
	l.waiting = append(append(l.waiting, text...), '\n')
	return err
}

// flush writes what waits, unless that has just failed.
func (l *lineFile) flush() error {
	if l.err != nil && time.Since(l.tried) < lineRetry {
		return nil
	}
	return l.write()
}

// write writes what waits, or as many whole lines of it as there is room for.
func (l *lineFile) write() (err error) {
	if len(l.waiting) == 0 {
		return nil
	}
	if l.file == nil {
		err = l.open()
	}
	if err == nil {
		var n int
		if n, err = l.file.Write(l.waiting); err != nil {
			whole := bytes.LastIndexByte(l.waiting[:n], '\n') + 1
			if info, serr := l.file.Stat(); serr == nil && n > whole {
				err = errors.Join(err, l.file.Truncate(info.Size()-int64(n-whole)))
			}
			n = whole
		}
		l.waiting = l.waiting[:copy(l.waiting, l.waiting[n:])]
	}
	if l.err = err; err != nil {
		l.tried = time.Now()
	}
	return err
}

func (l *lineFile) open() error {
	file, err := openOwn(l.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND)
	if err != nil {
		return err
	}
	l.file = file
	return nil
}

// close closes the file once more has been tried to write what waits, and says what is missing.
func (l *lineFile) close() (err error) {
	if why := l.write(); why != nil {
		l.why = why
	}
	if l.file != nil {
		err = l.file.Close()
	}
	if missing := l.lost + bytes.Count(l.waiting, []byte("\n")); missing > 0 {
		return fmt.Errorf("%w: %d lines are missing", l.why, missing)
	}
	return err
}
