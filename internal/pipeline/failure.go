package pipeline

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/pipeline/plugin"
	"github.com/mlpipeline/mlpipeline/internal/version"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// modelFailed records that m could not be run at all.
func (p *Pipeline) modelFailed(m *model, err error) {
	failure := &outputs.Failure{Cause: Advise(err)}
	var death *deathError
	if errors.As(err, &death) {
		failure.Exit, failure.Stderr, failure.Trace = death.exit.String(), death.stderr, death.trace
	}
	var compile *plugin.BuildError
	if errors.As(err, &compile) {
		failure.Trace = compile.Output
	}
	p.recordFailure(m, due{Version: &version.Version{}}, failure)
}

// A RecordError says why results cannot be recorded.
type RecordError struct{ Err error }

func (e *RecordError) Error() string { return e.Err.Error() }
func (e *RecordError) Unwrap() error { return e.Err }

// Hint says what to do.
func (e *RecordError) Hint() string {
	const then = "; then mlpipeline -r -u runs what is left"
	switch {
	case errors.Is(e.Err, syscall.EFBIG):
		return "raise the limit on the size of files (ulimit -f)" + then
	case outputs.Full(e.Err):
		return "make room there" + then
	case errors.Is(e.Err, syscall.EROFS):
		return "make that file system writable" + then
	case outputs.Sick(e.Err):
		return "see what the system says of that disk (dmesg)" + then
	}
	return "see what became of it" + then
}

// Advise is the text of err with what to do about it, when it knows.
func Advise(err error) string {
	var adviser interface{ Hint() string }
	if errors.As(err, &adviser) && adviser.Hint() != "" {
		return err.Error() + "; " + adviser.Hint()
	}
	return err.Error()
}

// refused records that a version cannot be run.
func (p *Pipeline) refused(m *model, d due) {
	p.recordFailure(m, d, &outputs.Failure{Cause: d.Refused})
}

func (p *Pipeline) recordFailure(m *model, d due, failure *outputs.Failure) {
	label, name := "", d.Name
	if d.why == version.Refused {
		label = d.Label()
	}
	if d.Duplicate {
		name = ""
	}
	now := outputs.Time{Time: time.Now()}
	run := outputs.Run{
		ID: outputs.NewRunID(now.Time), Model: m.name, Version: label, Status: outputs.Failed, Mode: wire.ModeExecution,
		Parameters: d.Parameters, ParametersHash: hex(d.Hash), Host: p.Folder.Host, User: p.User, Pipeline: p.Program,
		Code: outputs.Code{Fingerprint: m.program.Fingerprint, Files: m.program.Files}, Data: outputs.Data{Loader: d.DataLoader},
		Started: now, Ended: &now, Failure: failure, Environment: p.env,
	}
	if p.Recorder != nil {
		_, err := p.Recorder.End(nil, run, &outputs.Event{
			Event: outputs.Failed, Model: m.name, Version: name, Run: run.ID, Time: now,
			Parameters: hex(d.Hash), Code: m.program.Fingerprint, Params: d.Parameters, Order: d.Order, Cause: cut(failure.Cause, keptLine),
		})
		p.fatal(err)
	}
	p.report(Report{Event: RunFailed, Model: m.name, Version: label, Run: run.ID, Failure: failure})
	p.failed(Failure{run.ID, m.name, label, failure.Cause})
}

// whyNotStarted says what err means for the file that could not be started: the system blames the file for its #! line.
func whyNotStarted(path string, err error) string {
	for _, scarce := range []error{syscall.EMFILE, syscall.ENFILE, syscall.EAGAIN, syscall.ENOMEM, syscall.E2BIG} {
		if strings.HasSuffix(err.Error(), scarce.Error()) { // a text: it comes from another process
			return err.Error()
		}
	}
	file, openErr := os.Open(path)
	if openErr != nil {
		return err.Error()
	}
	defer file.Close()
	start := make([]byte, 256)
	n, _ := io.ReadFull(file, start)
	line, _, _ := strings.Cut(string(start[:n]), "\n")
	interpreter, ok := strings.CutPrefix(line, "#!")
	switch {
	case ok && strings.HasSuffix(line, "\r"):
		return fmt.Sprintf("%v: its lines end in CR LF, so that its interpreter is %q; save it with LF alone", err, strings.TrimSpace(interpreter)+"\r")
	case ok:
		return fmt.Sprintf("%v: is its interpreter there, %q?", err, strings.TrimSpace(interpreter))
	case !strings.Contains(line, "\x00"):
		return fmt.Sprintf("%v: a script begins with a line like #!/usr/bin/env python3", err)
	}
	return err.Error()
}
