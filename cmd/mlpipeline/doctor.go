package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/mlpipeline/mlpipeline/internal/doctor"
	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/pipeline/plugin"
)

func newDoctor(app *app) *cobra.Command {
	var project string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "see whether all that a night needs is there",
		Long: `doctor looks at what an unattended night needs, and says what to do about what is missing. On the machine: Go, Python,
memory, GPUs, limits, disk space, folders that can be written to, clock, host name, processes that earlier runs have left. In
the project: the spelling in mlp.config and in the queues, who is executing it, and the plan of mlpipeline -r -u, for which it
builds the models and has them tell their versions. Nothing is run, and nothing is written but to the cache.

Exit status: 0 nothing stands in the way, 1 something of the project does. A warning, which may be meant so, does not change
it, nor does anything where there is no project. It also prints the folder that the Python package mlpipeline is in, for model
scripts that are run by hand.`,
		Example: "  mlpipeline doctor\n  mlpipeline doctor && mlpipeline -r -u",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDoctor(cmd.Context(), app, project, asJSON)
		},
	}
	cmd.Flags().StringVarP(&project, "project", "C", "", "look at the project of `DIR` (default: the current folder or one above it, if it is a project)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON value a line")
	return cmd
}

func runDoctor(ctx context.Context, app *app, project string, asJSON bool) error {
	dir, err := findProject(project)
	if err != nil && project != "" {
		return err
	}
	list := checklist{out: app.stdout, json: asJSON, live: !asJSON && isTerminal(app.stdout), count: map[doctor.Level]int{}}
	list.colour = list.live && os.Getenv("NO_COLOR") == ""
	d := &doctor.Doctor{Dir: dir, Begin: list.begin, Tell: list.tell}
	d.CacheDir, d.CacheErr = plugin.DefaultCacheDir()
	d.Passports = passports(d.CacheDir)
	ctx, stop := untilSignal(ctx)
	d.Examine(ctx)
	list.end()
	if err := stop(); err != nil {
		return err
	}
	switch {
	case list.err != nil:
		return list.err
	case dir != "" && list.count[doctor.Problem] > 0:
		return statusError(exitFailed)
	}
	return nil
}

// untilSignal returns a context that ends when the user wishes to stop: what a check has started is to end with it. stop
// returns the status to end with then.
func untilSignal(ctx context.Context) (context.Context, func() error) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		defer close(done)
		if sig, ok := <-signals; ok {
			cancel(statusError(128 + int(sig.(syscall.Signal))))
		}
	}()
	return ctx, func() error {
		signal.Stop(signals)
		close(signals)
		<-done
		return context.Cause(ctx)
	}
}

// A checklist prints findings as they come.
type checklist struct {
	out    io.Writer
	json   bool
	live   bool // it is a terminal: what is being looked at is shown meanwhile
	colour bool
	count  map[doctor.Level]int
	err    error // of the first line that could not be written
}

// The columns of level and check.
const margin = "%-7s  %-9s  "

// Erases the line that the cursor is in.
const erase = "\r\x1b[K"

func (c *checklist) begin(check string) {
	if c.live {
		fmt.Fprintf(c.out, erase+margin, "...", check)
	}
}

func (c *checklist) tell(f doctor.Finding) {
	c.count[f.Level]++
	if c.json {
		line, _ := jsonLine(f)
		c.print(strings.TrimSuffix(line, "\n"))
		return
	}
	c.print(c.paint(f.Level, fmt.Sprintf(margin, f.Level, f.Check)) + outputs.Clean(f.Text))
	if f.Hint != "" {
		c.print(fmt.Sprintf(margin, "", "") + "-> " + outputs.Clean(f.Hint))
	}
}

// end counts what was found.
func (c *checklist) end() {
	if c.json {
		return
	}
	var parts []string
	for _, level := range []doctor.Level{doctor.Problem, doctor.Warning} {
		switch n := c.count[level]; {
		case n == 1:
			parts = append(parts, "1 "+string(level))
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %ss", n, level))
		}
	}
	if parts == nil {
		parts = []string{"nothing stands in the way"}
	}
	c.print(strings.Join(parts, ", "))
}

func (c *checklist) print(line string) {
	if c.live {
		line = erase + line
	}
	if c.err == nil {
		_, c.err = fmt.Fprintln(c.out, line)
	}
}

// paint colours the level, which begins text.
func (c *checklist) paint(level doctor.Level, text string) string {
	colour := map[doctor.Level]string{doctor.OK: green, doctor.Warning: yellow, doctor.Problem: red}[level]
	if !c.colour || colour == "" {
		return text
	}
	return "\x1b[" + colour + "m" + string(level) + "\x1b[0m" + strings.TrimPrefix(text, string(level))
}
