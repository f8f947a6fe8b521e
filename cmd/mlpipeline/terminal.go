package main

import (
	"encoding/json"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/runs"
)

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" }

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

// statusColour is the colour of a status on a terminal.
func statusColour(status string) string {
	switch status {
	case runs.Finished:
		return green
	case runs.Failed:
		return red
	case runs.Interrupted:
		return yellow
	}
	return cyan
}

// oneLine is text that has a width: it has neither control characters nor tabs.
func oneLine(text string) string { return strings.ReplaceAll(outputs.Clean(text), "\t", " ") }

// jsonLine is a line of JSON, with escapes for what would steer a terminal.
func jsonLine(value any) (string, error) {
	text, err := json.Marshal(value)
	return string(append(outputs.AppendJSON(nil, text), '\n')), err
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
