package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/pipeline"
	"github.com/mlpipeline/mlpipeline/internal/runs"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

func newStatus(app *app) *cobra.Command {
	var project string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "say what is running, what comes next, and what failed",
		Long: `status tells of the last execution (mlpipeline -r) on each machine that writes into the outputs folder: whether it is
running, has ended or was killed; what it is running, since when and how far it is; what comes next, and why; and what
failed. What an execution says of itself is up to a second old. Of one on another machine, whose lock cannot be seen in a
folder that is synchronised, status says how old that is.`,
		Example: "  mlpipeline status\n  watch mlpipeline status\n  mlpipeline status --json | jq .queue",
		Args:    noArgs,
		RunE:    func(*cobra.Command, []string) error { return runStatus(app, project, asJSON) },
	}
	projectFlag(cmd, &project)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON value a line, for each machine")
	return cmd
}

func runStatus(app *app, named string, asJSON bool) error {
	folder, _, err := openFolder(named)
	if err != nil {
		return err
	}
	hosts, err := hostStatuses(folder, time.Now())
	if err != nil {
		return err
	}
	if asJSON {
		for _, h := range hosts {
			line, err := jsonLine(h)
			if err == nil {
				_, err = io.WriteString(app.stdout, line)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	lines := []string{}
	for _, h := range hosts {
		if len(lines) > 0 {
			lines = append(lines, "")
		}
		lines = append(lines, h.lines(time.Now())...)
	}
	if len(hosts) == 0 {
		line, err := noStatus(folder)
		if err != nil {
			return err
		}
		lines = append(lines, line)
	}
	_, err = fmt.Fprintln(app.stdout, strings.Join(lines, "\n"))
	return err
}

// noStatus is what there is to say where no execution has said anything of itself.
func noStatus(folder outputs.Folder) (string, error) {
	index, err := runs.Read(folder)
	if err != nil {
		return "", err
	}
	if len(index.Runs) == 0 {
		return "nothing has run yet: mlpipeline -r -u runs the queue", nil
	}
	last := index.Runs[len(index.Runs)-1]
	return fmt.Sprintf("nothing is running; the last run was %s, %s %s: mlpipeline ls lists all", outputs.Clean(last.Name()), last.Status, moment(last.Started, time.Now())), nil
}

// lines say what is known of h, for people.
func (h hostStatus) lines(now time.Time) []string {
	host, command := outputs.Clean(h.Host), outputs.Clean(h.Command)
	var first string
	running := "running:"
	if h.State == stateRunning {
		h.Started = h.byNow(h.Started, h.Seconds)
	}
	switch {
	case h.State == stateRunning && h.PID == 0:
		first = host + ": running; its lock does not say what"
	case h.State == stateRunning:
		first = fmt.Sprintf("%s: running since %s, pid %d: %s", host, moment(h.Started.Time, now), h.PID, command)
	case h.State == stateEnded:
		first = fmt.Sprintf("%s: ended %s, after %s: %s", host, moment(h.Ended.Time, now), outputs.Duration(h.took()), command)
	case h.State == stateKilled:
		first = fmt.Sprintf("%s: killed; it was last heard of %s: %s", host, moment(h.Updated.Time, now), command)
		running = "was running, and goes on with mlpipeline -r -u:"
	default:
		first = fmt.Sprintf("%s: last heard of %s; it has been killed, or what it writes does not arrive here: %s", host, moment(h.Updated.Time, now), command)
	}
	lines := []string{first}
	if h.Silent {
		return append(lines, "it has written nothing yet; called with -n it never does")
	}
	if h.State == stateRunning && (!h.here || h.Age > silence.Seconds()) {
		lines = append(lines, "as of "+moment(h.Updated.Time, now))
	}
	lines = append(lines, "queue: "+h.queue(now))
	list := func(title string, items []string) {
		if len(items) > 0 {
			lines = append(lines, title)
			for _, i := range items {
				lines = append(lines, "  "+i)
			}
		}
	}
	var items []string
	for _, r := range h.Running {
		if h.State != stateRunning && r.Phase == "" { // nothing more is known of it
			items = append(items, fmt.Sprintf("%s: since %s", outputs.Clean(pipeline.Name(r.Model, r.Version)), moment(r.Started.Time, now)))
			continue
		}
		if h.State != stateRunning {
			r.Rate, r.Left = 0, 0
		}
		r.Started = h.byNow(r.Started, r.Seconds)
		items = append(items, runText(r, now))
	}
	list(running, items)
	items = nil
	for _, n := range h.Next {
		text := outputs.Clean(pipeline.Name(n.Model, n.Version))
		if n.Reason != "" {
			text += ": " + outputs.Clean(n.Reason)
		}
		items = append(items, text)
	}
	if more := h.Queue.Waiting + h.Queue.Unknown - len(h.Next); more > 0 && len(items) > 0 {
		items = append(items, fmt.Sprintf("and %d more", more))
	}
	list("next:", items)
	items = nil
	if more := h.Queue.Failed - len(h.Failures); more > 0 {
		items = append(items, fmt.Sprintf("%d more, see mlpipeline ls --status failed", more))
	}
	for _, f := range h.Failures {
		first, _ := cause(f.Cause)
		text := outputs.Clean(pipeline.Name(f.Model, f.Version)) + ": " + first
		if f.Run != "" {
			text += " (mlpipeline show " + outputs.Clean(f.Run) + ")"
		}
		items = append(items, text)
	}
	list("failed:", items)
	return lines
}

// took is how long an execution took that has ended. Early ones do not say.
func (h hostStatus) took() float64 {
	if h.Seconds > 0 {
		return h.Seconds
	}
	return max(0, h.Ended.Sub(h.Started.Time).Seconds())
}

// queue says how far the queue is.
func (h hostStatus) queue(now time.Time) string {
	q := h.Queue
	var parts counts
	parts.add(q.Finished, "finished")
	parts.add(q.Failed, "failed")
	parts.add(q.Interrupted, "interrupted")
	parts.add(q.Skipped, "skipped")
	if h.State != stateEnded {
		parts.add(q.Running, "running")
	}
	parts.add(q.Waiting, "waiting")
	if q.Unknown == 1 {
		parts = append(parts, "1 model not looked at yet")
	} else {
		parts.add(q.Unknown, "models not looked at yet")
	}
	text := strings.Join(parts, ", ")
	if text == "" {
		text = "nothing yet"
		if h.State == stateEnded {
			text = "nothing was due"
		}
	}
	switch {
	case h.State == stateEnded && q.Waiting+q.Unknown > 0 && q.Done()+q.Skipped == 0:
		text += "; nothing was started"
	case h.State == stateEnded && q.Waiting+q.Unknown > 0:
		text += "; it was stopped before all was done: mlpipeline -r -u goes on with it"
	case h.State != stateRunning:
	case h.Stopping == "finishing":
		text += "; stopping: what is running finishes, nothing else starts"
	case h.Stopping == "stopping":
		text += "; stopping: what is running is asked to save and stop"
	case h.Stopping == "killing":
		text += "; stopping: what is running is killed"
	case q.Ends != nil && q.Unknown > 0:
		text += "; ends after " + coming(q.Ends.Time, now)
	case q.Ends != nil:
		text += "; ends about " + coming(q.Ends.Time, now)
	}
	return text
}

// runText says how far a run is.
func runText(r outputs.Live, now time.Time) string {
	phase := strings.ReplaceAll(outputs.Clean(r.Phase), "_", " on ")
	if phase == "" {
		phase = "starting"
	}
	text := fmt.Sprintf("%s: since %s, %s", outputs.Clean(pipeline.Name(r.Model, r.Version)), moment(r.Started.Time, now), phase)
	switch {
	case r.Total > 0:
		text += fmt.Sprintf(" step %d of %d", r.Step, r.Total)
	case r.Step > 0:
		text += fmt.Sprintf(" step %d", r.Step)
	}
	if r.Epoch > 0 && r.Phase == wire.PhaseTrain {
		text += fmt.Sprintf(", epoch %d of %d", r.Epoch, r.Epochs)
	}
	if r.Rate > 0 {
		text += ", " + perSecond(r.Rate)
	}
	if r.Left > 0 {
		text += ", " + outputs.Duration(r.Left) + " left"
	}
	if len(r.Metrics) > 0 {
		text += "; " + outputs.FormatMetrics(r.Metrics)
	}
	return text
}
