package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mlpipeline/mlpipeline/internal/chart"
	"github.com/mlpipeline/mlpipeline/internal/runs"
)

// groups adds the charts of each model to n, and returns all of them. When they are too many, each model has a share.
func (r Request) groups(n *night, of []*runs.Run) (all []chartView) {
	latest := map[string]map[string]*runs.Run{} // by model and version
	for _, run := range of {
		if run.ID != "" && run.Version != "" {
			if latest[run.Model] == nil {
				latest[run.Model] = map[string]*runs.Run{}
			}
			latest[run.Model][run.Version] = run
		}
	}
	type curves struct {
		model, note string
		of          map[string]*chartView // by metric
		metrics     []string              // the most telling first
	}
	var models []curves
	left := 0
	for _, model := range slices.Sorted(maps.Keys(latest)) {
		if len(models) == mostCharts {
			left++
			continue
		}
		m := curves{model: model, of: map[string]*chartView{}}
		chosen := r.choose(slices.Collect(maps.Values(latest[model])))
		shown := 0
		for _, run := range chosen {
			if shown == chart.Most {
				m.note = fmt.Sprintf("%d of %d versions, the best first.", shown, len(chosen))
				break
			}
			read, err := chart.Read(r.Folder, r.Index, run, "", mostPoints)
			if err != nil { // of one run: the others are worth a page
				n.notes = append(n.notes, clean(fmt.Sprintf("The curves of %s are missing: %v.", run.Name(), err)))
				continue
			}
			name := clean(run.Version)
			if run.Status != runs.Finished {
				name += " (" + run.Status + ")"
			}
			for metric, points := range read.Points {
				view := m.of[metric]
				if view == nil {
					view = &chartView{title: clean(metric) + " by step"}
					m.of[metric] = view
				}
				view.curves, view.inks = append(view.curves, chart.Curve{Name: name, Points: points}), append(view.inks, shown)
			}
			if len(read.Points) > 0 {
				shown++
			}
		}
		if len(m.of) > 0 {
			m.metrics = telling(slices.Sorted(maps.Keys(m.of)), chosen)
			models = append(models, m)
		}
	}
	var counts []int
	for _, m := range models {
		counts = append(counts, len(m.metrics))
	}
	share := shares(counts, mostCharts)
	for i, m := range models {
		g := group{model: clean(m.model), note: m.note}
		for _, metric := range m.metrics[:share[i]] {
			view := m.of[metric]
			view.id = fmt.Sprint("chart-", len(all))
			all, g.charts = append(all, *view), append(g.charts, *view)
		}
		if more := len(m.metrics) - share[i]; more > 0 {
			g.note += fmt.Sprintf(" %d more of its metrics are left out; mlpipeline plot draws any of them.", more)
		}
		n.groups = append(n.groups, g)
	}
	if left > 0 {
		n.moreCharts = fmt.Sprintf("The curves of %d more models are left out: a page holds %d charts. mlpipeline plot draws any of them.", left, mostCharts)
	}
	return all
}

// telling sorts the names of metrics by step: first those by which runs were also judged when they were over, and losses.
func telling(metrics []string, of []*runs.Run) []string {
	results := map[string]bool{}
	for _, name := range runs.MetricNames(of) {
		_, name, _ = strings.Cut(name, ".")
		results[name] = true
	}
	rank := func(metric string) int {
		if results[metric] || strings.HasSuffix(metric, "loss") {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(metrics, func(a, b string) int { return rank(a) - rank(b) })
	return metrics
}

// shares gives each of several that want so many a part of what there is: none is given more than it wants, or than an
// other that wants more still.
func shares(wanted []int, there int) []int {
	given := make([]int, len(wanted))
	for some := true; some; {
		some = false
		for i := range wanted {
			if given[i] < wanted[i] && there > 0 {
				given[i], there, some = given[i]+1, there-1, true
			}
		}
	}
	return given
}

// choose sorts the versions of a model: the best first, of equals the one that started first, as runs.Best has it; then those
// without the metric, by how late they started.
func (r Request) choose(of []*runs.Run) []*runs.Run {
	measure := r.Measure.For(of)
	values := map[*runs.Run]float64{}
	for _, run := range of {
		if v, ok := run.Metric(measure.Metric); ok {
			values[run] = v
		}
	}
	slices.SortFunc(of, func(a, b *runs.Run) int {
		va, hasA := values[a]
		vb, hasB := values[b]
		switch {
		case hasA && (!hasB || measure.Better(va, vb)):
			return -1
		case hasB && (!hasA || measure.Better(vb, va)):
			return 1
		case hasA:
			return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.ID, b.ID))
		}
		return cmp.Or(b.Started.Compare(a.Started), cmp.Compare(a.ID, b.ID))
	})
	return of
}
