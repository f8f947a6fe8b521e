package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// document is where figures are kept, each part of them between two comments that name it.
const document = "docs/performance.md"

// place finds a part in the text of the document.
func place(text []byte, part string) (from, to int, err error) {
	begin, end := fmt.Sprintf("<!-- %s: begin -->\n", part), fmt.Sprintf("<!-- %s: end -->", part)
	from, to = bytes.Index(text, []byte(begin))+len(begin), bytes.Index(text, []byte(end))
	if from < len(begin) || to < from {
		return 0, 0, fmt.Errorf("%s has no line %q with a line %q below it", document, strings.TrimSpace(begin), end)
	}
	return from, to, nil
}

// keepable says what replace would fail at: before the measuring, not after it.
func keepable(part string) error {
	text, err := os.ReadFile(document)
	if err == nil {
		_, _, err = place(text, part)
	}
	return err
}

// replace replaces a part of the document. The file is replaced whole.
func replace(part, figures string) error {
	text, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	from, to, err := place(text, part)
	if err != nil {
		return err
	}
	text = slices.Concat(text[:from], []byte("\n"+figures+"\n"), text[to:])
	if err := os.WriteFile(document+".new", text, 0o666); err != nil {
		return err
	}
	return os.Rename(document+".new", document)
}

// heading says when, on what and of what figures are. It is asked for before anything is measured: it has the load.
func heading() string {
	commit := said("git", "rev-parse", "--short=12", "HEAD")
	if said("git", "status", "--porcelain", "--", ".", ":!"+document) != "" {
		commit += " + changes"
	}
	var memory float64
	fmt.Sscan(field("/proc/meminfo", "MemTotal"), &memory)
	load, _, _ := strings.Cut(field("/proc/loadavg", ""), " ")
	return fmt.Sprintf("Measured on %s at commit %s. %d CPUs (%s), %.1f GB, %s, temporary files on %s; %s, %s. Load before: %s.\n",
		time.Now().UTC().Format("2006-01-02 15:04 UTC"), commit, runtime.NumCPU(), field("/proc/cpuinfo", "model name"),
		memory/1e6, said("uname", "-sr"), said("stat", "-f", "-c", "%T", os.TempDir()),
		strings.Replace(runtime.Version(), "go", "Go ", 1), said(systemPython, "--version"), load)
}

const unknown = "unknown"

// said is what a command prints.
func said(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return unknown
	}
	return strings.TrimSpace(string(out))
}

// field is what the first line of a file that begins with key has behind it.
func field(file, key string) string {
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, key); ok {
			return strings.Trim(rest, " \t\n:")
		}
	}
	return unknown
}
