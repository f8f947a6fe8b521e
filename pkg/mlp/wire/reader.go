package wire

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// ErrTooLong is returned for a line longer than MaxMessage. It has been read to its end and thrown away.
var ErrTooLong = errors.New("message is longer than the protocol allows")

// A Reader reads messages, one a line, in bounded memory.
type Reader struct {
	r    *bufio.Reader
	long []byte // a line that did not fit into r's buffer
}

// NewReader returns a Reader on r.
func NewReader(r io.Reader) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, 16<<10)}
}

// Next returns the next line without its newline; it is valid until the next call. Empty lines are passed over. After
// ErrTooLong reading may go on; any other error, io.EOF among them, is the end. A last line that has no newline is
// returned.
func (r *Reader) Next() ([]byte, error) {
	for {
		line, err := r.next()
		if line = bytes.TrimRight(line, "\r\n"); len(line) > 0 || err != nil {
			return line, err
		}
	}
}

func (r *Reader) next() ([]byte, error) {
	line, err := r.r.ReadSlice('\n')
	if err == nil {
		return line, nil
	}
	r.long = append(r.long[:0], line...)
	for errors.Is(err, bufio.ErrBufferFull) {
		line, err = r.r.ReadSlice('\n')
		if len(r.long) <= MaxMessage {
			r.long = append(r.long, line...)
		}
	}
	if len(r.long) > MaxMessage {
		r.long = r.long[:0]
		if err == nil || err == io.EOF {
			return nil, ErrTooLong
		}
	}
	if err != nil && (err != io.EOF || len(r.long) == 0) {
		return nil, err
	}
	return r.long, nil
}

// Waiting reports whether another message may have come already, so that what was made of the last can wait too.
func (r *Reader) Waiting() bool { return r.r.Buffered() > 0 }

// Decode decodes an event.
func Decode(line []byte) (Event, error) {
	var e Event
	if err := json.Unmarshal(line, &e); err != nil {
		var kind *json.UnmarshalTypeError
		switch {
		case errors.As(err, &kind) && kind.Field != "":
			return Event{}, fmt.Errorf("bad message: its %q cannot be %s", kind.Field, kind.Value)
		case errors.As(err, &kind):
			return Event{}, fmt.Errorf("bad message: it is %s, not an object", kind.Value)
		}
		return Event{}, fmt.Errorf("bad message: %w", err)
	}
	if e.Type == "" {
		return Event{}, errors.New(`bad message: it has no "type"`)
	}
	if e.Type == MetricPoint && (e.Name == "" || e.Value == nil) {
		return Event{}, errors.New(`bad message: a metric has a "name" and a "value"`)
	}
	return e, nil
}

const (
	metricPrefix = `{"type":"metric","name":`
	stepKey      = `,"step":`
	valueKey     = `,"value":`
	timeKey      = `,"time":`
)

// A Point is one value of a metric.
type Point struct {
	Name  string
	Step  int64
	Value float64
	Time  int64 // milliseconds since 1970
}

// AppendPoint appends p as the JSON object of a metric's record: a metric event without its type.
func AppendPoint(b []byte, p Point) []byte {
	b = append(b, `{"name":`...)
	b = appendString(b, p.Name)
	b = append(b, stepKey...)
	b = strconv.AppendInt(b, p.Step, 10)
	b = append(b, valueKey...)
	b = AppendFloat(b, p.Value)
	b = append(b, timeKey...)
	b = strconv.AppendInt(b, p.Time, 10)
	return append(b, '}')
}

// MetricRecord returns the record, as AppendPoint writes it, that is contained in a line which a Writer made for a metric,
// and the step in it. It reports false for every other line, a metric in another notation among them: that takes
// Decode. The record is a part of line, whose first byte it changes.
func MetricRecord(line []byte) (record []byte, step int64, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte(metricPrefix))
	if !ok || len(rest) < 3 || rest[0] != '"' {
		return nil, 0, false
	}
	end := 1
	for ; end < len(rest) && rest[end] != '"'; end++ {
		if c := rest[end]; c < ' ' || c >= 0x7f || c == '\\' {
			return nil, 0, false
		}
	}
	if end == 1 || end == len(rest) {
		return nil, 0, false
	}
	if rest, ok = bytes.CutPrefix(rest[end+1:], []byte(stepKey)); !ok {
		return nil, 0, false
	}
	step, rest, ok = digits(rest)
	if !ok {
		return nil, 0, false
	}
	if rest, ok = bytes.CutPrefix(rest, []byte(valueKey)); !ok {
		return nil, 0, false
	}
	if rest, ok = cutNumber(rest); !ok {
		return nil, 0, false
	}
	if rest, ok = bytes.CutPrefix(rest, []byte(timeKey)); !ok {
		return nil, 0, false
	}
	if _, rest, ok = digits(rest); !ok || len(rest) != 1 || rest[0] != '}' {
		return nil, 0, false
	}
	const typePart = len(`{"type":"metric",`)
	record = line[typePart-1:]
	record[0] = '{'
	return record, step, true
}

// digits cuts a whole number without a leading zero from the front of b; it fits an int64.
func digits(b []byte) (n int64, rest []byte, ok bool) {
	neg := len(b) > 0 && b[0] == '-'
	if neg {
		b = b[1:]
	}
	i := 0
	for ; i < len(b) && '0' <= b[i] && b[i] <= '9'; i++ {
		n = n*10 + int64(b[i]-'0')
	}
	if i == 0 || i > 18 || i > 1 && b[0] == '0' {
		return 0, nil, false
	}
	if neg {
		n = -n
	}
	return n, b[i:], true
}

// cutNumber cuts what AppendFloat writes from the front of b. It leaves numbers near the end of float64's range, and those
// of a notation in which they could be beyond it, to Decode.
func cutNumber(b []byte) (rest []byte, ok bool) {
	for _, s := range []string{`"NaN"`, `"Infinity"`, `"-Infinity"`} {
		if rest, ok := bytes.CutPrefix(b, []byte(s)); ok {
			return rest, true
		}
	}
	b = bytes.TrimPrefix(b, []byte("-"))
	whole, b, ok := cutDigits(b, false)
	if ok && len(b) > 0 && b[0] == '.' {
		_, b, ok = cutDigits(b[1:], true)
	}
	if !ok || len(b) == 0 || b[0] != 'e' && b[0] != 'E' {
		return b, ok && whole < 300
	}
	negative := false
	if b = b[1:]; len(b) > 0 && (b[0] == '+' || b[0] == '-') {
		negative = b[0] == '-'
		b = b[1:]
	}
	exponent := b
	n, b, ok := cutDigits(b, true)
	small := n < 3 || n == 3 && exponent[0] < '3'
	return b, ok && whole == 1 && (negative || small)
}

// cutDigits cuts the digits, n of them, from the front of b. They may begin with zeros or, other than "0" itself, may not.
func cutDigits(b []byte, zeros bool) (n int, rest []byte, ok bool) {
	for n < len(b) && '0' <= b[n] && b[n] <= '9' {
		n++
	}
	return n, b[n:], n > 0 && (zeros || n == 1 || b[0] != '0')
}
