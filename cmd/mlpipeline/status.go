package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
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
	cmd.Flags().StringVarP(&project, "project", "C", "", "the project of `DIR` (default: the current folder or one above it)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON value a line, for each machine")
	return cmd
}

// States of an execution.
const (
	stateRunning = "running"
	stateEnded   = "ended"
	stateKilled  = "killed"
	stateUnknown = "unknown" // another machine's that has not been heard of for a while: where its lock cannot be seen, it may be running
)

// hearsay is how old what is heard of another machine may be to be taken for what is so.
const hearsay = time.Minute

// silence is how old what an execution on this machine says of itself is at most, unless it is stopped or cannot write.
const silence = 5 * time.Second

// A hostStatus is what is known of the last execution on one host.
type hostStatus struct {
	outputs.Status
	State string  `json:"state"`
	Age   float64 `json:"age_seconds"` // of what is known
	// Silent: it is running, and has written nothing: it was called with -n, or has just begun.
	Silent bool `json:"silent,omitempty"`

	here bool
}

// stale is how much later than a status file the journal of its host is written to at most.
const stale = 100 * time.Millisecond

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
			line, err := json.Marshal(h)
			if err == nil {
				_, err = fmt.Fprintln(app.stdout, string(line))
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

// hostStatuses returns what is known of each host: this one first.
func hostStatuses(folder outputs.Folder, now time.Time) ([]hostStatus, error) {
	// The locks come first: an execution says that it has ended before it gives its lock back.
	locks := map[string]int{}
	for _, host := range folder.Hosts() {
		if pid, ok := folder.Executor(host); ok {
			locks[host] = pid
		}
	}
	all, err := folder.ReadStatuses()
	if err != nil {
		return nil, err
	}
	var hosts []hostStatus
	add := func(h hostStatus) {
		if h.here = h.Host == folder.Host; h.here {
			hosts = append([]hostStatus{h}, hosts...)
		} else {
			hosts = append(hosts, h)
		}
	}
	for _, s := range all {
		pid, locked := locks[s.Host]
		if locked && (pid != s.PID || s.Host == folder.Host && s.Started.Before(heldSince(folder.Holder(s.Host)))) {
			continue // the status is that of an execution before
		}
		if !locked && s.Ended == nil { // it may have begun after its lock was looked at
			pid, locked = folder.Executor(s.Host)
			locked = locked && pid == s.PID
		}
		delete(locks, s.Host)
		h := hostStatus{Status: s, Age: max(0, now.Sub(s.Updated.Time).Seconds())}
		switch {
		case s.Ended != nil:
			h.State = stateEnded
		case locked, s.Host != folder.Host && h.Age < hearsay.Seconds():
			h.State = stateRunning
		case s.Host == folder.Host:
			h.State = stateKilled
		default:
			h.State = stateUnknown
		}
		add(h)
	}
	var index *runs.Index
	for i := range hosts {
		h := &hosts[i]
		if h.State == stateRunning {
			continue
		}
		if info, err := os.Stat(outputs.NewFolder(folder.Dir, h.Host).HistoryFile()); err != nil || h.State == stateEnded && info.ModTime().Sub(h.Updated.Time) < stale {
			continue
		}
		if index == nil {
			if index, err = runs.Read(folder); err != nil {
				return nil, err
			}
		}
		h.know(index)
		h.Age = max(0, now.Sub(h.Updated.Time).Seconds())
	}
	for host, pid := range locks {
		h := hostStatus{State: stateRunning, Silent: true}
		h.Host, h.PID, h.Started.Time, h.Updated.Time = host, pid, heldSince(folder.Holder(host)), now
		h.Command = holderParts.ReplaceAllString(folder.Holder(host), "")
		add(h)
	}
	return hosts, nil
}

// know sets right what a status that was not written to the end says, by what the journal knows of the last execution.
func (h *hostStatus) know(index *runs.Index) {
	var last *runs.Execution
	for _, e := range index.Executions {
		if e.Host == h.Host {
			last = e
		}
	}
	if last == nil {
		return // an early journal
	}
	if last.PID != h.PID || last.Began.Before(h.Started.Time) || last.Began.After(h.Updated.Time) {
		if last.Began.Before(h.Updated.Time) {
			return // that it has begun could not be written
		}
		h.Status = outputs.Status{Format: h.Format, Host: h.Host, PID: last.PID, Command: last.Command, Started: outputs.Time{Time: last.Began}, Updated: outputs.Time{Time: last.Began}}
	}
	running := h.Running
	h.Running, h.Failures = nil, nil
	h.Queue.Finished, h.Queue.Failed, h.Queue.Interrupted = 0, 0, 0
	for _, r := range last.Runs {
		switch {
		case r.Status == runs.Finished:
			h.Queue.Finished++
		case r.Status == runs.Failed:
			h.Queue.Failed++
			h.Failures = append(h.Failures, outputs.Fault{Run: r.ID, Model: r.Model, Version: r.Version, Cause: r.Error})
		case r.Error != runs.Killed:
			h.Queue.Interrupted++
		default:
			live := outputs.Live{Run: r.ID, Model: r.Model, Version: r.Version, Started: outputs.Time{Time: r.Started}}
			if i := slices.IndexFunc(running, func(l outputs.Live) bool { return l.Run == r.ID }); i >= 0 {
				live = running[i]
				live.Rate, live.Left = 0, 0
			}
			h.Running = append(h.Running, live)
		}
		for _, t := range []time.Time{r.Started, r.Ended} {
			if t.After(h.Updated.Time) {
				h.Updated.Time = t
			}
		}
	}
	h.Failures = h.Failures[max(0, len(h.Failures)-outputs.MaxNext):]
	h.Queue.Running = len(h.Running)
	if last.Ended.IsZero() {
		h.State, h.Ended = stateKilled, nil
		if !h.here {
			h.State = stateUnknown
		}
		return
	}
	h.State, h.Ended, h.Running, h.Next = stateEnded, &outputs.Time{Time: last.Ended}, nil, nil
	if last.Tally != nil {
		h.Queue = *last.Tally
	}
}

// holderParts fits what stands before the command in the text of a lock; see holder.
var holderParts = regexp.MustCompile(`^pid [0-9]+ of .*, since ([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}): `)

// heldSince is when a lock of this host was taken, by its text. It is zero when that cannot be told.
func heldSince(holder string) time.Time {
	var since time.Time
	if parts := holderParts.FindStringSubmatch(holder); parts != nil {
		since, _ = time.ParseInLocation("2006-01-02 15:04:05", parts[1], time.Local)
	}
	return since
}

// ownStatus returns what the execution of a process on this host says of itself. It is empty when it says nothing.
func ownStatus(folder outputs.Folder, pid int) outputs.Status {
	hosts, _ := hostStatuses(folder, time.Now()) // without, it can be stopped all the same
	if len(hosts) > 0 && hosts[0].here && hosts[0].PID == pid && !hosts[0].Silent {
		return hosts[0].Status
	}
	return outputs.Status{}
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
	switch {
	case h.State == stateRunning && h.PID == 0:
		first = host + ": running; its lock does not say what"
	case h.State == stateRunning:
		first = fmt.Sprintf("%s: running since %s, pid %d: %s", host, moment(h.Started.Time, now), h.PID, command)
	case h.State == stateEnded:
		first = fmt.Sprintf("%s: ended %s, after %s: %s", host, moment(h.Ended.Time, now), outputs.Duration(h.Ended.Sub(h.Started.Time).Seconds()), command)
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

// queue says how far the queue is.
func (h hostStatus) queue(now time.Time) string {
	q := h.Queue
	var parts []string
	count := func(n int, what string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, what))
		}
	}
	count(q.Finished, "finished")
	count(q.Failed, "failed")
	count(q.Interrupted, "interrupted")
	count(q.Skipped, "skipped")
	if h.State != stateEnded {
		count(q.Running, "running")
	}
	count(q.Waiting, "waiting")
	if q.Unknown == 1 {
		parts = append(parts, "1 model not looked at yet")
	} else {
		count(q.Unknown, "models not looked at yet")
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
		text += "; ends after " + moment(q.Ends.Time, now)
	case q.Ends != nil:
		text += "; ends about " + moment(q.Ends.Time, now)
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
