package pipeline

import (
	"cmp"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/version"
)

// State returns what this call is doing and has done so far. It may be called by several goroutines,
// and is zero but for the names before Run begins.
func (p *Pipeline) State() outputs.Status {
	now := time.Now()
	s := outputs.Status{
		Host: p.Folder.Host, PID: os.Getpid(), User: p.User, Command: strings.Join(os.Args, " "), Jobs: p.Jobs,
		Stopping: [...]string{"", "finishing", "stopping", "killing"}[p.Stop.Level()],
	}
	next, running, loads := p.look(&s, now)
	for _, w := range next {
		n := outputs.Next{Model: w.model.name}
		if w.due.Version != nil {
			n.Version, n.Reason = w.due.Label(), p.reasons.of(p, w)
		}
		s.Next = append(s.Next, n)
	}
	s.Queue.Ends = p.forecast.ends(now, p.Jobs, running, loads)
	return s
}

// A waiting is a version whose turn will come or, with an empty due, a model that has not been asked for its versions. Of the
// model it has a copy of what the reason for a version takes: the loop goes on.
type waiting struct {
	model *model
	due   due
}

// waiting returns d as a waiting version. The caller holds Pipeline.mu.
func (m *model) waiting(d due) waiting {
	return waiting{&model{name: m.name, found: m.found, program: m.program}, d}
}

// look takes into s what the loop knows, and returns what waits: the first, and how much of each model; and what runs.
func (p *Pipeline) look(s *outputs.Status, now time.Time) (next []waiting, running []ongoing, loads []load) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Started, s.Seconds = outputs.Time{Time: p.started}, now.Sub(p.started).Seconds()
	s.Queue = p.summary.tally()
	s.Queue.Running = p.admittedRuns()
	s.Failures = slices.Clone(p.faults)
	for r := range p.running {
		if l, ok := r.live.look(now); ok {
			running = append(running, ongoing{l, r.due.effort})
		}
	}
	slices.SortFunc(running, func(a, b ongoing) int {
		return cmp.Or(a.Started.Compare(b.Started.Time), cmp.Compare(a.Run, b.Run))
	})
	for _, r := range running {
		s.Running = append(s.Running, r.Live)
	}
	for _, r := range p.prepared() {
		loads = append(loads, load{r.Model, []effort{r.due.effort}})
		next = append(next, r.model.waiting(r.due))
	}
	for _, name := range p.queue {
		m := p.models[name]
		if m == nil || m.finished || !p.Models.Has(name) {
			continue
		}
		first := m.outlook.first
		switch {
		case m.opened:
			first = m.due
			fallthrough
		case m.outlook.known:
			loads = append(loads, load{name, m.outlook.efforts})
		default:
			s.Queue.Unknown++
			first = []due{{}}
		}
		for _, d := range first[:min(len(first), max(0, outputs.MaxNext-len(next)))] {
			next = append(next, m.waiting(d))
		}
	}
	for _, l := range loads {
		s.Queue.Waiting += len(l.efforts)
	}
	if p.Stop.Level() > Going {
		return nil, running, nil // what waits will not run in this call
	}
	return next, running, loads
}

// reasons remembers why the versions that come next are due: to find out can take reading files.
type reasons struct {
	mu    sync.Mutex
	known map[*version.Version]string
}

func (r *reasons) of(p *Pipeline, w waiting) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if reason, ok := r.known[w.due.Version]; ok {
		return reason
	}
	if r.known == nil || len(r.known) > 10*outputs.MaxNext {
		r.known = map[*version.Version]string{}
	}
	reason := p.reason(w.model, w.due)
	r.known[w.due.Version] = reason
	return reason
}

// statusPace is how often the status file is written.
const statusPace = time.Second

// writeStatus keeps the status file up to date until the returned function is called, which writes it for the last time.
func (p *Pipeline) writeStatus() (end func()) {
	if p.Recorder == nil {
		return func() {}
	}
	warned := false
	write := func(s outputs.Status) {
		if err := p.Recorder.Check(); err != nil {
			p.fatal(err) // rather now than when a run ends
			if _, err := os.Stat(p.Folder.LockFile(p.Folder.Host)); err != nil {
				return // it is another folder, or none
			}
		}
		if err := p.Folder.WriteStatus(s); err != nil && !warned {
			warned = true
			p.warn(err.Error()) // a copy for readers: the night goes on
		}
	}
	done, written := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(written)
		ticker := time.NewTicker(statusPace)
		defer ticker.Stop()
		for {
			var wish <-chan struct{} // the next wish to stop is told at once
			if level := p.Stop.Level(); level < Killing {
				wish = p.Stop.Reached(level + 1)
			}
			write(p.State())
			select {
			case <-ticker.C:
			case <-wish:
			case <-done:
				return
			}
		}
	}()
	return func() {
		close(done)
		<-written
		s := p.State()
		s.Next, s.Ended = nil, &outputs.Time{Time: time.Now()}
		write(s)
	}
}
