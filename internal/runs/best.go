package runs

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
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
	return m.withGoal()
}

// withGoal returns m with a Goal.
func (m Measure) withGoal() Measure {
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
		if !r.Ended.IsZero() && max(r.Ended.UnixMilli(), r.at) < e.at {
			before = append(before, r)
		}
	}
	return e.Runs, before
}

// BestOf is Best for the last execution of a process on this machine. It is for the end of a long night: of the journals, which
// it reads twice, it keeps little in memory. Of the runs it returns Model, Version and ID.
func BestOf(folder outputs.Folder, measure Measure, pid int) ([]ModelBest, error) {
	var began time.Time
	names := map[string]map[string]bool{} // of its metrics, by model
	ours := false
	_, err := folder.ReadEntries(func(host string, e *outputs.Entry) {
		switch {
		case host != folder.Host:
		case e.Event == outputs.Begin:
			if ours = e.PID == int64(pid); ours {
				began = e.Time
				clear(names)
			}
		case ours && e.Event == outputs.Finished:
			of := names[string(e.Model)]
			if of == nil {
				of = map[string]bool{}
				names[string(e.Model)] = of
			}
			for _, name := range e.Names {
				of[name] = true
			}
		}
	})
	if err != nil {
		return nil, err
	}
	bests := map[string]*ModelBest{}
	for model, of := range names {
		m := measure
		if m.Metric == "" {
			m.Metric = HeadlineOf(slices.Sorted(maps.Keys(of)))
		}
		bests[model] = &ModelBest{Model: model, Measure: m.withGoal()}
	}
	ours = false
	_, err = folder.ReadEntries(func(host string, e *outputs.Entry) {
		if e.Event == outputs.Begin && host == folder.Host {
			ours = e.PID == int64(pid) && e.Time.Equal(began)
		}
		b := bests[string(e.Model)]
		if e.Event != outputs.Finished || b == nil {
			return
		}
		i := slices.Index(e.Names, b.Metric)
		switch {
		case i < 0:
		case ours && host == folder.Host:
			b.take(&b.Run, &b.Value, e, e.Values[i])
		case e.Time.Before(began):
			b.take(&b.Before, &b.Was, e, e.Values[i])
		}
	})
	var all []ModelBest
	for _, model := range slices.Sorted(maps.Keys(bests)) {
		if b := bests[model]; b.Run != nil {
			all = append(all, *b)
		}
	}
	return all, err
}

// take makes what e tells of the best of its kind, if it is. Of equals that is what started first.
func (b *ModelBest) take(best **Run, value *float64, e *outputs.Entry, v float64) {
	if *best == nil || b.Better(v, *value) || !b.Better(*value, v) && string(e.Run) < (*best).ID {
		*best = &Run{ID: string(e.Run), Model: b.Model, Version: string(e.Version)}
		*value = v
	}
}
