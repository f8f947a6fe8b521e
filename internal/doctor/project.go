package doctor

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/mlpipeline/mlpipeline/internal/config"
	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/pipeline"
	"github.com/mlpipeline/mlpipeline/internal/pipeline/plugin"
)

// A queue is what a queue file lists, of what there is.
type queue struct {
	file   string
	models []plugin.Model
	said   map[string]bool // warnings that were given
}

// openProject reads mlp.config and the queues, and says what is wrong in them. What comes too late is not taken.
func (d *Doctor) openProject(ctx context.Context) {
	projects := make(chan config.Project, 1)
	d.make(ctx, check{"project", patience, func(context.Context) []Finding {
		if d.Dir == "" {
			return []Finding{say(Info, "project", "make one: mlpipeline init DIR; or name its folder with -C", "none here or in a folder above; only the machine is looked at")}
		}
		p, err := config.Load(d.Dir)
		if err != nil {
			return []Finding{because(Problem, "project", err)}
		}
		projects <- p
		return []Finding{say(OK, "project", "", "%s", p.Dir)}
	}})
	select {
	case p := <-projects:
		d.project, d.folder = &p, outputs.NewFolder(p.OutputsDir, d.host)
	default:
		return
	}
	for _, file := range []string{queueFile, testQueueFile} {
		queues := make(chan *queue, 1)
		d.make(ctx, check{"queue", patience, func(context.Context) []Finding {
			q, findings := readQueue(*d.project, file)
			queues <- q
			return findings
		}})
		select {
		case q := <-queues:
			if q != nil {
				d.queues = append(d.queues, q)
			}
		default:
		}
	}
}

// The queue files. A night runs the first; a mistake in the other only keeps test mode from its work.
const (
	queueFile     = "models.config"
	testQueueFile = "models_test.config"
)

// readQueue reads a queue file, nil when that cannot be done, and says what is wrong in it.
func readQueue(project config.Project, file string) (*queue, []Finding) {
	level := Problem
	if file == testQueueFile {
		level = Warning
	}
	listed, err := config.LoadQueue(filepath.Join(project.Dir, file))
	if err != nil {
		return nil, []Finding{because(level, "queue", err)}
	}
	q := &queue{file: file, said: map[string]bool{}}
	var findings []Finding
	warn := func(text string) {
		q.said[text] = true
		findings = append(findings, say(level, "queue", "", "%s", text))
	}
	for _, w := range listed.Warnings {
		warn(w)
	}
	for _, w := range pipeline.MissingModels(project, file, listed) {
		warn(w)
	}
	for i, name := range listed.Names {
		if listed.Blacklist || pipeline.Missing(project, name) {
			continue
		}
		if m, err := plugin.Find(project.ModelsDir, name); err == nil {
			q.models = append(q.models, m)
		} else if file == testQueueFile {
			warn(fmt.Sprintf("%s:%d: %v", file, listed.Lines[i], err)) // of the other queue the plan says so
		}
	}
	if listed.Blacklist {
		found, err := plugin.Discover(project.ModelsDir, outputs.Places(project.OutputsDir)...)
		if err != nil {
			for text := range strings.Lines(err.Error()) {
				warn(strings.TrimSpace(text))
			}
		}
		out := pipeline.LeftOut(listed)
		for _, m := range found {
			if !out(m) {
				q.models = append(q.models, m)
			}
		}
	}
	switch n := len(q.models); {
	case len(findings) > 0:
	case n == 0:
		warn(file + " lists no models: there is nothing to run")
		findings[0].Hint = "write names of what lies in " + project.ModelsDir + " into it"
	case n == 1:
		findings = append(findings, say(OK, "queue", "", "%s: %s", file, q.models[0].Name))
	default:
		findings = append(findings, say(OK, "queue", "", "%s: %d models", file, n))
	}
	return q, findings
}
