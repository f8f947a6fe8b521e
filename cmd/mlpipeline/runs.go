package main

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mlpipeline/mlpipeline/internal/config"
	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/runs"
	"github.com/mlpipeline/mlpipeline/internal/version"
)

// openRuns finds the project that -C names and reads what the journals in it tell. Lines that could not be read are warned of.
func openRuns(app *app, project string) (config.Project, outputs.Folder, *runs.Index, error) {
	folder, p, err := openFolder(project)
	if err != nil {
		return config.Project{}, outputs.Folder{}, nil, err
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(800) // most of what is read stays
	}
	index, err := runs.Read(folder)
	if err != nil {
		return config.Project{}, outputs.Folder{}, nil, err
	}
	const most = 10
	for i, w := range index.Warnings {
		if i == most {
			fmt.Fprintf(app.stderr, "warning: and %d more\n", len(index.Warnings)-most)
			break
		}
		fmt.Fprintln(app.stderr, "warning: "+outputs.Clean(w))
	}
	return p, folder, index, nil
}

// findRun returns the run that a user means by name.
func findRun(index *runs.Index, name string) (*runs.Run, error) {
	run, err := index.Find(name)
	var odd *runs.NameError
	if !errors.As(err, &odd) {
		return run, err
	}
	hint := "mlpipeline ls lists the runs; RUN is an id, a unique beginning of one, or model/version for its latest run"
	if len(odd.Candidates) > 0 {
		hint = "write more of the id"
	} else if near := config.Nearest(name, runNames(index)); near != "" {
		hint = "did you mean " + near + "?"
	}
	return nil, usageError{&hintError{err, hint}}
}

// runNames are the names model/version and model of what has run, the latest first.
func runNames(index *runs.Index) []string {
	seen := map[string]bool{}
	var names []string
	for _, r := range slices.Backward(index.Runs) {
		for _, name := range []string{r.Name(), r.Model} {
			if !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	return names
}

// filterOptions are the flags that select runs.
type filterOptions struct {
	models, versions []string
	statuses, hosts  []string
	since            string
	where            []string
}

func (o *filterOptions) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&o.models, "model", nil, "only models whose name fits `GLOB`; may be repeated")
	flags.StringArrayVar(&o.versions, "version", nil, "only versions whose name fits `GLOB`; may be repeated")
	flags.StringArrayVar(&o.statuses, "status", nil, "only `STATUS`: running, finished, failed or interrupted; may be repeated")
	flags.StringArrayVar(&o.hosts, "host", nil, "only runs on `HOST`; may be repeated")
	flags.StringVar(&o.since, "since", "", "only runs that started in the last `TIME` (30m, 12h, 2d, 1w) or since a date (2026-11-22)")
	flags.StringArrayVar(&o.where, "where", nil, "only runs whose metric or parameter is so: 'test.accuracy>0.9', optimizer=sgd; `CONDITION` may be repeated")
}

// given reports whether any of them was.
func (o *filterOptions) given() bool {
	return len(o.models)+len(o.versions)+len(o.statuses)+len(o.hosts)+len(o.where) > 0 || o.since != ""
}

func (o *filterOptions) filter(now time.Time) (f runs.Filter, err error) {
	f = runs.Filter{Models: o.models, Versions: o.versions, Statuses: o.statuses, Hosts: o.hosts}
	for _, s := range []version.Selection{f.Models, f.Versions} {
		if err := s.Check(); err != nil {
			return f, usageError{err}
		}
	}
	for _, s := range f.Statuses {
		if !slices.Contains(runs.Statuses, s) {
			return f, unknown("status", s, runs.Statuses)
		}
	}
	for _, text := range o.where {
		c, err := runs.ParseCondition(text)
		if err != nil {
			return f, usageError{&hintError{err, "write --where 'test.accuracy>0.9' or --where learning_rate=0.1; there are = != < <= > >="}}
		}
		f.Where = append(f.Where, c)
	}
	if o.since != "" {
		f.Since, err = parseSince(o.since, now)
	}
	return f, err
}

// unknown is the error for a name that is none of those known.
func unknown(what, name string, known []string) error {
	const most = 20
	hint := "there is none at all"
	if len(known) > 0 {
		hint = "there are: " + strings.Join(known[:min(most, len(known))], ", ")
	}
	if len(known) > most {
		hint += ", ..."
	}
	if near := config.Nearest(name, known); near != "" {
		hint = "did you mean " + near + "?"
	}
	return usageError{&hintError{fmt.Errorf("there is no %s %q", what, name), hint}}
}

var (
	ago   = regexp.MustCompile(`^([0-9]*\.?[0-9]+)([mhdw])$`)
	units = map[string]time.Duration{"m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour}
)

// parseSince takes "2d" for a time before now, and a date or a date with a time for itself, in the local zone.
func parseSince(text string, now time.Time) (time.Time, error) {
	if m := ago.FindStringSubmatch(text); m != nil {
		n, err := strconv.ParseFloat(m[1], 64)
		if back := n * float64(units[m[2]]); err == nil && back < math.MaxInt64 {
			return now.Add(-time.Duration(back)), nil
		}
		return time.Time{}, nil // since ever
	}
	for _, form := range []string{"2006-01-02", "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02T15:04:05", time.RFC3339} {
		if t, err := time.ParseInLocation(form, text, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usageError{&hintError{fmt.Errorf("--since %q is no time", text), "write 30m, 12h, 2d or 1w, or a date: 2026-11-22"}}
}

// none is what comes of it when no run fits: a word on standard error, with the nearest to what may be a slip of the pen. It is
// an error when no run at all has what a condition is about.
func (o *filterOptions) none(app *app, index *runs.Index, f runs.Filter) error {
	if len(index.Runs) == 0 {
		fmt.Fprintln(app.stderr, "mlpipeline: no runs yet")
		return nil
	}
	for _, c := range f.Where {
		known := valueNames(index.Runs)
		if !slices.Contains(known, c.Name) && c.Name != "seconds" {
			return unknown("metric or parameter", c.Name, known)
		}
	}
	fmt.Fprintf(app.stderr, "mlpipeline: none of %d runs fits\n", len(index.Runs))
	for _, given := range []struct {
		flag     string
		patterns []string
		name     func(r *runs.Run) string
	}{
		{"--model", o.models, func(r *runs.Run) string { return r.Model }},
		{"--version", o.versions, func(r *runs.Run) string { return r.Version }},
		{"--host", o.hosts, func(r *runs.Run) string { return r.Host }},
	} {
		seen := map[string]bool{}
		for _, r := range index.Runs {
			seen[given.name(r)] = true
		}
		names := slices.Sorted(maps.Keys(seen))
		for _, p := range given.patterns {
			fits := version.Selection{p}.Has
			if near := config.Nearest(p, names); near != "" && !slices.ContainsFunc(names, fits) {
				fmt.Fprintln(app.stderr, "hint: did you mean "+given.flag+" "+outputs.Clean(near)+"?")
			}
		}
	}
	return nil
}

// sortRuns sorts runs, which come oldest first, as --sort and --reverse say: without a name newest first. So do runs that do not
// have what they are to be sorted by, if others of the index do.
func sortRuns(index *runs.Index, chosen []*runs.Run, by string, measure runs.Measure, reverse bool) error {
	if by == "" {
		if !reverse {
			slices.Reverse(chosen)
		}
		return nil
	}
	err := runs.Sort(chosen, by, measure, reverse)
	var odd *runs.ColumnError
	if !errors.As(err, &odd) {
		return err
	}
	known := runs.ColumnNames(index.Runs)
	if slices.Contains(known, by) {
		return sortRuns(index, chosen, "", measure, reverse)
	}
	for _, name := range known {
		if strings.HasSuffix(name, "."+by) {
			return usageError{&hintError{err, "did you mean " + name + "?"}}
		}
	}
	return unknown("column", by, known)
}

// measureOf is what the user wants versions of a project judged by.
func measureOf(p config.Project) runs.Measure {
	return runs.Measure{Metric: p.Metric, Goal: p.MetricGoal}
}

// valueNames are the names of metrics and parameters of runs.
func valueNames(all []*runs.Run) []string {
	return append(runs.MetricNames(all), runs.ParamNames(all)...)
}

// matching are the names that fit any of some patterns, in the order of the patterns. A pattern that fits none of them may fit
// one of others: the runs that are shown need not have what others have.
func matching(patterns, names []string, others func() []string) ([]string, error) {
	var fit []string
	for _, p := range patterns {
		s := version.Selection{p}
		if err := s.Check(); err != nil {
			return nil, usageError{err}
		}
		fits := func(name string) bool { return name == p || s.Has(name) }
		known := names
		if !slices.ContainsFunc(known, fits) {
			known = others()
		}
		if !slices.ContainsFunc(known, fits) {
			return nil, unknown("column", p, known)
		}
		for _, name := range known {
			if fits(name) && !slices.Contains(fit, name) {
				fit = append(fit, name)
			}
		}
	}
	return fit, nil
}
