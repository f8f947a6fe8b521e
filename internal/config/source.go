package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/ini.v1"
)

const maxSize = 1 << 20

// form is what a file may hold.
type form []section

// section has keys, or none and is then a list of names.
type section struct {
	name string
	keys []key
}

type key struct {
	name     string
	example  string // a value, for hints
	optional bool   // the value may be empty
	command  bool   // the value is a command line: its quotes are the shell's
}

// source is a file that has the right form.
type source struct {
	file     string
	ini      *ini.File          // the values of the keys; ini does not say where they stand
	commands map[place]string   // the values that are command lines: ini would take quotes off
	lines    map[place]int      // of the headers (key "") and the keys
	lists    map[string][]entry // by section; ini's own raw sections take minutes for a list of 1 MiB
}

type place struct{ section, key string }

type entry struct {
	name string
	line int
}

// readFile reads a whole configuration file; missing is the hint when there is none.
func readFile(file, missing string) ([]byte, error) {
	name := filepath.Base(file)
	refuse := func(err error) ([]byte, error) {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, &Error{File: name, Msg: "not found in " + show(filepath.Dir(file)), Hint: missing}
		}
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return nil, &Error{File: name, Msg: "cannot be read: " + err.Error()}
	}
	// Before it is opened: opening a pipe waits for its other end.
	info, err := os.Stat(file)
	if err != nil {
		return refuse(err)
	}
	if info.IsDir() {
		return nil, &Error{File: name, Msg: "is a folder, not a file", Hint: "write a file of that name"}
	}
	if !info.Mode().IsRegular() {
		return nil, &Error{File: name, Msg: "is not an ordinary file", Hint: "write a text file of that name"}
	}
	f, err := os.Open(file)
	if err != nil {
		return refuse(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return refuse(err)
	}
	return data, nil
}

// parse holds a file's text against its form.
func parse(file string, data []byte, form form) (*source, error) {
	fail := func(line int, hint, format string, args ...any) error {
		return &Error{File: file, Line: line, Msg: fmt.Sprintf(format, args...), Hint: hint}
	}
	if len(data) > maxSize {
		return nil, fail(0, "", "is larger than 1 MiB; it cannot be a configuration file")
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return nil, fail(0, "save it as UTF-8", "is in UTF-16")
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if bytes.ContainsRune(data, '\r') && !bytes.ContainsRune(data, '\n') {
		return nil, fail(0, "save it with line feeds (LF, as on Unix)", "its lines end with carriage returns")
	}

	src := &source{file: file, commands: map[place]string{}, lines: map[place]int{}, lists: map[string][]entry{}}
	var text strings.Builder // the keys without comments, for ini
	var now *section
	for i, raw := range strings.Split(string(data), "\n") {
		n, line := i+1, withoutComment(raw)
		if line == "" {
			continue
		}
		if !utf8.ValidString(line) {
			return nil, fail(n, "save the file as UTF-8", "holds bytes that are not UTF-8")
		}

		if strings.HasPrefix(line, "[") {
			if end := strings.IndexByte(line, ']'); end >= 0 && end < len(line)-1 {
				return nil, fail(n, "write it on a line of its own, or after a ;", "%s follows a section", show(strings.TrimSpace(line[end+1:])))
			} else if end < 0 {
				return nil, fail(n, "write "+show(line)+"]", "section %s is not closed", show(line))
			}
			name := strings.TrimSpace(line[1 : len(line)-1])
			at := slices.IndexFunc(form, func(s section) bool { return s.name == name })
			if at < 0 {
				hint := "known are [" + strings.Join(form.sections(), "], [") + "]"
				if near := Nearest(name, form.sections()); near != "" {
					hint = "did you mean [" + near + "]?"
				}
				return nil, fail(n, hint, "unknown section [%s]", show(name))
			}
			if first := src.lines[place{name, ""}]; first > 0 {
				return nil, fail(n, "join the two", "[%s] is given twice, first in line %d", name, first)
			}
			now = &form[at]
			src.lines[place{name, ""}] = n
			text.WriteString("[" + name + "]\n")
			continue
		}

		name, value := line, ""
		if now == nil || now.keys != nil {
			if eq := strings.IndexAny(line, "=:"); eq >= 0 {
				name, value = strings.TrimSpace(line[:eq]), strings.TrimSpace(line[eq+1:])
			}
		}
		if strings.ContainsFunc(name+value, breaksLine) {
			return nil, fail(n, "delete it", "%s holds a control character", show(line))
		}
		if now == nil {
			return nil, fail(n, "write ["+form.home(name)+"] above it", "%s stands before any section", show(name))
		}
		if now.keys == nil {
			src.lists[now.name] = append(src.lists[now.name], entry{line, n})
			continue
		}
		if name == "" {
			return nil, fail(n, "write key=value", "%s has no key", show(line))
		}
		if !slices.Contains(now.names(), name) {
			hint := "known keys: " + strings.Join(now.names(), ", ")
			if near := Nearest(name, now.names()); near != "" {
				hint = "did you mean " + near + "?"
			} else if home := form.home(name); home != now.name {
				hint = "the names of models go below [" + home + "]"
			}
			return nil, fail(n, hint, "unknown key %s", show(name))
		}
		if first := src.lines[place{now.name, name}]; first > 0 {
			return nil, fail(n, "keep one of them", "%s is given twice, first in line %d", name, first)
		}
		src.lines[place{now.name, name}] = n
		if now.key(name).command {
			// Half a command would only be noticed when it is needed.
			if line != strings.TrimSpace(raw) && openQuote(value) {
				return nil, fail(n, unclosed, "the quote in the value of %s is not closed", name)
			}
			src.commands[place{now.name, name}] = value
			continue
		}
		// To ini these open a value of many lines.
		if strings.HasPrefix(value, "`") || strings.HasPrefix(value, `"""`) {
			return nil, fail(n, "write it without quotes", "the value of %s starts with a quote of an unknown kind", name)
		}
		if value != "" && strings.ContainsRune(`"'`, rune(value[0])) && (len(value) == 1 || value[len(value)-1] != value[0]) {
			return nil, fail(n, unclosed, "the quote in the value of %s is not closed", name)
		}
		text.WriteString(name + "=" + value + "\n")
	}

	var err error
	src.ini, err = ini.LoadSources(ini.LoadOptions{
		IgnoreContinuation:  true,
		IgnoreInlineComment: true, // they are gone already
	}, []byte(text.String()))
	if err != nil {
		return nil, fail(0, "", "cannot be parsed: %s", show(err.Error()))
	}
	for _, s := range form {
		for _, k := range s.keys {
			if value, line := src.value(s.name, k.name); line > 0 && value == "" && !k.optional {
				return nil, fail(line, "write "+k.name+"="+k.example, "%s has no value", k.name)
			}
		}
	}
	return src, nil
}

const unclosed = "a # or ; after a space starts a comment, in quotes too"

// openQuote reports whether a quote in a command line is not closed.
func openQuote(command string) bool {
	var quote rune
	escaped := false
	for _, r := range command {
		switch {
		case escaped:
			escaped = false
		case r == '\\' && quote != '\'':
			escaped = true
		case quote == 0 && (r == '"' || r == '\''):
			quote = r
		case r == quote:
			quote = 0
		}
	}
	return quote != 0
}

// withoutComment is a line without its comment and the white space around it.
func withoutComment(line string) string {
	blank := true
	for i, r := range line {
		if blank && (r == ';' || r == '#') {
			line = line[:i]
			break
		}
		blank = unicode.IsSpace(r)
	}
	return strings.TrimSpace(line)
}

// value is a key's value and line; 0: it is not given.
func (s *source) value(section, key string) (string, int) {
	line := s.lines[place{section, key}]
	if line == 0 {
		return "", 0
	}
	if command, ok := s.commands[place{section, key}]; ok {
		return command, line
	}
	return s.ini.Section(section).Key(key).Value(), line // Value, unlike String, leaves %(x)s alone
}

func (f form) sections() []string {
	var names []string
	for _, s := range f {
		names = append(names, s.name)
	}
	return names
}

// home is the section that a stray line belongs in: that of its key, or else the first list.
func (f form) home(name string) string {
	for _, s := range f {
		if s.keys == nil || slices.Contains(s.names(), name) {
			return s.name
		}
	}
	return f[0].name
}

func (s section) key(name string) key {
	return s.keys[slices.IndexFunc(s.keys, func(k key) bool { return k.name == name })]
}

func (s section) names() []string {
	var names []string
	for _, k := range s.keys {
		names = append(names, k.name)
	}
	return names
}
