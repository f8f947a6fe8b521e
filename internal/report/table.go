package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/runs"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// A table has a row for each run.
type table struct {
	same    string // parameters that have one value in all of them
	columns []column
	rows    [][]cell
	notes   []string
}

type column struct {
	title  string
	number bool
}

type cell struct {
	text   string
	title  string // what is shown when the pointer rests on it
	sort   string // what it is sorted by; empty: text
	number bool
	status string // of the run, when it is that cell
}

// table makes the table of runs, the newest first.
func (r Request) table(of []*runs.Run) table {
	var t table
	all := slices.Clone(of)
	slices.Reverse(all)
	if n := len(all) - mostRows; n > 0 {
		all = all[:mostRows]
		t.notes = append(t.notes, fmt.Sprintf("%d older runs are left out; mlpipeline ls lists them.", n))
	}
	metrics := runs.MetricNames(all)
	have := map[string]int{} // how many runs
	for _, run := range all {
		for name := range run.Metrics() {
			have[name]++
		}
	}
	slices.SortStableFunc(metrics, func(a, b string) int { return cmp.Or(rank(a)-rank(b), have[b]-have[a]) })
	params, same := differing(all)
	t.same = same
	if n := len(metrics) - mostColumns; n > 0 {
		metrics = metrics[:mostColumns]
		t.notes = append(t.notes, fmt.Sprintf("%d more metrics are left out.", n))
	}
	if n := len(params) - mostColumns; n > 0 {
		params = params[:mostColumns]
		t.notes = append(t.notes, fmt.Sprintf("%d more parameters are left out.", n))
	}
	hosts := slices.ContainsFunc(all, func(run *runs.Run) bool { return run.Host != all[0].Host })
	tests := 0 // how many of metrics stand before the parameters
	for tests < len(metrics) && rank(metrics[tests]) == 0 {
		tests++
	}
	t.columns = []column{{title: "Run"}, {title: "Status"}}
	for _, name := range metrics[:tests] {
		t.columns = append(t.columns, column{clean(name), true})
	}
	for _, p := range params {
		t.columns = append(t.columns, column{clean(p.name), p.numbers})
	}
	for _, name := range metrics[tests:] {
		t.columns = append(t.columns, column{clean(name), true})
	}
	t.columns = append(t.columns, column{"Took", true}, column{"Steps", true}, column{"Started", true})
	if hosts {
		t.columns = append(t.columns, column{title: "Host"})
	}
	t.columns = append(t.columns, column{title: "Id"})
	for _, run := range all {
		row := []cell{{text: clean(run.Name())}, {text: run.Status, status: run.Status}}
		results, values := run.Metrics(), run.Params()
		measured := func(names []string) {
			for _, name := range names {
				c := cell{number: true}
				if v, ok := results[name]; ok {
					c.text, c.sort = short(v), runs.Exact(v)
				}
				row = append(row, c)
			}
		}
		measured(metrics[:tests])
		for _, p := range params {
			c := cell{number: p.numbers}
			if v, ok := values[p.name]; ok {
				c.text = value(v)
				if f, ok := v.Number(); ok {
					c.sort = runs.Exact(f)
				}
			}
			row = append(row, c)
		}
		measured(metrics[tests:])
		took, steps := cell{number: true}, cell{number: true}
		if !run.Ended.IsZero() {
			took.text, took.sort = outputs.Duration(run.Seconds), runs.Exact(run.Seconds)
		}
		if run.Step > 0 {
			steps.text = strconv.FormatInt(run.Step, 10)
		}
		row = append(row, took, steps, cell{text: run.Started.Local().Format("2 Jan 15:04:05"), sort: strconv.FormatInt(run.Started.UnixMilli(), 10), title: run.Started.Format(time.RFC3339), number: true})
		if hosts {
			row = append(row, cell{text: clean(run.Host)})
		}
		row = append(row, cell{text: clean(run.ID)})
		t.rows = append(t.rows, row)
	}
	return t
}

// rank puts results on the test data first.
func rank(metric string) int {
	switch set, _, _ := strings.Cut(metric, "."); set {
	case wire.SetTest:
		return 0
	case wire.SetTrain:
		return 1
	}
	return 2
}

// A param is a parameter that has a column.
type param struct {
	name    string
	numbers bool // all its values are numbers
}

// differing returns the parameters that differ between runs, by name, and the others with their values as text.
func differing(of []*runs.Run) (params []param, same string) {
	type seen struct {
		text    string
		runs    int
		differs bool
		numbers bool
	}
	all := map[string]*seen{}
	started := 0
	for _, run := range of {
		values := run.Params()
		delete(values, "order") // it says when a version ran, not what was trained
		if len(values) > 0 {
			started++
		}
		for name, v := range values {
			text := value(v)
			s := all[name]
			if s == nil {
				s = &seen{text: text, numbers: true}
				all[name] = s
			}
			s.runs++
			s.differs = s.differs || s.text != text
			_, number := v.Number()
			s.numbers = s.numbers && number
		}
	}
	var equal []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		s := all[name]
		if s.differs || s.runs < started {
			params = append(params, param{name, s.numbers})
		} else {
			equal = append(equal, clean(name)+" = "+s.text)
		}
	}
	return params, strings.Join(equal, ", ")
}

// value writes the value of a parameter. A long one is cut.
func value(v runs.Value) string {
	text := clean(v.String())
	const most = 80
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	return text
}
