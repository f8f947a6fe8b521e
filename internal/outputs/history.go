package outputs

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const historyPrefix = "history-"

// A Past is the last that the journals say of one version.
type Past struct {
	Event      string // Started, Finished, Failed or Interrupted
	Parameters uint64
	Code       uint64
	*origin
	time   int64 // milliseconds since 1970
	offset int64 // of its line in the journal
}

// An origin is a journal that tells of versions.
type origin struct {
	Host string
	file string
}

// A History is what the journals of all hosts say together.
type History struct {
	// Warnings tells of lines that could not be read, with file and line.
	Warnings []string

	last  map[string]map[string]*Past // by model and version
	room  []Past                      // for those to come
	files []seenFile

	now            *Past // of the version that was told of last:
	model, version []byte
}

// ReadHistory reads the journals of all hosts. It needs no lock: a line that is being written is left for later.
func (f Folder) ReadHistory() (*History, error) {
	h := &History{last: map[string]map[string]*Past{}}
	for _, file := range f.historyFiles() {
		if err := h.read(file); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// historyFiles returns the journals of all hosts, by name.
func (f Folder) historyFiles() []string {
	entries, _ := os.ReadDir(f.Dir) // there may be no folder yet
	var files []string
	for _, e := range entries {
		path := filepath.Join(f.Dir, e.Name())
		if !strings.HasPrefix(e.Name(), historyPrefix) {
			continue
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			files = append(files, path)
		}
	}
	return files
}

// Outdated reports whether the journal of another host has grown since h was read.
func (f Folder) Outdated(h *History) bool {
	for _, file := range f.historyFiles() {
		if file == f.HistoryFile() {
			continue
		}
		if info, err := os.Stat(file); err == nil && info.Size() != h.seen(file).size {
			return true
		}
	}
	return false
}

// seen is what has been read of a journal.
func (h *History) seen(path string) seenFile {
	if i := slices.IndexFunc(h.files, func(s seenFile) bool { return s.path == path }); i >= 0 {
		return h.files[i]
	}
	return seenFile{}
}

// Has reports whether h tells of all that is in j.
func (h *History) Has(j *Journal) bool { return h.has(j.file.Name(), j.Size()) }

// has is Has for the journal at path when it has a size.
func (h *History) has(path string, size int64) bool {
	seen := h.seen(path)
	return !seen.copied && seen.size == size
}

// Last returns the last that is known of a version.
func (h *History) Last(model, version string) (Past, bool) {
	if p := h.last[model][version]; p != nil {
		return *p, true
	}
	return Past{}, false
}

// Versions returns what is known of all versions of a model.
func (h *History) Versions(model string) map[string]*Past { return h.last[model] }

// Time is when it was.
func (p Past) Time() time.Time { return time.UnixMilli(p.time) }

// After reports whether p was later than q. Of two on one host the place in its journal tells, whatever its clock said.
func (p Past) After(q Past) bool {
	if p.file == q.file {
		return p.offset > q.offset
	}
	return p.time > q.time
}

// Read reads the whole line behind p.
func (p Past) Read() (Event, error) {
	file, err := open(p.file)
	if err != nil {
		return Event{}, fmt.Errorf("read history: %w", err)
	}
	defer file.Close()
	line, err := bufio.NewReader(io.NewSectionReader(file, p.offset, maxEvent)).ReadBytes('\n')
	if err != nil && err != io.EOF {
		return Event{}, fmt.Errorf("read history: %w", err)
	}
	var e Event
	if err := json.Unmarshal(line, &e); err != nil {
		return Event{}, fmt.Errorf("read history %s: %w", p.file, err)
	}
	return e, nil
}

// lately is how many bytes at the end of a journal Lately looks at.
const lately = 512 << 10

// Lately hands each the last events of all journals that tell of a run that has finished, with its parameters if they are known,
// but for those that went on with what was interrupted. What cannot be read is passed over.
func (f Folder) Lately(each func(Event)) {
	finished, started := []byte(`{"event":"finished"`), []byte(`{"event":"started"`)
	for _, path := range f.historyFiles() {
		file, err := open(path)
		if err != nil {
			continue
		}
		if info, err := file.Stat(); err == nil && info.Size() > lately {
			file.Seek(-lately, io.SeekEnd) // in the middle of a line, that is none then
		}
		text, _ := io.ReadAll(io.LimitReader(file, lately))
		file.Close()
		running := map[string]Event{}
		for line := range bytes.Lines(text) {
			ends := bytes.HasPrefix(line, finished)
			var e Event
			if !ends && !bytes.HasPrefix(line, started) || json.Unmarshal(line, &e) != nil {
				continue
			}
			if !ends {
				running[e.Run] = e
				continue
			}
			start := running[e.Run]
			delete(running, e.Run)
			if e.Params == nil {
				e.Params = start.Params
			}
			if start.Resumes == "" {
				each(e)
			}
		}
	}
}

// read reads one journal.
func (h *History) read(path string) error {
	from := &origin{hostOf(path), path}
	seen, warnings, err := readJournal(path, true, func(e *Entry) {
		if e.tellsOfVersion() {
			h.add(e, Past{e.Event, hash(e.Parameters), hash(e.Code), from, e.Time.UnixMilli(), e.at})
		}
	})
	h.files, h.Warnings = append(h.files, seen), append(h.Warnings, warnings...)
	return err
}

// tellsOfVersion reports whether e is one of the events that count for a version.
func (e *Entry) tellsOfVersion() bool {
	switch e.Event {
	case Started, Finished, Failed, Interrupted:
		return len(e.Version) > 0
	}
	return false
}

func copyOfHistory(path, of, host string) string {
	return fmt.Sprintf("%s: it is a copy of the history of %s, not that of a host %s; it is left out", path, of, host)
}

// badLines counts the lines of a journal that cannot be read, and tells of the first of them.
type badLines struct {
	path  string
	count int
}

const maxBadLines = 10 // that are told of

func (b *badLines) add(warnings []string, number int) []string {
	if b.count++; b.count > maxBadLines {
		return warnings
	}
	return append(warnings, fmt.Sprintf("%s:%d: not a line of a history; it is passed over", b.path, number))
}

func (b *badLines) end(warnings []string) []string {
	if b.count <= maxBadLines {
		return warnings
	}
	return append(warnings, fmt.Sprintf("%s: %d more are not lines of a history; they are passed over", b.path, b.count-maxBadLines))
}

// add takes the event in, unless another host has told of a later one.
func (h *History) add(e *Entry, p Past) {
	last := h.past(e)
	switch {
	case last.origin == p.origin:
		// Within one journal the order of the lines counts: clocks are put back.
		p.time = max(p.time, last.time)
	case last.origin != nil && last.time > p.time:
		return
	}
	*last = p
}

// past returns what is known of the version that e tells of. It has no origin when that is nothing.
func (h *History) past(e *Entry) *Past {
	if h.now != nil && string(e.Version) == string(h.version) && string(e.Model) == string(h.model) {
		return h.now // mostly a version ends before another one starts
	}
	versions := h.last[string(e.Model)]
	if versions == nil {
		versions = map[string]*Past{}
		h.last[string(e.Model)] = versions
	}
	p := versions[string(e.Version)]
	if p == nil {
		if len(h.room) == 0 {
			h.room = make([]Past, 256)
		}
		p, h.room = &h.room[0], h.room[1:]
		versions[string(e.Version)] = p
	}
	h.now, h.model, h.version = p, append(h.model[:0], e.Model...), append(h.version[:0], e.Version...)
	return p
}

// hash is that of a version's parameters or a model's code, which stands in the journal as 16 digits.
func hash(text []byte) uint64 {
	var n uint64
	for _, c := range text {
		switch {
		case '0' <= c && c <= '9':
			n = n<<4 | uint64(c-'0')
		case 'a' <= c && c <= 'f':
			n = n<<4 | uint64(c-'a'+10)
		default:
			n, _ = strconv.ParseUint(string(text), 16, 64)
			return n
		}
	}
	return n
}

// scanTime reads a time in the notation of journalTime.
func scanTime[text []byte | string](b text) (ms int64, ok bool) {
	if len(b) != len(journalTime) || b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' || b[19] != '.' || b[23] != 'Z' {
		return 0, false
	}
	ok = true
	number := func(from, to int) (n int) {
		for i := from; i < to; i++ {
			ok = ok && '0' <= b[i] && b[i] <= '9'
			n = n*10 + int(b[i]-'0')
		}
		return n
	}
	month, day, hour, minute, second := number(5, 7), number(8, 10), number(11, 13), number(14, 16), number(17, 19)
	t := time.Date(number(0, 4), time.Month(month), day, hour, minute, second, number(20, 23)*1e6, time.UTC)
	ok = ok && 1 <= month && month <= 12 && 1 <= day && (day <= 28 || t.Day() == day) && hour < 24 && minute < 60 && second < 60
	return t.UnixMilli(), ok
}
