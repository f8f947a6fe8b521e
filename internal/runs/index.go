package runs

import (
	"bytes"
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

	at int64 // as that of Run
}

// An Index is all runs that the journals tell of. They belong to no execution in early journals.
type Index struct {
	// Oldest first: those of one host as they stand in its journal, though its clock was set; otherwise by Started and Began.
	Runs       []*Run
	Executions []*Execution
	// Warnings tells of lines that could not be read, with file and line.
	Warnings []string
}

// Read reads the journals of all hosts.
func Read(folder outputs.Folder) (*Index, error) {
	x := &Index{}
	var hosts []*reading
	warnings, err := folder.ReadEntries(func(host string, e *outputs.Entry) {
		if len(hosts) == 0 || hosts[len(hosts)-1].host != host {
			hosts = append(hosts, &reading{x: x, folder: &folder, host: host, open: map[string]*Run{}, names: map[string]string{}})
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
	slices.SortStableFunc(x.Runs, Compare)
	slices.SortStableFunc(x.Executions, func(a, b *Execution) int { return cmp.Compare(a.at, b.at) })
	return x, nil
}

// Compare compares two runs for the order of an Index.
func Compare(a, b *Run) int { return cmp.Compare(a.at, b.at) }

// A reading is one journal that is being read.
type reading struct {
	x      *Index
	folder *outputs.Folder
	host   string
	last   *Execution        // nil before the first line that an execution begins with
	open   map[string]*Run   // those that have started and not ended, by ID
	room   []Run             // for those to come
	names  map[string]string // those that runs share, by themselves
	git    []byte            // of the last run that has one
	params slab[byte]
	values slab[float64]

	// In milliseconds since 1970: the latest time that the journal has told of, and the earliest at which what comes now can have
	// been, because that was before it.
	latest, earliest int64
}

// How long what happens may take to be told of, in milliseconds: the end of a run, and its start, before which it may have to
// load much. What seems to have taken longer happened after the clock had been put back.
const (
	prompt = int64(time.Minute / time.Millisecond)
	slow   = int64(time.Hour / time.Millisecond)
)

// told takes in when something was, other than a start, that was told of at once.
func (h *reading) told(t time.Time) {
	at := t.UnixMilli()
	if h.latest-at > prompt {
		h.earliest = h.latest
	}
	h.latest = max(h.latest, at)
}

// started is when something has started, in an order that a clock which is put back does not change.
func (h *reading) started(t time.Time) int64 {
	at := max(t.UnixMilli(), h.earliest)
	if h.latest-at > slow {
		at = h.latest
	}
	h.latest = max(h.latest, at)
	return at
}

func (h *reading) add(e *outputs.Entry) {
	switch e.Event {
	case outputs.Begin:
		h.closeAll()
		if h.earliest = e.Time.UnixMilli(); h.latest > 0 {
			h.earliest = max(h.earliest, h.latest+1)
		}
		h.latest = h.earliest
		h.last = &Execution{Host: h.host, PID: int(e.PID), Command: string(e.Command), Began: e.Time, at: h.earliest}
		h.x.Executions = append(h.x.Executions, h.last)
	case outputs.End:
		h.told(e.Time)
		h.closeAll()
		if h.last == nil || !h.last.Ended.IsZero() {
			return // its beginning cannot be read
		}
		h.last.Ended, h.last.Seconds = e.Time, e.Seconds
		if json.Unmarshal(e.Tally, &h.last.Tally) != nil {
			h.last.Tally = nil
		}
	case outputs.Started:
		r := h.run(e)
		r.Status, r.Started, r.at = Running, e.Time, h.started(e.Time)
		h.open[r.ID] = r
	case outputs.Finished, outputs.Failed, outputs.Interrupted:
		r := h.open[string(e.Run)]
		if r == nil { // a model that cannot be run, or a start that cannot be read
			r = h.run(e)
			if r.Started = e.Time; !e.Time.IsZero() {
				r.Started = e.Time.Add(-outputs.Span(e.Seconds))
			}
			r.at = h.started(r.Started)
		}
		delete(h.open, r.ID)
		h.told(e.Time)
		r.Status, r.Ended, r.Seconds, r.Step, r.Error = e.Event, e.Time, e.Seconds, e.Step, string(e.Cause)
		r.Code, r.metrics, r.values = h.shared(e.Code), e.Names, h.values.keep(e.Values)
		if !bytes.Equal(h.git, e.Git) {
			h.git = bytes.Clone(e.Git)
		}
		r.git = h.git
		if len(e.Params) > 0 { // edited since it started
			r.params = h.params.keep(e.Params)
		}
	}
}

// run makes a Run of the first line that tells of it.
func (h *reading) run(e *outputs.Entry) *Run {
	if len(h.room) == 0 {
		h.room = make([]Run, 256)
	}
	// Not through a pointer, which is looked at first: that costs memory that has never been used a second page fault.
	h.room[0] = Run{
		ID: string(e.Run), Model: h.shared(e.Model), Version: string(e.Version), Host: h.host, Dir: h.shared(e.Dir), Resumes: string(e.Resumes),
		Code: h.shared(e.Code), folder: h.folder, params: h.params.keep(e.Params), order: e.Order, ordered: len(e.Params) > 0,
		early: len(e.Params) == 0 && h.last == nil,
	}
	r := &h.room[0]
	h.room = h.room[1:]
	h.x.Runs = append(h.x.Runs, r)
	if h.last != nil {
		h.last.Runs = append(h.last.Runs, r)
	}
	return r
}

// shared returns a text that many runs have as a string, which they share.
func (h *reading) shared(text []byte) string {
	s, ok := h.names[string(text)]
	if !ok {
		if len(h.names) == 1000 { // each has its own
			clear(h.names)
		}
		s = string(text)
		h.names[s] = s
	}
	return s
}

// A slab holds slices that are kept for long, many in one piece of memory.
type slab[T any] []T

// keep returns a copy of from.
func (s *slab[T]) keep(from []T) []T {
	const piece = 8 << 10
	if cap(*s)-len(*s) < len(from) {
		*s = make([]T, 0, max(piece, len(from)))
	}
	start := len(*s)
	*s = append(*s, from...)
	return (*s)[start:len(*s):len(*s)]
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
	seen := map[[2]string]bool{}
	for _, r := range slices.Backward(h.x.Runs) {
		if h.open[r.ID] != r {
			continue
		}
		if seen[[2]string{r.Model, r.Version}] {
			r.Status, r.Error = Interrupted, Killed
		}
		seen[[2]string{r.Model, r.Version}] = true
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
