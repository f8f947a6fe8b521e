package config

import (
	"fmt"
	"path"
	"path/filepath"
	"strings"
)

// Queue is a parsed queue file.
type Queue struct {
	Blacklist bool     // use_blacklist
	Names     []string // of the list in use, in its order, once each; cleaned paths below the models folder
	Lines     []int    // on which line of the file each name stands
	Warnings  []string // what was left out of Names; one line each, with file and line
}

// Listed is the Names as a set.
func (q Queue) Listed() map[string]bool {
	listed := make(map[string]bool, len(q.Names))
	for _, name := range q.Names {
		listed[name] = true
	}
	return listed
}

const (
	whitelist = "WHITELISTED_MODELS"
	blacklist = "BLACKLISTED_MODELS"
)

var queueForm = form{
	{"MLP", []key{{name: "use_blacklist", example: "False"}}},
	{whitelist, nil},
	{blacklist, nil},
}

// maxWarnings is how many lines of a queue file are told of.
const maxWarnings = 20

// LoadQueue reads a queue file; errors and warnings show its base name.
func LoadQueue(file string) (Queue, error) {
	data, err := readQueue(file)
	if err != nil {
		return Queue{}, err
	}
	return ParseQueue(filepath.Base(file), data)
}

func readQueue(file string) ([]byte, error) {
	return readFile(file, "create it with the lines [MLP], use_blacklist=False and ["+whitelist+"], and below them the models to run, one a line")
}

// ParseQueue parses the text of a queue file; file is what errors and warnings call it.
func ParseQueue(file string, data []byte) (Queue, error) {
	src, err := parse(file, data, queueForm)
	if err != nil {
		return Queue{}, err
	}
	fail := func(line int, hint, format string, args ...any) (Queue, error) {
		return Queue{}, &Error{File: file, Line: line, Msg: fmt.Sprintf(format, args...), Hint: hint}
	}

	header := src.lines[place{"MLP", ""}]
	if header == 0 {
		return fail(0, "write the lines [MLP] and use_blacklist=False at its top", "there is no [MLP]")
	}
	value, line := src.value("MLP", "use_blacklist")
	if line == 0 {
		return fail(header, "write use_blacklist=False below it", "[MLP] has no use_blacklist")
	}
	var q Queue
	list, holds := whitelist, "to run"
	var ok bool
	if q.Blacklist, ok = parseBool(value); !ok {
		return fail(line, "write use_blacklist=True or use_blacklist=False", "use_blacklist=%s is neither true nor false", show(value))
	}
	if q.Blacklist {
		list, holds = blacklist, "to leave out"
	}
	if src.lines[place{list, ""}] == 0 {
		return fail(line, "write ["+list+"] and below it the models "+holds+", one a line", "use_blacklist=%s, but there is no [%s]", value, list)
	}

	seen := map[string]bool{}
	left := 0
	warn := func(e entry, format string) {
		if left++; left > maxWarnings {
			return
		}
		q.Warnings = append(q.Warnings, fmt.Sprintf("%s: "+format, at(file, e.line), show(e.name)))
	}
	for _, e := range src.lists[list] {
		name := path.Clean(e.name)
		switch {
		case path.IsAbs(name):
			warn(e, "%s is left out: write its path from the models folder")
		case name == ".", name == "..", strings.HasPrefix(name, "../"):
			warn(e, "%s is left out: it is not in the models folder")
		case seen[name]:
			warn(e, "%s is listed twice; it counts once")
		default:
			seen[name] = true
			q.Names = append(q.Names, name)
			q.Lines = append(q.Lines, e.line)
		}
	}
	if left > maxWarnings {
		q.Warnings = append(q.Warnings, fmt.Sprintf("%s: %d more lines are left out or count once", show(file), left-maxWarnings))
	}
	return q, nil
}
