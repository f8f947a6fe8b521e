package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/config"
	"github.com/mlpipeline/mlpipeline/internal/runs"
)

// A column is what runs can be sorted by beside their parameters and metrics.
type column struct {
	name string
	// order is how runs compare; missing, when it is not nil, tells those that have nothing there.
	order   func(a, b *runs.Run) int
	missing func(r *runs.Run) bool
}

// columns are those of ls. Times are sorted newest first, durations and steps largest first, the others from a to z.
var columns = []column{
	{name: "id", order: func(a, b *runs.Run) int { return cmp.Compare(a.ID, b.ID) }},
	{name: "started", order: func(a, b *runs.Run) int { return b.Started.Compare(a.Started) }},
	{name: "ended", order: func(a, b *runs.Run) int { return b.Ended.Compare(a.Ended) }, missing: func(r *runs.Run) bool { return r.Ended.IsZero() }},
	{name: "took", order: longest, missing: func(r *runs.Run) bool { return took(r) == 0 }},
	{name: "seconds", order: longest, missing: func(r *runs.Run) bool { return took(r) == 0 }},
	{name: "status", order: func(a, b *runs.Run) int { return cmp.Compare(a.Status, b.Status) }},
	{name: "version", order: func(a, b *runs.Run) int {
		return cmp.Or(cmp.Compare(a.Version, b.Version), cmp.Compare(a.Model, b.Model))
	}},
	{name: "model", order: byName},
	{name: "model/version", order: byName},
	{name: "host", order: func(a, b *runs.Run) int { return cmp.Compare(a.Host, b.Host) }},
	{name: "step", order: func(a, b *runs.Run) int { return cmp.Compare(b.Step, a.Step) }},
	{name: "error", order: func(a, b *runs.Run) int { return cmp.Compare(a.Error, b.Error) }, missing: func(r *runs.Run) bool { return r.Error == "" }},
}

func byName(a, b *runs.Run) int {
	return cmp.Or(cmp.Compare(a.Model, b.Model), cmp.Compare(a.Version, b.Version))
}

func longest(a, b *runs.Run) int { return cmp.Compare(took(b), took(a)) }

// took is how long a run took, or has taken so far; 0 when that is not known.
func took(r *runs.Run) float64 {
	switch {
	case r.Status == runs.Running:
		return time.Since(r.Started).Seconds()
	case r.Ended.IsZero():
		return 0
	}
	return r.Seconds
}

// sortable are the names that chosen can be sorted by.
func sortable(chosen []*runs.Run) []string {
	names := runs.MetricNames(chosen)
	names = append(names, runs.ParamNames(chosen)...)
	for _, c := range columns {
		names = append(names, c.name)
	}
	return names
}

// sortRuns sorts runs by a column, a metric (the best first) or a parameter (from low to high). Runs that do not have it
// come last; equal ones stay in their order.
func sortRuns(chosen []*runs.Run, by string, measure runs.Measure) error {
	if i := slices.IndexFunc(columns, func(c column) bool { return c.name == by }); i >= 0 {
		c := columns[i]
		slices.SortStableFunc(chosen, func(a, b *runs.Run) int {
			if c.missing != nil {
				if am, bm := c.missing(a), c.missing(b); am || bm {
					return last(am, bm)
				}
			}
			return c.order(a, b)
		})
		return nil
	}
	if by == measure.Metric {
		measure = measure.For(chosen)
	} else {
		measure = runs.Measure{Metric: by}.For(chosen)
	}
	type key struct {
		run    *runs.Run
		number float64
		text   string
		kind   int // the lower ones come first
	}
	const number, text, none = 0, 1, 2
	keys := make([]key, len(chosen))
	var metric, param bool
	for i, r := range chosen {
		keys[i] = key{run: r, kind: none}
		if v, ok := r.Metric(by); ok {
			metric = true
			keys[i].number, keys[i].kind = v, number
		}
	}
	if !metric {
		for i, r := range chosen {
			value, ok := r.Param(by)
			if !ok {
				continue
			}
			param = true
			if n, ok := value.Number(); ok {
				keys[i].number, keys[i].kind = n, number
			} else {
				keys[i].text, keys[i].kind = value.String(), text
			}
		}
	}
	if !metric && !param && len(chosen) > 0 {
		known := sortable(chosen)
		err := unknown("column", by, known)
		for _, name := range known {
			if strings.HasSuffix(name, "."+by) {
				err = usageError{&hintError{fmt.Errorf("there is no column %q", by), "did you mean " + name + "?"}}
				break
			}
		}
		return err
	}
	slices.SortStableFunc(keys, func(a, b key) int {
		switch {
		case a.kind != b.kind:
			return cmp.Compare(a.kind, b.kind)
		case a.kind != number:
			return cmp.Compare(a.text, b.text)
		case !metric:
			return cmp.Compare(a.number, b.number)
		case measure.Better(a.number, b.number):
			return -1
		case measure.Better(b.number, a.number):
			return 1
		}
		return 0
	})
	for i, k := range keys {
		chosen[i] = k.run
	}
	return nil
}

// last puts what is missing behind.
func last(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// measureOf is what the user wants versions of a project judged by.
func measureOf(p config.Project) runs.Measure {
	return runs.Measure{Metric: p.Metric, Goal: p.MetricGoal}
}
