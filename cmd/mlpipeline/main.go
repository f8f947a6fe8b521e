// Command mlpipeline runs machine-learning experiments unattended, and tells what happened.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mlpipeline/mlpipeline/internal/config"
	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/pipeline"
	"github.com/mlpipeline/mlpipeline/internal/pipeline/local"
	"github.com/mlpipeline/mlpipeline/internal/pipeline/plugin"
)

// Exit statuses. After a signal the status is 128 and its number.
const (
	exitFailed = 1 // a version failed
	exitUsage  = 2 // usage or configuration
)

func main() {
	if local.IsGuardian() {
		os.Exit(local.Guard())
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main with its streams; it returns the exit status.
func run(args []string, stdout, stderr *os.File) int {
	app := &app{stdout: stdout, stderr: stderr}
	root := newRoot(app)
	root.SetArgs(args)
	help := &helpWriter{w: stdout}
	root.SetOut(help)
	root.SetErr(stderr)
	err := root.Execute()
	if err == nil {
		err = help.err
	}
	if err == nil {
		return 0
	}
	var status statusError
	if errors.As(err, &status) {
		return int(status)
	}
	return explain(err, stderr)
}

// A helpWriter remembers the error that cobra does not look at when it prints help.
type helpWriter struct {
	w   io.Writer
	err error
}

func (h *helpWriter) Write(p []byte) (int, error) {
	n, err := h.w.Write(p)
	if h.err == nil {
		h.err = err
	}
	return n, err
}

// An app is what the commands share.
type app struct {
	stdout, stderr *os.File
}

// A statusError ends the program with a status; all has been said.
type statusError int

func (s statusError) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// A hintError is an error with the way out of it.
type hintError struct {
	err  error
	hint string
}

func (e *hintError) Error() string { return e.err.Error() }
func (e *hintError) Unwrap() error { return e.err }
func (e *hintError) Hint() string  { return e.hint }

// A usageError is a mistake in the call.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// explain says what went wrong, and what to do about it, and returns the exit status that says the same.
func explain(err error, stderr io.Writer) int {
	what, hint, status := err.Error(), "", exitFailed
	var inConfig *config.Error
	var held *outputs.HeldError
	var late *pipeline.UsageError
	var noCache *plugin.CacheError
	var adviser interface{ Hint() string }
	var usage usageError
	var newer *outputs.NewerError
	switch {
	case errors.As(err, &newer):
		hint, status = newer.Hint(), exitUsage
	case errors.As(err, &inConfig):
		what, hint, status = inConfig.What(), inConfig.Hint, exitUsage
	case errors.As(err, &late):
		hint, status = late.Hint, exitUsage
	case errors.As(err, &held):
		hint, status = "watch it with mlpipeline status, or end it with mlpipeline stop", exitUsage
	case errors.As(err, &noCache):
		hint, status = noCache.Hint(), exitUsage
	case errors.As(err, &adviser):
		hint = adviser.Hint()
	}
	if errors.As(err, &usage) {
		status = exitUsage
		if hint == "" {
			hint = "see mlpipeline --help"
		}
	}
	fmt.Fprintln(stderr, "mlpipeline: "+outputs.Clean(strings.TrimSpace(what)))
	if hint != "" {
		fmt.Fprintln(stderr, "hint: "+outputs.Clean(hint))
	}
	return status
}
