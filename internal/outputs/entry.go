package outputs

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// An Entry is a line of a journal for readers of very many: the fields of an Event, its objects undecoded, as they stand in
// the line. What the line does not have is zero.
type Entry struct {
	Event, Model, Version, Run string
	Time                       time.Time
	Parameters, Code           string

	Params, Results, Git, Tally string // JSON objects
	Dir, Resumes, Cause         string
	Step, Order                 int64
	Seconds                     float64

	PID     int64
	Command string
	Format  int64
	Host    string
}

// ReadEntries calls each with the lines of the journals of all hosts, one journal after the other, but for the first lines
// of journals. The Entry is overwritten by the next one; its strings stay. Warnings tells of lines that could not be read,
// with file and line. No lock is needed: a line that is being written is left for later.
func (f Folder) ReadEntries(each func(host string, e *Entry)) (warnings []string, err error) {
	for _, path := range f.historyFiles() {
		text, err := readText(path)
		if err != nil {
			return nil, fmt.Errorf("read history: %w", err)
		}
		host := strings.TrimPrefix(filepath.Base(path), historyPrefix)
		var e Entry
		for number := 1; ; number++ {
			line, rest, whole := strings.Cut(text, "\n")
			if !whole {
				break
			}
			text = rest
			ok := scanEntry(strings.TrimRight(line, "\r"), &e)
			if number == 1 && ok && e.Host != "" && e.Host != host {
				warnings = append(warnings, copyOfHistory(path, e.Host, host))
				break
			}
			switch {
			case !ok:
				warnings = append(warnings, badLine(path, number))
			case e.Format > JournalFormat:
				return nil, newerFormat(path, number, int(e.Format))
			case e.Event != Opened:
				each(host, &e)
			}
		}
	}
	return warnings, nil
}

// readText reads a file into a string, of which parts can be kept without another copy.
func readText(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	var text strings.Builder
	if info, err := file.Stat(); err == nil {
		text.Grow(int(info.Size()))
	}
	block := make([]byte, 256<<10)
	for {
		n, err := file.Read(block)
		text.Write(block[:n])
		if err == io.EOF {
			return text.String(), nil
		}
		if err != nil {
			return "", err
		}
	}
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
			field, ok = 1<<0, c.text(&e.Event)
		case "model":
			field, ok = 1<<1, c.text(&e.Model)
		case "version":
			field, ok = 1<<2, c.text(&e.Version)
		case "run":
			field, ok = 1<<3, c.text(&e.Run)
		case "time":
			var when string
			var ms int64
			if field, ok = 1<<4, c.text(&when); ok {
				ms, ok = scanTime(when)
				e.Time = time.UnixMilli(ms)
			}
		case "parameters":
			field, ok = 1<<5, c.text(&e.Parameters)
		case "code":
			field, ok = 1<<6, c.text(&e.Code)
		case "params":
			field, ok = 1<<7, c.object(&e.Params)
		case "results":
			field, ok = 1<<8, c.object(&e.Results)
		case "git":
			field, ok = 1<<9, c.object(&e.Git)
		case "tally":
			field, ok = 1<<10, c.object(&e.Tally)
		case "dir":
			field, ok = 1<<11, c.text(&e.Dir)
		case "resumes":
			field, ok = 1<<12, c.text(&e.Resumes)
		case "cause":
			field, ok = 1<<13, c.text(&e.Cause)
		case "step":
			field, ok = 1<<14, c.whole(&e.Step)
		case "order":
			field, ok = 1<<15, c.whole(&e.Order)
		case "seconds":
			field, ok = 1<<16, c.float(&e.Seconds)
		case "pid":
			field, ok = 1<<17, c.whole(&e.PID)
		case "command":
			field, ok = 1<<18, c.text(&e.Command)
		case "format":
			field, ok = 1<<19, c.whole(&e.Format)
		case "host":
			field, ok = 1<<20, c.text(&e.Host)
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
	object := func(raw json.RawMessage) string {
		if len(raw) > 0 && raw[0] == '{' {
			return string(raw)
		}
		return ""
	}
	*e = Entry{
		l.Event, l.Model, l.Version, l.Run, time.UnixMilli(l.Time.UnixMilli()), l.Parameters, l.Code,
		object(l.Params), object(l.Results), object(l.Git), object(l.Tally), l.Dir, l.Resumes, l.Cause,
		l.Step, l.Order, l.Seconds, l.PID, l.Command, l.Format, l.Host,
	}
	if l.Time.IsZero() {
		e.Time = time.Time{}
	}
	return true
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
func (c *cursor) text(to *string) bool {
	if !c.take('"') {
		return false
	}
	start := c.i
	plain := true
	for ; c.i < len(c.s); c.i++ {
		switch b := c.s[c.i]; {
		case b == '"':
			*to = c.s[start:c.i]
			c.i++
			if !plain && (strings.IndexByte(*to, '\\') >= 0 || !utf8.ValidString(*to)) {
				return json.Unmarshal([]byte(c.s[start-1:c.i]), to) == nil
			}
			return true
		case b < ' ':
			return false
		case b == '\\':
			plain = false
			c.i++
		case b >= utf8.RuneSelf:
			plain = false
		}
	}
	return false
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
