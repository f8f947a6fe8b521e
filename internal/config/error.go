package config

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Error is a mistake in a configuration file. It fits on one line and holds no control characters.
type Error struct {
	File string // base name of the file, or the name that the caller gave
	Line int    // from 1; 0 where no line is to blame
	Msg  string // what is wrong
	Hint string // what to write instead; may be empty
}

// Error says where, what, and what to write.
func (e *Error) Error() string {
	if e.Hint == "" {
		return e.What()
	}
	return e.What() + "; " + e.Hint
}

// What is Error without the hint, for those who show that on a line of its own.
func (e *Error) What() string { return at(e.File, e.Line) + ": " + e.Msg }

func at(file string, line int) string {
	if line == 0 {
		return show(file)
	}
	return fmt.Sprintf("%s:%d", show(file), line)
}

// show makes a text from a file, or a path, fit for one line of a terminal.
func show(s string) string {
	const most = 200
	if len(s) > most {
		cut := most
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "..."
	}
	if utf8.ValidString(s) && !strings.ContainsFunc(s, breaksLine) {
		return s
	}
	return strconv.Quote(s)
}

// breaksLine reports the characters that could steer a terminal or end a line of a log.
func breaksLine(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp) }
