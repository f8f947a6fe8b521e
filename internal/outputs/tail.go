package outputs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// A Tail reads what is added to the journal of a host.
type Tail struct {
	path   string
	offset int64 // where the next line begins
}

// Tail returns a Tail that begins at the end of the journal of host, as it is now. There may be no journal yet.
func (f Folder) Tail(host string) (*Tail, error) {
	t := &Tail{path: filepath.Join(f.Dir, historyPrefix+host)}
	file, err := open(t.path)
	if errors.Is(err, os.ErrNotExist) {
		return t, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	defer file.Close()
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, fmt.Errorf("read history %s: %w", t.path, err)
	}
	// A line that is being written at this moment is not left out.
	if t.offset, err = lastLine(file, size); err != nil {
		return nil, fmt.Errorf("read history %s: %w", t.path, err)
	}
	return t, nil
}

// Next returns the events that have been added since the last call. Lines that cannot be read are passed over.
func (t *Tail) Next() ([]Event, error) {
	file, err := open(t.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	defer file.Close()
	var events []Event
	for {
		text, err := io.ReadAll(io.NewSectionReader(file, t.offset, maxEvent))
		if err != nil {
			return nil, fmt.Errorf("read history %s: %w", t.path, err)
		}
		whole := text[:bytes.LastIndexByte(text, '\n')+1]
		if len(whole) == 0 && len(text) == maxEvent {
			whole = text // of a line that is none
		}
		if len(whole) == 0 {
			return events, nil
		}
		t.offset += int64(len(whole))
		for line := range bytes.Lines(whole) {
			var e Event
			if json.Unmarshal(line, &e) == nil && e.Event != "" {
				events = append(events, e)
			}
		}
	}
}
