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
// not have is zero. It is valid until the function returns that it was handed to: another line takes its place in memory. But
// for Names, who keeps any of it makes a copy.
type Entry struct {
	Event               string // empty: a line that cannot be read
	Model, Version, Run []byte
	Time                time.Time
	Parameters, Code    []byte

	Params, Git, Tally  []byte    // JSON objects, as they stand in the line; compact
	Names               []string  // of its results: "test.accuracy"; lines that follow each other share them mostly
	Values              []float64 // those of Names
	Dir, Resumes, Cause []byte
	Step, Order         int64
	Seconds             float64

	PID     int64
	Command []byte
	Format  int64
	Host    []byte

	at int64 // where in the journal the line begins
}

// ReadEntries calls each with the lines of the journals of all hosts, one journal after the other, but for the first lines
// of journals. Warnings tells of lines that could not be read, with file and line. No lock is needed: a line that is being
// written is left for later.
func (f Folder) ReadEntries(each func(host string, e *Entry)) (warnings []string, err error) {
	for _, path := range f.historyFiles() {
		host := hostOf(path)
		_, more, err := readJournal(path, false, func(e *Entry) { each(host, e) })
		if err != nil {
			return nil, err
		}
		warnings = append(warnings, more...)
	}
	return warnings, nil
}

// hostOf is whose journal the file at path is.
func hostOf(path string) string { return strings.TrimPrefix(filepath.Base(path), historyPrefix) }

// A seenFile is a journal that has been read.
type seenFile struct {
	path   string
	size   int64
	copied bool // it is not that of its host: it is left out
}

// readJournal is ReadEntries for one journal, of which it may take the head of lines only.
func readJournal(path string, head bool, each func(e *Entry)) (seen seenFile, warnings []string, err error) {
	seen.path = path
	file, err := open(path)
	if err != nil {
		return seen, nil, fmt.Errorf("read history: %w", err)
	}
	defer file.Close()
	host := hostOf(path)
	number := 0
	bad := badLines{path: path}
	errCopy := errors.New("it is a copy")
	scan := func(s *scanner, at int64, text []byte) { s.scan(at, text, head) }
	take := func(s *scanner) error {
		for i := range s.entries {
			e := &s.entries[i]
			number++
			switch {
			case number == 1 && len(e.Host) > 0 && string(e.Host) != host:
				// A copy that somebody made, or a folder that is synchronised, is no journal of its own.
				warnings = append(warnings, copyOfHistory(path, string(e.Host), host))
				return errCopy
			case e.Format > JournalFormat:
				return newerFormat(path, number, int(e.Format))
			case e.Event == "":
				warnings = bad.add(warnings, number)
			case e.Event != Opened:
				each(e)
			}
		}
		return nil
	}
	if info, serr := file.Stat(); serr == nil && info.Size() < blockSize { // there may be very many hosts
		var text []byte
		if text, err = io.ReadAll(io.LimitReader(file, blockSize)); err == nil {
			var s scanner
			scan(&s, 0, text)
			err = take(&s)
		}
	} else {
		err = inBlocks(file, maxEvent, scan, take)
	}
	switch {
	case err == errCopy:
		seen.copied = true
		seen.size, err = file.Seek(0, io.SeekEnd)
	case err == nil:
		seen.size, err = file.Seek(0, io.SeekCurrent)
	}
	var newer *NewerError
	if err != nil && !errors.As(err, &newer) {
		err = fmt.Errorf("read history: %w", err)
	}
	return seen, bad.end(warnings), err
}

// A scanner takes entries from the lines of a journal.
type scanner struct {
	entries []Entry
	results resultScanner
}

// scan takes the entries from whole lines, of which the first begins at a place in its journal. What has no newline yet is being
// written, or torn: then its writer will see to it.
func (s *scanner) scan(at int64, text []byte, head bool) {
	n := bytes.Count(text, []byte("\n"))
	s.entries = slices.Grow(s.entries[:0], n)[:n]
	s.results.values = s.results.values[:0]
	for i := range s.entries {
		end := bytes.IndexByte(text, '\n')
		line := text[:end]
		for len(line) > 0 && line[len(line)-1] == '\r' {
			line = line[:len(line)-1]
		}
		s.entries[i] = Entry{}
		e := &s.entries[i]
		if !s.entry(line, e, head) {
			*e = Entry{}
		}
		e.at = at
		text, at = text[end+1:], at+int64(end)+1
	}
}

// entry takes the fields from the line of a journal. It decodes no JSON where the line is in the notation that Journal writes,
// and finds the same as decode does. The head of such a line is taken for an entry whatever follows it.
func (s *scanner) entry(line []byte, e *Entry, head bool) bool {
	return s.fields(line, e, head) || s.decode(line, e)
}

// The fields of an Entry. Those of the head come first.
const (
	fieldEvent = 1 << iota
	fieldModel
	fieldVersion
	fieldRun
	fieldTime
	fieldParameters
	fieldCode
	fieldParams
	fieldResults
	fieldGit
	fieldTally
	fieldDir
	fieldResumes
	fieldCause
	fieldStep
	fieldOrder
	fieldSeconds
	fieldPID
	fieldCommand
	fieldFormat
	fieldHost

	fieldsOfHead = fieldParams - 1
)

// fields is entry for lines without white space between values, without fields that occur twice, and whose fields have the kind
// that they should have. It reports false for every other line, one that is no JSON among them. The Entry is empty before.
func (s *scanner) fields(line []byte, e *Entry, head bool) bool {
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
		switch string(key) {
		case "event":
			field = fieldEvent
			var event []byte
			event, ok = c.text()
			e.Event = kindOf(event)
		case "model":
			field = fieldModel
			e.Model, ok = c.text()
		case "version":
			field = fieldVersion
			e.Version, ok = c.text()
		case "run":
			field = fieldRun
			e.Run, ok = c.text()
		case "time":
			field = fieldTime
			var when []byte
			if when, ok = c.text(); ok {
				var ms int64
				ms, ok = scanTime(when)
				e.Time = time.UnixMilli(ms)
			}
		case "parameters":
			field = fieldParameters
			e.Parameters, ok = c.text()
		case "code":
			field = fieldCode
			e.Code, ok = c.text()
		case "params":
			field, ok = fieldParams, c.object(&e.Params)
		case "results":
			field, ok = fieldResults, s.results.scan(&c, e)
		case "git":
			field, ok = fieldGit, c.object(&e.Git)
		case "tally":
			field, ok = fieldTally, c.object(&e.Tally)
		case "dir":
			field = fieldDir
			e.Dir, ok = c.text()
		case "resumes":
			field = fieldResumes
			e.Resumes, ok = c.text()
		case "cause":
			field = fieldCause
			e.Cause, ok = c.text()
		case "step":
			field, ok = fieldStep, c.whole(&e.Step)
		case "order":
			field, ok = fieldOrder, c.whole(&e.Order)
		case "seconds":
			field, ok = fieldSeconds, c.float(&e.Seconds)
		case "pid":
			field, ok = fieldPID, c.whole(&e.PID)
		case "command":
			field = fieldCommand
			e.Command, ok = c.text()
		case "format":
			field, ok = fieldFormat, c.whole(&e.Format)
		case "host":
			field = fieldHost
			e.Host, ok = c.text()
		default: // of a later version
			ok = unlikeField(key) && c.skip(0)
		}
		if !ok || seen&field != 0 {
			return false
		}
		if seen |= field; seen == fieldsOfHead && head && e.Event != "" && e.Event != Opened {
			return line[len(line)-1] == '}'
		}
		if c.take(',') {
			continue
		}
		return c.take('}') && c.i == len(line) && e.Event != ""
	}
}

// unlikeField reports whether a key cannot be taken for one of those known: encoding/json folds case.
func unlikeField(key []byte) bool {
	for _, b := range key {
		if (b < 'a' || b > 'z') && b != '_' && (b < '0' || b > '9') {
			return false
		}
	}
	return true
}

// kindOf returns an event as a string, without allocating one that is known.
func kindOf(event []byte) string {
	for _, kind := range [...]string{Started, Finished, Failed, Interrupted, Begin, End, Opened} {
		if string(event) == kind {
			return kind
		}
	}
	return string(event)
}

// decode is entry for any line.
func (s *scanner) decode(line []byte, e *Entry) bool {
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
	if json.Unmarshal(line, &l) != nil || l.Event == "" {
		*e = Entry{Format: int64(formatOf(line).Format)}
		return e.Format > JournalFormat
	}
	object := func(raw json.RawMessage) []byte {
		var compact bytes.Buffer
		if len(raw) > 0 && raw[0] == '{' && json.Compact(&compact, raw) == nil {
			return compact.Bytes()
		}
		return nil
	}
	*e = Entry{
		Event: l.Event, Model: []byte(l.Model), Version: []byte(l.Version), Run: []byte(l.Run), Time: time.UnixMilli(l.Time.UnixMilli()),
		Parameters: []byte(l.Parameters), Code: []byte(l.Code), Params: object(l.Params), Git: object(l.Git), Tally: object(l.Tally),
		Dir: []byte(l.Dir), Resumes: []byte(l.Resumes), Cause: []byte(l.Cause), Step: l.Step, Order: l.Order, Seconds: l.Seconds,
		PID: l.PID, Command: []byte(l.Command), Format: l.Format, Host: []byte(l.Host),
	}
	if l.Time.IsZero() {
		e.Time = time.Time{}
	}
	var results Results
	if json.Unmarshal(l.Results, &results) == nil && len(results) > 0 {
		plain, _ := json.Marshal(results)
		s.results.scan(&cursor{s: plain}, e)
	}
	return true
}

// EachField calls each with the names and the values, undecoded, of a compact JSON object. Of a name that occurs twice the
// last value counts.
func EachField(object []byte, each func(name, value []byte)) {
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
