package chart

import (
	"maps"
	"math"
	"slices"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/runs"
)

// Metrics are those of a run by step.
type Metrics struct {
	Points map[string][]Point // by name
	Names  []string           // of all that it has, sorted: Points may have fewer
}

// maxMetrics is how many metrics of a run are looked at: a model may make up a new name for each point.
const maxMetrics = 200

// Read reads the metrics of a run by step, each thinned to about n points: that called only or, when it is empty, all. A run
// is one with those whose training it continues. A step that several of them have is taken from the last one: it was trained
// again from an older checkpoint.
func Read(folder outputs.Folder, index *runs.Index, run *runs.Run, only string, n int) (Metrics, error) {
	all := map[string]*joined{}
	for _, part := range slices.Backward(index.Chain(run)) {
		if part.ID == "" {
			continue // it failed before it became a run
		}
		var last *joined
		var lastName string
		err := folder.Metrics(part.ID, func(name string, step int64, value float64, _ int64) {
			if last == nil || name != lastName {
				j := all[name]
				if j == nil {
					if len(all) == maxMetrics && name != only {
						return
					}
					j = &joined{least: math.MaxInt64, end: math.MaxInt64}
					if only == "" || name == only {
						j.sampler = NewSampler(n)
					}
					all[name] = j
				}
				last, lastName = j, name
			}
			last.add(step, value)
		})
		if err != nil {
			return Metrics{}, err
		}
		for _, j := range all {
			j.end = min(j.end, j.least)
		}
	}
	m := Metrics{Points: map[string][]Point{}, Names: slices.Sorted(maps.Keys(all))}
	for name, j := range all {
		if j.sampler != nil {
			m.Points[name] = j.sampler.Points()
		}
	}
	return m, nil
}

// A joined is a metric of several runs, of which the last one is read first.
type joined struct {
	sampler *Sampler // nil: it is not wanted
	least   int64    // the lowest step so far
	end     int64    // steps from here on are those of later runs
}

func (j *joined) add(step int64, value float64) {
	if j.sampler == nil || step >= j.end && j.end < math.MaxInt64 {
		return
	}
	j.sampler.Add(step, value)
	j.least = min(j.least, step)
}
