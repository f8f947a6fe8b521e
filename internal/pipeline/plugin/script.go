package plugin

import (
	"bytes"
	"iter"
	"slices"
	"strings"
)

// hasMODEL tells whether a Python script assigns MODEL at its top level, as far as its text shows: also below an `if` or a
// `try`, as one of several targets, or by a function that declares it global. A text is no model, whatever it is called.
func hasMODEL(file string) (bool, error) {
	src, whole, err := readSource(file)
	if err != nil {
		return false, err
	}
	if !whole {
		return hasLine(file, "MODEL", modelText())
	}
	if !bytes.Contains(src, []byte("MODEL")) {
		return false, nil
	}
	var scopes []int // the indentation of the functions and classes around a line
	for indent, text := range statements(string(src)) {
		if text == "" {
			continue
		}
		for len(scopes) > 0 && indent <= scopes[len(scopes)-1] {
			scopes = scopes[:len(scopes)-1]
		}
		switch {
		case scopeText().MatchString(text):
			scopes = append(scopes, indent)
		case len(scopes) == 0 && assignsMODEL(text), globalText().MatchString(text):
			return true, nil
		}
	}
	return false, nil
}

var (
	modelText  = lazily(`(?m)^MODEL[ \t]*(:[^=\n]*)?=[ \t]*[^=\s"']`)
	scopeText  = lazily(`^(async[ \t]+)?(def|class)[ \t]`)
	globalText = lazily(`^global[ \t]+([\w, \t]*[, \t])?MODEL[ \t]*(,|$)`)
	literal    = lazily(`^[A-Za-z]{0,2}""$`)
)

// statements goes through the statements of a Python source, with the width of their indentation: strings are empty in them,
// comments are left out, and what continues on the next line is one.
func statements(src string) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) { eachStatement(src, yield) }
}

func eachStatement(src string, yield func(int, string) bool) {
	var b []byte
	indent, depth := 0, 0
	start := true // only white space has come of the line
	for i := 0; i < len(src); i++ {
		switch c := src[i]; {
		case (c == ' ' || c == '\t' || c == '\r') && len(b) == 0:
			if start {
				indent++
			}
			continue
		case c == '#':
			for i+1 < len(src) && src[i+1] != '\n' {
				i++
			}
		case c == '"' || c == '\'':
			i = stringEnd(src, i)
			b = append(b, `""`...)
		case c == '\\' && i+1 < len(src) && (src[i+1] == '\n' || src[i+1] == '\r'):
			i++
			if len(b) > 0 {
				b = append(b, ' ')
			}
		case c == '\n' && depth == 0 || c == ';' && depth == 0:
			if !yield(indent, string(b)) {
				return
			}
			b = b[:0]
			if start = c == '\n'; start {
				indent = 0
			}
			continue
		default:
			if strings.IndexByte("([{", c) >= 0 {
				depth++
			} else if strings.IndexByte(")]}", c) >= 0 {
				depth = max(depth-1, 0)
			}
			if c == '\n' || c == '\r' {
				c = ' '
			}
			b = append(b, c)
		}
		start = false
	}
	yield(indent, string(b))
}

// stringEnd returns the place of the last quote of the string that begins at i.
func stringEnd(src string, i int) int {
	quote := src[i : i+1]
	if strings.HasPrefix(src[i:], quote+quote+quote) {
		quote = src[i : i+3]
	}
	for j := i + len(quote); j < len(src); j++ {
		switch {
		case src[j] == '\\':
			j++
		case strings.HasPrefix(src[j:], quote):
			return j + len(quote) - 1
		case src[j] == '\n' && len(quote) == 1: // it is not closed
			return j - 1
		}
	}
	return len(src) - 1
}

// assignsMODEL tells whether MODEL is a target of an assignment of something that is no text.
func assignsMODEL(statement string) bool {
	var targets []string
	depth, start := 0, 0
	for i := range len(statement) {
		switch c := statement[i]; {
		case strings.IndexByte("([{", c) >= 0:
			depth++
		case strings.IndexByte(")]}", c) >= 0:
			depth--
		case c == '=' && depth == 0:
			if i+1 < len(statement) && statement[i+1] == '=' || i > 0 && strings.IndexByte("=!<>:+-*/%&|^@", statement[i-1]) >= 0 {
				continue
			}
			targets = append(targets, statement[start:i])
			start = i + 1
		}
	}
	if literal().MatchString(strings.TrimSpace(statement[start:])) {
		return false
	}
	for _, target := range targets {
		target, _, _ = strings.Cut(target, ":") // an annotation
		names := strings.FieldsFunc(target, func(r rune) bool { return strings.ContainsRune("()[], \t*", r) })
		if slices.Contains(names, "MODEL") {
			return true
		}
	}
	return false
}
