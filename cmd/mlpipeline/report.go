package main

import (
	"bytes"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/mlpipeline/mlpipeline/internal/report"
)

type reportOptions struct {
	project string
	output  string
	since   string
}

func newReport(app *app) *cobra.Command {
	var opts reportOptions
	cmd := &cobra.Command{
		Use:   "report",
		Short: "write a page about the last night, to read in a browser or to send by mail",
		Long: `report writes one page about the last execution, on all machines of the project: what finished, what failed and why, what
was interrupted or is still running, the best version of each model against the best before, the curves of what was
recorded in training, and a table of all runs.

The page is one file that loads nothing from anywhere: it can be sent by mail, and read on a phone. Curves are thinned to
about 500 points. It may be made at any time, also while the queue runs.`,
		Example: `  mlpipeline report
  mlpipeline report --since 2d -o two-nights.html
  mlpipeline report -o - > night.html`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return runReport(app, opts) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	projectFlag(cmd, &opts.project)
	flags.StringVarP(&opts.output, "output", "o", "report.html", "write the page into `FILE`; - is standard output")
	flags.StringVar(&opts.since, "since", "", "about all runs that started in the last `TIME` (30m, 12h, 2d, 1w) or since a date (2026-11-22)")
	return cmd
}

func runReport(app *app, opts reportOptions) error {
	now := time.Now()
	request := report.Request{Now: now, Made: fmt.Sprintf("mlpipeline %s, %s", programVersion, now.Format("Mon 2 Jan 2006 15:04 MST"))}
	if opts.since != "" {
		var err error
		if request.Since, err = parseSince(opts.since, now); err != nil {
			return err
		}
		if request.Since.IsZero() { // since ever
			request.Since = time.Unix(0, 0)
		}
	}
	project, folder, index, err := openRuns(app, opts.project)
	if err != nil {
		return err
	}
	request.Project, request.Folder, request.Index, request.Measure = project.Dir, folder, index, measureOf(project)
	var page bytes.Buffer
	if err := report.Write(&page, request); err != nil {
		return err
	}
	return writeResult(app, opts.output, page.Bytes())
}
