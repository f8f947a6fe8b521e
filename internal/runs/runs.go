// Package runs knows the runs of all hosts, merged, as the journals tell of them: which there are, what became of each, and
// which one is meant by a name. It is what commands read that show runs; the run records are opened for a run that is
// looked at closely, or that an early journal tells too little of.
package runs

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
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
const Killed = outputs.Killed

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

	at      int64 // when it started, as far as the order of runs is concerned; see Index
	folder  *outputs.Folder
	early   bool   // its journal has neither parameters nor the state of the repository
	params  []byte // JSON objects
	git     []byte
	metrics []string // names of the results; shared with other runs
	values  []float64
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
	outputs.EachField(r.rawParams(), func(name, value []byte) { params[string(name)] = Value(value) })
	if _, own := params["order"]; !own && r.ordered {
		params["order"] = Value(strconv.FormatInt(r.order, 10))
	}
	return params
}

// Param is one of Params. It spares decoding the others.
func (r *Run) Param(param string) (value Value, ok bool) {
	outputs.EachField(r.rawParams(), func(name, v []byte) {
		if string(name) == param {
			value, ok = Value(v), true
		}
	})
	if !ok && r.ordered && param == "order" {
		return Value(strconv.FormatInt(r.order, 10)), true
	}
	return value, ok
}

func (r *Run) rawParams() []byte {
	if len(r.params) == 0 && r.early {
		var compact bytes.Buffer
		if json.Compact(&compact, r.recorded().Parameters) == nil {
			r.params = compact.Bytes()
		}
	}
	return r.params
}

// Git is the state of the repository that the models lie in, or nil.
func (r *Run) Git() *outputs.Git {
	if len(r.git) == 0 && r.early {
		return r.recorded().Code.Git
	}
	var git *outputs.Git
	json.Unmarshal(r.git, &git)
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
	metrics := make(map[string]float64, len(r.metrics))
	for i, name := range r.metrics {
		metrics[name] = r.values[i]
	}
	return metrics
}

// Metric is one of Metrics.
func (r *Run) Metric(metric string) (value float64, ok bool) {
	for i, name := range slices.Backward(r.metrics) { // of two of a name the last counts
		if name == metric {
			return r.values[i], true
		}
	}
	return 0, false
}
