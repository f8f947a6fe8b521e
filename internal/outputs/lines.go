package outputs

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxLine is the longest line in bytes that is kept in one piece. A longer one goes on in the next record.
const maxLine = 64 << 10

var escapes = regexp.MustCompile(`\x1b(\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(\x07|\x1b\\)?|[ -/]*[0-~])?`)

// Clean returns s as one line of plain text that is safe on a terminal and in a log: without escape sequences, with
// control characters written as \n, \x07 or \u202e, and with U+FFFD for what is no UTF-8.
func Clean(s string) string {
	if plain(s) {
		return s
	}
	if strings.IndexByte(s, '\x1b') >= 0 {
		s = escapes.ReplaceAllString(s, "")
	}
	const hex = "0123456789abcdef"
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range s {
		switch {
		case r == '\t':
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < 0x100 && unicode.IsControl(r):
			b.WriteString(`\x`)
			b.WriteByte(hex[r>>4])
			b.WriteByte(hex[r&15])
		case unicode.Is(unicode.Bidi_Control, r), unicode.In(r, unicode.Zl, unicode.Zp):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c >= 0x7f {
			return false
		}
	}
	return true
}

// CleanLines splits text into lines and cleans each. It is for texts that somebody wrote: a carriage return ends a line.
func CleanLines(text string) []string {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	var lines []string
	w := NewLineWriter(func(line string) { lines = append(lines, line) })
	w.Write([]byte(text))
	w.Close()
	return lines
}

// A LineWriter cuts what a program prints into clean lines. Of a line that is written over with carriage returns, as
// progress bars do, it keeps the last state.
type LineWriter struct {
	emit func(string)
	line []byte // the line so far, in its last state
	cr   bool   // a carriage return has come: what follows, but for a newline, replaces line
}

// NewLineWriter returns a LineWriter that hands each line to emit.
func NewLineWriter(emit func(line string)) *LineWriter { return &LineWriter{emit: emit} }

// Write implements io.Writer. It never fails.
func (w *LineWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		end := bytes.IndexAny(p, "\r\n")
		if end < 0 {
			end = len(p)
		}
		if end > 0 {
			if w.cr {
				w.line, w.cr = w.line[:0], false
			}
			w.append(p[:end])
		}
		if end == len(p) {
			break
		}
		if p[end] == '\n' {
			w.flush()
		} else {
			w.cr = true
		}
		p = p[end+1:]
	}
	return n, nil
}

func (w *LineWriter) append(p []byte) {
	for len(w.line)+len(p) > maxLine {
		room := maxLine - len(w.line)
		w.line = append(w.line, p[:room]...)
		p = p[room:]
		// A character is not torn in two.
		keep := len(w.line)
		for keep > maxLine-utf8.UTFMax && !utf8.RuneStart(w.line[keep-1]) {
			keep--
		}
		if keep--; utf8.FullRune(w.line[keep:]) {
			keep = len(w.line)
		}
		rest := append([]byte(nil), w.line[keep:]...)
		w.line = w.line[:keep]
		w.flush()
		w.line = append(w.line, rest...)
	}
	w.line = append(w.line, p...)
}

func (w *LineWriter) flush() {
	w.emit(Clean(string(w.line)))
	w.line, w.cr = w.line[:0], false
}

// Close emits a last line that had no newline.
func (w *LineWriter) Close() error {
	if len(w.line) > 0 {
		w.flush()
	}
	return nil
}
