package chart

import (
	"math"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
)

// maxMetrics is how many metrics of a run are read: a model may make up a new name for each point.
const maxMetrics = 200

// Read reads the metrics of a run by step, each thinned to about n points: that called only or, when it is empty, all. Runs
// are the run and those whose training it continues, oldest first, as runs.Index.Chain tells them. A step that several of
// them have is taken from the last one: it was trained again from an older checkpoint.
func Read(folder outputs.Folder, runs []string, only string, n int) (map[string][]Point, error) {
	type joined struct {
		*Sampler
		least int64 // the lowest step
		end   int64 // steps from here on belong to later runs
	}
	all := map[string]*joined{}
	for i := len(runs) - 1; i >= 0; i-- {
		var last *joined
		var lastName string
		err := folder.Metrics(runs[i], func(name string, step int64, value float64, _ int64) {
			if only != "" && name != only {
				return
			}
			if last == nil || name != lastName {
				j := all[name]
				if j == nil {
					if len(all) == maxMetrics {
						return
					}
					j = &joined{NewSampler(n), math.MaxInt64, math.MaxInt64}
					all[name] = j
				}
				last, lastName = j, name
			}
			if step < last.end || last.end == math.MaxInt64 {
				last.Add(step, value)
				last.least = min(last.least, step)
			}
		})
		if err != nil {
			return nil, err
		}
		for _, j := range all {
			j.end = min(j.end, j.least)
		}
	}
	points := map[string][]Point{}
	for name, j := range all {
		points[name] = j.Points()
	}
	return points, nil
}
