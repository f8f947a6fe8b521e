package pipeline

import (
	"sync"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// A forecast knows how long runs take: those that have finished in this call, and those that the journals told of lately.
type forecast struct {
	learn sync.Once
	mu    sync.Mutex
	took  map[string]mean // by model
}

type mean struct {
	sum float64
	n   int
}

func (m mean) value() float64 { return m.sum / float64(m.n) }

// add takes in how long a run of model took in seconds.
func (f *forecast) add(model string, seconds float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.took == nil {
		f.took = map[string]mean{}
	}
	m := f.took[model]
	f.took[model] = mean{m.sum + seconds, m.n + 1}
}

// recall takes in what the journals tell, once.
func (f *forecast) recall(folder outputs.Folder) {
	f.learn.Do(func() {
		folder.Lately(outputs.Finished, func(e outputs.Event) { f.add(e.Model, e.Seconds) })
	})
}

// A load is so many versions of a model that wait.
type load struct {
	model string
	count int
	tests mean // how long some of them will take in seconds, by what they took in test mode
}

// ends returns about when all is done, with jobs versions at once, or nil when nothing lets one guess. A version of which
// nothing is known is taken to need as long as the others do.
func (f *forecast) ends(now time.Time, jobs int, running []outputs.Live, waiting []load) *outputs.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	var whole mean // of the versions of which something is known
	var sum, longest float64
	guess := 0 // versions of which nothing is known
	for _, w := range waiting {
		took, ok := f.took[w.model]
		if !ok {
			took = w.tests
		}
		if took.n == 0 {
			guess += w.count
			continue
		}
		sum += float64(w.count) * took.value()
		whole = mean{whole.sum + float64(w.count)*took.value(), whole.n + w.count}
	}
	for _, r := range running {
		elapsed := now.Sub(r.Started.Time).Seconds()
		left := r.Left
		if took, ok := f.took[r.Model]; ok && (r.Phase != wire.PhaseTrain || left == 0) {
			left = max(left, took.value()-elapsed)
		}
		if left > 0 {
			whole = mean{whole.sum + elapsed + left, whole.n + 1}
		}
		sum += left
		longest = max(longest, left)
	}
	if guess > 0 && whole.n == 0 || sum == 0 && guess == 0 {
		return nil
	}
	if guess > 0 {
		sum += float64(guess) * whole.value()
	}
	return &outputs.Time{Time: now.Add(time.Duration(max(longest, sum/float64(jobs)) * float64(time.Second)))}
}
