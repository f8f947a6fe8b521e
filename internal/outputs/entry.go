package outputs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// An Entry is a line of a journal for readers of very many: the fields of an Event, its objects undecoded. What the line does
// not have is zero.
type Entry struct {
	Event, Model, Version, Run string
	Time                       time.Time
	Parameters, Code           string

	Params, Git, Tally  string // JSON objects, as they stand in the line; compact
	Results             string // for EachResult
	Dir, Resumes, Cause string
	Step, Order         int64
	Seconds             float64

	PID     int64
	Command string
	Format  int64
	Host    string
}

// ReadEntries calls each with the lines of the journals of all hosts, one journal after the other, but for the first lines
// of journals. The Entry is overwritten later; its strings stay. Warnings tells of lines that could not be read, with file
// and line. No lock is needed: a line that is being written is left for later.
func (f Folder) ReadEntries(each func(host string, e *Entry)) (warnings []string, err error) {
	for _, path := range f.historyFiles() {
		more, err := readEntries(path, each)
		if err != nil {
			return nil, err
		}
		warnings = append(warnings, more...)
	}
	return warnings, nil
}

func readEntries(path string, each func(host string, e *Entry)) (warnings []string, err error) {
	file, err := open(path)
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	defer file.Close()
	host := strings.TrimPrefix(filepath.Base(path), historyPrefix)
	number := 0
	bad := badLines{path: path}
	enough := errors.New("it need not be read on")
	var newer error
	take := func(entries *[]Entry) error {
		for i := range *entries {
			e := &(*entries)[i]
			number++
			switch {
			case number == 1 && e.Host != "" && e.Host != host:
				warnings = append(warnings, copyOfHistory(path, e.Host, host))
				return enough
			case e.Format > JournalFormat:
				newer = newerFormat(path, number, int(e.Format))
				return enough
			case e.Event == "":
				warnings = bad.add(warnings, number)
			case e.Event != Opened:
				each(host, e)
			}
		}
		return nil
	}
	if info, serr := file.Stat(); serr == nil && info.Size() < blockSize { // there may be very many hosts
		var text []byte
		if text, err = io.ReadAll(io.LimitReader(file, blockSize)); err == nil {
			var entries []Entry
			scanEntries(&entries, text)
			err = take(&entries)
		}
	} else {
		err = inBlocks(file, maxEvent, scanEntries, take)
	}
	if err != nil && err != enough {
		return nil, fmt.Errorf("read history: %w", err)
	}
	return bad.end(warnings), newer
}

// scanEntries takes the entries from whole lines. One without an Event stands for a line that cannot be read. What has no
// newline yet is being written, or torn: then its writer will see to it.
func scanEntries(to *[]Entry, lines []byte) {
	text := string(lines[:bytes.LastIndexByte(lines, '\n')+1]) // entries are made of it
	n := strings.Count(text, "\n")
	entries := slices.Grow((*to)[:0], n)[:n]
	for i := range entries {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		if e := &entries[i]; !scanEntry(strings.TrimRight(line, "\r"), e) {
			*e = Entry{}
		}
	}
	*to = entries
}

// scanEntry takes the fields from the line of a journal. It decodes no JSON where the line is in the notation that Journal
// writes, and finds the same as decodeEntry does.
func scanEntry(line string, e *Entry) bool {
	return scanFields(line, e) || decodeEntry(line, e)
}

// scanFields is scanEntry for lines without white space between values, without fields that occur twice, and whose fields have
// the kind that they should have. It reports false for every other line, one that is no JSON among them.
func scanFields(line string, e *Entry) bool {
	*e = Entry{}
	c := cursor{s: line}
	if !c.take('{') {
		return false
	}
	var seen uint32
	for {
		key, ok := c.key()
		if !ok {
			return false
		}
		var field uint32
		switch key {
		case "event":
			field = 1 << 0
			e.Event, ok = c.text()
		case "model":
			field = 1 << 1
			e.Model, ok = c.text()
		case "version":
			field = 1 << 2
			e.Version, ok = c.text()
		case "run":
			field = 1 << 3
			e.Run, ok = c.text()
		case "time":
			field = 1 << 4
			var when string
			if when, ok = c.text(); ok {
				var ms int64
				ms, ok = scanTime(when)
				e.Time = time.UnixMilli(ms)
			}
		case "parameters":
			field = 1 << 5
			e.Parameters, ok = c.text()
		case "code":
			field = 1 << 6
			e.Code, ok = c.text()
		case "params":
			field, ok = 1<<7, c.object(&e.Params)
		case "results":
			field, ok = 1<<8, c.results(&e.Results)
		case "git":
			field, ok = 1<<9, c.object(&e.Git)
		case "tally":
			field, ok = 1<<10, c.object(&e.Tally)
		case "dir":
			field = 1 << 11
			e.Dir, ok = c.text()
		case "resumes":
			field = 1 << 12
			e.Resumes, ok = c.text()
		case "cause":
			field = 1 << 13
			e.Cause, ok = c.text()
		case "step":
			field, ok = 1<<14, c.whole(&e.Step)
		case "order":
			field, ok = 1<<15, c.whole(&e.Order)
		case "seconds":
			field, ok = 1<<16, c.float(&e.Seconds)
		case "pid":
			field, ok = 1<<17, c.whole(&e.PID)
		case "command":
			field = 1 << 18
			e.Command, ok = c.text()
		case "format":
			field, ok = 1<<19, c.whole(&e.Format)
		case "host":
			field = 1 << 20
			e.Host, ok = c.text()
		default: // of a later version
			ok = c.skip(0)
		}
		if !ok || seen&field != 0 {
			return false
		}
		seen |= field
		if c.take(',') {
			continue
		}
		return c.take('}') && c.i == len(line) && e.Event != ""
	}
}

// decodeEntry is scanEntry for any line.
func decodeEntry(line string, e *Entry) bool {
	*e = Entry{}
	var l struct {
		Event, Model, Version, Run  string
		Time                        Time
		Parameters, Code            string
		Params, Results, Git, Tally json.RawMessage
		Dir, Resumes, Cause         string
		Step, Order                 int64
		Seconds                     float64
		PID                         int64
		Command                     string
		Format                      int64
		Host                        string
	}
	if json.Unmarshal([]byte(line), &l) != nil || l.Event == "" {
		*e = Entry{Format: int64(formatOf([]byte(line)).Format)}
		return e.Format > JournalFormat
	}
	results := ""
	var decoded Results
	if json.Unmarshal(l.Results, &decoded) == nil && len(decoded) > 0 {
		plain, _ := json.Marshal(decoded)
		results = string(plain)
	}
	object := func(raw json.RawMessage) string {
		var compact bytes.Buffer
		if len(raw) > 0 && raw[0] == '{' && json.Compact(&compact, raw) == nil {
			return compact.String()
		}
		return ""
	}
	*e = Entry{
		Event: l.Event, Model: l.Model, Version: l.Version, Run: l.Run, Time: time.UnixMilli(l.Time.UnixMilli()), Parameters: l.Parameters, Code: l.Code,
		Params: object(l.Params), Git: object(l.Git), Tally: object(l.Tally), Results: results,
		Dir: l.Dir, Resumes: l.Resumes, Cause: l.Cause, Step: l.Step, Order: l.Order, Seconds: l.Seconds,
		PID: l.PID, Command: l.Command, Format: l.Format, Host: l.Host,
	}
	if l.Time.IsZero() {
		e.Time = time.Time{}
	}
	return true
}

// EachField calls each with the names and the values, undecoded, of a compact JSON object. Of a name that occurs twice the
// last value counts.
func EachField(object string, each func(name, value string)) {
	c := cursor{s: object}
	if !c.take('{') {
		return
	}
	for {
		name, ok := c.text()
		if !ok || !c.take(':') {
			return
		}
		start := c.i
		if !c.skip(0) {
			return
		}
		each(name, c.s[start:c.i])
		if !c.take(',') {
			return
		}
	}
}

// EachResult calls each with the Results of an Entry, as long as it returns true. ResultValue takes the value.
func EachResult(results string, each func(set, name, value string) bool) {
	c := cursor{s: results}
	if results != "" {
		c.eachResult(each)
	}
}

// ResultValue is what stands for a value in Results.
func ResultValue(value string) float64 {
	v, _, _ := cutValue([]byte(value))
	return v
}
