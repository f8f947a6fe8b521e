package report

import (
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/runs"
)

// A Request is what a report is wanted of.
type Request struct {
	Project string // its folder
	Made    string // by what the page is made, and when
	Folder  outputs.Folder
	Index   *runs.Index
	Measure runs.Measure
	Since   time.Time // zero: the last execution
	Now     time.Time
}

// What a page holds at most, so that it stays one that a phone opens.
const (
	mostTroubles = 50   // failures, and runs that are not over, told of
	mostOpen     = 5    // of them in full; the others are folded
	mostText     = 20e3 // bytes of a trace
	mostCharts   = 60
	mostPoints   = 500 // of a curve, about
	mostRows     = 2000
	mostColumns  = 24 // of the table, for metrics and for parameters each
)

// A night is what a report tells.
type night struct {
	project    string
	when       []string
	tiles      []tile
	notes      []string
	empty      string // what is said when there is no run
	failed     []trouble
	moreFailed string
	open       []trouble // neither finished nor failed
	openTitle  string
	moreOpen   string
	best       []bestRow
	groups     []group
	moreCharts string
	table      table
	made       string
}

type tile struct{ value, label, kind string }

// A trouble is a run that did not finish.
type trouble struct {
	name, status, cause, facts string
	folded                     bool // only its cause is seen at first
	details                    []detail
	more                       []where
}

// A detail is a long text, which is folded.
type detail struct{ title, text string }

type where struct{ what, where string }

type bestRow struct{ model, version, metric, value, change, kind string }

// A group is the charts of a model.
type group struct {
	model, note string
	charts      []chartView
}

// Write writes the report as a page.
func Write(w io.Writer, r Request) error {
	period := r.period()
	n := &night{project: clean(filepath.Base(r.Project)), made: r.Made, when: period.when}
	n.empty = "No run in this time."
	if len(r.Index.Runs) == 0 {
		n.empty = "Nothing has run in this project yet."
	}
	n.tiles = period.tiles()
	live := r.live(period)
	n.notes = append(period.notes, live.notes...)
	of := map[string][]*runs.Run{}
	for _, run := range slices.Backward(period.runs) {
		of[run.Status] = append(of[run.Status], run)
	}
	n.failed, n.moreFailed = r.troubles(of[runs.Failed], period, live)
	n.open, n.moreOpen = r.troubles(append(of[runs.Running], of[runs.Interrupted]...), period, live)
	switch {
	case len(of[runs.Running]) == 0:
		n.openTitle = "What was interrupted"
	case len(of[runs.Interrupted]) == 0:
		n.openTitle = "What is running"
	default:
		n.openTitle = "What is running, and what was interrupted"
	}
	for _, b := range runs.Best(r.Measure, period.runs, period.before) {
		n.best = append(n.best, bestOf(b))
	}
	charts := r.groups(n, period.runs)
	n.table = r.table(period.runs)
	if code := codeOf(period.runs); code != "" {
		n.when = append(n.when, code)
	}
	return write(w, n.project+": "+period.title, charts, func(m *markup) { m.night(n) })
}

// codeOf tells the state of the repository that runs were made with, of the last ones at least.
func codeOf(of []*runs.Run) string {
	seen := map[outputs.Git]bool{}
	var states []string
	for _, run := range slices.Backward(of[max(len(of)-mostRows, 0):]) {
		git := run.Git()
		if git == nil || git.Commit == "" || seen[*git] {
			continue
		}
		seen[*git] = true
		text := git.Commit[:min(len(git.Commit), 12)]
		if git.Branch != "" {
			text += " on " + git.Branch
		}
		if git.Dirty {
			text += " with changes"
		}
		states = append(states, clean(text))
	}
	const most = 3
	switch more := len(states) - most; {
	case len(states) == 0:
		return ""
	case more > 0:
		return fmt.Sprintf("Commits: %s and %d more", strings.Join(states[:most], ", "), more)
	case len(states) > 1:
		return "Commits: " + strings.Join(states, ", ")
	}
	return "Commit: " + states[0]
}

// clean is text of others as one line. The page escapes it besides.
func clean(text string) string { return outputs.Clean(text) }

func bestOf(b runs.ModelBest) bestRow {
	row := bestRow{model: clean(b.Model), version: clean(b.Run.Version), metric: clean(b.Metric), value: short(b.Value), change: "the first of this model"}
	if b.Before == nil {
		return row
	}
	// In the words of the summary in the terminal.
	change, than := b.Value-b.Was, " than "
	if change-change == 0 {
		than = fmt.Sprintf(" by %.4g than ", math.Abs(change))
	}
	before := fmt.Sprintf("%s before (%s)", clean(b.Before.Version), short(b.Was))
	switch {
	case b.Value == b.Was:
		row.change = "as good as " + before
	case b.Better(b.Value, b.Was):
		row.change, row.kind = "better"+than+before, "good"
	default:
		row.change, row.kind = "worse"+than+before, "bad"
	}
	return row
}

func short(v float64) string { return fmt.Sprintf("%.4g", v) }
