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
)

type lsOptions struct {
	project string
	filterOptions
	sort   string
	number int
	json   bool
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
high. Runs that do not have it come last.`,
		Example: `  mlpipeline ls
  mlpipeline ls --status failed --since 2d
  mlpipeline ls --model 'vision/*' --sort test.accuracy -n 5
  mlpipeline ls --json | jq -r 'select(.metrics["test.accuracy"] > 0.9) | .id'`,
		Args: noArgs,
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
	flags.IntVarP(&opts.number, "number", "n", 0, "show the first `N`")
	flags.BoolVar(&opts.json, "json", false, "print runs as JSON, one a line")
	return cmd
}

func projectFlag(cmd *cobra.Command, project *string) {
	cmd.Flags().StringVarP(project, "project", "C", "", "look at the project of `DIR` (default: the current folder or one above it)")
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
		sayNone(app, index)
		return nil
	}
	slices.Reverse(chosen)
	measure := measureOf(project)
	if opts.sort != "" {
		if err := sortRuns(chosen, opts.sort, measure); err != nil {
			return err
		}
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
	list := runList{runs: chosen, width: width, now: now, measure: measure, sort: opts.sort, colour: coloured(app.stdout), id: 64}
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
	runs    []*runs.Run
	width   int // of the terminal; 0: none
	now     time.Time
	measure runs.Measure
	sort    string // what they are sorted by: it is shown
	colour  bool
	id      int // how much of an id is shown
}

func (l *runList) write(app *app) error {
	metrics := l.metrics()
	hosts := slices.ContainsFunc(l.runs, func(r *runs.Run) bool { return r.Host != l.runs[0].Host })
	failed := slices.ContainsFunc(l.runs, func(r *runs.Run) bool { return r.Error != "" })
	for {
		t := l.table(metrics, hosts, failed)
		widths := t.widths()
		over := sum(widths) - l.width
		if l.width == 0 || over <= 0 {
			return t.write(app.stdout, widths)
		}
		// What has no room on the terminal: first the end of what is told of failures, then metrics, then the end of names.
		const leastError, leastMetric, leastName = 12, 9, 16
		if failed {
			over -= shrink(widths, len(widths)-1, over, leastError)
		}
		if over > 0 && len(metrics) > 1 {
			metrics = metrics[:len(metrics)-1]
			continue
		}
		if over > 0 && len(metrics) > 0 {
			over -= shrink(widths, nameColumn+1, over, leastMetric)
		}
		if over > 0 {
			over -= shrink(widths, nameColumn, over, leastName)
		}
		if over > 0 && hosts {
			hosts = false
			continue
		}
		if over > 0 && failed {
			failed = false
			continue
		}
		if over > 0 && len(metrics) > 0 {
			metrics = nil
			continue
		}
		return t.write(app.stdout, widths)
	}
}

// shrink takes up to n from the width of a column that is to keep at least so much, and returns how much it took.
func shrink(widths []int, column, n, least int) int {
	cut := min(n, max(0, widths[column]-least))
	widths[column] -= cut
	return cut
}

// maxMetrics is how many metrics ls shows.
const maxMetrics = 4

// metrics are what the runs are sorted by, if that is one, the headline and some others, those on the test data if there are any.
func (l *runList) metrics() []string {
	all := runs.MetricNames(l.runs)
	names := l.headlines(all)
	if slices.Contains(all, l.sort) {
		names = append([]string{l.sort}, slices.DeleteFunc(names, func(name string) bool { return name == l.sort })...)
	}
	return names[:min(maxMetrics, len(names))]
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
			names = append([]string{first}, slices.DeleteFunc(names, func(name string) bool { return name == first })...)
		}
		return names
	}
	return nil
}

// param is the parameter that the runs are sorted by, or empty.
func (l *runList) param(metrics []string) string {
	known := l.sort == "" || slices.Contains(metrics, l.sort) || slices.ContainsFunc(columns, func(c column) bool { return c.name == l.sort })
	if known {
		return ""
	}
	return l.sort
}

const statusColumn, nameColumn = 3, 4

func (l *runList) table(metrics []string, hosts, failed bool) *table {
	t := &table{columns: []tableColumn{{title: "id"}, {title: "started"}, {title: "took", right: true}, {title: "status"}, {title: "model/version"}}}
	param := l.param(metrics)
	if param != "" {
		t.columns = append(t.columns, tableColumn{title: cellText(param), right: true, most: 24})
	}
	for _, m := range metrics {
		t.columns = append(t.columns, tableColumn{title: cellText(m), right: true, most: 24})
	}
	if hosts {
		t.columns = append(t.columns, tableColumn{title: "host"})
	}
	if failed {
		t.columns = append(t.columns, tableColumn{title: "error", most: 200})
	}
	n := len(t.columns)
	t.cells = make([]string, len(l.runs)*n)
	// Very many runs are written by several goroutines.
	const some = 1000
	var wg sync.WaitGroup
	for from := 0; from < len(l.runs); from += some {
		wg.Go(func() {
			for i := from; i < min(from+some, len(l.runs)); i++ {
				l.row(t.cells[i*n:(i+1)*n:(i+1)*n], l.runs[i], param, metrics, hosts, failed)
			}
		})
	}
	wg.Wait()
	if l.colour {
		t.colour = func(row, column int) string {
			if column == statusColumn {
				return statusColour(l.runs[row].Status)
			}
			return ""
		}
	}
	return t
}

// row fills the cells of a run.
func (l *runList) row(cells []string, r *runs.Run, param string, metrics []string, hosts, failed bool) {
	id := r.ID[:min(l.id, len(r.ID))]
	cells = append(cells[:0], orDash(cellText(id)), l.when(r.Started), tookText(r), r.Status, cellText(r.Name()))
	if param != "" {
		text := "-"
		if value, ok := r.Param(param); ok {
			text = value.Short()
		}
		cells = append(cells, cellText(text))
	}
	first := len(cells)
	for range metrics {
		cells = append(cells, "-")
	}
	r.Values(metrics, func(i int, v float64) { cells[first+i] = runs.Short(v) })
	if hosts {
		cells = append(cells, cellText(r.Host))
	}
	if failed {
		text := ""
		if r.Error != "" {
			text, _ = cause(r.Error)
		}
		cells = append(cells, cellText(text))
	}
}

// when is short on a terminal.
func (l *runList) when(t time.Time) string {
	t = t.Local()
	switch {
	case l.width == 0:
		return t.Format("2006-01-02 15:04:05")
	case t.Year() == l.now.Year():
		return t.Format("Jan _2 15:04")
	}
	return t.Format("Jan _2  2006")
}

func tookText(r *runs.Run) string {
	if r.Status != runs.Running && r.Ended.IsZero() {
		return "-"
	}
	return outputs.Duration(took(r))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// statusColour is the colour of a status on a terminal.
func statusColour(status string) string {
	switch status {
	case runs.Finished:
		return green
	case runs.Failed:
		return red
	case runs.Interrupted:
		return yellow
	}
	return cyan
}
