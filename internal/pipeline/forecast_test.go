package pipeline

import (
	"testing"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

func TestForecast(t *testing.T) {
	now := time.Date(2026, 11, 22, 22, 0, 0, 0, time.UTC)
	run := func(model string, elapsed time.Duration, phase string, left float64) outputs.Live {
		return outputs.Live{Model: model, Started: outputs.Time{Time: now.Add(-elapsed)}, Phase: phase, Left: left}
	}
	for _, test := range []struct {
		name    string
		took    map[string][]float64
		jobs    int
		running []outputs.Live
		waiting []load
		want    float64 // seconds from now; -1: cannot be told
	}{
		{"nothing is known", nil, 1, []outputs.Live{run("a", time.Minute, wire.PhaseTrain, 0)}, []load{{"b", 3, mean{}}}, -1},
		{"nothing is left", nil, 1, nil, nil, -1},
		{"finished runs of the same models", map[string][]float64{"a": {10, 20}, "b": {100}}, 1, nil, []load{{"a", 2, mean{}}, {"b", 1, mean{}}}, 130},
		{"what runs goes on at its rate", map[string][]float64{"a": {10}}, 1, []outputs.Live{run("a", 5*time.Second, wire.PhaseTrain, 40)}, []load{{"a", 1, mean{}}}, 50},
		{"an evaluation takes the rest of the usual time", map[string][]float64{"a": {60}}, 1, []outputs.Live{run("a", 50*time.Second, wire.PhaseEvaluateTest, 1)}, nil, 10},
		{"an unknown model takes as long as the others", map[string][]float64{"a": {10}}, 1, nil, []load{{"a", 1, mean{}}, {"b", 2, mean{}}}, 30},
		{"an unknown model takes as long as what runs", nil, 1, []outputs.Live{run("a", 20*time.Second, wire.PhaseTrain, 40)}, []load{{"b", 2, mean{}}}, 160},
		{"a test tells where no run has finished", map[string][]float64{"a": {10}}, 1, nil, []load{{"a", 1, mean{99, 1}}, {"b", 3, mean{8, 2}}}, 22},
		{"several at once", map[string][]float64{"a": {10}}, 4, nil, []load{{"a", 8, mean{}}}, 20},
		{"the longest that runs counts", map[string][]float64{"a": {10}}, 4, []outputs.Live{run("b", time.Second, wire.PhaseTrain, 500)}, []load{{"a", 1, mean{}}}, 500},
	} {
		t.Run(test.name, func(t *testing.T) {
			var f forecast
			for model, seconds := range test.took {
				for _, s := range seconds {
					f.add(model, s)
				}
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
