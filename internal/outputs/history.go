package outputs

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
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

// longHead is how much is looked at of a line longer than the buffer.
const longHead = 64 << 10

// A Past is the last that the journals say of one version.
type Past struct {
	Event      string // Started, Finished, Failed or Interrupted
	Parameters uint64
	Code       uint64
	Host       string
	time       int64  // milliseconds since 1970
	file       string // its line: in which journal,
	offset     int64  // and where
}

// A History is what the journals of all hosts say together.
type History struct {
	// Warnings tells of lines that could not be read, with file and line.
	Warnings []string

	last  map[string]map[string]Past // by model and version
	files []string
	sizes []int64 // how much of each was read
}

// ReadHistory reads the journals of all hosts. It needs no lock: a line that is being written is left for later.
func (f Folder) ReadHistory() (*History, error) {
	h := &History{last: map[string]map[string]Past{}}
	r := bufio.NewReaderSize(nil, 1<<20)
	for _, file := range f.historyFiles() {
		if err := h.read(file, r); err != nil {
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
		i := slices.Index(h.files, file)
		if info, err := os.Stat(file); err == nil && (i < 0 || info.Size() != h.sizes[i]) {
			return true
		}
	}
	return false
}

// Last returns the last that is known of a version.
func (h *History) Last(model, version string) (Past, bool) {
	p, ok := h.last[model][version]
	return p, ok
}

// Versions returns what is known of all versions of a model.
func (h *History) Versions(model string) map[string]Past { return h.last[model] }

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

// read reads one journal through r.
func (h *History) read(path string, r *bufio.Reader) error {
	file, err := open(path)
	if err != nil {
		return fmt.Errorf("read history: %w", err)
	}
	defer file.Close()
	host := strings.TrimPrefix(filepath.Base(path), historyPrefix)
	h.files, h.sizes = append(h.files, path), append(h.sizes, 0)
	r.Reset(file)
	bad := badLines{path: path}
	defer func() { h.Warnings = bad.end(h.Warnings) }()
	var offset int64
	for number := 1; ; number++ {
		line, err := r.ReadSlice('\n')
		length := int64(len(line))
		if errors.Is(err, bufio.ErrBufferFull) { // very many results; what counts stands in front
			head := append([]byte(nil), line[:longHead]...)
			for errors.Is(err, bufio.ErrBufferFull) {
				line, err = r.ReadSlice('\n')
				length += int64(len(line))
			}
			line = append(head, line[max(0, len(line)-2):]...)
		}
		if err != nil && err != io.EOF {
			return fmt.Errorf("read history %s: %w", path, err)
		}
		if err == io.EOF {
			// What has no newline yet is being written, or torn: then its writer will see to it.
			h.sizes[len(h.sizes)-1] = offset + length
			return nil
		}
		l, ok := scanLine(bytes.TrimRight(line, "\r\n"))
		switch {
		case number == 1 && l.host != "" && l.host != host:
			// A copy that somebody made, or a folder that is synchronised, is no journal of its own.
			h.Warnings = append(h.Warnings, copyOfHistory(path, l.host, host))
			return nil
		case !ok || length > maxEvent:
			h.Warnings = bad.add(h.Warnings, number)
		case l.format > JournalFormat:
			return newerFormat(path, number, l.format)
		case l.event != "" && len(l.version) > 0:
			h.add(l, Past{l.event, l.parameters, l.code, host, l.time, path, offset})
		}
		offset += length
	}
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
func (h *History) add(l scanned, p Past) {
	versions := h.last[string(l.model)]
	if versions == nil {
		versions = map[string]Past{}
		h.last[string(l.model)] = versions
	}
	// Within one journal the order of the lines counts: clocks are put back.
	old, known := versions[string(l.version)]
	if known && old.file == p.file {
		p.time = max(p.time, old.time)
	}
	if !known || old.file == p.file || old.time <= p.time {
		versions[string(l.version)] = p
	}
}

// scanned is what scanLine finds in a line. Its event is empty when it is none of those that tell of a version.
type scanned struct {
	event            string
	model, version   []byte
	time             int64
	parameters, code uint64
	format           int
	host             string
}

// scanLine takes the first fields from the line of a journal. A line in the notation that Journal writes, with names
// that need no escapes, is not decoded as JSON: that would take seven times as long.
func scanLine(line []byte) (l scanned, ok bool) {
	rest := line
	field := func(key string) (value []byte) {
		if rest, ok = bytes.CutPrefix(rest, []byte(key)); !ok {
			return nil
		}
		end := bytes.IndexByte(rest, '"')
		if ok = end >= 0; !ok {
			return nil
		}
		value, rest = rest[:end], rest[end+1:]
		ok = bytes.IndexByte(value, '\\') < 0
		return value
	}
	ok = true
	var event, when, parameters, code []byte
	for _, f := range []struct {
		key   string
		value *[]byte
	}{
		{`{"event":"`, &event}, {`,"model":"`, &l.model}, {`,"version":"`, &l.version}, {`,"run":"`, nil},
		{`,"time":"`, &when}, {`,"parameters":"`, &parameters}, {`,"code":"`, &code},
	} {
		value := field(f.key)
		if !ok {
			return scanSlowly(line)
		}
		if f.value != nil {
			*f.value = value
		}
	}
	if len(rest) == 0 || rest[len(rest)-1] != '}' || string(event) == Opened {
		return scanSlowly(line)
	}
	l.event = known(string(event))
	var fine [3]bool
	l.time, fine[0] = scanTime(when)
	l.parameters, fine[1] = scanHex(parameters)
	l.code, fine[2] = scanHex(code)
	if fine != [3]bool{true, true, true} {
		return scanSlowly(line)
	}
	return l, true
}

func scanSlowly(line []byte) (scanned, bool) {
	var e Event
	if json.Unmarshal(line, &e) != nil || e.Event == "" {
		f := formatOf(line).Format
		return scanned{format: f}, f > JournalFormat
	}
	l := scanned{event: known(e.Event), model: []byte(e.Model), version: []byte(e.Version), time: e.Time.UnixMilli(), format: e.Format, host: e.Host}
	l.parameters, _ = strconv.ParseUint(e.Parameters, 16, 64)
	l.code, _ = strconv.ParseUint(e.Code, 16, 64)
	return l, true
}

// known returns event when it is one that tells of a version, without allocating it.
func known(event string) string {
	for _, e := range []string{Started, Finished, Failed, Interrupted} {
		if event == e {
			return e
		}
	}
	return ""
}

func scanHex(b []byte) (n uint64, ok bool) {
	if len(b) != 16 {
		return 0, len(b) == 0
	}
	for _, c := range b {
		switch {
		case '0' <= c && c <= '9':
			n = n<<4 | uint64(c-'0')
		case 'a' <= c && c <= 'f':
			n = n<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return n, true
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
