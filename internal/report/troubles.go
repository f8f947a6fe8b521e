package report

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/runs"
)

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
