package pipeline

import (
	"time"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
)

// Kinds of Report.
const (
	RunStarted     = "started"
	RunProgress    = "progress" // only for a terminal: step and total, or the phase, of a run
	RunPrinted     = "printed"  // a line that a model printed
	RunFinished    = "finished"
	RunFailed      = "failed" // also of a model that cannot be run at all: then there is no version
	RunInterrupted = "interrupted"
	Skipped        = "skipped" // not due: done, or being run elsewhere
	QueueAdded     = "added"
	QueueRemoved   = "removed"
	Warning        = "warning"
	Notice         = "notice"
	Ended          = "end" // the last one
)

// A Report is one thing that happened, for the one who watches.
type Report struct {
	Event   string           `json:"event"`
	Time    time.Time        `json:"time"`
	Model   string           `json:"model,omitempty"`
	Version string           `json:"version,omitempty"`
	Run     string           `json:"run,omitempty"`
	Reason  string           `json:"reason,omitempty"` // started, skipped
	Phase   string           `json:"phase,omitempty"`
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
	Failures    []Failure `json:"failures,omitempty"`

	models   int // that were found
	selected int // versions that the patterns of the call select
}

// A Failure names a version, or with an empty Version a model, that failed.
type Failure struct {
	Model   string `json:"model"`
	Version string `json:"version,omitempty"`
	Cause   string `json:"cause"`
}
