package outputs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// JournalFormat is the version of the journal that is written. Older ones stay readable.
const JournalFormat = 1

// Kinds of Event.
const (
	Opened      = "journal" // the first line of a journal
	Begin       = "begin"   // an execution has begun
	End         = "end"     // it has ended
	Started     = "started"
	Finished    = "finished"
	Failed      = "failed"
	Interrupted = "interrupted"
)

// maxEvent is more than the longest line of a journal: results and parameters come in messages of wire.MaxMessage. A longer one
// is somebody else's, and must not take the memory of those who read it.
const maxEvent = 32 << 20

// An Event is one line of the journal. The fields that -u reads come first, always all of them and in this order, so that a
// reader finds them without decoding JSON, and need not look further; see scanner.
type Event struct {
	Event      string `json:"event"`
	Model      string `json:"model"`
	Version    string `json:"version"` // empty when the whole model failed, because it does not build or tell its versions
	Run        string `json:"run"`
	Time       Time   `json:"time"`
	Parameters string `json:"parameters"` // hash of the version's own parameters, 16 hex digits
	Code       string `json:"code"`       // fingerprint of the model's code, 16 hex digits

	Params  json.RawMessage `json:"params,omitempty"`  // the version's own: started; failed without having started; in a last event when they have changed since
	Order   int             `json:"order,omitempty"`   // with params: the place of the version in its model
	Dir     string          `json:"dir,omitempty"`     // started: the model directory, relative to the outputs folder
	Resumes string          `json:"resumes,omitempty"` // started: the run whose training it continues
	Step    int64           `json:"step,omitempty"`    // steps that were trained in all when the run ended
	Seconds float64         `json:"seconds,omitempty"` // how long it, or the execution, took
	Results Results         `json:"results,omitempty"` // finished
	Cause   string          `json:"cause,omitempty"`   // failed, interrupted
	Git     *Git            `json:"git,omitempty"`     // finished, failed, interrupted

	PID     int    `json:"pid,omitempty"`     // begin
	Command string `json:"command,omitempty"` // begin
	Tally   *Tally `json:"tally,omitempty"`   // end

	Format int    `json:"format,omitempty"` // journal: the version of the format
	Host   string `json:"host,omitempty"`   // journal: who writes it
}

// Results are metrics by what they were measured on: training, train or test.
type Results map[string]map[string]wire.Float

// Time is a time in UTC with milliseconds, always in the same notation.
type Time struct{ time.Time }

const journalTime = "2006-01-02T15:04:05.000Z"

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(t.UTC().Format(`"` + journalTime + `"`)), nil
}

// A Journal is the history of one host, open for appending. It is safe for use by several goroutines.
type Journal struct {
	mu   sync.Mutex
	file *os.File
	info os.FileInfo // of file
	size int64
	made bool // there was none before
}

// OpenJournal opens the journal of this host, which must hold the lock of the folder, and makes it when there is none. A last
// line that a power cut has torn is taken off and returned, the beginning of it if it is very long.
func (f Folder) OpenJournal() (j *Journal, torn string, err error) { return f.openJournal(nil) }

// openJournal is OpenJournal for somebody who may have read the journal since the lock was taken: then it is not read again.
func (f Folder) openJournal(known *History) (j *Journal, torn string, err error) {
	path := f.HistoryFile()
	file, err := openOwn(path, os.O_CREATE|os.O_RDWR|os.O_APPEND)
	if err != nil {
		return nil, "", fmt.Errorf("open history: %w", err)
	}
	defer func() {
		if err != nil {
			file.Close()
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return nil, "", fmt.Errorf("open history: %w", err)
	}
	// ReadHistory looks at the format of all lines, but for a last one that has no newline: then it has read more than them.
	if end, err := lastLine(file, info.Size()); err != nil || known == nil || !known.has(path, end) {
		if err := checkJournal(path, io.NewSectionReader(file, 0, 1<<62)); err != nil {
			return nil, "", err
		}
	}
	torn, empty, err := mend(file)
	if err != nil {
		return nil, "", fmt.Errorf("repair %s: %w", path, err)
	}
	if info, err = file.Stat(); err != nil {
		return nil, "", fmt.Errorf("open history: %w", err)
	}
	j = &Journal{file: file, info: info, size: info.Size(), made: empty}
	if empty {
		if err := j.Append(Event{Event: Opened, Time: Time{time.Now()}, Format: JournalFormat, Host: f.Host}); err != nil {
			return nil, "", err
		}
		if err := syncDir(f.Dir); err != nil {
			return nil, "", fmt.Errorf("sync outputs folder: %w", err)
		}
	}
	return j, torn, nil
}

func newerFormat(path string, line, format int) error {
	return &NewerError{fmt.Sprintf("%s:%d", path, line), format, JournalFormat, ""}
}

// mend makes the file end with a whole line.
func mend(file *os.File) (torn string, empty bool, err error) {
	info, err := file.Stat()
	if err != nil {
		return "", false, err
	}
	end := info.Size()
	start, err := lastLine(file, end)
	if err != nil || start == end {
		return "", end == 0, err
	}
	tail := make([]byte, min(end-start, maxEvent))
	if _, err := file.ReadAt(tail, start); err != nil && err != io.EOF {
		return "", false, err
	}
	if int64(len(tail)) == end-start && json.Valid(tail) {
		_, err := file.Write([]byte("\n"))
		return "", false, err
	}
	return string(tail[:min(len(tail), maxLine)]), start == 0, file.Truncate(start)
}

// lastLine returns where what comes after the last newline of a file of a size begins.
func lastLine(file io.ReaderAt, size int64) (int64, error) {
	block := make([]byte, 64<<10)
	for end := size; end > 0; {
		start := max(0, end-int64(len(block)))
		n, err := file.ReadAt(block[:end-start], start)
		if err != nil && err != io.EOF {
			return 0, err
		}
		if nl := bytes.LastIndexByte(block[:n], '\n'); nl >= 0 {
			return start + int64(nl) + 1, nil
		}
		end = start
	}
	return 0, nil
}

// Append writes one event. When it returns, the event has reached the disk; when it fails, it is not in the journal.
func (j *Journal) Append(e Event) error { return j.append(e, syncData) }

// Mark writes an event that nothing is lost with: it reaches the disk with the next one that is appended, or when the system
// sees fit.
func (j *Journal) Mark(e Event) error { return j.append(e, func(*os.File) error { return nil }) }

func (j *Journal) append(e Event, sync func(*os.File) error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	line, err := json.Marshal(e)
	if err == nil {
		err = j.intact()
	}
	if err == nil {
		err = appendWhole(j.file, j.size, append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	if err := sync(j.file); err != nil {
		// What could not be synced once is taken for written from then on, by the system and by who reads the file.
		err = &fs.PathError{Op: "sync", Path: j.file.Name(), Err: reasonOf(err)}
		return fmt.Errorf("write history: %w", errors.Join(err, j.file.Truncate(j.size)))
	}
	j.size += int64(len(line)) + 1
	return nil
}

// Check fails when the file of the journal is no longer there, as when the outputs folder was deleted or unmounted.
func (j *Journal) Check() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.intact()
}

// intact is Check with the lock held. A file system over a network may be late to tell how long a file is.
func (j *Journal) intact() error {
	err := sameFile(j.file.Name(), j.info, j.size)
	if err != nil {
		_ = j.file.Sync()
		err = sameFile(j.file.Name(), j.info, j.size)
	}
	return err
}

// Size is how many bytes the journal has.
func (j *Journal) Size() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.size
}

// Close closes the journal.
func (j *Journal) Close() error { return j.file.Close() }

// syncDir makes the names in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
