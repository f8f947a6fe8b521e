// Package runs knows the runs of all hosts, merged, as the journals tell of them: which there are, what became of each, and
// which one is meant by a name. It is what commands read that show runs; the run records are opened for a run that is
// looked at closely, or that an early journal tells too little of.
package runs

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// Statuses of a Run.
const (
	Running     = outputs.Running
	Finished    = outputs.Finished
	Failed      = outputs.Failed
	Interrupted = outputs.Interrupted
)

// Statuses are all that a Run may have.
var Statuses = []string{Running, Finished, Failed, Interrupted}

// Killed is the Error of a run whose pipeline died.
const Killed = "the pipeline was killed"

// A Run is one run of a version, or a model that could not be run at all: then its Version is empty. Its methods may be
// called from one goroutine at a time.
type Run struct {
	ID      string // empty for what failed before it became a run, in early journals
	Model   string
	Version string
	Status  string
	Host    string
	Dir     string // the model directory, relative to the outputs folder
	Error   string // why it did not finish
	Resumes string // the run whose training it continues
	Started time.Time
	Ended   time.Time // zero: it has not ended, or it is not known when
	Seconds float64   // 0: not known
	Step    int64     // the last step known of
	Code    string    // fingerprint of the model's code

	folder  outputs.Folder
	early   bool   // its journal has neither parameters nor the state of the repository
	params  string // JSON objects
	results string
	git     string
	order   int64
	ordered bool // order is told; 0 is

	record *outputs.Run // of an early run, once it has been read
}

// Name is how people call what was run: model/version.
func (r *Run) Name() string {
	if r.Version == "" {
		return r.Model
	}
	return r.Model + "/" + r.Version
}

// Params are the parameters of the version, as run.json has them, and its order.
func (r *Run) Params() map[string]Value {
	params := map[string]Value{}
	outputs.EachField(r.rawParams(), func(name, value string) { params[name] = Value(value) })
	if _, own := params["order"]; !own && r.ordered {
		params["order"] = Value(strconv.FormatInt(r.order, 10))
	}
	return params
}

// Param is one of Params. It spares decoding the others.
func (r *Run) Param(param string) (value Value, ok bool) {
	outputs.EachField(r.rawParams(), func(name, v string) {
		if name == param {
			value, ok = Value(v), true
		}
	})
	if !ok && r.ordered && param == "order" {
		return Value(strconv.FormatInt(r.order, 10)), true
	}
	return value, ok
}

func (r *Run) rawParams() string {
	if r.params == "" && r.early {
		var compact bytes.Buffer
		if json.Compact(&compact, r.recorded().Parameters) == nil {
			r.params = compact.String()
		}
	}
	return r.params
}

// Git is the state of the repository that the models lie in, or nil.
func (r *Run) Git() *outputs.Git {
	if r.git == "" && r.early {
		return r.recorded().Code.Git
	}
	var git *outputs.Git
	json.Unmarshal([]byte(r.git), &git)
	return git
}

// Record reads run.json. The folder of a run may have been deleted.
func (r *Run) Record() (outputs.Run, error) { return r.folder.ReadRun(r.ID) }

// recorded is Record for what the journal does not have. It is empty when there is none.
func (r *Run) recorded() *outputs.Run {
	if r.record == nil {
		record, _ := r.Record()
		r.record = &record
	}
	return r.record
}

// Metrics are the results by what they were measured on and name: "test.accuracy", "train.loss", "training.loss".
func (r *Run) Metrics() map[string]float64 {
	metrics := map[string]float64{}
	outputs.EachResult(r.results, func(set, name, value string) bool {
		metrics[set+"."+name] = outputs.ResultValue(value)
		return true
	})
	return metrics
}

// Metric is one of Metrics.
func (r *Run) Metric(metric string) (value float64, ok bool) {
	outputs.EachResult(r.results, func(set, name, v string) bool {
		if ok = isMetric(metric, set, name); ok {
			value = outputs.ResultValue(v)
		}
		return !ok
	})
	return value, ok
}

// Values calls each with those of some Metrics that r has, and their places among them. It spares looking for each of them.
func (r *Run) Values(metrics []string, each func(i int, value float64)) {
	outputs.EachResult(r.results, func(set, name, v string) bool {
		for i, m := range metrics {
			if isMetric(m, set, name) {
				each(i, outputs.ResultValue(v))
			}
		}
		return true
	})
}

// isMetric reports whether metric is set.name.
func isMetric(metric, set, name string) bool {
	n := len(set)
	return len(metric) == n+1+len(name) && metric[:n] == set && metric[n] == '.' && metric[n+1:] == name
}

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

// MetricNames are the names of all Metrics of runs, sorted.
func MetricNames(runs []*Run) []string {
	// Very many runs are looked at by several goroutines.
	const some = 4000
	var parts []map[metricKey]bool
	var wg sync.WaitGroup
	for part := range slices.Chunk(runs, some) {
		seen := map[metricKey]bool{}
		parts = append(parts, seen)
		wg.Go(func() { metricKeys(part, seen) })
	}
	wg.Wait()
	names := map[string]bool{}
	for _, seen := range parts {
		for k := range seen {
			names[k.set+"."+k.name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

type metricKey struct{ set, name string }

func metricKeys(runs []*Run, seen map[metricKey]bool) {
	var last []metricKey // those of the last run: mostly the next one has the same
	for _, r := range runs {
		i := 0
		outputs.EachResult(r.results, func(set, name, _ string) bool {
			k := metricKey{set, name}
			if i >= len(last) || last[i] != k {
				seen[k] = true
				last = append(last[:min(i, len(last))], k)
			}
			i++
			return true
		})
	}
}

// ParamNames are the names of all Params of runs, sorted.
func ParamNames(runs []*Run) []string {
	seen := map[string]bool{}
	for _, r := range runs {
		outputs.EachField(r.rawParams(), func(name, _ string) {
			if !seen[name] {
				seen[name] = true
			}
		})
		if r.ordered {
			seen["order"] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

const test, train = wire.SetTest + ".", wire.SetTrain + "."

// Headline is the metric to judge a model by: test.accuracy when the runs have it; else the first by name that was measured on
// the test data and is not a loss; else the first measured on the test data; else on the training data; "" without any.
func Headline(runs []*Run) string { return HeadlineOf(MetricNames(runs)) }

// HeadlineOf is Headline for the names of all metrics, sorted.
func HeadlineOf(names []string) string {
	if slices.Contains(names, test+"accuracy") {
		return test + "accuracy"
	}
	for _, fits := range []func(name string) bool{
		func(name string) bool { return strings.HasPrefix(name, test) && !Goal(name) },
		func(name string) bool { return strings.HasPrefix(name, test) },
		func(name string) bool { return strings.HasPrefix(name, train) },
	} {
		if i := slices.IndexFunc(names, fits); i >= 0 {
			return names[i]
		}
	}
	return ""
}
