package runs

import (
	"cmp"
	"slices"
)

// A Measure is what the versions of a model are judged by. The zero Measure is Headline, with its Goal.
type Measure struct {
	Metric string // of the results, as test.accuracy
	Goal   string // min or max; empty: what the name of the metric suggests
}

// For returns m, with what it leaves open taken from runs. Its Metric is empty when they have none.
func (m Measure) For(runs []*Run) Measure {
	if m.Metric == "" {
		m.Metric = Headline(runs)
	}
	if m.Goal == "" {
		m.Goal = "max"
		if Goal(m.Metric) {
			m.Goal = "min"
		}
	}
	return m
}

// Better reports whether a is better than b. NaN is the worst.
func (m Measure) Better(a, b float64) bool {
	switch {
	case a != a:
		return false
	case b != b:
		return true
	case m.Goal == "min":
		return a < b
	}
	return a > b
}

// best returns the best of runs that have finished, the first of equals, or nil when none has the metric.
func (m Measure) best(runs []*Run) (best *Run, value float64) {
	for _, r := range runs {
		if r.Status != Finished {
			continue
		}
		if v, ok := r.Metric(m.Metric); ok && (best == nil || m.Better(v, value)) {
			best, value = r, v
		}
	}
	return best, value
}

// A ModelBest is the best version of a model.
type ModelBest struct {
	Model string
	Measure
	Run    *Run
	Value  float64
	Before *Run // the best there was before; nil: none
	Was    float64
}

// Best returns the best of now for each model that has one with the metric, by name, held against the best of before.
func Best(measure Measure, now, before []*Run) []ModelBest {
	was := byModel(before)
	var all []ModelBest
	for model, runs := range byModel(now) {
		m := measure.For(runs)
		best := ModelBest{Model: model, Measure: m}
		if best.Run, best.Value = m.best(runs); best.Run == nil {
			continue
		}
		best.Before, best.Was = m.best(was[model])
		all = append(all, best)
	}
	slices.SortFunc(all, func(a, b ModelBest) int { return cmp.Compare(a.Model, b.Model) })
	return all
}

func byModel(runs []*Run) map[string][]*Run {
	models := map[string][]*Run{}
	for _, r := range runs {
		models[r.Model] = append(models[r.Model], r)
	}
	return models
}

// Split returns the runs of an execution, and those that had ended when it began.
func (x *Index) Split(e *Execution) (now, before []*Run) {
	for _, r := range x.Runs {
		if !r.Ended.IsZero() && r.Ended.Before(e.Began) {
			before = append(before, r)
		}
	}
	return e.Runs, before
}
