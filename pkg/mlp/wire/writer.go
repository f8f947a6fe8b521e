package wire

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"
)

// A metric is written at once when the last write is longer ago than idle. Else it waits for company, for lag at most and
// until flushSize bytes have come together: a training loop that measures every step pays for a copy, not for a system
// call, and a model that is killed takes lag's worth of metrics with it.
const (
	idle      = 2 * time.Millisecond
	lag       = 10 * time.Millisecond
	flushSize = 32 << 10
)

// A Writer writes messages, one a line. It is safe for use by several goroutines.
type Writer struct {
	mu    sync.Mutex
	w     io.Writer
	buf   []byte
	last  time.Time   // of the last write
	timer *time.Timer // flushes what waits
	armed bool
	err   error // the first one; nothing is written after it
}

// NewWriter returns a Writer on w.
func NewWriter(w io.Writer) *Writer {
	return &Writer{w: w}
}

// Send writes a Command or an Event at once, after all that was written before it.
func (w *Writer) Send(message any) error { return w.put(message, 0) }

// Put is Send for a message that another follows soon: it waits for that one, or for Flush.
func (w *Writer) Put(message any) error { return w.put(message, flushSize) }

// put flushes when at least enough bytes have come together.
func (w *Writer) put(message any, enough int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	all, err := appendMessage(w.buf, message)
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	if n := len(all) - len(w.buf); n >= MaxMessage {
		return fmt.Errorf("message of %d bytes is longer than the protocol's %d", n, MaxMessage)
	}
	w.buf = append(all, '\n')
	if w.err == nil && len(w.buf) < enough {
		return nil
	}
	return w.flush(time.Now())
}

func appendMessage(b []byte, message any) ([]byte, error) {
	if e, ok := message.(Event); ok {
		return e.append(b)
	}
	text, err := json.Marshal(message)
	return append(b, text...), err
}

// Metric writes the value that metric name has after step, now. It does not allocate, unless name has to be escaped. The
// caller keeps name far shorter than MaxMessage.
func (w *Writer) Metric(name string, step int64, value float64) error {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	b := append(w.buf, metricPrefix...)
	b = appendString(b, name)
	b = append(b, stepKey...)
	b = strconv.AppendInt(b, step, 10)
	b = append(b, valueKey...)
	b = AppendFloat(b, value)
	b = append(b, timeKey...)
	b = strconv.AppendInt(b, now.UnixMilli(), 10)
	w.buf = append(b, '}', '\n')
	if len(w.buf) >= flushSize || now.Sub(w.last) > idle {
		return w.flush(now)
	}
	if !w.armed {
		w.armed = true
		if w.timer == nil {
			w.timer = time.AfterFunc(lag, func() { w.Flush() })
		} else {
			w.timer.Reset(lag)
		}
	}
	return nil
}

// Flush writes what waits.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.armed = false
	return w.flush(time.Now())
}

func (w *Writer) flush(now time.Time) error {
	if w.err == nil && len(w.buf) > 0 {
		_, w.err = w.w.Write(w.buf)
		w.last = now
	}
	w.buf = w.buf[:0]
	return w.err
}

// appendString appends s as a JSON string. It allocates only when s has to be escaped.
func appendString(b []byte, s string) []byte {
	ascii := true
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c == '"' || c == '\\' || c == 0x7f {
			return appendQuoted(b, s)
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	if !ascii && !utf8.ValidString(s) {
		return appendQuoted(b, s)
	}
	return append(append(append(b, '"'), s...), '"')
}

func appendQuoted(b []byte, s string) []byte {
	quoted, _ := json.Marshal(s)
	return append(b, quoted...)
}
