package outputs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
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
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	defer file.Close()
	host := strings.TrimPrefix(filepath.Base(path), historyPrefix)
	number := 0
	enough := errors.New("it need not be read on")
	var newer error
	err = inBlocks(file, math.MaxInt, scanEntries, func(entries *[]Entry) error {
		for i := range *entries {
			e := &(*entries)[i]
			number++
			switch {
			case number == 1 && e.Host != "" && e.Host != host:
				warnings = append(warnings, copyOfHistory(path, e.Host, host))
				return enough
			case e.Event == "":
				warnings = append(warnings, badLine(path, number))
			case e.Format > JournalFormat:
				newer = newerFormat(path, number, int(e.Format))
				return enough
			case e.Event != Opened:
				each(host, e)
			}
		}
		return nil
	})
	if err != nil && err != enough {
		return nil, fmt.Errorf("read history: %w", err)
	}
	return warnings, newer
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
		return false
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

// A cursor goes through compact JSON. Its methods report false, with the cursor anywhere, where it is not what they take.
type cursor struct {
	s string
	i int
}

func (c *cursor) take(b byte) bool {
	if c.i < len(c.s) && c.s[c.i] == b {
		c.i++
		return true
	}
	return false
}

// key takes the key of a field of Event with its colon, or of one that cannot be taken for it: encoding/json folds case.
func (c *cursor) key() (string, bool) {
	if !c.take('"') {
		return "", false
	}
	start := c.i
	for ; c.i < len(c.s); c.i++ {
		if b := c.s[c.i]; (b < 'a' || b > 'z') && b != '_' && (b < '0' || b > '9') {
			break
		}
	}
	key := c.s[start:c.i]
	return key, c.take('"') && c.take(':')
}

// text takes a string.
func (c *cursor) text() (text string, ok bool) {
	if !c.take('"') {
		return "", false
	}
	start := c.i
	plain := true
	for ; c.i < len(c.s); c.i++ {
		switch b := c.s[c.i]; {
		case b == '"':
			text = c.s[start:c.i]
			c.i++
			if !plain && (strings.IndexByte(text, '\\') >= 0 || !utf8.ValidString(text)) {
				return unquote(c.s[start-1 : c.i])
			}
			return text, true
		case b < ' ':
			return "", false
		case b == '\\':
			plain = false
			c.i++
		case b >= utf8.RuneSelf:
			plain = false
		}
	}
	return "", false
}

func unquote(quoted string) (text string, ok bool) {
	err := json.Unmarshal([]byte(quoted), &text)
	return text, err == nil
}

// object takes an object as it stands there.
func (c *cursor) object(to *string) bool {
	start := c.i
	if c.i == len(c.s) || c.s[c.i] != '{' || !c.skip(0) {
		return false
	}
	*to = c.s[start:c.i]
	return true
}

// whole takes a whole number.
func (c *cursor) whole(to *int64) bool {
	start := c.i
	if !c.number() {
		return false
	}
	var err error
	*to, err = strconv.ParseInt(c.s[start:c.i], 10, 64)
	return err == nil
}

// float takes a number.
func (c *cursor) float(to *float64) bool {
	start := c.i
	if !c.number() {
		return false
	}
	var err error
	*to, err = strconv.ParseFloat(c.s[start:c.i], 64)
	return err == nil
}

// results takes Results in the notation that Journal writes.
func (c *cursor) results(to *string) bool {
	start := c.i
	if !c.eachResult(nil) {
		return false
	}
	*to = c.s[start:c.i]
	return true
}

// eachResult is results or, when each is not nil, goes through what results has taken.
func (c *cursor) eachResult(each func(set, name, value string) bool) bool {
	if !c.take('{') {
		return false
	}
	for empty := c.take('}'); !empty; {
		set, ok := c.text()
		if !ok || !c.take(':') || !c.take('{') {
			return false
		}
		for empty := c.take('}'); !empty; {
			name, ok := c.text()
			if !ok || !c.take(':') {
				return false
			}
			start := c.i
			if each == nil {
				ok = c.value()
			} else { // it has been looked at
				for c.i < len(c.s) && c.s[c.i] != ',' && c.s[c.i] != '}' {
					c.i++
				}
				if !each(set, name, c.s[start:c.i]) {
					return true
				}
			}
			if !ok {
				return false
			}
			if !c.take(',') {
				if !c.take('}') {
					return false
				}
				break
			}
		}
		if !c.take(',') {
			return c.take('}')
		}
	}
	return true
}

// value passes over the value of a metric.
func (c *cursor) value() bool {
	if c.i < len(c.s) && c.s[c.i] == '"' {
		return c.word(`"NaN"`) || c.word(`"Infinity"`) || c.word(`"-Infinity"`)
	}
	start := c.i
	if !c.number() {
		return false
	}
	// Is it in the range of a float64?
	text := c.s[start:c.i]
	if n := len(text); n <= 300 && strings.IndexByte(text, 'e') < 0 && strings.IndexByte(text, 'E') < 0 {
		return true
	}
	_, err := strconv.ParseFloat(text, 64)
	return err == nil
}

// number passes over a number.
func (c *cursor) number() bool {
	c.take('-')
	if !c.take('0') && !c.digits() {
		return false
	}
	if c.take('.') && !c.digits() {
		return false
	}
	if c.take('e') || c.take('E') {
		if !c.take('+') {
			c.take('-')
		}
		return c.digits()
	}
	return true
}

func (c *cursor) digits() bool {
	start := c.i
	for c.i < len(c.s) && '0' <= c.s[c.i] && c.s[c.i] <= '9' {
		c.i++
	}
	return c.i > start
}

// maxDepth is how deep values may lie in each other.
const maxDepth = 1000

// skip passes over any value.
func (c *cursor) skip(depth int) bool {
	if c.i == len(c.s) || depth > maxDepth {
		return false
	}
	switch c.s[c.i] {
	case '"':
		return c.skipText()
	case '{':
		c.i++
		if c.take('}') {
			return true
		}
		for {
			if !c.skipText() || !c.take(':') || !c.skip(depth+1) {
				return false
			}
			if !c.take(',') {
				return c.take('}')
			}
		}
	case '[':
		c.i++
		if c.take(']') {
			return true
		}
		for {
			if !c.skip(depth + 1) {
				return false
			}
			if !c.take(',') {
				return c.take(']')
			}
		}
	case 't':
		return c.word("true")
	case 'f':
		return c.word("false")
	case 'n':
		return c.word("null")
	}
	return c.number()
}

func (c *cursor) word(w string) bool {
	if !strings.HasPrefix(c.s[c.i:], w) {
		return false
	}
	c.i += len(w)
	return true
}

// skipText passes over a string.
func (c *cursor) skipText() bool {
	if !c.take('"') {
		return false
	}
	for ; c.i < len(c.s); c.i++ {
		switch b := c.s[c.i]; {
		case b == '"':
			c.i++
			return true
		case b < ' ':
			return false
		case b == '\\':
			if c.i++; c.i == len(c.s) {
				return false
			}
			if c.s[c.i] != 'u' {
				if strings.IndexByte(`"\/bfnrt`, c.s[c.i]) < 0 {
					return false
				}
				continue
			}
			for range 4 {
				if c.i++; c.i == len(c.s) || !isHex(c.s[c.i]) {
					return false
				}
			}
		}
	}
	return false
}

func isHex(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'f' || 'A' <= b && b <= 'F'
}
