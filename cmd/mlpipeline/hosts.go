package main

import (
	"os"
	"regexp"
	"slices"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/runs"
)

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
		lately := now.Sub(s.Updated.Time).Abs() < hearsay
		switch {
		case s.Ended != nil:
			h.State = stateEnded
		case locked, s.Host != folder.Host && lately:
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
	if !h.is(last) {
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
	h.State, h.Ended, h.Seconds, h.Running, h.Next = stateEnded, &outputs.Time{Time: last.Ended}, last.Seconds, nil, nil
	if last.Tally != nil {
		h.Queue = *last.Tally
	}
}

// is reports whether h is of an execution that the journal tells of.
func (h *hostStatus) is(e *runs.Execution) bool {
	if h.PID != e.PID {
		return false
	}
	// Early ones have not begun in the journal at the time that the status says.
	return e.Began.UnixMilli() == h.Started.UnixMilli() || !e.Began.Before(h.Started.Time) && !e.Began.After(h.Updated.Time)
}

// byNow is when something started that has gone on for some seconds: as it was told, unless a clock was set since.
func (h *hostStatus) byNow(started outputs.Time, seconds float64) outputs.Time {
	at := h.Updated.Add(-outputs.Span(seconds))
	if seconds == 0 || at.Sub(started.Time).Abs() < sameClock {
		return started
	}
	return outputs.Time{Time: at}
}

// sameClock is how far off two times may be that one clock has told.
const sameClock = 2 * time.Second

// holderParts fits what stands before the command in the text of a lock; see holder.
var holderParts = regexp.MustCompile(`^pid [0-9]+ of .*, since ([0-9-]{10} [0-9:]{8}(?: [+-][0-9:]{5})?): `)

// holderTime is how the time stands there. Early ones lack the zone.
const holderTime = "2006-01-02 15:04:05 -07:00"

// heldSince is when a lock of this host was taken, by its text. It is zero when that cannot be told.
func heldSince(holder string) time.Time {
	parts := holderParts.FindStringSubmatch(holder)
	if parts == nil {
		return time.Time{}
	}
	since, err := time.Parse(holderTime, parts[1])
	if err != nil {
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
