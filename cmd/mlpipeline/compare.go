package main

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/runs"
	"github.com/mlpipeline/mlpipeline/internal/table"
)

type compareOptions struct {
	project string
	filterOptions
	onlyChanged bool
	columns     []string
	sortBy      string
	reverse     bool
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

--sort-by takes a metric (the best first), a parameter (from low to high) or a column of ls; --reverse turns that round. --top N
keeps the first N; without --sort-by they are the best by the metric of mlp.config, else by test.accuracy or what the runs
have instead. --columns names the parameters and metrics to show, or patterns of them. --where is that of ls.

With --format csv numbers are written in full, and host, start, seconds and commit stand beside each run.

On a terminal two or three runs that have no room side by side are shown one a column, and more runs in several tables
below each other.`,
		Example: `  mlpipeline compare softmax/baseline softmax/slow
  mlpipeline compare --model softmax --only-changed --sort-by test.accuracy --top 10
  mlpipeline compare --columns 'learning_rate,test.*' --where 'epochs>=20'
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
	flags.StringSliceVar(&opts.columns, "columns", nil, "show the parameters and metrics `NAMES`, with commas between; patterns fit")
	flags.StringVar(&opts.sortBy, "sort-by", "", "sort by metric, parameter or column `NAME`")
	flags.BoolVar(&opts.reverse, "reverse", false, "the other way round; without --sort-by oldest first")
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
	case o.json && o.format != "table" && o.format != "json":
		return usageError{&hintError{fmt.Errorf("--json does not go with --format %s", o.format), "write one of them"}}
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
	}
	if len(chosen) == 0 {
		return opts.none(app, index, filter)
	}
	measure := measureOf(project)
	by := opts.sortBy
	if by == "" && opts.top > 0 {
		by = measure.For(chosen).Metric
	}
	if len(named) == 0 || by != "" || opts.reverse {
		if len(named) > 0 && by == "" { // as they are named
			slices.Reverse(chosen)
		} else if err := sortRuns(index, chosen, by, measure, opts.reverse); err != nil {
			return err
		}
	}
	if opts.top > 0 {
		chosen = chosen[:min(opts.top, len(chosen))]
	}
	if opts.json || opts.format == "json" {
		return printRows(app, chosen)
	}
	c, err := newComparison(index, chosen, opts.columns, opts.onlyChanged)
	if err != nil {
		return err
	}
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
	names   []string // of parameters and metrics
	params  []map[string]runs.Value
	metrics []map[string]float64
}

// newComparison takes what fits the patterns, or all but ORDER, which says when a version ran and not what it was.
func newComparison(index *runs.Index, chosen []*runs.Run, patterns []string, onlyChanged bool) (*comparison, error) {
	c := &comparison{runs: chosen}
	params, metrics := map[string]bool{}, map[string]bool{}
	for i, r := range chosen {
		c.params, c.metrics = append(c.params, r.Params()), append(c.metrics, r.Metrics())
		for name := range c.params[i] {
			params[name] = true
		}
		for name := range c.metrics[i] {
			metrics[name] = true
			delete(params, name)
		}
	}
	if len(patterns) == 0 {
		delete(params, "order")
	}
	c.names = append(sortedKeys(params), sortedKeys(metrics)...)
	if len(patterns) > 0 {
		var err error
		if c.names, err = matching(patterns, c.names, func() []string { return valueNames(index.Runs) }); err != nil {
			return nil, err
		}
	}
	if onlyChanged {
		c.names = slices.DeleteFunc(c.names, c.same)
	}
	return c, nil
}

// same reports whether a value is the same in all runs.
func (c *comparison) same(name string) bool {
	for i := range c.runs {
		if c.value(i, name, true) != c.value(0, name, true) {
			return false
		}
	}
	return true
}

// value is that of a metric or a parameter of run i, empty when it has none.
func (c *comparison) value(i int, name string, exact bool) string {
	metric, isMetric := c.metrics[i][name]
	param, isParam := c.params[i][name]
	switch {
	case isMetric && exact:
		return runs.Exact(metric)
	case isMetric:
		return runs.Short(metric)
	case isParam && exact:
		return param.String()
	case isParam:
		return param.Short()
	}
	return ""
}

// csv writes comma-separated values with all that tells runs apart. On a terminal it is cleaned; a file has names as they are.
func (c *comparison) csv(app *app) error {
	w := csv.NewWriter(app.stdout)
	clean := isTerminal(app.stdout)
	row := func(cells []string) {
		for i := range cells {
			if clean {
				cells[i] = outputs.Clean(cells[i])
			}
		}
		w.Write(cells)
	}
	row(append([]string{"id", "model", "version", "status", "host", "started", "seconds", "git"}, c.names...))
	for i, r := range c.runs {
		started, seconds := "", ""
		if !r.Started.IsZero() {
			started = r.Started.UTC().Format("2006-01-02T15:04:05.000Z")
		}
		if !r.Ended.IsZero() {
			seconds = runs.Exact(r.Seconds)
		}
		cells := []string{r.ID, r.Model, r.Version, r.Status, r.Host, started, seconds, gitText(r.Git(), false)}
		for _, name := range c.names {
			cells = append(cells, c.value(i, name, true))
		}
		row(cells)
	}
	w.Flush()
	return w.Error()
}

// escapeMarkdown keeps what stands in a cell from being taken for more than text.
var escapeMarkdown = strings.NewReplacer(`\`, `\\`, "|", `\|`, "<", "&lt;", "&", "&amp;", "*", `\*`, "`", "\\`", "[", `\[`)

func (c *comparison) markdown(app *app) error {
	w := bufio.NewWriter(app.stdout)
	row := func(cells ...string) {
		for _, text := range cells {
			w.WriteString("| " + text + " ")
		}
		w.WriteString("|\n")
	}
	text := func(s string) string { return escapeMarkdown.Replace(oneLine(s)) }
	titles, lines := []string{"id", "model", "version", "status"}, []string{"---", "---", "---", "---"}
	for _, name := range c.names {
		titles, lines = append(titles, text(name)), append(lines, "---:")
	}
	row(titles...)
	row(lines...)
	for i, r := range c.runs {
		cells := []string{text(r.ID), text(r.Model), text(r.Version), r.Status}
		for _, name := range c.names {
			cells = append(cells, text(c.value(i, name, false)))
		}
		row(cells...)
	}
	return w.Flush()
}

// text writes a table for people, to a terminal of a width unless that is 0.
func (c *comparison) text(app *app, width, id int) error {
	most, align := 30, 0
	if width == 0 {
		most, align = 0, 80
	}
	t := &table.Table{Columns: []table.Column{{Title: "id"}, {Title: "model/version", Middle: true, Most: most, Align: align}, {Title: "status"}}}
	for _, name := range c.names {
		t.Columns = append(t.Columns, table.Column{Title: oneLine(name), Right: true, Middle: true, Most: most, Align: align})
	}
	for i, r := range c.runs {
		t.Cells = append(t.Cells, orDash(oneLine(r.ID[:min(id, len(r.ID))])), oneLine(r.Name()), r.Status)
		for _, name := range c.names {
			t.Cells = append(t.Cells, orDash(oneLine(c.value(i, name, false))))
		}
	}
	if coloured(app.stdout) {
		t.Colour = func(row, column int) string {
			if column == 2 {
				return statusColour(c.runs[row].Status)
			}
			return ""
		}
	}
	const narrow = 3 // so many runs are shown one a column
	switch widths := t.Widths(); {
	case width == 0 || table.Total(widths) <= width:
		return t.Write(app.stdout, widths)
	case len(c.runs) <= narrow:
		return c.turned(app, t, width)
	default:
		return t.WriteParts(app.stdout, widths, width, 2)
	}
}

// turned writes a table with a run a column.
func (c *comparison) turned(app *app, t *table.Table, width int) error {
	t = t.Transposed()
	n := len(c.runs)
	names := table.Width(t.Columns[0].Title)
	for i := 0; i < len(t.Cells); i += n + 1 {
		names = max(names, table.Width(t.Cells[i]))
	}
	for i := 1; i <= n; i++ {
		t.Columns[i].Most = max(12, (width-names-2*n)/n)
	}
	if coloured(app.stdout) {
		t.Colour = func(row, column int) string {
			if row == 1 && column > 0 {
				return statusColour(c.runs[column-1].Status)
			}
			return ""
		}
	}
	return t.Write(app.stdout, t.Widths())
}
