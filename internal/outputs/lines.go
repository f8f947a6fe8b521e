package outputs

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// maxLine is the longest line in bytes that is kept in one piece. A longer one goes on in the next record.
const maxLine = 64 << 10

var escapes = regexp.MustCompile(`\x1b(\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(\x07|\x1b\\)?|[ -/]*[0-~])?`)

// Clean returns s as one line of plain text that is safe on a terminal and in a log: without escape sequences, with
// characters that are not seen but have an effect written as \n, \x07 or \u202e, and with U+FFFD for what is no UTF-8.
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
		case !misleads(r):
			b.WriteRune(r)
		case r < 0x100 && unicode.IsControl(r):
			b.WriteString(`\x`)
			b.WriteByte(hex[r>>4])
			b.WriteByte(hex[r&15])
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	return b.String()
}

// misleads reports the characters that steer a terminal, end a line, change the order of others, or cannot be seen, so that two
// names look the same. The two joiners are none of them: Persian and Hindi are written with them, and families of emoji.
func misleads(r rune) bool {
	const nonJoiner, joiner = '\u200c', '\u200d'
	if r < 0x7f {
		return r < ' '
	}
	return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp) || unicode.Is(unicode.Cf, r) && r != nonJoiner && r != joiner
}

// AppendJSON appends compact JSON, with escapes for the characters in its strings that Clean does not leave as they are. They
// mean the same, but a terminal is not steered by them.
func AppendJSON(b, raw []byte) []byte {
	for i := 0; i < len(raw); {
		if raw[i] < 0x7f {
			b = append(b, raw[i])
			i++
			continue
		}
		r, n := utf8.DecodeRune(raw[i:])
		switch {
		case r == utf8.RuneError:
			b = append(b, "\ufffd"...)
		case !misleads(r):
			b = append(b, raw[i:i+n]...)
		case r < 0x10000:
			b = fmt.Appendf(b, `\u%04x`, r)
		default:
			high, low := utf16.EncodeRune(r)
			b = fmt.Appendf(b, `\u%04x\u%04x`, high, low)
		}
		i += n
	}
	return b
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
