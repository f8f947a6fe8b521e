package main

import (
	"bufio"
	"io"
	"os"
	"strings"

	"github.com/mattn/go-runewidth"
	"golang.org/x/term"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
)

// A table is text in columns. It is written at once, so that it may be very long.
type table struct {
	columns []tableColumn
	cells   []string                     // row by row; without control characters
	colour  func(row, column int) string // of a cell, or empty; may be nil
}

type tableColumn struct {
	title string
	right bool // numbers
	most  int  // of its width; 0: any
}

func (t *table) rows() int { return len(t.cells) / len(t.columns) }

// widths are those of the columns as they are written.
func (t *table) widths() []int {
	widths := make([]int, len(t.columns))
	for i, c := range t.columns {
		widths[i] = textWidth(c.title)
	}
	for i, cell := range t.cells {
		c := i % len(widths)
		widths[c] = max(widths[c], textWidth(cell))
	}
	for i, c := range t.columns {
		if c.most > 0 {
			widths[i] = min(widths[i], max(c.most, textWidth(c.title)))
		}
	}
	return widths
}

// write writes the table with its titles.
func (t *table) write(to io.Writer, widths []int) error {
	w := bufio.NewWriterSize(to, 64<<10)
	const spaces = "                                                                                "
	pad := func(n int) {
		for ; n > len(spaces); n -= len(spaces) {
			w.WriteString(spaces)
		}
		w.WriteString(spaces[:n])
	}
	line := func(row int, cell func(column int) string) {
		for i, c := range t.columns {
			text := cell(i)
			if i == len(t.columns)-1 && text == "" {
				break
			}
			if i > 0 {
				w.WriteString("  ")
			}
			width := textWidth(text)
			if width > widths[i] {
				text = runewidth.Truncate(text, widths[i], "…")
				width = textWidth(text)
			}
			if c.right {
				pad(widths[i] - width)
			}
			colour := ""
			if row >= 0 && t.colour != nil {
				colour = t.colour(row, i)
			}
			if colour != "" {
				w.WriteString("\x1b[" + colour + "m" + text + "\x1b[0m")
			} else {
				w.WriteString(text)
			}
			if !c.right && i < len(t.columns)-1 {
				pad(widths[i] - width)
			}
		}
		w.WriteByte('\n')
	}
	line(-1, func(i int) string { return t.columns[i].title })
	for row := range t.rows() {
		cells := t.cells[row*len(t.columns):]
		line(row, func(i int) string { return cells[i] })
	}
	return w.Flush()
}

// cellText makes a text fit for a cell.
func cellText(s string) string { return strings.ReplaceAll(outputs.Clean(s), "\t", " ") }

// textWidth is how many columns of a terminal a text takes.
func textWidth(s string) int {
	for i := range len(s) {
		if s[i] >= 0x7f {
			return runewidth.StringWidth(s)
		}
	}
	return len(s)
}

// terminalWidth is the width of f, 0 when it is no terminal.
func terminalWidth(f *os.File) int {
	if !isTerminal(f) {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		return 80
	}
	return width
}

// coloured reports whether f may be written to in colour.
func coloured(f *os.File) bool { return isTerminal(f) && os.Getenv("NO_COLOR") == "" }

// transposed is t with its rows as columns. The titles are the first.
func (t *table) transposed() *table {
	n := len(t.columns)
	turned := &table{columns: []tableColumn{{title: t.columns[0].title}}}
	for row := range t.rows() {
		turned.columns = append(turned.columns, tableColumn{title: t.cells[row*n]})
	}
	for c := 1; c < n; c++ {
		turned.cells = append(turned.cells, t.columns[c].title)
		for row := range t.rows() {
			turned.cells = append(turned.cells, t.cells[row*n+c])
		}
	}
	return turned
}

// writeParts writes t as tables below each other, none wider than width, each with the first columns of t.
func (t *table) writeParts(to io.Writer, widths []int, width, first int) error {
	n := len(t.columns)
	for from := first; from < n; {
		end := from + 1
		for end < n && sum(widths[:first])+2+sum(widths[from:end+1]) <= width {
			end++
		}
		part := &table{columns: append(append([]tableColumn(nil), t.columns[:first]...), t.columns[from:end]...)}
		for row := range t.rows() {
			cells := t.cells[row*n : (row+1)*n]
			part.cells = append(append(part.cells, cells[:first]...), cells[from:end]...)
		}
		if t.colour != nil {
			part.colour = func(row, column int) string {
				if column >= first {
					column += from - first
				}
				return t.colour(row, column)
			}
		}
		if from > first {
			if _, err := io.WriteString(to, "\n"); err != nil {
				return err
			}
		}
		if err := part.write(to, append(append([]int(nil), widths[:first]...), widths[from:end]...)); err != nil {
			return err
		}
		from = end
	}
	return nil
}
