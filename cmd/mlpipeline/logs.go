package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/runs"
)

type logsOptions struct {
	project string
	follow  bool
	lines   int // the last ones; -1: all
}

func newLogs(app *app) *cobra.Command {
	var opts logsOptions
	cmd := &cobra.Command{
		Use:   "logs [RUN]",
		Short: "show what a run prints",
		Long: `logs shows what a run has printed and logged: RUN, which is its id, a unique beginning of that, model/version for its
latest run, or model for that of its versions; without one, the runs that are going on, or else the last run.

With -f it goes on as they print: with RUN until that ends, without until the execution ends, through one run after the
other. The output of several runs is told apart by lines with their names on standard output; what else there is to say goes
to standard error.`,
		Example: `  mlpipeline logs -f
  mlpipeline logs logistic.py/baseline > baseline.txt
  mlpipeline logs -n 20 20261122-2219`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeRuns(app, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("lines") && opts.lines < 0 {
				return usageError{&hintError{errors.New("-n takes a number from 0"), "mlpipeline logs -n 20"}}
			}
			return runLogs(app, opts, args)
		},
	}
	cmd.Flags().BoolVarP(&opts.follow, "follow", "f", false, "go on as more is printed")
	cmd.Flags().IntVarP(&opts.lines, "lines", "n", -1, "begin with the last `N` lines (default: with the first line)")
	cmd.Flags().Lookup("lines").DefValue = "0" // keeps -1 out of the help
	projectFlag(cmd, &opts.project)
	return cmd
}

func runLogs(app *app, opts logsOptions, args []string) error {
	folder, _, err := openFolder(opts.project)
	if err != nil {
		return err
	}
	f := newFollower(app, folder)
	if err := f.watch(); err != nil {
		return err
	}
	index, err := runs.Read(folder) // after watch: what happens meanwhile is seen twice rather than not at all
	if err != nil {
		return err
	}
	if len(args) > 0 {
		return f.one(index, args[0], opts)
	}
	for _, run := range index.Runs {
		if run.Status == runs.Running {
			f.add(run, opts)
		}
	}
	if opts.follow && len(f.hosts) > 0 {
		for _, h := range f.hosts {
			if !writes(index, h) {
				f.say(fmt.Sprintf("the execution on %s (pid %d) has written nothing yet; called with -n it never does", outputs.Clean(h.host), h.pid))
			}
		}
		f.several = true
		return f.follow()
	}
	what := "nothing is running"
	if len(f.hosts) > 0 {
		what = "no version is running at the moment"
	}
	f.hosts = nil
	switch {
	case len(f.shown) > 0:
		f.several = len(f.shown) > 1
	case len(index.Runs) == 0:
		f.say(what + ", and nothing has run yet")
	default:
		last := index.Runs[len(index.Runs)-1]
		when := " " + moment(last.Ended, time.Now())
		if last.Ended.IsZero() {
			when = ": " + last.Error // it was killed, and nobody knows when
		}
		f.say(fmt.Sprintf("%s; the last run, %s (%s), %s%s", what, outputs.Clean(last.Name()), outputs.Clean(last.ID), last.Status, outputs.Clean(when)))
		f.add(last, opts)
	}
	return f.follow()
}

// one shows the run that is called name.
func (f *follower) one(index *runs.Index, name string, opts logsOptions) error {
	run, err := findRun(index, name)
	if err != nil {
		return err
	}
	if run.ID == "" {
		return fmt.Errorf("of %s no output is kept: it failed before it became a run", outputs.Clean(run.Name()))
	}
	f.add(run, opts)
	f.only = true
	return f.follow()
}

// writes reports whether an execution is known to write a journal.
func writes(index *runs.Index, h *followed) bool {
	for _, e := range index.Executions {
		if e.Host == h.host && e.PID == h.pid && e.Running {
			return true
		}
	}
	return false
}
