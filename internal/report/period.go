package report

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/runs"
)

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
	if len(p.executions) > 0 && r.Since.IsZero() {
		_, p.before = x.Split(p.executions[0])
	} else {
		for _, run := range x.Runs {
			if !run.Ended.IsZero() && run.Ended.Before(since) {
				p.before = append(p.before, run)
			}
		}
	}
	slices.SortStableFunc(p.runs, runs.Compare)
	p.last = map[[2]string]*runs.Run{}
	for _, run := range p.runs {
		p.last[[2]string{run.Model, run.Version}] = run
	}
	const most = 8
	for i, e := range p.executions {
		took, state := e.Seconds, "to "+until(e.Began, e.Ended)
		switch {
		case e.Running:
			took, state = max(0, r.Now.Sub(e.Began).Seconds()), "still running"
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
