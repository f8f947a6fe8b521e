package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mlpipeline/mlpipeline/internal/config"
	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/pipeline"
	"github.com/mlpipeline/mlpipeline/internal/pipeline/local"
	"github.com/mlpipeline/mlpipeline/internal/pipeline/passport"
	"github.com/mlpipeline/mlpipeline/internal/pipeline/plugin"
)

// runPipeline is the main command, in both modes.
func runPipeline(app *app, opts options) (err error) {
	if err := opts.check(); err != nil {
		return err
	}
	collectLate()
	folder, project, queue, err := load(opts)
	if err != nil {
		return err
	}
	defer queue.Close()
	cache, err := plugin.DefaultCacheDir()
	if err != nil {
		return err
	}
	if opts.jobs != nil {
		project.Jobs = *opts.jobs
	}
	slots, err := local.Divide(context.Background(), project)
	if err != nil {
		return err
	}
	executor, err := local.Open(slots)
	if err != nil {
		return err
	}
	defer executor.Close()

	p := &pipeline.Pipeline{
		Project:  project,
		Queue:    queue,
		Executor: executor,
		Builder:  &plugin.Builder{CacheDir: cache, Python: project.Python, Dir: project.Dir},
		Folder:   folder,
		Stop:     pipeline.NewStop(),
		Execute:  opts.run,
		Keep:     opts.keep || project.KeepOnCodeChange,
		Jobs:     slots.Jobs(),
		Warnings: slots.Warnings,
		Models:   opts.models,
		Versions: opts.versions,

		Passports:     passports(cache),
		OnlyUntested:  opts.history && !opts.run,
		RequireTested: opts.requireTested,

		Program: programVersion,
		User:    userName(),
	}
	var lock *outputs.Lock
	if opts.run && !opts.dryRun {
		if lock, err = p.Folder.Lock(holder(p.User, p.Folder.Host)); err != nil {
			return unrecordable(err)
		}
		defer lock.Close()
		lock.Keep(p.Fail)
	}
	if opts.run && opts.history {
		if p.History, err = p.Folder.ReadHistory(); err != nil {
			return err
		}
	}
	if lock != nil && !opts.noLog {
		if p.Recorder, err = p.Folder.OpenRecorder(p.History); err != nil {
			return unrecordable(err)
		}
		p.Recorder.Held = lock
		defer func() {
			if cerr := p.Recorder.Close(); cerr != nil && (err == nil || err == statusError(exitFailed)) {
				err = fmt.Errorf("results are recorded, but not all else: %w", cerr)
			}
		}()
		if p.Recorder.AfterKill {
			for _, left := range local.EndLeft(project.Dir, endPatience) {
				p.Recorder.Recovered = append(p.Recorder.Recovered, fmt.Sprintf("process %d of a run whose pipeline was killed cannot be ended: %s", left.PID, left.Command))
			}
		}
		if p.History != nil && !p.History.Has(p.Recorder.Journal) { // of what was killed the end has been written
			if p.History, err = p.Folder.ReadHistory(); err != nil {
				return err
			}
		}
	}
	screen := newScreen(app, opts, p.State)
	bests := bestsOf(p)
	p.Summarize = func(sum *pipeline.Summary) string { return summaryText(sum, bests(sum), !opts.run, p.Recorder != nil) }
	p.Report, screen.bests, screen.summarize = screen.report, bests, p.Summarize
	signals := watchSignals(p, screen)
	defer signals.close()
	var summary pipeline.Summary
	if opts.dryRun {
		err = p.Plan(screen.plan)
	} else {
		summary, err = p.Run()
	}
	lost := screen.close()
	if p.Recorder != nil && !outputs.Full(lost) {
		lost = nil // nobody looks any more, but the results are in the outputs folder
	}
	return signals.status(summary, err, lost)
}

// collectLate has garbage collected only once there is some worth it: a call that has little to do is over before. From then on
// there is more collected than Go does by default, because a queue may be long.
func collectLate() {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(24 << 20)
	first := new([1 << 10]byte)
	runtime.AddCleanup(first, func(percent int) {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(math.MaxInt64)
	}, 30)
}

// endPatience is how long the end of processes is waited for whose pipeline was killed.
const endPatience = 10 * time.Second

// unrecordable adds what to do about a disk on which nothing can be recorded.
func unrecordable(err error) error {
	if outputs.Sick(err) {
		return &pipeline.RecordError{Err: err}
	}
	return err
}

// passports is where it is remembered what has passed test mode.
func passports(cache string) passport.Folder {
	return passport.Folder{Dir: filepath.Join(cache, "tested")}
}

// load reads the project and its queue.
func load(opts options) (outputs.Folder, config.Project, *config.Watcher, error) {
	folder, project, err := openFolder(opts.project)
	if err != nil {
		return folder, project, nil, err
	}
	name := "models_test.config"
	if opts.run {
		name = "models.config"
	}
	queue, err := config.Watch(filepath.Join(project.Dir, name))
	return folder, project, queue, err
}

// openFolder returns the outputs folder of the project that -C names, or that the current folder is in, and the project.
func openFolder(named string) (outputs.Folder, config.Project, error) {
	dir, err := findProject(named)
	if err != nil {
		return outputs.Folder{}, config.Project{}, err
	}
	project, err := config.Load(dir)
	if err != nil {
		return outputs.Folder{}, config.Project{}, err
	}
	host, err := os.Hostname()
	if err != nil {
		return outputs.Folder{}, config.Project{}, fmt.Errorf("find the name of this host: %w", err)
	}
	return outputs.NewFolder(project.OutputsDir, host), project, nil
}

// projectFlag is -C of a command that is about a project.
func projectFlag(cmd *cobra.Command, project *string) {
	cmd.Flags().StringVarP(project, "project", "C", "", "the project of `DIR` (default: the current folder or one above it)")
}

// findProject returns the folder of the project that -C names or, without it, that the current folder is in.
func findProject(named string) (string, error) {
	if named == "" {
		return config.Find(".")
	}
	if info, err := os.Stat(named); err != nil || !info.IsDir() {
		return "", usageError{&hintError{fmt.Errorf("-C %s: there is no such folder", named), "name the folder that holds mlp.config"}}
	}
	return config.Find(named)
}

func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

// holder describes this execution to one that is refused because of it.
func holder(user, host string) string {
	return fmt.Sprintf("pid %d of %s on %s, since %s: %s", os.Getpid(), user, host, time.Now().Format(holderTime), strings.Join(os.Args, " "))
}
