// Package doctor looks at what an unattended night needs, before it begins: at the machine and, where there is one, at the
// project.
//
// Each check says one thing a line and, where something is amiss, what to do about it. None waits for ever: one that has no
// answer in its time is left behind, and that is said. None leaves anything behind but in the cache, where models are built.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/config"
	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/pipeline"
	"github.com/mlpipeline/mlpipeline/internal/pipeline/passport"
	"github.com/mlpipeline/mlpipeline/internal/pipeline/plugin"
)

// A Level is how much a finding matters.
type Level string

// The levels.
const (
	OK      Level = "ok"
	Info    Level = "info"    // good to know
	Warning Level = "warning" // may be meant so, or may last the night
	Problem Level = "problem" // something of the night will not come to what it should
)

// A Finding is what the doctor says of one thing. Its texts may hold what files and models have written.
type Finding struct {
	Check string `json:"check"`
	OK    bool   `json:"ok"` // neither a warning nor a problem
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"` // what to do
	Level Level  `json:"level"`
}

func say(level Level, check, hint, format string, args ...any) Finding {
	return Finding{Check: check, OK: level == OK || level == Info, Level: level, Text: fmt.Sprintf(format, args...), Hint: hint}
}

// A Doctor examines one machine and the project on it.
type Doctor struct {
	// Dir is the folder of mlp.config, empty when there is none: then only the machine is looked at.
	Dir string
	// CacheDir is where models are built, and CacheErr why it is not known.
	CacheDir string
	CacheErr error
	// Passports are what is remembered of test mode.
	Passports passport.Folder
	// Tell is told of each finding, and before that Begin of the check that it comes from.
	Begin func(check string)
	Tell  func(Finding)

	host    string
	builder *plugin.Builder
	project *config.Project // nil when there is none, or none that can be read
	folder  outputs.Folder
	queues  []*queue
}

// patience is how long a check may take that asks the system or a file system; those that ask the models have their own.
const patience = 10 * time.Second

// heeding is how long a check has that is to end.
const heeding = 2 * time.Second

// A check looks at one thing. It may be left behind when it takes too long, and then its answer counts no more.
type check struct {
	name     string
	patience time.Duration
	look     func(context.Context) []Finding
}

// Examine makes every check that applies.
func (d *Doctor) Examine(ctx context.Context) {
	d.host, _ = os.Hostname()
	d.openProject(ctx)
	d.builder = &plugin.Builder{CacheDir: d.CacheDir}
	if d.project != nil {
		d.builder.Python, d.builder.Dir = d.project.Python, d.project.Dir
	}
	checks := []check{
		{"go", patience, d.toolchain},
		{"python", time.Minute, d.interpreter},
		{"package", patience, d.pythonPackage},
		{"machine", patience, machine},
		{"gpu", 2 * patience, d.gpus},
		{"power", patience, func(context.Context) []Finding { return power("/sys/class/power_supply") }},
		{"limits", patience, limits},
		{"host", patience, d.hostName},
		{"clock", patience, d.clock},
		{"disk", patience, d.disk},
		{"write", patience, d.write},
		{"processes", patience, d.leftProcesses},
	}
	if d.project != nil {
		checks = append(checks,
			check{"lock", patience, d.locks},
			check{"leftovers", patience, d.leftFiles},
			check{"versions", longestPlan, d.versions},
		)
	}
	for _, c := range checks {
		d.make(ctx, c)
		if ctx.Err() != nil {
			return
		}
	}
}

// make makes a check and tells what it has found.
func (d *Doctor) make(ctx context.Context, c check) {
	d.Begin(c.name)
	for _, f := range within(ctx, c) {
		d.Tell(f)
	}
}

// within makes a check in its time, or until ctx ends.
func within(ctx context.Context, c check) []Finding {
	whole := ctx
	ctx, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	found := make(chan []Finding, 1)
	go func() { found <- c.look(ctx) }()
	// A check that heeds ctx says more of itself than this could.
	late := time.NewTimer(c.patience + heeding)
	defer late.Stop()
	select {
	case f := <-found:
		return f
	case <-whole.Done():
		select { // so that it ends what it has started
		case <-found:
		case <-time.After(heeding):
		}
		return nil
	case <-late.C:
		return []Finding{say(Problem, c.name, "see whether a disk or a network folder hangs", "no answer within %v", c.patience)}
	}
}

// because is a finding of an error, with the hint that it has.
func because(level Level, check string, err error) Finding {
	f := say(level, check, "", "%v", err)
	var adviser interface{ Hint() string }
	var inConfig *config.Error
	var usage *pipeline.UsageError
	switch {
	case errors.As(err, &usage):
		f.Hint = usage.Hint
	case errors.As(err, &inConfig):
		f.Text, f.Hint = inConfig.What(), inConfig.Hint
	case errors.As(err, &adviser):
		f.Hint = adviser.Hint()
	}
	return f
}

// needs reports whether a model of one of the kinds is in the queues, and whether that is known.
func (d *Doctor) needs(kinds ...plugin.Kind) (needed, known bool) {
	for _, q := range d.queues {
		for _, m := range q.models {
			if slices.Contains(kinds, m.Kind) {
				return true, true
			}
		}
	}
	return false, d.project != nil
}
