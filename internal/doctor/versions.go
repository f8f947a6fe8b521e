package doctor

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/config"
	"github.com/mlpipeline/mlpipeline/internal/pipeline"
	"github.com/mlpipeline/mlpipeline/internal/pipeline/local"
)

// The longest time for all models to be built and to tell their versions, and for one of them to tell.
const (
	longestPlan = 10 * time.Minute
	longestList = 5 * time.Minute
)

// versions makes the plan of `mlpipeline -r -u`, for which models are built and started, and says what would fail in it.
func (d *Doctor) versions(ctx context.Context) []Finding {
	i := slices.IndexFunc(d.queues, func(q *queue) bool { return q.file == queueFile })
	if i < 0 || d.CacheErr != nil {
		return nil // which has been said
	}
	watcher, err := config.Watch(filepath.Join(d.Dir, d.queues[i].file))
	if err != nil {
		return []Finding{because(Problem, "versions", err)}
	}
	defer watcher.Close()
	history, err := d.folder.ReadHistory()
	if err != nil {
		return []Finding{because(Problem, "history", err)}
	}
	project := *d.project
	project.Jobs = 1
	slots, err := local.Divide(ctx, project)
	if err != nil {
		return []Finding{because(Problem, "versions", err)}
	}
	executor, err := local.Open(slots)
	if err != nil {
		return []Finding{because(Problem, "versions", err)}
	}
	defer executor.Close()

	if project.Timeout == 0 || project.Timeout > longestList {
		project.Timeout = longestList
	}
	var findings []Finding
	actions := map[string]int{}
	p := &pipeline.Pipeline{
		Project: project, Queue: watcher, Executor: executor, Builder: d.builder, Folder: d.folder, History: history,
		Stop: pipeline.NewStop(), Execute: true, Keep: project.KeepOnCodeChange, Jobs: slots.Jobs(), Warnings: slots.Warnings,
		Passports: d.Passports,
		Report: func(r pipeline.Report) {
			switch {
			case r.Event == pipeline.Warning && !d.queues[i].said[r.Message]:
				findings = append(findings, say(Warning, "versions", "", "%s", r.Message))
			case r.Event == pipeline.Notice:
				findings = append(findings, say(Info, "versions", "", "%s", r.Message))
			}
		},
	}
	stop := context.AfterFunc(ctx, func() { p.Stop.Raise(pipeline.Killing) })
	defer stop()
	err = p.Plan(func(planned pipeline.Planned) {
		actions[planned.Action]++
		if planned.Action == "fail" {
			findings = append(findings, say(Problem, "versions", "", "%s: %s", pipeline.Name(planned.Model, planned.Version), planned.Reason))
		}
	})
	switch {
	case ctx.Err() != nil:
		return append(findings, say(Problem, "versions", "see what they do before they tell their versions", "the models took longer than %v to be built and to tell their versions", longestPlan))
	case err != nil:
		return append(findings, because(Problem, "versions", err))
	}
	if n := actions["run"] + actions["resume"] + actions["skip"]; n > 0 {
		findings = append(findings, say(OK, "versions", "", "mlpipeline -r -u: %s", strings.Join(counted(actions), ", ")))
	}
	return findings
}

// counted says what a plan has, with its numbers.
func counted(actions map[string]int) []string {
	var parts []string
	for _, a := range []struct{ action, one, many string }{
		{"run", "1 runs", "%d run"}, {"resume", "1 resumes", "%d resume"}, {"skip", "1 is done", "%d are done"},
	} {
		switch n := actions[a.action]; {
		case n == 1:
			parts = append(parts, a.one)
		case n > 1:
			parts = append(parts, fmt.Sprintf(a.many, n))
		}
	}
	return parts
}
