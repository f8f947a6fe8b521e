package main

import (
	"bufio"
	"encoding/csv"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/runs"
)

type compareOptions struct {
	project string
	filterOptions
	onlyChanged bool
	sortBy      string
	top         int
	format      string
	json        bool
}

var formats = []string{"table", "csv", "md", "json"}

func newCompare(app *app) *cobra.Command {
	var opts compareOptions
	cmd := &cobra.Command{
		Use:   "compare [RUN...]",
		Short: "put parameters and metrics of runs side by side",
		Long: `compare shows the parameters and the metrics of runs, one row a run: of those that are named, or of all that the filters
leave, newest first. RUN is an id, a unique beginning of one, model/version for the latest run of that version, or model
for the latest run of that model.

--sort-by takes a metric (the best first), a parameter (from low to high) or a column of ls. --top N keeps the first N; without
--sort-by they are the best by the metric of mlp.config, else by test.accuracy or what the runs have instead.

On a terminal two or three runs that have no room side by side are shown one a column, and more runs in several tables
below each other.`,
		Example: `  mlpipeline compare softmax/baseline softmax/wide
  mlpipeline compare --model softmax --only-changed --sort-by test.accuracy --top 10
  mlpipeline compare --since 1w --format csv > week.csv`,
		ValidArgsFunction: completeRuns(app, 0),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.top = changed(cmd, "top", opts.top)
			return runCompare(app, opts, args)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	projectFlag(cmd, &opts.project)
	opts.flags(cmd)
	flags.BoolVar(&opts.onlyChanged, "only-changed", false, "leave out parameters and metrics that are the same in all")
	flags.StringVar(&opts.sortBy, "sort-by", "", "sort by metric, parameter or column `NAME`")
	flags.IntVar(&opts.top, "top", 0, "show the first `N`")
	flags.StringVar(&opts.format, "format", "table", "`FORMAT`: table, csv, md or json")
	flags.BoolVar(&opts.json, "json", false, "the same as --format json: runs, one a line")
	return cmd
}

func (o *compareOptions) check(named []string) error {
	switch {
	case o.top < 0:
		return usageError{&hintError{errors.New("--top takes a number from 1"), "mlpipeline compare --top 10"}}
	case !slices.Contains(formats, o.format):
		return unknown("format", o.format, formats)
	case len(named) > 0 && o.given():
		return usageError{&hintError{errors.New("runs are named, and there are filters"), "name runs, or leave them to the filters"}}
	}
	return nil
}

func runCompare(app *app, opts compareOptions, named []string) error {
	if err := opts.check(named); err != nil {
		return err
	}
	filter, err := opts.filter(time.Now())
	if err != nil {
		return err
	}
	project, _, index, err := openRuns(app, opts.project)
	if err != nil {
		return err
	}
	var chosen []*runs.Run
	for _, name := range named {
		run, err := findRun(index, name)
		if err != nil {
			return err
		}
		if !slices.Contains(chosen, run) {
			chosen = append(chosen, run)
		}
	}
	if len(named) == 0 {
		chosen = index.Select(filter)
		slices.Reverse(chosen)
	}
	if len(chosen) == 0 {
		sayNone(app, index)
		return nil
	}
	measure := measureOf(project)
	by := opts.sortBy
	if by == "" && opts.top > 0 {
		by = measure.For(chosen).Metric
	}
	if by != "" {
		if err := sortRuns(chosen, by, measure); err != nil {
			return err
		}
	}
	if opts.top > 0 {
		chosen = chosen[:min(opts.top, len(chosen))]
	}
	if opts.json || opts.format == "json" {
		return printRows(app, chosen)
	}
	c := newComparison(chosen, opts.onlyChanged)
	switch opts.format {
	case "csv":
		return c.csv(app)
	case "md":
		return c.markdown(app)
	}
	id := 64
	width := terminalWidth(app.stdout)
	if width > 0 {
		id = index.Short(chosen)
	}
	return c.text(app, width, id)
}

// A comparison is runs with the values of their parameters and metrics.
type comparison struct {
	runs    []*runs.Run
	params  []string
	metrics []string
	values  []map[string]runs.Value // of the parameters, by run
	results []map[string]float64
}

// newComparison leaves out ORDER, which says when a version ran and not what it was.
func newComparison(chosen []*runs.Run, onlyChanged bool) *comparison {
	c := &comparison{runs: chosen}
	names, metrics := map[string]bool{}, map[string]bool{}
	for _, r := range chosen {
		params, results := r.Params(), r.Metrics()
		c.values, c.results = append(c.values, params), append(c.results, results)
		for name := range params {
			names[name] = true
		}
		for name := range results {
			metrics[name] = true
		}
	}
	delete(names, "order")
	for _, name := range sortedKeys(names) {
		if !onlyChanged || c.differs(func(i int) string { return c.param(i, name, true) }) {
			c.params = append(c.params, name)
		}
	}
	for _, name := range sortedKeys(metrics) {
		if !onlyChanged || c.differs(func(i int) string { return c.metric(i, name, true) }) {
			c.metrics = append(c.metrics, name)
		}
	}
	return c
}

// differs reports whether a value is not the same in all runs.
func (c *comparison) differs(value func(i int) string) bool {
	first := value(0)
	for i := range c.runs {
		if value(i) != first {
			return true
		}
	}
	return false
}

// param is the value of a parameter of run i, empty when it has none.
func (c *comparison) param(i int, name string, exact bool) string {
	value, ok := c.values[i][name]
	switch {
	case !ok:
		return ""
	case exact:
		return value.String()
	}
	return value.Short()
}

func (c *comparison) metric(i int, name string, exact bool) string {
	value, ok := c.results[i][name]
	switch {
	case !ok:
		return ""
	case exact:
		return runs.Exact(value)
	}
	return runs.Short(value)
}

// rows calls each with the titles, and then with the cells of each run.
func (c *comparison) rows(exact bool, each func(cells []string)) {
	titles := append([]string{"id", "model", "version", "status"}, c.params...)
	each(append(titles, c.metrics...))
	for i, r := range c.runs {
		cells := []string{r.ID, r.Model, r.Version, r.Status}
		for _, name := range c.params {
			cells = append(cells, c.param(i, name, exact))
		}
		for _, name := range c.metrics {
			cells = append(cells, c.metric(i, name, exact))
		}
		each(cells)
	}
}

// csv writes what RFC 4180 says. On a terminal it is cleaned; a file has names as they are.
func (c *comparison) csv(app *app) error {
	w := csv.NewWriter(app.stdout)
	w.UseCRLF = true
	c.rows(true, func(cells []string) {
		for i := range cells {
			if isTerminal(app.stdout) {
				cells[i] = outputs.Clean(cells[i])
			}
		}
		w.Write(cells)
	})
	w.Flush()
	return w.Error()
}

func (c *comparison) markdown(app *app) error {
	w := bufio.NewWriter(app.stdout)
	titles := true
	c.rows(false, func(cells []string) {
		for _, text := range cells {
			w.WriteString("| " + strings.NewReplacer(`\`, `\\`, "|", `\|`, "<", "&lt;", "&", "&amp;").Replace(cellText(text)) + " ")
		}
		w.WriteString("|\n")
		if !titles {
			return
		}
		titles = false
		for i := range cells {
			if i < 4 {
				w.WriteString("| --- ")
			} else {
				w.WriteString("| ---: ")
			}
		}
		w.WriteString("|\n")
	})
	return w.Flush()
}

// text writes a table for people, to a terminal of a width unless that is 0.
func (c *comparison) text(app *app, width, id int) error {
	t := &table{columns: []tableColumn{{title: "id"}, {title: "model/version", most: limit(width, 30)}, {title: "status"}}}
	for _, name := range slices.Concat(c.params, c.metrics) {
		t.columns = append(t.columns, tableColumn{title: cellText(name), right: true, most: limit(width, 30)})
	}
	for i, r := range c.runs {
		t.cells = append(t.cells, orDash(cellText(r.ID[:min(id, len(r.ID))])), cellText(r.Name()), r.Status)
		for _, name := range c.params {
			t.cells = append(t.cells, orDash(cellText(c.param(i, name, false))))
		}
		for _, name := range c.metrics {
			t.cells = append(t.cells, orDash(c.metric(i, name, false)))
		}
	}
	statuses := func(row, column int) string {
		if column == 2 {
			return statusColour(c.runs[row].Status)
		}
		return ""
	}
	if coloured(app.stdout) {
		t.colour = statuses
	}
	const narrow = 3 // so many runs are shown one a column
	switch widths := t.widths(); {
	case width == 0 || sum(widths) <= width:
		return t.write(app.stdout, widths)
	case len(c.runs) <= narrow:
		t = t.transposed()
		for i := 1; i < len(t.columns); i++ {
			t.columns[i].most = max(12, (width-textWidth(longestName(t))-2*len(c.runs))/len(c.runs))
		}
		if coloured(app.stdout) {
			t.colour = func(row, column int) string {
				if row == 1 && column > 0 {
					return statusColour(c.runs[column-1].Status)
				}
				return ""
			}
		}
		return t.write(app.stdout, t.widths())
	default:
		return t.writeParts(app.stdout, widths, width, 2)
	}
}

func limit(width, most int) int {
	if width == 0 {
		return 0
	}
	return most
}

// sum is how wide columns are with what is between them.
func sum(widths []int) int {
	total := 2 * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	return total
}

func longestName(t *table) (longest string) {
	for i := 0; i < len(t.cells); i += len(t.columns) {
		if textWidth(t.cells[i]) > textWidth(longest) {
			longest = t.cells[i]
		}
	}
	return longest
}
