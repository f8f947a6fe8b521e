package pipeline

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/version"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// ran is a run that has finished.
func ran(model string, e effort, epochs int, seconds float64) *run {
	r := &run{due: due{Version: &version.Version{Version: wire.Version{Epochs: epochs}}, effort: e}}
	r.Model, r.Seconds = model, seconds
	return r
}

func TestForecast(t *testing.T) {
	now := time.Date(2026, 11, 22, 22, 0, 0, 0, time.UTC)
	one := effort{ofRuns, 1}
	goes := func(model string, elapsed time.Duration, phase string, left float64) ongoing {
		return ongoing{outputs.Live{Model: model, Started: outputs.Time{Time: now.Add(-elapsed)}, Phase: phase, Left: left}, one}
	}
	// took are runs that have finished, of which nothing is known but how long they took.
	took := func(model string, seconds ...float64) (all []*run) {
		for _, s := range seconds {
			all = append(all, ran(model, one, 0, s))
		}
		return all
	}
	resumed := ran("a", one, 0, 5)
	resumed.Steps = outputs.Steps{Before: 90, Total: 100}
	trained := ran("a", one, 0, 5)
	trained.Steps = outputs.Steps{Before: 100, Total: 100}
	for _, test := range []struct {
		name    string
		took    []*run
		jobs    int
		running []ongoing
		waiting []load
		want    float64 // seconds from now; -1: cannot be told
	}{
		{"nothing is known", nil, 1, []ongoing{goes("a", time.Minute, wire.PhaseTrain, 0)}, []load{{"b", []effort{one, one}}}, -1},
		{"nothing is left", nil, 1, nil, nil, -1},
		{"finished runs of the same models", append(took("a", 10, 20), took("b", 100)...), 1, nil, []load{{"a", []effort{one, one}}, {"b", []effort{one}}}, 130},
		{"what runs goes on at its rate", took("a", 10), 1, []ongoing{goes("a", 5*time.Second, wire.PhaseTrain, 40)}, []load{{"a", []effort{one}}}, 50},
		{"an evaluation takes the rest of the usual time", took("a", 60), 1, []ongoing{goes("a", 50*time.Second, wire.PhaseEvaluateTest, 1)}, nil, 10},
		{"an unknown model takes as long as the others", took("a", 10), 1, nil, []load{{"a", []effort{one}}, {"b", []effort{one, one}}}, 30},
		{"an unknown model takes as long as what runs", nil, 1, []ongoing{goes("a", 20*time.Second, wire.PhaseTrain, 40)}, []load{{"b", []effort{one, one}}}, 160},
		{"a test tells where no run has finished", took("a", 10), 1, nil, []load{{"a", []effort{one}}, {"b", []effort{{ofTests, 4}, {ofTests, 8}}}}, 22},
		{"what has finished tells what tests are worth", []*run{ran("a", effort{ofTests, 4}, 1, 8)}, 1, nil, []load{{"a", []effort{{ofTests, 40}, {ofTests, 2}}}}, 84},
		{"more epochs take longer", []*run{ran("a", effort{ofEpochs, 10}, 10, 5)}, 1, nil, []load{{"a", []effort{{ofEpochs, 100}, {ofEpochs, 20}}}}, 60},
		{"a version takes as long as it took", took("a", 10), 1, nil, []load{{"a", []effort{{ofBefore, 70}, one}}}, 80},
		{"what went on with an interrupted run would have taken longer", []*run{resumed}, 1, nil, []load{{"a", []effort{one}}}, 50},
		{"what had nothing to train tells nothing", append(took("a", 20), trained), 1, nil, []load{{"a", []effort{one}}}, 20},
		{"several at once", took("a", 10), 4, nil, []load{{"a", []effort{one, one, one, one, one, one, one, one}}}, 20},
		{"the longest that runs counts", took("a", 10), 4, []ongoing{goes("b", time.Second, wire.PhaseTrain, 500)}, []load{{"a", []effort{one}}}, 500},
		{"one that is long and last", nil, 2, nil, []load{{"a", []effort{{ofTests, 10}, {ofTests, 10}, {ofTests, 100}}}}, 110},
		{"one that is long and first", nil, 2, nil, []load{{"a", []effort{{ofTests, 100}, {ofTests, 10}, {ofTests, 10}}}}, 100},
		{"very many at once", took("a", 10), 1_000_000, nil, []load{{"a", []effort{one, one}}}, 10},
	} {
		t.Run(test.name, func(t *testing.T) {
			var f forecast
			for _, r := range test.took {
				f.finished(r)
			}
			got := -1.0
			if ends := f.ends(now, test.jobs, test.running, test.waiting); ends != nil {
				got = ends.Sub(now).Seconds()
			}
			if got != test.want {
				t.Errorf("ends in %v s, want %v", got, test.want)
			}
		})
	}
}

// Of very many versions several in a row are taken together.
func TestForecastOfMany(t *testing.T) {
	for _, count := range []int{blocks - 1, blocks, blocks + 1, 12_345} {
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			var f forecast
			efforts := make([]effort, count)
			for i := range efforts {
				efforts[i] = effort{ofTests, float64(1 + i%3)}
			}
			now := time.Now()
			want := float64(count) * 2 / 3
			if got := f.ends(now, 3, nil, []load{{"a", efforts}}).Sub(now).Seconds(); math.Abs(got-want) > want/50 {
				t.Errorf("ends in %v s, want about %v", got, want)
			}
		})
	}
}

func BenchmarkForecast(b *testing.B) {
	var f forecast
	f.finished(ran("a", effort{ofTests, 1}, 1, 1))
	efforts := make([]effort, 100_000)
	for i := range efforts {
		efforts[i] = effort{ofTests, 1}
	}
	for b.Loop() {
		f.ends(time.Now(), 8, nil, []load{{"a", efforts}})
	}
}
