package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mlpipeline/mlpipeline/internal/config"
	"github.com/mlpipeline/mlpipeline/internal/version"
)

// options are the flags of the main command.
type options struct {
	run     bool
	history bool
	noLog   bool
	keep    bool

	requireTested bool

	project  string
	jobs     *int // nil: as mlp.config says
	models   []string
	versions []string
	dryRun   bool
	json     bool
	progress string
	quiet    bool
}

// What --progress takes.
const (
	progressAuto  = "auto"
	progressTTY   = "tty"
	progressPlain = "plain"
	progressNone  = "none"
)

var progressKinds = []string{progressAuto, progressTTY, progressPlain, progressNone}

const longHelp = `mlpipeline runs machine-learning experiments unattended, and tells what happened.

A project is a folder with mlp.config. Its models lie in models_dir (models/); each is a Go file, a folder with a Go
program, a Python script, or an executable that speaks the plugin protocol, and has versions: sets of parameters to
train it with.

Without -r it tests: every version of every model of models_test.config makes one step of training and of each
evaluation, in a temporary model directory; the first failure ends it, and nothing is written into the project. What has
passed is remembered, with its code and parameters, in the user's cache folder: -u alone tests only what has not passed
as it is now, and -r warns of what would run without.

With -r it executes: every version of every model of models.config is trained and evaluated for real, in ORDER, in a
process of its own, and recorded below outputs_dir (models/outputs/). A failure never stops the queue, and
models.config can be edited while it runs. With -r -u what has finished is skipped, and what was interrupted goes on
where it stopped.

On a terminal the versions that run now, and how far the queue is, stand below all else; elsewhere each event is one plain
line. --progress changes that, and -q shows only warnings, errors, failures and the end.

Ctrl-C lets the running versions finish; a second one asks them to stop and save; a third one kills them. From another
terminal, mlpipeline status, logs and stop tell of the execution, and end it.

Exit status: 0 all went well, 1 a version failed, 2 usage or configuration, 130 interrupted, 143 ended by SIGTERM.`

const examples = `  mlpipeline                             test every model of models_test.config
  mlpipeline -u                          test only what has not passed as it is now
  mlpipeline -r -u                       run what is not done yet, and record it
  mlpipeline -r -u --dry-run             say what would run, and why
  mlpipeline -r -u --keep                leave finished versions alone although their code changed
  mlpipeline -r -u --require-tested      start nothing unless all that would run has passed test mode
  mlpipeline -r -j 2 --model 'vision/*'  two versions at once, only of the models in vision/
  mlpipeline -r -u --json | tee night.jsonl`

func newRoot(app *app) *cobra.Command {
	var opts options
	root := &cobra.Command{
		Use:           "mlpipeline",
		Short:         "run machine-learning experiments unattended",
		Long:          longHelp,
		Example:       examples,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runPipeline(app, opts)
		},
	}
	root.Args = noArgs
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		what, _, _ := strings.Cut(err.Error(), ": strconv.") // how Go says that a number is none
		return usageError{errors.New(what)}
	})
	flags := root.Flags()
	flags.SortFlags = false
	flags.BoolVarP(&opts.run, "run", "r", false, "execution mode: run models.config for real, and record it")
	flags.BoolVarP(&opts.history, "use-history", "u", false, "with -r: skip what has finished, resume what was interrupted; without: skip what has passed")
	flags.BoolVarP(&opts.noLog, "no-log", "n", false, "with -r: write no log, output or history")
	flags.BoolVar(&opts.keep, "keep", false, "with -r -u: what has finished stays finished although its model's code has changed")
	flags.BoolVar(&opts.requireTested, "require-tested", false, "with -r: start nothing unless all that would run has passed test mode as it is now")
	flags.StringVarP(&opts.project, "project", "C", "", "work in the project of `DIR` (default: the current folder or one above it)")
	flags.FuncP("jobs", "j", "run up to `N` versions at once; auto: as many as there are GPUs for, or cores (default: jobs in mlp.config)", opts.setJobs)
	flags.StringArrayVar(&opts.models, "model", nil, "only models whose name fits `GLOB`; may be repeated")
	flags.StringArrayVar(&opts.versions, "version", nil, "only versions whose name fits `GLOB`; may be repeated")
	flags.BoolVar(&opts.dryRun, "dry-run", false, "say what would run, and why; run nothing")
	flags.BoolVar(&opts.json, "json", false, "print results as JSON, one value a line")
	flags.StringVar(&opts.progress, "progress", progressAuto, "how to show what happens, `auto|tty|plain|none`: with live lines, a line for each event, or only what goes wrong; auto is tty on a terminal, else plain")
	flags.BoolVarP(&opts.quiet, "quiet", "q", false, "show only warnings, errors, failures and the end")
	root.AddCommand(newInit(app), newStatus(app), newLogs(app), newStop(app), newLs(app), newShow(app), newCompare(app),
		newPlot(app), newReport(app), newVersion(app), newDoctor(app))
	root.InitDefaultCompletionCmd()
	wrapUsage(root)
	completions(app, root)
	return root
}

// wrapUsage makes mistakes in the arguments of all commands below cmd usage errors.
func wrapUsage(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		if check := c.Args; check != nil {
			c.Args = func(cmd *cobra.Command, args []string) error {
				if err := check(cmd, args); err != nil {
					return usageError{err}
				}
				return nil
			}
		}
		wrapUsage(c)
	}
}

// changed returns value when the flag was given, else 0.
func changed(cmd *cobra.Command, flag string, value int) int {
	if cmd.Flags().Changed(flag) {
		if value < 1 {
			return -1
		}
		return value
	}
	return 0
}

// noArgs refuses an argument that is no command, with the command that was meant.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("unknown command %q", args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		meant := near[0]
		if nearest := config.Nearest(args[0], near); nearest != "" {
			meant = nearest
		}
		return usageError{&hintError{err, "did you mean mlpipeline " + meant + "?"}}
	}
	return usageError{err}
}

// setJobs takes the value of -j.
func (o *options) setJobs(value string) error {
	jobs, err := config.ParseJobs(value)
	if err != nil {
		return errors.New("it takes a number from 1, or auto")
	}
	o.jobs = &jobs
	return nil
}

// check refuses flags that do not go together.
func (o options) check() error {
	switch {
	case !o.run && o.noLog:
		return usageError{&hintError{errors.New("-n goes with -r; test mode writes nothing anyway"), "mlpipeline -r -n"}}
	case o.keep && !(o.run && o.history):
		return usageError{&hintError{errors.New("--keep goes with -r -u"), "mlpipeline -r -u --keep"}}
	case !o.run && o.requireTested:
		return usageError{&hintError{errors.New("--require-tested goes with -r"), "mlpipeline -r --require-tested"}}
	case !slices.Contains(progressKinds, o.progress):
		return usageError{fmt.Errorf("--progress takes %s, not %q", strings.Join(progressKinds, ", "), o.progress)}
	case o.quiet && o.progress != progressAuto && o.progress != progressNone:
		return usageError{fmt.Errorf("-q does not go with --progress %s", o.progress)}
	}
	for _, s := range []version.Selection{o.models, o.versions} {
		if err := s.Check(); err != nil {
			return usageError{err}
		}
	}
	return nil
}
