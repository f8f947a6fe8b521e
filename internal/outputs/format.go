package outputs

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// A NewerError says that a file was written by a newer mlpipeline, in a format that this one does not know. It is neither read
// nor written to.
type NewerError struct {
	File          string // of a journal with the line
	Format, Known int
	Pipeline      string // version of the mlpipeline that wrote it, if it is known
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("%s: written by a newer mlpipeline (format %d; this one reads up to %d)", e.File, e.Format, e.Known)
}

// Hint says what to do.
func (e *NewerError) Hint() string {
	which := "the mlpipeline that wrote it"
	if e.Pipeline != "" {
		which = "mlpipeline " + e.Pipeline + ", which wrote it"
	}
	return "install " + which + ", or a later one; mlpipeline version tells which this is"
}

// checkFormat fails when what a file holds, one JSON value, is of a newer format than known. All else may be otherwise in it
// than it is now.
func checkFormat(path string, text []byte, known int) error {
	if f := formatOf(text); f.Format > known {
		return &NewerError{path, f.Format, known, f.Pipeline}
	}
	return nil
}

type format struct {
	Format   int    `json:"format"`
	Pipeline string `json:"pipeline"`
}

func formatOf(text []byte) (f format) {
	_ = json.Unmarshal(text, &f) // what can be told of it
	return f
}

// checkJournal fails when a journal, or what a newer mlpipeline has added to it, is of a newer format.
func checkJournal(path string, journal io.Reader) error {
	opened := []byte(`{"event":"` + Opened + `"`)
	r := bufio.NewReaderSize(journal, 1<<20)
	for number := 1; ; number++ {
		line, err := r.ReadSlice('\n')
		if number == 1 || bytes.HasPrefix(line, opened) {
			if err := checkFormat(fmt.Sprintf("%s:%d", path, number), line, JournalFormat); err != nil {
				return err
			}
		}
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = r.ReadSlice('\n')
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read history %s: %w", path, err)
		}
	}
}
