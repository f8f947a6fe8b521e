package pipeline

import (
	"encoding/json"
	"strconv"
	"sync"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// A unit is what the effort of a version is measured in, the worst first. How many seconds one takes, the runs of its model
// that finish tell.
type unit uint8

const (
	ofRuns   unit = iota // each version is one: nothing more is known
	ofEpochs             // the versions of a model mostly have the same data
	ofTests              // the seconds that it takes by what its test took
	ofBefore             // the seconds that it took when it ran with these parameters
	units
)

// An effort is how much a version has to do.
type effort struct {
	unit   unit
	amount float64
}

// A pace is how long runs of a model take.
type pace struct {
	units  [units]struct{ seconds, amount float64 } // of those that have finished
	before map[asBefore]float64                     // seconds by version, as the journals tell of lately
}

// asBefore is a version with the parameters that it had.
type asBefore struct {
	version    string
	parameters uint64 // their hash
}

// add takes in that what is amount of a unit took so many seconds.
func (p *pace) add(u unit, amount, seconds float64) {
	if amount > 0 {
		p.units[u].amount += amount
		p.units[u].seconds += seconds
	}
}

// seconds is how long e will take, and whether that can be told.
func (p *pace) seconds(e effort) (float64, bool) {
	if p != nil {
		if of := p.units[e.unit]; of.amount > 0 {
			return e.amount * of.seconds / of.amount, true
		}
	}
	switch {
	case e.unit >= ofTests: // these are seconds already
		return e.amount, true
	case e.unit != ofRuns:
		return p.seconds(effort{ofRuns, 1})
	}
	return 0, false
}

// A forecast knows how long runs take: those that have finished in this call, and those that the journals told of lately.
type forecast struct {
	learn  sync.Once
	mu     sync.Mutex
	models map[string]*pace
}

// of returns the pace of a model. The caller holds mu.
func (f *forecast) of(model string) *pace {
	p := f.models[model]
	if p == nil {
		if f.models == nil {
			f.models = map[string]*pace{}
		}
		p = &pace{}
		f.models[model] = p
	}
	return p
}

// recall takes in what the journals tell, once.
func (f *forecast) recall(folder outputs.Folder) {
	f.learn.Do(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		folder.Lately(func(e outputs.Event) {
			p := f.of(e.Model)
			p.add(ofRuns, 1, e.Seconds)
			var size struct{ Epochs float64 }
			if json.Unmarshal(e.Params, &size) == nil {
				p.add(ofEpochs, size.Epochs, e.Seconds)
			}
			if p.before == nil {
				p.before = map[asBefore]float64{}
			}
			if parameters, err := strconv.ParseUint(e.Parameters, 16, 64); err == nil {
				p.before[asBefore{e.Version, parameters}] = e.Seconds
			}
		})
	})
}

// before is how long d took with the parameters that it has, as the journals tell of lately, or 0.
func (f *forecast) before(model string, d due) float64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.models[model]; p != nil {
		return p.before[asBefore{d.Name, d.Hash}]
	}
	return 0
}

// add takes in that so much of a model took so many seconds.
func (f *forecast) add(model string, e effort, seconds float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.of(model).add(e.unit, e.amount, seconds)
}

// finished takes in a run that has finished.
func (f *forecast) finished(r *run) {
	took := r.Seconds
	switch left := r.Steps.Total - r.Steps.Before; {
	case r.Steps.Before == 0:
	case left <= 0:
		return // it had no training to do: it tells nothing
	default: // it has gone on with what was interrupted
		took *= float64(r.Steps.Total) / float64(left)
	}
	f.add(r.Model, effort{ofRuns, 1}, took)
	f.add(r.Model, effort{ofEpochs, float64(r.due.Epochs)}, took)
	if e := r.due.effort; e.unit >= ofTests {
		f.add(r.Model, e, took)
	}
}

// effort is what is known of how much d has to do.
func (p *Pipeline) effort(m *model, d due) effort {
	if !p.Execute {
		return effort{ofRuns, 1} // one step each
	}
	p.forecast.recall(p.Folder)
	if seconds := p.forecast.before(m.name, d); seconds > 0 {
		return effort{ofBefore, seconds}
	}
	if seconds := m.tests.foretell(d); seconds > 0 {
		return effort{ofTests, seconds}
	}
	if d.Epochs > 0 {
		return effort{ofEpochs, float64(d.Epochs)}
	}
	return effort{ofRuns, 1}
}

// A load is what waits of a model.
type load struct {
	model   string
	efforts []effort // of each version, in the order in which they will run
}

// An ongoing is a run that goes on.
type ongoing struct {
	outputs.Live
	effort effort
}

// blocks is how many versions are followed one by one at most: of more, several in a row are taken together.
const blocks = 1000

// ends returns about when all is done, with jobs versions at once, or nil when nothing lets one guess. A version of which
// nothing is known is taken to need as long as the others do.
func (f *forecast) ends(now time.Time, jobs int, running []ongoing, waiting []load) *outputs.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	var known, guesses int // versions of which something is known, and the others
	var sum float64        // seconds of those
	count := 0
	for _, w := range waiting {
		p := f.models[w.model]
		for _, e := range w.efforts {
			if seconds, ok := p.seconds(e); ok {
				known, sum = known+1, sum+seconds
			} else {
				guesses++
			}
		}
		count += len(w.efforts)
	}
	places := make([]float64, max(1, len(running), min(jobs, len(running)+count))) // when each is free, in seconds from now
	ends := 0.0
	for i, r := range running {
		elapsed := now.Sub(r.Started.Time).Seconds()
		left := r.Left
		if took, ok := f.models[r.Model].seconds(r.effort); ok && (r.Phase != wire.PhaseTrain || left == 0) {
			left = max(left, took-elapsed)
		}
		if left > 0 {
			known, sum = known+1, sum+elapsed+left
		}
		places[i] = left
		ends = max(ends, left)
	}
	if guesses > 0 && known == 0 || ends == 0 && count == 0 {
		return nil
	}
	usual := sum / float64(max(known, 1))
	block, size := 0.0, 0
	place := func() {
		first := 0
		for i, free := range places {
			if free < places[first] {
				first = i
			}
		}
		places[first] += block
		ends = max(ends, places[first])
		block, size = 0, 0
	}
	for _, w := range waiting {
		p := f.models[w.model]
		for _, e := range w.efforts {
			seconds, ok := p.seconds(e)
			if !ok {
				seconds = usual
			}
			block += seconds
			if size++; size > count/blocks {
				place()
			}
		}
	}
	place()
	return &outputs.Time{Time: now.Add(time.Duration(ends * float64(time.Second)))}
}
