package pipeline

import (
	"bytes"
	"encoding/json"
	"sync"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// maxLiveMetrics is of how many metrics a run that goes on the last values are kept, and maxLiveName how long, in bytes, their
// names may be.
const (
	maxLiveMetrics = 32
	maxLiveName    = 200
)

// A live is what can be seen of a run while it goes on: written by the goroutine that follows the run, read by others.
type live struct {
	mu      sync.Mutex
	seen    outputs.Live // but for what is computed when somebody looks: Rate, Left, Epoch, Metrics
	begun   bool
	metrics map[string]*[]byte // the last value of each, as JSON
	samples []sample           // of the steps of this phase: the first is its beginning, the others are lately
}

// A sample is which step was reached when.
type sample struct {
	time time.Time
	step int64
}

const (
	maxSamples = 20 // are kept, so far apart that they span a third of the phase
	fewSteps   = 5  // give a rate within a fifth
)

// begin is called when the model has been told to run.
func (l *live) begin(r *run, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begun = true
	l.seen = outputs.Live{Run: r.ID, Model: r.Model, Version: r.Version, Reason: reason, GPUs: r.place.GPUs, Started: r.Started, Epochs: int64(r.due.Epochs)}
}

// phase is called when a phase begins after step steps; total is 0 when it is not known.
func (l *live) phase(phase string, step, total int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen.Phase, l.seen.Step, l.seen.Total = phase, step, total
	if phase == wire.PhaseTrain {
		l.seen.Before = step
	}
	l.samples = append(l.samples[:0], sample{time.Now(), step})
}

// progress is called when a step has been made.
func (l *live) progress(step, total int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen.Step = step
	if l.seen.Total == 0 { // else what began the phase knows better
		l.seen.Total = total
	}
}

// metric takes a point in the notation of wire.AppendPoint. It is called for each of millions.
func (l *live) metric(point []byte, step int64) {
	const before = len(`{"name":"`)
	end := bytes.IndexByte(point[before:], '"')
	_, value, ok := bytes.Cut(point[before+end+1:], []byte(`,"value":`))
	comma := bytes.LastIndexByte(value, ',')
	if end < 0 || !ok || comma < 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen.Phase == wire.PhaseTrain && step > l.seen.Step && step <= l.seen.Total {
		l.seen.Step = step
	}
	last := l.metrics[string(point[before:before+end])]
	if last == nil {
		if len(l.metrics) == maxLiveMetrics || end > maxLiveName {
			return
		}
		if l.metrics == nil {
			l.metrics = map[string]*[]byte{}
		}
		last = new([]byte)
		l.metrics[string(point[before:before+end])] = last
	}
	*last = append((*last)[:0], value[:comma]...)
}

// look returns what can be seen now, and whether there is anything.
func (l *live) look(now time.Time) (outputs.Live, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := l.seen
	seen.Seconds = now.Sub(seen.Started.Time).Seconds()
	if seen.Phase == wire.PhaseTrain && seen.Total > 0 && seen.Epochs > 0 {
		seen.Epoch = min(seen.Step*seen.Epochs/seen.Total+1, seen.Epochs)
	} else {
		seen.Epochs = 0
	}
	if seen.Rate = l.rate(now); seen.Rate > 0 && seen.Total > seen.Step {
		seen.Left = float64(seen.Total-seen.Step) / seen.Rate
	}
	for name, text := range l.metrics {
		var value wire.Float
		if json.Unmarshal(*text, &value) == nil {
			if seen.Metrics == nil {
				seen.Metrics = make(map[string]wire.Float, len(l.metrics))
			}
			seen.Metrics[name] = value
		}
	}
	return seen, l.begun
}

// rate returns how many steps a second there were lately or, where those are too few to tell, in all of the phase.
func (l *live) rate(now time.Time) float64 {
	if len(l.samples) == 0 {
		return 0
	}
	first, last := l.samples[0], l.samples[len(l.samples)-1]
	if apart := max(time.Second, now.Sub(first.time)/(3*maxSamples)); now.Sub(last.time) >= apart {
		if len(l.samples) == maxSamples {
			l.samples = append(l.samples[:1], l.samples[2:]...)
		}
		l.samples = append(l.samples, sample{now, l.seen.Step})
	}
	since := first
	if len(l.samples) > 1 && l.seen.Step >= l.samples[1].step+fewSteps {
		since = l.samples[1]
	}
	took := now.Sub(since.time).Seconds()
	if took <= 0 {
		return 0
	}
	return float64(l.seen.Step-since.step) / took
}
