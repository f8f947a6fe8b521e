package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/runs"
	"github.com/mlpipeline/mlpipeline/internal/table"
)

type lsOptions struct {
	project string
	filterOptions
	sort    string
	reverse bool
	columns []string
	number  int
	json    bool
}

func newLs(app *app) *cobra.Command {
	var opts lsOptions
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "list the runs of all machines, newest first",
		Long: `ls lists what has run and what is running, as the journals of all machines tell, newest first. On a terminal it shows the
newest 30 without -n, and short ids; any unique beginning of an id names a run.

--sort takes a column (started, ended, took, status, model, version, host, step, error, id), a metric (test.accuracy) or a
parameter (learning_rate): times are sorted newest first, durations longest first, metrics best first, the rest from low to
high; --reverse turns that round. Runs that do not have it come last.

--where keeps runs by a metric or a parameter, or by the seconds that they took; = != < <= > >= compare numbers, = and !=
texts. Several conditions must all be met, and a run that does not have what one is about does not meet it. --columns names
the metrics and parameters to show, or patterns of them, and ended, step and git (the commit).`,
		Example: `  mlpipeline ls
  mlpipeline ls --status failed --since 2d
  mlpipeline ls --model 'vision/*' --sort test.accuracy -n 5
  mlpipeline ls --where 'test.accuracy>0.9' --where epochs=20 --columns 'test.*,learning_rate,git'
  mlpipeline ls --json | jq -r 'select(.git.dirty) | .id'`,
		Args: noNames,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts.number = changed(cmd, "number", opts.number)
			return runLs(app, opts)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	projectFlag(cmd, &opts.project)
	opts.flags(cmd)
	flags.StringVar(&opts.sort, "sort", "", "sort by `COLUMN`, a metric or a parameter")
	flags.BoolVar(&opts.reverse, "reverse", false, "the other way round; without --sort oldest first")
	flags.StringSliceVar(&opts.columns, "columns", nil, "show the metrics and parameters `NAMES`, with commas between; patterns fit")
	flags.IntVarP(&opts.number, "number", "n", 0, "show the first `N`")
	flags.BoolVar(&opts.json, "json", false, "print runs as JSON, one a line")
	return cmd
}

// noNames refuses names of models and runs, which other commands take.
func noNames(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	model, version, ok := strings.Cut(args[0], "/")
	hint := "mlpipeline ls --model '" + args[0] + "'"
	if ok {
		hint += ", or mlpipeline ls --model '" + model + "' --version '" + version + "'"
	}
	return &hintError{fmt.Errorf("ls takes no names: %q", args[0]), hint}
}

// screenful is how many runs ls shows on a terminal, unless -n says otherwise.
const screenful = 30

func runLs(app *app, opts lsOptions) error {
	if opts.number < 0 {
		return usageError{&hintError{errors.New("-n takes a number from 1"), "mlpipeline ls -n 10"}}
	}
	now := time.Now()
	filter, err := opts.filter(now)
	if err != nil {
		return err
	}
	project, _, index, err := openRuns(app, opts.project)
	if err != nil {
		return err
	}
	chosen := index.Select(filter)
	if len(chosen) == 0 {
		return opts.none(app, index, filter)
	}
	measure := measureOf(project)
	if err := sortRuns(index, chosen, opts.sort, measure, opts.reverse); err != nil {
		return err
	}
	all := len(chosen)
	width := terminalWidth(app.stdout)
	most := opts.number
	if most == 0 && width > 0 && !opts.json {
		most = screenful
	}
	if most > 0 && most < all {
		chosen = chosen[:most]
	}
	if opts.json {
		return printRows(app, chosen)
	}
	list := runList{index: index, runs: chosen, width: width, now: now, measure: measure, sort: opts.sort, columns: opts.columns, colour: coloured(app.stdout), id: 64}
	if width > 0 {
		list.id = index.Short(chosen)
	}
	if err := list.write(app); err != nil {
		return err
	}
	if most > 0 && opts.number == 0 && most < all {
		fmt.Fprintf(app.stderr, "%d of %d runs; all of them: mlpipeline ls -n %d\n", most, all, all)
	}
	return nil
}

// printRows prints runs as JSON.
func printRows(app *app, chosen []*runs.Run) error {
	w := bufio.NewWriterSize(app.stdout, 64<<10)
	var line []byte
	for _, r := range chosen {
		line = append(r.AppendJSON(line[:0]), '\n')
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	return w.Flush()
}

// A runList is a table of runs.
type runList struct {
	index   *runs.Index
	runs    []*runs.Run // of the index
	width   int         // of the terminal; 0: none
	now     time.Time
	measure runs.Measure
	sort    string   // what they are sorted by: it is shown
	columns []string // what the user wants to see, by patterns; empty: some metrics
	colour  bool
	id      int // how much of an id is shown
}

func (l *runList) write(app *app) error {
	chosen, err := l.chosen()
	if err != nil {
		return err
	}
	t := l.table(chosen)
	widths := t.Widths()
	n := len(widths)
	if !slices.ContainsFunc(l.runs, func(r *runs.Run) bool { return r.Host != l.runs[0].Host }) {
		widths[n-2] = table.Hidden
	}
	if !slices.ContainsFunc(l.runs, func(r *runs.Run) bool { return r.Error != "" }) {
		widths[n-1] = table.Hidden
	}
	if l.width > 0 {
		l.fit(t, widths, len(chosen))
	}
	return t.Write(app.stdout, widths)
}

// The first columns of the table. Those that are chosen follow, the host and the error.
const startedColumn, tookColumn, statusColumn, nameColumn, firstChosen = 1, 2, 3, 4, 5

// fit takes from a table what has no room on the terminal: the end of what is told of failures, then what was chosen last, the
// end of names, what show tells as well, and when a run started, which the beginning of its id says too.
func (l *runList) fit(t *table.Table, widths []int, chosen int) {
	cut := func(column, least int) {
		if over := table.Total(widths) - l.width; over > 0 && widths[column] > least {
			widths[column] = max(least, widths[column]-over)
		}
	}
	hide := func(column int) {
		if table.Total(widths) > l.width {
			widths[column] = table.Hidden
		}
	}
	const leastError, leastMetric, leastName, leastOfAll = 12, 9, 16, 8
	host, failure := firstChosen+chosen, firstChosen+chosen+1
	cut(failure, leastError)
	for i := chosen - 1; i > 0; i-- {
		hide(firstChosen + i)
	}
	if chosen > 0 {
		cut(firstChosen, leastMetric)
	}
	cut(nameColumn, leastName)
	hide(host)
	hide(failure)
	hide(startedColumn)
	if chosen > 0 {
		hide(firstChosen)
	}
	hide(tookColumn)
	cut(nameColumn, leastOfAll)
}

// maxMetrics is how many metrics ls shows.
const maxMetrics = 4

// chosen are the metrics, parameters and other columns that are shown: those that the user wants; else what the runs are sorted
// by, the headline and some other metrics, those on the test data if there are any.
func (l *runList) chosen() ([]string, error) {
	metrics := runs.MetricNames(l.runs)
	if len(l.columns) > 0 {
		return matching(l.columns, slices.Concat(metrics, runs.ParamNames(l.runs), extraColumns), func() []string { return valueNames(l.index.Runs) })
	}
	names := l.headlines(metrics)
	names = names[:min(maxMetrics, len(names))]
	if l.sort != "" && !slices.Contains(fixedColumns, l.sort) {
		names = toFront(names, l.sort)
		if slices.Contains(metrics, l.sort) {
			names = names[:min(maxMetrics, len(names))]
		}
	}
	return names, nil
}

// fixedColumns can be sorted by and are there in any case; extraColumns are there when they are asked for.
var (
	fixedColumns = []string{"id", "started", "took", "seconds", "status", "version", "model", "model/version", "host", "error"}
	extraColumns = []string{"ended", "step", "git"}
)

func toFront(names []string, first string) []string {
	return append([]string{first}, slices.DeleteFunc(names, func(name string) bool { return name == first })...)
}

func (l *runList) headlines(all []string) []string {
	for _, set := range []string{"test.", "train.", "training."} {
		var names []string
		for _, name := range all {
			if strings.HasPrefix(name, set) {
				names = append(names, name)
			}
		}
		if len(names) == 0 {
			continue
		}
		if first := cmp.Or(l.measure.Metric, runs.HeadlineOf(all)); slices.Contains(all, first) {
			names = toFront(names, first)
		}
		return names
	}
	return nil
}

func (l *runList) table(chosen []string) *table.Table {
	most, align := 24, 0
	if l.width == 0 { // nothing is cut
		most, align = 0, 80
	}
	t := &table.Table{Columns: []table.Column{{Title: "id"}, {Title: "started"}, {Title: "took", Right: true}, {Title: "status"}, {Title: "model/version", Middle: true, Align: align}}}
	for _, name := range chosen {
		t.Columns = append(t.Columns, table.Column{Title: oneLine(name), Right: !slices.Contains(extraColumns, name), Middle: true, Most: most, Align: align})
	}
	t.Columns = append(t.Columns, table.Column{Title: "host"}, table.Column{Title: "error", Most: 200})
	n := len(t.Columns)
	t.Cells = make([]string, len(l.runs)*n)
	// Very many runs are written by several goroutines.
	const some = 1000
	var wg sync.WaitGroup
	for from := 0; from < len(l.runs); from += some {
		wg.Go(func() {
			for i := from; i < min(from+some, len(l.runs)); i++ {
				l.row(t.Cells[i*n:i*n:(i+1)*n], l.runs[i], chosen)
			}
		})
	}
	wg.Wait()
	if l.colour {
		t.Colour = func(row, column int) string {
			if column == statusColumn {
				return statusColour(l.runs[row].Status)
			}
			return ""
		}
	}
	return t
}

// row fills the cells of a run.
func (l *runList) row(cells []string, r *runs.Run, chosen []string) {
	id := r.ID[:min(l.id, len(r.ID))]
	cells = append(cells, orDash(oneLine(id)), l.when(r.Started), tookText(r, l.now), r.Status, oneLine(r.Name()))
	for _, name := range chosen {
		cell, ok := l.extra(r, name)
		if v, measured := r.Metric(name); measured && !ok {
			cell = runs.Short(v)
		} else if !ok {
			value, _ := r.Param(name)
			cell = orDash(oneLine(value.Short()))
		}
		cells = append(cells, cell)
	}
	text := ""
	if r.Error != "" {
		text, _ = cause(r.Error)
	}
	_ = append(cells, oneLine(r.Host), oneLine(text)) // there is room
}

// extra is what a run has in one of extraColumns.
func (l *runList) extra(r *runs.Run, name string) (text string, ok bool) {
	switch name {
	case "ended":
		return l.when(r.Ended), true
	case "step":
		return fmt.Sprint(r.Step), true
	case "git":
		return orDash(gitText(r.Git(), l.width > 0)), true
	}
	return "", false
}

// when is short on a terminal.
func (l *runList) when(t time.Time) string {
	t = t.Local()
	switch {
	case t.IsZero():
		return "-"
	case l.width == 0:
		return t.Format("2006-01-02 15:04:05")
	case t.Year() == l.now.Year():
		return t.Format("Jan _2 15:04")
	}
	return t.Format("Jan _2  2006")
}

func tookText(r *runs.Run, now time.Time) string {
	seconds, known := r.Took(now)
	if !known {
		return "-"
	}
	return outputs.Duration(seconds)
}

// gitText names a commit as git describe does.
func gitText(git *outputs.Git, short bool) string {
	if git == nil {
		return ""
	}
	text := git.Commit
	if short {
		text = text[:min(8, len(text))]
	}
	if git.Dirty {
		text += "-dirty"
	}
	return oneLine(text)
}
