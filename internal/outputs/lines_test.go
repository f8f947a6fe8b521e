package outputs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestCleanMakesTextSafeForATerminal(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"plain", "loss 0.25\tstep 3", "loss 0.25\tstep 3"},
		{"beyond ASCII", "Größe 模型 🙂", "Größe 模型 🙂"},
		{"colour", "\x1b[1;31mred\x1b[0m", "red"},
		{"cursor", "\x1b[2K\x1b[1Aup\x1b[?25l", "up"},
		{"title ended by BEL", "\x1b]0;title\x07text", "text"},
		{"title ended by ST", "\x1b]0;title\x1b\\text", "text"},
		{"link", "\x1b]8;;https://example.org\x1b\\here\x1b]8;;\x1b\\", "here"},
		{"device control", "\x1bP1$r0m\x1b\\text", "text"},
		{"character set", "\x1b(Btext\x1b=", "text"},
		{"escape alone", "a\x1b", "a"},
		{"escape before an escape", "\x1b\x1b[31m[31mx", "[31mx"},
		{"sequence cut off", "a\x1b[31", "a31"},
		{"newline", "a\nb", `a\nb`},
		{"carriage return", "a\rb", `a\rb`},
		{"bell and delete", "\x07\x7f\x00", `\x07\x7f\x00`},
		{"C1 controls", "\u009b31m\u0085", `\x9b31m\x85`},
		{"bidi", "a\u202eb\u2066c\u200f", `a\u202eb\u2066c\u200f`},
		{"what cannot be seen", "a\u200bb\ufeffc\u00add\U000e0041", `a\u200bb\ufeffc\u00add\U000e0041`},
		{"joiners", "می\u200cخواهم 👩\u200d👧", "می\u200cخواهم 👩\u200d👧"},
		{"line separators", "a\u2028b\u2029", `a\u2028b\u2029`},
		{"no UTF-8", "a\xffb\xc3", "a\ufffdb\ufffd"},
	} {
		if got := Clean(c.in); got != c.want {
			t.Errorf("%s: Clean(%q) = %q, want %q", c.name, c.in, got, c.want)
		}
	}
}

// unsafe returns the first thing in s that must not reach a terminal or a log.
func unsafe(s string) string {
	if !utf8.ValidString(s) {
		return "no UTF-8"
	}
	for _, r := range s {
		if r != '\t' && r != '\u200c' && r != '\u200d' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return fmt.Sprintf("%U", r)
		}
	}
	return ""
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"plain", "\x1b[31mred\x1b[0m", "\x1b]0;t\x07x", "\x1b\x1b[m[m", "\u009b\u202e\u2028", "\xff\x1b\xc3", "a\r\nb", "\x1b]8;;\x1b\\"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		clean := Clean(s)
		if bad := unsafe(clean); bad != "" {
			t.Fatalf("Clean(%q) = %q: it contains %s", s, clean, bad)
		}
		if again := Clean(clean); again != clean {
			t.Fatalf("Clean(%q) = %q, and of that %q", s, clean, again)
		}
	})
}

// FuzzAppendJSON: what has escapes means the same, and steers no terminal.
func FuzzAppendJSON(f *testing.F) {
	for _, s := range []string{"plain", "\u202e\u009b\x7f\u2028", "\U000e0041\u200b\u200d", "\xff\\ \"", "größe 🙂"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		raw, err := json.Marshal(map[string]string{s: s})
		if err != nil {
			t.Fatal(err)
		}
		line := AppendJSON(nil, raw)
		if bad := unsafe(string(line)); bad != "" || bytes.ContainsRune(line, '\t') {
			t.Fatalf("AppendJSON(%q) = %q: it contains %s", raw, line, bad)
		}
		var want, got map[string]string
		if err := errors.Join(json.Unmarshal(raw, &want), json.Unmarshal(line, &got)); err != nil || !maps.Equal(want, got) {
			t.Fatalf("AppendJSON(%q) = %q: %v, %v", raw, line, got, err)
		}
	})
}

// split feeds text to a LineWriter in parts that end where cuts says.
func split(text []byte, cuts []byte) (lines []string) {
	w := NewLineWriter(func(line string) { lines = append(lines, line) })
	for i := 0; len(text) > 0; i++ {
		n := len(text)
		if i < len(cuts) {
			n = min(int(cuts[i]), n)
		}
		w.Write(text[:n])
		text = text[n:]
	}
	w.Close()
	return lines
}

func bytewise(text string) []byte { return bytes.Repeat([]byte{1}, len(text)) }

func TestLineWriterKeepsTheLastStateOfALine(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{"lines", "a\nb\n", []string{"a", "b"}},
		{"no newline at the end", "a\nb", []string{"a", "b"}},
		{"nothing", "", nil},
		{"empty lines", "\n\na\n", []string{"", "", "a"}},
		{"DOS", "a\r\nb\r\n", []string{"a", "b"}},
		{"carriage return twice before the newline", "a\r\r\nb\n", []string{"a", "b"}},
		{"written over", "10%\r20%\r30%\ndone\n", []string{"30%", "done"}},
		{"written over, not ended", "10%\r20%\r", []string{"20%"}},
		{"return before anything", "\ra\n", []string{"a"}},
		{"tqdm",
			"\r  0%|          | 0/3 [00:00<?, ?it/s]\r 33%|###3      | 1/3 [00:00<00:00,  9.9it/s]\r100%|##########| 3/3 [00:00<00:00, 10.0it/s]\nepoch 1\n",
			[]string{"100%|##########| 3/3 [00:00<00:00, 10.0it/s]", "epoch 1"}},
		{"keras", "1/2 [==>...] - loss: 0.9\x08\x08\r2/2 [=====] - loss: 0.1\x1b[0K\n", []string{"2/2 [=====] - loss: 0.1"}},
		{"colour in parts", "a\x1b[31mb\x1b[0m\n", []string{"ab"}},
	} {
		for how, cuts := range map[string][]byte{"whole": nil, "byte by byte": bytewise(c.in)} {
			if got := split([]byte(c.in), cuts); !slices.Equal(got, c.want) {
				t.Errorf("%s, %s: %q, want %q", c.name, how, got, c.want)
			}
		}
	}
}

func TestLineWriterTearsNoCharacter(t *testing.T) {
	for shift := range 5 {
		text := strings.Repeat("x", maxLine-shift) + "🙂é🙂" + strings.Repeat("é", maxLine)
		lines := split([]byte(text), nil)
		if got := strings.Join(lines, ""); got != text {
			t.Errorf("shift %d: the pieces do not make up the line again", shift)
		}
		for i, l := range lines {
			if len(l) > maxLine {
				t.Errorf("shift %d: piece %d has %d bytes", shift, i, len(l))
			}
		}
		if again := split([]byte(text), bytes.Repeat([]byte{251}, len(text)/251+1)); !slices.Equal(lines, again) {
			t.Errorf("shift %d: other pieces when it comes in small parts", shift)
		}
	}
	// Continuation bytes alone never let it stand still.
	garbage := bytes.Repeat([]byte{0x80}, 3*maxLine)
	if got := len(split(garbage, nil)); got < 3 {
		t.Errorf("%d pieces", got)
	}
}

func TestLineWriterBoundsItsMemory(t *testing.T) {
	const size, part = 100 << 20, 1<<20 + 1
	var total, longest int
	w := NewLineWriter(func(line string) { total += len(line); longest = max(longest, len(line)) })
	chunk := bytes.Repeat([]byte("x"), part)
	for sent := 0; sent < size; {
		n := min(part, size-sent)
		w.Write(chunk[:n])
		sent += n
		if cap(w.line) > 4*maxLine {
			t.Fatalf("%d bytes are held after %d", cap(w.line), sent)
		}
	}
	w.Close()
	if total != size || longest > maxLine {
		t.Errorf("%d bytes came out, at most %d in one piece; want %d and %d", total, longest, size, maxLine)
	}
}

func TestCleanLines(t *testing.T) {
	got := CleanLines("layers:\r\n  \x1b[1mdense\x1b[0m\n10%\r100%")
	if want := []string{"layers:", "  dense", "10%", "100%"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func FuzzLineWriter(f *testing.F) {
	f.Add([]byte("a\r\nb\n10%\r20%\r\r\n"), []byte{1, 2, 1}, uint32(0))
	f.Add([]byte("\x1b[31mé🙂\xff\u202e\n"), []byte{3, 0, 4}, uint32(maxLine-7))
	f.Add([]byte("\r\r\n\n\r"), []byte{1, 1, 1, 1}, uint32(maxLine))
	f.Fuzz(func(t *testing.T, text, cuts []byte, filler uint32) {
		// The filler brings the place where a long line is cut into play.
		text = append(bytes.Repeat([]byte("x"), int(filler%(maxLine+8))), text...)
		whole := split(text, nil)
		cuts = append([]byte{}, cuts...)
		for room := len(text) - len(cuts); room > 0 && len(cuts) > 0 && len(cuts) < 4096; room = len(text) - len(cuts) {
			cuts = append(cuts, cuts...)
		}
		if parts := split(text, cuts); !slices.Equal(whole, parts) {
			t.Fatalf("in parts %q, whole %q", parts, whole)
		}
		// The text behind the filler, cut at each byte.
		var bytewise []string
		w := NewLineWriter(func(line string) { bytewise = append(bytewise, line) })
		for i := range text {
			w.Write(text[i : i+1])
		}
		w.Close()
		if !slices.Equal(whole, bytewise) {
			t.Fatalf("byte by byte %q, whole %q", bytewise, whole)
		}
		for _, line := range whole {
			if bad := unsafe(line); bad != "" {
				t.Fatalf("%q contains %s", line, bad)
			}
		}
	})
}
