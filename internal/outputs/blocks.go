package outputs

import (
	"bytes"
	"errors"
	"io"
	"runtime"
)

// blockSize is about how much of a file is scanned at once: few enough bytes to be still near the CPU that has read them.
const blockSize = 128 << 10

// inBlocks reads r in blocks of whole lines. Each is scanned into a T by one of several goroutines, and they are taken in
// their order by the caller's. A T is used again for a later block; the text is valid while it is scanned. The last block may
// end with a line that has no newline. Of lines longer than limit, or than a block where that is longer, only the newline is left.
// scan is told where in r its text begins.
func inBlocks[T any](r io.Reader, limit int, scan func(to *T, at int64, text []byte), take func(*T) error) error {
	ahead := 2 * runtime.GOMAXPROCS(0)
	blocks := make(chan *lineBlock[T], ahead)
	free := make(chan *lineBlock[T], ahead+2)
	stop := make(chan struct{})
	var readErr error
	go func() {
		defer close(blocks)
		readErr = readBlocks(r, limit, free, func(b *lineBlock[T], at int64, text []byte) bool {
			b.scanned = make(chan struct{})
			go func() {
				defer close(b.scanned)
				scan(&b.made, at, text)
			}()
			select {
			case blocks <- b:
				return true
			case <-stop:
				<-b.scanned
				return false
			}
		})
	}()
	var err error
	for b := range blocks {
		<-b.scanned
		if err != nil {
			continue // the others are waited for
		}
		if err = take(&b.made); err != nil {
			close(stop)
		}
		select {
		case free <- b:
		default:
		}
	}
	if err == nil {
		err = readErr
	}
	return err
}

// A lineBlock is what is scanned at once.
type lineBlock[T any] struct {
	buffer  []byte
	made    T
	scanned chan struct{} // closed when made is there
}

// readBlocks sends what r has until send reports false. Blocks come from free, if there are any.
func readBlocks[T any](r io.Reader, limit int, free <-chan *lineBlock[T], send func(b *lineBlock[T], at int64, text []byte) bool) error {
	var rest []byte // of the last block: a line that is not whole
	tooLong := false
	var end int64 // of what has been read
	for {
		var b *lineBlock[T]
		select {
		case b = <-free:
		default:
			b = &lineBlock[T]{}
		}
		if need := len(rest) + blockSize; len(b.buffer) < need {
			b.buffer = make([]byte, need)
		}
		held := copy(b.buffer, rest)
		rest = rest[:0]
		whole := 0
		var err error
		for whole == 0 && err == nil {
			if held == len(b.buffer) && held < limit {
				b.buffer = append(b.buffer, make([]byte, min(held, limit-held))...)
			} else if held == len(b.buffer) {
				held, tooLong = 0, true
			}
			var n int
			n, err = io.ReadFull(r, b.buffer[held:])
			whole = held + bytes.LastIndexByte(b.buffer[held:held+n], '\n') + 1
			if whole == held {
				whole = 0
			}
			held, end = held+n, end+int64(n)
		}
		text, at := b.buffer[:held], end-int64(held)
		if err == nil {
			text = b.buffer[:whole]
			rest = append(rest, b.buffer[whole:held]...)
		}
		if tooLong { // its end is left out too
			newline := bytes.IndexByte(text, '\n')
			if tooLong = newline < 0; tooLong {
				newline = len(text)
			}
			text, at = text[newline:], at+int64(newline)
		}
		if !send(b, at, text) {
			return nil
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
