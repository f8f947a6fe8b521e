// Package table writes text in columns that fit a terminal. It knows how wide characters are there, and nothing of what the
// text says, which has no control characters.
package table

import (
	"io"
	"runtime"
	"slices"
	"sync"

	"github.com/mattn/go-runewidth"
)

// A Table is text in columns. It is written at once, so that it may be very long.
type Table struct {
	Columns []Column
	Cells   []string                     // row by row
	Colour  func(row, column int) string // of a cell, or empty: what stands between ESC [ and m; may be nil
}

// A Column is how its cells are written.
type Column struct {
	Title  string
	Right  bool // numbers
	Middle bool // a cell that is cut loses its middle
	Most   int  // longer cells are cut; 0: none is
	Align  int  // longer cells stand out of line, so that one does not make the whole table wide; 0: none does
}

// Hidden is the width of a column that is not written.
const Hidden = -1

// gap is how far apart columns are.
const gap = 2

// Rows is how many there are.
func (t *Table) Rows() int { return len(t.Cells) / len(t.Columns) }

// Widths are those of the columns as they are written.
func (t *Table) Widths() []int {
	widths := make([]int, len(t.Columns))
	for i, c := range t.Columns {
		widths[i] = Width(c.Title)
	}
	// Very many rows are measured by several goroutines.
	const some = 4000
	var wg sync.WaitGroup
	var mu sync.Mutex
	for part := range slices.Chunk(t.Cells, some*len(t.Columns)) {
		wg.Go(func() {
			widest := make([]int, len(t.Columns))
			for i, cell := range part {
				c := i % len(widest)
				width := Width(cell)
				if most := t.Columns[c].Align; most > 0 && width > most {
					width = most
				}
				widest[c] = max(widest[c], width)
			}
			mu.Lock()
			defer mu.Unlock()
			for i, width := range widest {
				widths[i] = max(widths[i], width)
			}
		})
	}
	wg.Wait()
	for i, c := range t.Columns {
		if c.Most > 0 {
			widths[i] = min(widths[i], max(c.Most, Width(c.Title)))
		}
	}
	return widths
}

// Total is how wide columns are with what is between them.
func Total(widths []int) int {
	total, shown := 0, 0
	for _, w := range widths {
		if w != Hidden {
			total += w
			shown++
		}
	}
	return total + gap*max(0, shown-1)
}

// Write writes the table with its titles. No line ends with a space.
func (t *Table) Write(to io.Writer, widths []int) error {
	// Very many rows are laid out by several goroutines, a part each, and written in their order.
	const some = 500
	ahead := 2 * runtime.GOMAXPROCS(0)
	parts := make(chan chan []byte, ahead)
	free := make(chan []byte, ahead) // memory for parts
	for range ahead {
		free <- nil
	}
	go func() {
		defer close(parts)
		for from := 0; from == 0 || from < t.Rows(); from += some {
			text, part := <-free, make(chan []byte, 1)
			go func() { part <- t.appendRows(text[:0], widths, from, min(from+some, t.Rows())) }()
			parts <- part
		}
	}()
	var err error
	for part := range parts { // all of them, also after an error
		text := <-part
		if err == nil {
			_, err = to.Write(text)
		}
		free <- text
	}
	return err
}

// appendRows appends lines; the titles come before the first.
func (t *Table) appendRows(b []byte, widths []int, from, to int) []byte {
	if from == 0 {
		b = t.appendLine(b, widths, -1, func(i int) string { return t.Columns[i].Title })
	}
	n := len(t.Columns)
	for row := from; row < to; row++ {
		b = t.appendLine(b, widths, row, func(i int) string { return t.Cells[row*n+i] })
	}
	return b
}

func (t *Table) appendLine(b []byte, widths []int, row int, cell func(column int) string) []byte {
	owed := 0 // spaces before what comes next
	first := true
	for i, c := range t.Columns {
		if widths[i] == Hidden {
			continue
		}
		if !first {
			owed += gap
		}
		first = false
		text := cell(i)
		width := Width(text)
		if width > widths[i] && (c.Align == 0 || width <= c.Align) {
			if c.Middle {
				text = CutMiddle(text, widths[i], "…")
			} else {
				text = runewidth.Truncate(text, widths[i], "…")
			}
			width = Width(text)
		}
		room := max(0, widths[i]-width)
		if c.Right {
			owed, room = owed+room, 0
		}
		if text != "" {
			b = appendSpaces(b, owed)
			owed = 0
			colour := ""
			if row >= 0 && t.Colour != nil {
				colour = t.Colour(row, i)
			}
			if colour != "" {
				text = "\x1b[" + colour + "m" + text + "\x1b[0m"
			}
			b = append(b, text...)
		}
		owed += room
	}
	return append(b, '\n')
}

func appendSpaces(b []byte, n int) []byte {
	const spaces = "                                                                                "
	for ; n > len(spaces); n -= len(spaces) {
		b = append(b, spaces...)
	}
	return append(b, spaces[:n]...)
}

// Width is how many columns of a terminal a text takes.
func Width(s string) int {
	for i := range len(s) {
		if s[i] >= 0x7f {
			return runewidth.StringWidth(s)
		}
	}
	return len(s)
}

// CutMiddle makes text as narrow as width, with mark for what is left out: in the middle of a name is what it shares with its
// neighbours.
func CutMiddle(text string, width int, mark string) string {
	if Width(text) <= width {
		return text
	}
	if width < 9 {
		return runewidth.Truncate(text, width, mark)
	}
	end := (width - Width(mark)) / 2
	return runewidth.Truncate(text, width-Width(mark)-end, "") + mark + runewidth.TruncatePrefix(text, end, "")
}

// Transposed is t with its rows as columns, without colours. The titles are the first.
func (t *Table) Transposed() *Table {
	n := len(t.Columns)
	turned := &Table{Columns: []Column{{Title: t.Columns[0].Title}}}
	for row := range t.Rows() {
		turned.Columns = append(turned.Columns, Column{Title: t.Cells[row*n]})
	}
	for c := 1; c < n; c++ {
		turned.Cells = append(turned.Cells, t.Columns[c].Title)
		for row := range t.Rows() {
			turned.Cells = append(turned.Cells, t.Cells[row*n+c])
		}
	}
	return turned
}

// WriteParts writes t as tables below each other, none wider than width, each with the first columns of t.
func (t *Table) WriteParts(to io.Writer, widths []int, width, first int) error {
	n := len(t.Columns)
	for from := first; from < n; {
		part := slices.Clone(widths)
		for i := first; i < n; i++ {
			part[i] = Hidden
		}
		end := from
		for ; end < n; end++ {
			part[end] = widths[end]
			if end > from && Total(part) > width {
				part[end] = Hidden
				break
			}
		}
		if from > first {
			if _, err := io.WriteString(to, "\n"); err != nil {
				return err
			}
		}
		if err := t.Write(to, part); err != nil {
			return err
		}
		from = end
	}
	return nil
}
