package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/chart"
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
	charts, err := r.groups(n, period.runs)
	if err != nil {
		return err
	}
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

// A period is what a report is about.
type period struct {
	title      string
	when       []string // lines
	executions []*runs.Execution
	runs       []*runs.Run             // oldest first
	before     []*runs.Run             // those that had ended when it began
	last       map[[2]string]*runs.Run // the last run of each model and version
	seconds    float64
	notes      []string
}

// together is how long before the last execution another host's last one may have ended to be of the same night.
const together = 12 * time.Hour

// period finds what the report is about.
func (r Request) period() period {
	p := period{title: "no runs yet"}
	x := r.Index
	since := r.Since
	switch {
	case !since.IsZero():
		p.title = "since " + stamp(since)
		p.when = []string{"Everything since " + stamp(since)}
		for _, e := range x.Executions {
			if !e.Began.Before(since) {
				p.executions = append(p.executions, e)
			}
		}
		p.runs = x.Select(runs.Filter{Since: since})
	case len(x.Executions) > 0:
		executions := busy(x.Executions)
		last := executions[len(executions)-1]
		seen := map[string]bool{}
		for _, e := range slices.Backward(executions) {
			end := e.Ended
			if e.Running {
				end = r.Now
			} else if end.IsZero() { // killed
				end = e.Began
				for _, run := range e.Runs {
					end = latest(end, run.Started, run.Ended)
				}
			}
			if e == last || !seen[e.Host] && end.After(last.Began.Add(-together)) { // a clock may be set back
				p.executions = append(p.executions, e)
			}
			seen[e.Host] = true
		}
		slices.Reverse(p.executions)
		since = p.executions[0].Began
		for _, e := range p.executions {
			p.runs = append(p.runs, e.Runs...)
		}
		p.title = "execution of " + stamp(since)
		p.when = []string{"The last execution"}
	case len(x.Runs) > 0:
		since = x.Runs[len(x.Runs)-1].Started.Add(-24 * time.Hour)
		p.runs = x.Select(runs.Filter{Since: since})
		p.title = "runs since " + stamp(since)
		p.when = []string{"The last 24 hours in which anything ran, since " + stamp(since)}
	}
	for _, run := range x.Runs {
		if !run.Ended.IsZero() && run.Ended.Before(since) {
			p.before = append(p.before, run)
		}
	}
	slices.SortStableFunc(p.runs, func(a, b *runs.Run) int { return a.Started.Compare(b.Started) })
	p.last = map[[2]string]*runs.Run{}
	for _, run := range p.runs {
		p.last[[2]string{run.Model, run.Version}] = run
	}
	const most = 8
	for i, e := range p.executions {
		took, state := e.Seconds, "to "+until(e.Began, e.Ended)
		switch {
		case e.Running:
			took, state = r.Now.Sub(e.Began).Seconds(), "still running"
		case e.Ended.IsZero():
			took, state = 0, "then it was killed"
		}
		p.seconds += took
		if i < most {
			text := fmt.Sprintf("%s: %s, %s %s", e.Host, command(e.Command), stamp(e.Began), state)
			if took > 0 {
				text += ", " + outputs.Duration(took)
			}
			p.when = append(p.when, clean(text))
		} else if i == len(p.executions)-1 {
			p.when = append(p.when, fmt.Sprintf("and %d more executions", len(p.executions)-most))
		}
	}
	return p
}

// busy leaves out executions that had nothing to do, or were refused: a look into the queue is no night. It returns all when
// there is no other.
func busy(all []*runs.Execution) []*runs.Execution {
	var some []*runs.Execution
	for _, e := range all {
		if e.Running || len(e.Runs) > 0 {
			some = append(some, e)
		}
	}
	if some == nil {
		return all
	}
	return some
}

func latest(times ...time.Time) time.Time {
	return slices.MaxFunc(times, func(a, b time.Time) int { return a.Compare(b) })
}

// stamp is a time for people, in the local zone.
func stamp(t time.Time) string { return t.Local().Format("Mon 2 Jan 2006 15:04") }

// until is the time at which something ended, with its day if that is another one.
func until(began, ended time.Time) string {
	if day := "2006-01-02"; began.Local().Format(day) == ended.Local().Format(day) {
		return ended.Local().Format("15:04")
	}
	return stamp(ended)
}

// command is a command without the folder of the program.
func command(line string) string {
	program, rest, _ := strings.Cut(line, " ")
	return strings.TrimSpace(filepath.Base(program) + " " + rest)
}

func (p period) tiles() []tile {
	if len(p.runs) == 0 && len(p.executions) == 0 {
		return nil
	}
	count := map[string]int{}
	for _, r := range p.runs {
		count[r.Status]++
	}
	var tiles []tile
	for _, t := range []struct {
		status, kind string
		always       bool
	}{{runs.Finished, "good", true}, {runs.Failed, "bad", true}, {runs.Interrupted, "warn", false}, {runs.Running, "busy", false}} {
		if n := count[t.status]; n > 0 {
			tiles = append(tiles, tile{fmt.Sprint(n), t.status, t.kind})
		} else if t.always {
			tiles = append(tiles, tile{"0", t.status, ""})
		}
	}
	skipped, waiting := 0, 0
	seen := map[string]bool{}
	for _, e := range slices.Backward(p.executions) { // what one left, or skipped, the next one of its host has taken up again
		if e.Tally != nil && !seen[e.Host] {
			skipped, waiting = skipped+e.Tally.Skipped, waiting+e.Tally.Waiting
		}
		seen[e.Host] = true
	}
	if skipped > 0 {
		tiles = append(tiles, tile{fmt.Sprint(skipped), "skipped, done before", ""})
	}
	if waiting > 0 {
		tiles = append(tiles, tile{fmt.Sprint(waiting), "not run any more", "warn"})
	}
	if p.seconds > 0 {
		tiles = append(tiles, tile{outputs.Duration(p.seconds), "in all", ""})
	}
	return tiles
}

// A live is what executions that are running say of themselves.
type live struct {
	runs  map[string]string // what a run is doing, by its id
	notes []string
}

func (r Request) live(p period) live {
	l := live{runs: map[string]string{}}
	running := map[string]int{}
	for _, e := range p.executions {
		if e.Running {
			running[e.Host] = e.PID
		}
	}
	if len(running) == 0 {
		return l
	}
	statuses, _ := r.Folder.ReadStatuses() // without it less is said
	for _, s := range statuses {
		if pid, ok := running[s.Host]; !ok || pid != s.PID || s.Ended != nil {
			continue
		}
		note := fmt.Sprintf("When this page was made, %s had done %d of %d versions", s.Host, s.Queue.Done(), s.Queue.Due())
		if s.Queue.Unknown > 0 {
			note += fmt.Sprintf(" and not looked into %d models", s.Queue.Unknown)
		}
		if s.Queue.Ends != nil {
			note += "; it ends about " + stamp(s.Queue.Ends.Time)
		}
		l.notes = append(l.notes, clean(note)+".")
		for _, run := range s.Running {
			text := run.Phase
			if run.Total > 0 {
				text += fmt.Sprintf(" step %d of %d", run.Step, run.Total)
			}
			if run.Left > 0 {
				text += ", " + outputs.Duration(run.Left) + " left"
			}
			l.runs[run.Run] = text
		}
	}
	return l
}

// troubles tells of runs that did not finish.
func (r Request) troubles(of []*runs.Run, p period, l live) (all []trouble, more string) {
	told := map[string]string{} // who has told a long text, by that text
	if n := len(of) - mostTroubles; n > 0 {
		of, more = of[:mostTroubles], fmt.Sprintf("And %d more; they are in the table below.", n)
	}
	for i, run := range of {
		t := trouble{name: clean(run.Name()), status: run.Status, folded: i >= mostOpen}
		if lines := outputs.CleanLines(strings.TrimSpace(run.Error)); len(lines) > 0 {
			t.cause = lines[0]
		}
		facts := []string{"started " + stamp(run.Started) + " on " + run.Host}
		if run.Seconds > 0 {
			facts = append(facts, "took "+outputs.Duration(run.Seconds))
		}
		if run.Step > 0 {
			facts = append(facts, fmt.Sprintf("at step %d", run.Step))
		}
		if text := strings.TrimSpace(l.runs[run.ID]); text != "" {
			facts = append(facts, text)
		}
		if record, err := run.Record(); err == nil && run.ID != "" && record.Failure != nil {
			f := record.Failure
			if f.Phase != "" {
				facts = append(facts, "in "+f.Phase)
			}
			if f.Exit != "" {
				facts = append(facts, f.Exit)
			}
			like := ""
			tell := func(title, text string) {
				if by, ok := told[text]; ok && (like == "" || by == like) {
					like = by
					return
				}
				told[text] = run.Name()
				t.details = append(t.details, folded(title, text))
			}
			if strings.Contains(strings.TrimSpace(f.Cause), "\n") {
				tell("What went wrong", f.Cause)
			}
			if f.Trace != "" {
				tell("Stack trace", f.Trace)
			}
			if len(f.Stderr) > 0 {
				tell("Its last lines on standard error", strings.Join(f.Stderr, "\n"))
			}
			if like != "" {
				facts = append(facts, "otherwise like "+like)
			}
		}
		if later := p.last[[2]string{run.Model, run.Version}]; later != run && later != nil {
			facts = append(facts, "ran again since: "+later.Status)
		}
		t.facts = clean(strings.Join(facts, ", "))
		if pasted.MatchString(run.ID) {
			t.more = append(t.more, where{"All of it:", "mlpipeline show " + run.ID}, where{"What it printed:", "mlpipeline logs " + run.ID})
		}
		all = append(all, t)
	}
	return all, more
}

// pasted is what a run is called in a command that is there to be pasted into a shell. A foreign journal may call one anything.
var pasted = regexp.MustCompile(`^[0-9A-Za-z_-]+$`)

func folded(title, text string) detail {
	text = strings.Join(outputs.CleanLines(strings.TrimRight(text, "\n")), "\n")
	if len(text) > mostText {
		half := int(mostText / 2)
		text = strings.ToValidUTF8(text[:half]+"\n\n... shortened ...\n\n"+text[len(text)-half:], "")
	}
	if lines := strings.Count(text, "\n") + 1; lines > 1 {
		title += fmt.Sprintf(" (%d lines)", lines)
	}
	return detail{title, text}
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

// groups adds the charts of each model to n, and returns all of them. When they are too many, each model has a share.
func (r Request) groups(n *night, of []*runs.Run) (all []chartView, err error) {
	latest := map[string]map[string]*runs.Run{} // by model and version
	for _, run := range of {
		if run.ID != "" && run.Version != "" {
			if latest[run.Model] == nil {
				latest[run.Model] = map[string]*runs.Run{}
			}
			latest[run.Model][run.Version] = run
		}
	}
	type curves struct {
		model, note string
		of          map[string]*chartView // by metric
		metrics     []string              // the most telling first
	}
	var models []curves
	left := 0
	for _, model := range slices.Sorted(maps.Keys(latest)) {
		if len(models) == mostCharts {
			left++
			continue
		}
		m := curves{model: model, of: map[string]*chartView{}}
		chosen := r.choose(slices.Collect(maps.Values(latest[model])))
		shown := 0
		for _, run := range chosen {
			if shown == chart.Most {
				m.note = fmt.Sprintf("%d of %d versions, the best first.", shown, len(chosen))
				break
			}
			read, err := chart.Read(r.Folder, r.Index, run, "", mostPoints)
			if err != nil {
				return nil, err
			}
			name := clean(run.Version)
			if run.Status != runs.Finished {
				name += " (" + run.Status + ")"
			}
			for metric, points := range read.Points {
				view := m.of[metric]
				if view == nil {
					view = &chartView{title: clean(metric) + " by step"}
					m.of[metric] = view
				}
				view.curves, view.inks = append(view.curves, chart.Curve{Name: name, Points: points}), append(view.inks, shown)
			}
			if len(read.Points) > 0 {
				shown++
			}
		}
		if len(m.of) > 0 {
			m.metrics = telling(slices.Sorted(maps.Keys(m.of)), chosen)
			models = append(models, m)
		}
	}
	var counts []int
	for _, m := range models {
		counts = append(counts, len(m.metrics))
	}
	share := shares(counts, mostCharts)
	for i, m := range models {
		g := group{model: clean(m.model), note: m.note}
		for _, metric := range m.metrics[:share[i]] {
			view := m.of[metric]
			view.id = fmt.Sprint("chart-", len(all))
			all, g.charts = append(all, *view), append(g.charts, *view)
		}
		if more := len(m.metrics) - share[i]; more > 0 {
			g.note += fmt.Sprintf(" %d more of its metrics are left out; mlpipeline plot draws any of them.", more)
		}
		n.groups = append(n.groups, g)
	}
	if left > 0 {
		n.moreCharts = fmt.Sprintf("The curves of %d more models are left out: a page holds %d charts. mlpipeline plot draws any of them.", left, mostCharts)
	}
	return all, nil
}

// telling sorts the names of metrics by step: first those by which runs were also judged when they were over, and losses.
func telling(metrics []string, of []*runs.Run) []string {
	results := map[string]bool{}
	for _, name := range runs.MetricNames(of) {
		_, name, _ = strings.Cut(name, ".")
		results[name] = true
	}
	rank := func(metric string) int {
		if results[metric] || strings.HasSuffix(metric, "loss") {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(metrics, func(a, b string) int { return rank(a) - rank(b) })
	return metrics
}

// shares gives each of several that want so many a part of what there is: none is given more than it wants, or than an
// other that wants more still.
func shares(wanted []int, there int) []int {
	given := make([]int, len(wanted))
	for some := true; some; {
		some = false
		for i := range wanted {
			if given[i] < wanted[i] && there > 0 {
				given[i], there, some = given[i]+1, there-1, true
			}
		}
	}
	return given
}

// choose sorts the versions of a model: the best first, of equals the one that started first, as runs.Best has it; then those
// without the metric, by how late they started.
func (r Request) choose(of []*runs.Run) []*runs.Run {
	measure := r.Measure.For(of)
	values := map[*runs.Run]float64{}
	for _, run := range of {
		if v, ok := run.Metric(measure.Metric); ok {
			values[run] = v
		}
	}
	slices.SortFunc(of, func(a, b *runs.Run) int {
		va, hasA := values[a]
		vb, hasB := values[b]
		switch {
		case hasA && (!hasB || measure.Better(va, vb)):
			return -1
		case hasB && (!hasA || measure.Better(vb, va)):
			return 1
		case hasA:
			return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.ID, b.ID))
		}
		return cmp.Or(b.Started.Compare(a.Started), cmp.Compare(a.ID, b.ID))
	})
	return of
}
