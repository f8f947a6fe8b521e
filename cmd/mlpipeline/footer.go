package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// A footer keeps lines at the bottom of a terminal, and what is written above them. Nothing shows before draw.
//
// Between two draws the cursor rests below what is written, and all from there on is the footer's. So nothing has to be known of
// the terminal to take the lines away: not where they are since it was resized, nor into how many rows it has broken them then.
// While they are drawn the terminal does not wrap. The cursor is never hidden: a program that is killed cannot show it again.
type footer struct {
	terminal io.Writer
	above    strings.Builder
	lines    []string // that are there
}

// What terminals have understood since the VT100.
const (
	saveCursor    = "\x1b7"
	restoreCursor = "\x1b8"
	noWrap        = "\x1b[?7l"
	wrap          = "\x1b[?7h"
	toBottom      = "\x1b[9999B"
	down          = "\r\x1b[B" // but not out of a terminal that has fewer rows by now than it has said
	clearLine     = "\x1b[K"   // from the cursor on
	// A tmux that is told to clear all of its screen puts what was there into its history. From the second column on is not all.
	clearRest = "\r \x1b[J\r"
)

func up(rows int) string {
	if rows == 0 {
		return ""
	}
	return fmt.Sprintf("\x1b[%dA", rows)
}

// Write takes lines that belong above. It never fails.
func (f *footer) Write(p []byte) (int, error) { return f.above.Write(p) }

// draw writes what is to be written, and then lines in place of those that are there. It does so in one piece, and not at all
// when nothing has changed; with again it takes them away and draws them in any case.
func (f *footer) draw(lines []string, again bool) error {
	var b strings.Builder
	switch {
	case f.above.Len() == 0 && slices.Equal(lines, f.lines) && !again:
		return nil
	case len(f.lines) > 0 && (again || f.above.Len() > 0 || len(lines) != len(f.lines)):
		b.WriteString(clearRest)
	}
	b.WriteString("\r" + clearLine) // a key that was pressed may be shown at the cursor
	b.WriteString(f.above.String())
	f.above.Reset()
	if n := len(lines); n > 0 {
		b.WriteString(strings.Repeat("\n", n) + up(n) + saveCursor) // now there is room for them below the cursor
		b.WriteString(noWrap + toBottom + up(n-1))
		b.WriteString(strings.Join(lines, clearLine+down) + clearLine)
		b.WriteString(restoreCursor + wrap)
	}
	f.lines = lines
	_, err := io.WriteString(f.terminal, b.String())
	return err
}
