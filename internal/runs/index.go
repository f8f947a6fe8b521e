package runs

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
)

// An Execution is one call of mlpipeline -r: from where it begins in the journal to where it ends, or the next one begins.
type Execution struct {
	Host    string
	PID     int
	Command string
	Began   time.Time
	Ended   time.Time // zero: it is running, or it was killed
	Seconds float64
	Tally   *outputs.Tally // of its queue when it ended
	Running bool           // as far as the locks tell
	Runs    []*Run         // in the order in which they started
}

// An Index is all runs that the journals tell of. They belong to no execution in early journals.
type Index struct {
	Runs       []*Run       // oldest first by Started
	Executions []*Execution // oldest first by Began
	// Warnings tells of lines that could not be read, with file and line.
	Warnings []string
}

// Read reads the journals of all hosts.
func Read(folder outputs.Folder) (*Index, error) {
	x := &Index{}
	var hosts []*reading
	warnings, err := folder.ReadEntries(func(host string, e *outputs.Entry) {
		if len(hosts) == 0 || hosts[len(hosts)-1].host != host {
			hosts = append(hosts, &reading{x: x, folder: folder, host: host, open: map[string]*Run{}})
		}
		hosts[len(hosts)-1].add(e)
	})
	if err != nil {
		return nil, err
	}
	x.Warnings = warnings
	for _, h := range hosts {
		h.end()
	}
	slices.SortStableFunc(x.Runs, func(a, b *Run) int { return a.Started.Compare(b.Started) })
	slices.SortStableFunc(x.Executions, func(a, b *Execution) int { return a.Began.Compare(b.Began) })
	return x, nil
}

// A reading is one journal that is being read.
type reading struct {
	x      *Index
	folder outputs.Folder
	host   string
	last   *Execution      // nil before the first line that an execution begins with
	open   map[string]*Run // those that have started and not ended, by ID
	room   []Run           // for those to come
}

func (h *reading) add(e *outputs.Entry) {
	switch e.Event {
	case outputs.Begin:
		h.closeAll()
		h.last = &Execution{Host: h.host, PID: int(e.PID), Command: e.Command, Began: e.Time}
		h.x.Executions = append(h.x.Executions, h.last)
	case outputs.End:
		h.closeAll()
		if h.last == nil || !h.last.Ended.IsZero() {
			return // its beginning cannot be read
		}
		h.last.Ended, h.last.Seconds = e.Time, e.Seconds
		if json.Unmarshal([]byte(e.Tally), &h.last.Tally) != nil {
			h.last.Tally = nil
		}
	case outputs.Started:
		r := h.run(e)
		r.Status, r.Started = Running, e.Time
		h.open[e.Run] = r
	case outputs.Finished, outputs.Failed, outputs.Interrupted:
		r := h.open[e.Run]
		if r == nil { // a model that cannot be run, or a start that cannot be read
			r = h.run(e)
			if r.Started = e.Time; !e.Time.IsZero() {
				r.Started = e.Time.Add(-outputs.Span(e.Seconds))
			}
		}
		delete(h.open, e.Run)
		r.Status, r.Ended, r.Seconds, r.Step, r.Error = e.Event, e.Time, e.Seconds, e.Step, e.Cause
		r.Code, r.results, r.git = e.Code, e.Results, e.Git
		r.params = cmp.Or(e.Params, r.params) // edited since it started
	}
}

// run makes a Run of the first line that tells of it.
func (h *reading) run(e *outputs.Entry) *Run {
	if len(h.room) == 0 {
		h.room = make([]Run, 256)
	}
	r := &h.room[0]
	h.room = h.room[1:]
	*r = Run{
		ID: e.Run, Model: e.Model, Version: e.Version, Host: h.host, Dir: e.Dir, Resumes: e.Resumes, Code: e.Code,
		folder: h.folder, params: e.Params, order: e.Order, ordered: e.Params != "", early: e.Params == "" && h.last == nil,
	}
	h.x.Runs = append(h.x.Runs, r)
	if h.last != nil {
		h.last.Runs = append(h.last.Runs, r)
	}
	return r
}

// closeAll sets what has become of runs that nothing more will be told of.
func (h *reading) closeAll() {
	for _, r := range h.open {
		r.Status, r.Error = Interrupted, Killed
	}
	clear(h.open)
}

// end comes after the last line. What is open runs if the execution is alive.
func (h *reading) end() {
	over := h.last != nil && !h.last.Ended.IsZero()
	if over || h.last == nil && len(h.open) == 0 {
		h.closeAll()
		return
	}
	pid, alive := h.folder.Executor(h.host)
	if h.last != nil {
		alive = alive && pid == h.last.PID
		h.last.Running = alive
	}
	if !alive {
		h.closeAll()
		return
	}
	// Of one version only the last can run: an earlier one was left open by an execution that wrote no beginning.
	latest := map[[2]string]*Run{}
	for _, r := range h.open {
		if l := latest[[2]string{r.Model, r.Version}]; l == nil || l.Started.Before(r.Started) {
			latest[[2]string{r.Model, r.Version}] = r
		}
	}
	for _, r := range h.open {
		if latest[[2]string{r.Model, r.Version}] != r {
			r.Status, r.Error = Interrupted, Killed
		}
	}
}

// Chain returns r and the runs whose training it continues, oldest first.
func (x *Index) Chain(r *Run) []*Run {
	chain := []*Run{r}
	for r != nil && r.Resumes != "" {
		before := x.byID(r.Resumes)
		if before == nil || slices.Contains(chain, before) {
			break
		}
		chain = append(chain, before)
		r = before
	}
	slices.Reverse(chain)
	return chain
}

// ResumedBy returns the runs that continue the training of r, oldest first.
func (x *Index) ResumedBy(r *Run) []*Run {
	var by []*Run
	for _, other := range x.Runs {
		if r.ID != "" && other.Resumes == r.ID {
			by = append(by, other)
		}
	}
	return by
}

func (x *Index) byID(id string) *Run {
	for i := len(x.Runs) - 1; i >= 0; i-- {
		if x.Runs[i].ID == id {
			return x.Runs[i]
		}
	}
	return nil
}
