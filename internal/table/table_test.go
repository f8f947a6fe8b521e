package table

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func written(t *testing.T, write func(w *strings.Builder) error) string {
	t.Helper()
	var b strings.Builder
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestCutMiddle(t *testing.T) {
	for _, c := range []struct {
		text  string
		width int
		want  string
	}{
		{"grid-hidden=64-learning_rate=0.1", 20, "grid-hidde…_rate=0.1"}, {"short", 20, "short"}, {"grid-hidden=64", 5, "grid…"}, {"模型模型模型模型模型", 11, "模型…模型"},
	} {
		if got := CutMiddle(c.text, c.width, "…"); got != c.want || Width(got) > c.width {
			t.Errorf("%q in %d: %q, not %q", c.text, c.width, got, c.want)
		}
	}
	table := &Table{Columns: []Column{{Title: "name", Middle: true, Most: 12}}, Cells: []string{"grid-hidden=64-rate=0.1", "grid-hidden=64-rate=0.2"}}
	want := "name\ngrid-h…e=0.1\ngrid-h…e=0.2\n"
	if got := written(t, func(w *strings.Builder) error { return table.Write(w, table.Widths()) }); got != want {
		t.Errorf("%q, not %q", got, want)
	}
}

func TestTable(t *testing.T) {
	table := &Table{Columns: []Column{{Title: "name"}, {Title: "n", Right: true}, {Title: "end", Most: 5}}, Cells: []string{"模型", "1", "", "é🙂", "200", "longer than that"}}
	widths := table.Widths()
	for _, c := range []struct {
		what, want string
		write      func(w *strings.Builder) error
	}{
		{"all", "name    n  end\n模型    1\né🙂   200  long…\n", func(w *strings.Builder) error { return table.Write(w, widths) }},
		{"one is hidden", "name  end\n模型\né🙂   long…\n", func(w *strings.Builder) error { return table.Write(w, []int{4, Hidden, 5}) }},
		{"parts", "name    n\n模型    1\né🙂   200\n\nname  end\n模型\né🙂   long…\n", func(w *strings.Builder) error { return table.WriteParts(w, widths, 12, 1) }},
		{"no part has room", "name    n\n模型    1\né🙂   200\n\nname  end\n模型\né🙂   long…\n", func(w *strings.Builder) error { return table.WriteParts(w, widths, 1, 1) }},
		{"turned", "name  模型  é🙂\nn     1     200\nend         longer than that\n", func(w *strings.Builder) error {
			turned := table.Transposed()
			return turned.Write(w, turned.Widths())
		}},
	} {
		if got := written(t, c.write); got != c.want {
			t.Errorf("%s:\n%s\n%s", c.what, got, c.want)
		}
	}
	if got := Total(widths); got != 4+2+3+2+5 {
		t.Errorf("%d wide", got)
	}
	if got := Total([]int{4, Hidden, Hidden}); got != 4 {
		t.Errorf("%d wide", got)
	}
}

// A cell that is far too long costs its own row, not all of them.
func TestOutOfLine(t *testing.T) {
	table := &Table{Columns: []Column{{Title: "a", Align: 4}, {Title: "b"}}, Cells: []string{"1234", "x", "123456789", "y", "1", "z"}}
	want := "a     b\n1234  x\n123456789  y\n1     z\n"
	if got := written(t, func(w *strings.Builder) error { return table.Write(w, table.Widths()) }); got != want {
		t.Errorf("\n%s\n%s", got, want)
	}
}

func TestColours(t *testing.T) {
	table := &Table{Columns: []Column{{Title: "a"}, {Title: "b"}}, Cells: []string{"x", "", "long", "y"}, Colour: func(_, column int) string { return []string{"31", "32"}[column] }}
	want := "a     b\n\x1b[31mx\x1b[0m\n\x1b[31mlong\x1b[0m  \x1b[32my\x1b[0m\n"
	if got := written(t, func(w *strings.Builder) error { return table.Write(w, table.Widths()) }); got != want {
		t.Errorf("\n%q\n%q", got, want)
	}
}

// FuzzTable: no line is wider than the columns, and none ends with a space, whatever the texts.
func FuzzTable(f *testing.F) {
	f.Add("grid-hidden=64", "模型🙂", uint8(5))
	f.Add("e\u0301\u0301\u0301\u0301", "👩\u200d👩\u200d👧\u200d👦", uint8(1))
	f.Add("\xff\xfe", "ｗｉｄｅ", uint8(12))
	f.Fuzz(func(t *testing.T, a, b string, most uint8) {
		clean := func(s string) string {
			return strings.Map(func(r rune) rune {
				if unicode.IsControl(r) || unicode.IsSpace(r) {
					return '_'
				}
				return r
			}, strings.ToValidUTF8(s, "?"))
		}
		a, b = clean(a), clean(b)
		table := &Table{Columns: []Column{{Title: "t", Middle: true, Most: int(most)}, {Title: "u", Right: true, Most: int(most)}, {Title: "v"}}, Cells: []string{a, b, "x", b, a, ""}}
		widths := table.Widths()
		for line := range strings.Lines(written(t, func(w *strings.Builder) error { return table.Write(w, widths) })) {
			line = strings.TrimSuffix(line, "\n")
			if Width(line) > Total(widths) || strings.HasSuffix(line, " ") || !utf8.ValidString(line) {
				t.Fatalf("%q and %q in %v: %q is %d wide", a, b, widths, line, Width(line))
			}
		}
	})
}

// Very many rows are laid out by several goroutines: they come in their order, after the titles. An error ends it.
func TestVeryManyRows(t *testing.T) {
	table := &Table{Columns: []Column{{Title: "n", Right: true}, {Title: "end"}}}
	want := "    n  end\n"
	for i := range 10_001 {
		table.Cells = append(table.Cells, strconv.Itoa(i), "x")
		want += fmt.Sprintf("%5d  x\n", i)
	}
	if got := written(t, func(w *strings.Builder) error { return table.Write(w, table.Widths()) }); got != want {
		t.Errorf("%d bytes, not %d", len(got), len(want))
	}
	closed, w := io.Pipe()
	closed.Close()
	if err := table.Write(w, table.Widths()); err != io.ErrClosedPipe {
		t.Errorf("to what is closed: %v", err)
	}
}

// BenchmarkWrite writes a table as long as that of 100,000 runs.
func BenchmarkWrite(b *testing.B) {
	table := &Table{Columns: []Column{{Title: "id"}, {Title: "took", Right: true}, {Title: "name", Middle: true, Align: 80}, {Title: "test.accuracy", Right: true}}}
	for i := range 100_000 {
		table.Cells = append(table.Cells, fmt.Sprintf("20261127-%09d-abcdefgh", i), "1.5s", fmt.Sprintf("softmax/version-%d", i), "0.98712")
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := table.Write(io.Discard, table.Widths()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1e5, "ns/row")
}
