package pipeline

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
)

// Kinds of Report.
const (
	RunStarted     = "started"
	RunPrinted     = "printed" // a line that a model printed
	RunFinished    = "finished"
	RunFailed      = "failed" // also of a model that cannot be run at all: then there is no version
	RunInterrupted = "interrupted"
	Skipped        = "skipped" // not due: done, or being run elsewhere
	QueueAdded     = "added"
	QueueRemoved   = "removed"
	Warning        = "warning"
	Notice         = "notice"
	Unrecorded     = "unrecorded" // results cannot be recorded any more: nothing else starts
	Ended          = "end"        // the last one, but for what goes wrong with on_finish
)

// A Report is one thing that happened, for the one who watches.
type Report struct {
	Event   string           `json:"event"`
	Time    time.Time        `json:"time"`
	Model   string           `json:"model,omitempty"`
	Version string           `json:"version,omitempty"`
	Run     string           `json:"run,omitempty"`
	Reason  string           `json:"reason,omitempty"` // started, skipped
	Step    int64            `json:"step,omitempty"`
	Total   int64            `json:"total,omitempty"`
	Seconds float64          `json:"seconds,omitempty"`
	Results outputs.Results  `json:"results,omitempty"`
	Failure *outputs.Failure `json:"failure,omitempty"`
	Message string           `json:"message,omitempty"`
	Level   string           `json:"level,omitempty"` // printed: debug, info, warn or error
	Summary *Summary         `json:"summary,omitempty"`
}

// Summary counts what one call has done.
type Summary struct {
	Finished    int       `json:"finished"`
	Failed      int       `json:"failed"` // versions, and models that could not be run at all
	Interrupted int       `json:"interrupted"`
	Skipped     int       `json:"skipped"`
	Left        bool      `json:"left,omitempty"` // it was stopped before all was done
	Seconds     float64   `json:"seconds"`
	Failures    []Failure `json:"failures,omitempty"` // the first, at most maxFailures

	models   int // that were found
	selected int // versions that the patterns of the call select
}

// maxFailures is how many failures a Summary names: a night of nothing else must not fill the memory.
const maxFailures = 1000

func (s Summary) tally() outputs.Tally {
	return outputs.Tally{Finished: s.Finished, Failed: s.Failed, Interrupted: s.Interrupted, Skipped: s.Skipped}
}

// A Failure names a version, or with an empty Version a model, that failed.
type Failure struct {
	Run     string `json:"run,omitempty"`
	Model   string `json:"model"`
	Version string `json:"version,omitempty"`
	Cause   string `json:"cause"`
}

// log writes a line to the log, when there is one.
func (p *Pipeline) log(level, text string) {
	if p.Recorder == nil || text == "" {
		return
	}
	switch level {
	case "debug":
		p.Recorder.Log.Debug(text)
	case "warn", "warning":
		p.Recorder.Log.Warn(text)
	case "error":
		p.Recorder.Log.Error(text)
	default:
		p.Recorder.Log.Info(text)
	}
	if err := p.Recorder.Trouble(); err != nil {
		p.warn(err.Error())
	}
}

// Name names a version, or with an empty version a model, for people.
func Name(model, version string) string {
	if version == "" {
		return model
	}
	return model + "/" + version
}

// text is what the log says of r. It is empty for what is too frequent.
func (r Report) text() string {
	name := Name(r.Model, r.Version)
	switch r.Event {
	case RunStarted:
		return fmt.Sprintf("%s: started as run %s: %s", name, r.Run, r.Reason)
	case RunFinished:
		var results []string
		for _, set := range slices.Sorted(maps.Keys(r.Results)) {
			results = append(results, set+" "+outputs.FormatMetrics(r.Results[set]))
		}
		return fmt.Sprintf("%s: finished in %s: %s", name, outputs.Duration(r.Seconds), strings.Join(results, ", "))
	case RunFailed:
		text := name + ": failed: " + r.Failure.Cause
		if r.Failure.Exit != "" && !strings.Contains(text, r.Failure.Exit) {
			text += " (" + r.Failure.Exit + ")"
		}
		return text
	case RunInterrupted:
		return fmt.Sprintf("%s: interrupted at step %d: %s", name, r.Step, r.Failure.Cause)
	case Skipped:
		return name + ": skipped: " + r.Reason
	case QueueAdded:
		return "queue: + " + r.Model
	case QueueRemoved:
		return "queue: - " + r.Model
	case Notice:
		return r.Message
	case Unrecorded:
		return "results cannot be recorded any more, nothing else starts: " + r.Message
	case Ended:
		s := r.Summary
		text := fmt.Sprintf("the queue has ended: %d finished, %d failed, %d interrupted, %d skipped", s.Finished, s.Failed, s.Interrupted, s.Skipped)
		if s.Left {
			text += "; it was stopped before all was done"
		}
		return text
	}
	return ""
}

// LogLostTerminal writes to the log that nobody watches any more. The queue goes on.
func (p *Pipeline) LogLostTerminal(why error) {
	p.log("warn", "the terminal is gone ("+why.Error()+"); the queue goes on")
}

// LogStop writes to the log who or what asked to stop.
func (p *Pipeline) LogStop(who string, level Level) {
	p.log("warn", fmt.Sprintf("%s: %s", who, [...]string{"", "what is running will finish, nothing else starts", "what is running is asked to stop", "what is running is killed"}[level]))
}
