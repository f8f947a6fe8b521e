package runs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A ColumnError says that runs have no column, metric or parameter of a name.
type ColumnError struct {
	Name  string
	Known []string
}

func (e *ColumnError) Error() string { return fmt.Sprintf("there is no column %q", e.Name) }

// A column is what runs can be sorted by beside their metrics and parameters.
type column struct {
	name  string
	order func(a, b *Run) int
	has   func(r *Run) bool // nil: all have it
}

// columns sort times newest first, durations and steps largest first, the others from a to z.
func columns(now time.Time) []column {
	name := func(r *Run) [2]string { return [2]string{r.Model, r.Version} }
	byName := func(a, b *Run) int { n, m := name(a), name(b); return slices.Compare(n[:], m[:]) }
	took := func(r *Run) bool { _, known := r.Took(now); return known }
	longest := func(a, b *Run) int {
		x, _ := a.Took(now)
		y, _ := b.Took(now)
		return cmp.Compare(y, x)
	}
	return []column{
		{"id", func(a, b *Run) int { return cmp.Compare(a.ID, b.ID) }, nil},
		{"started", func(a, b *Run) int { return b.Started.Compare(a.Started) }, nil},
		{"ended", func(a, b *Run) int { return b.Ended.Compare(a.Ended) }, func(r *Run) bool { return !r.Ended.IsZero() }},
		{"took", longest, took},
		{"seconds", longest, took},
		{"status", func(a, b *Run) int { return cmp.Compare(a.Status, b.Status) }, nil},
		{"version", func(a, b *Run) int { return cmp.Or(cmp.Compare(a.Version, b.Version), cmp.Compare(a.Model, b.Model)) }, nil},
		{"model", byName, nil},
		{"model/version", byName, nil},
		{"host", func(a, b *Run) int { return cmp.Compare(a.Host, b.Host) }, nil},
		{"step", func(a, b *Run) int { return cmp.Compare(b.Step, a.Step) }, func(r *Run) bool { return r.Step > 0 }},
		{"error", func(a, b *Run) int { return cmp.Compare(a.Error, b.Error) }, func(r *Run) bool { return r.Error != "" }},
	}
}

// Took is how long r took, or has taken so far.
func (r *Run) Took(now time.Time) (seconds float64, known bool) {
	switch {
	case r.Status == Running:
		return max(0, now.Sub(r.Started).Seconds()), true
	case r.Ended.IsZero():
		return 0, false
	}
	return r.Seconds, true
}

// ColumnNames are what runs can be sorted by: metrics, parameters, and what all runs have.
func ColumnNames(runs []*Run) []string {
	names := append(MetricNames(runs), ParamNames(runs)...)
	for _, c := range columns(time.Time{}) {
		names = append(names, c.name)
	}
	return names
}

// A sortKey is what a run is sorted by.
type sortKey struct {
	run    *Run
	has    bool
	number float64
	text   string // of a parameter that is no number: it comes behind them
}

// Sort sorts runs by a column, a metric (the best first) or a parameter (from low to high), or the other way round. Runs that
// do not have it come last in any case; equal ones stay in their order. It fails with a ColumnError when none has it.
func Sort(runs []*Run, by string, measure Measure, reverse bool) error {
	keys := make([]sortKey, len(runs))
	for i, r := range runs {
		keys[i].run = r
	}
	order := sortOrder(keys, by, measure)
	if order == nil && len(runs) > 0 {
		return &ColumnError{by, ColumnNames(runs)}
	}
	slices.SortStableFunc(keys, func(a, b sortKey) int {
		switch {
		case a.has != b.has:
			if a.has {
				return -1
			}
			return 1
		case !a.has:
			return 0
		case reverse:
			return order(b, a)
		}
		return order(a, b)
	})
	for i, k := range keys {
		runs[i] = k.run
	}
	return nil
}

// sortOrder fills keys, and returns how they compare. It is nil when none has what they are to be sorted by.
func sortOrder(keys []sortKey, by string, measure Measure) func(a, b sortKey) int {
	for _, c := range columns(time.Now()) {
		if c.name == by {
			for i := range keys {
				keys[i].has = c.has == nil || c.has(keys[i].run)
			}
			return func(a, b sortKey) int { return c.order(a.run, b.run) }
		}
	}
	found := false
	for i := range keys {
		k := &keys[i]
		k.number, k.has = k.run.Metric(by)
		found = found || k.has
	}
	if found {
		if measure.Metric != by {
			measure = Measure{Metric: by}
		}
		measure = measure.For(nil)
		return func(a, b sortKey) int {
			switch {
			case measure.Better(a.number, b.number):
				return -1
			case measure.Better(b.number, a.number):
				return 1
			}
			return 0
		}
	}
	for i := range keys {
		k := &keys[i]
		value, ok := k.run.Param(by)
		if !ok {
			continue
		}
		k.has, found = true, true
		if k.number, ok = value.Number(); !ok {
			k.text = "\x00" + value.String() // so that none is empty
		}
	}
	if !found {
		return nil
	}
	return func(a, b sortKey) int {
		return cmp.Or(strings.Compare(a.text, b.text), cmp.Compare(a.number, b.number))
	}
}
