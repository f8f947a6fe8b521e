package main

import (
	"fmt"
	"math"
	"os"
	"strings"
	"sync"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/pipeline"
	"github.com/mlpipeline/mlpipeline/internal/runs"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// maxNamed is how many failures a summary names, and of how many models the best version.
const maxNamed = 20

// A best is the best version of a model as JSON has it.
type best struct {
	Model   string     `json:"model"`
	Metric  string     `json:"metric"`
	Goal    string     `json:"goal"` // min or max
	Version string     `json:"version"`
	Run     string     `json:"run"`
	Value   wire.Float `json:"value"`
	Before  *bestRun   `json:"before,omitempty"`
}

type bestRun struct {
	Version string     `json:"version"`
	Run     string     `json:"run"`
	Value   wire.Float `json:"value"`
}

// bestsOf returns what was best in the call of p, once that has ended.
func bestsOf(p *pipeline.Pipeline) func(*pipeline.Summary) []best {
	all := sync.OnceValue(func() []best {
		return bestOf(p.Folder, measureOf(p.Project))
	})
	return func(sum *pipeline.Summary) []best {
		if p.Recorder == nil || sum.Finished == 0 {
			return nil
		}
		return all()
	}
}

// bestOf returns the best version of each model in the execution of this process, which has just ended.
func bestOf(folder outputs.Folder, measure runs.Measure) []best {
	found, err := runs.BestOf(folder, measure, os.Getpid())
	if err != nil {
		return nil
	}
	var all []best
	for _, b := range found {
		one := best{b.Model, b.Metric, b.Goal, b.Run.Version, b.Run.ID, wire.Float(b.Value), nil}
		if b.Before != nil {
			one.Before = &bestRun{b.Before.Version, b.Before.ID, wire.Float(b.Was)}
		}
		all = append(all, one)
	}
	return all
}

// String says what is best, for people.
func (b best) String() string {
	text := fmt.Sprintf("%s: %s %.4g", pipeline.Name(b.Model, b.Version), b.Metric, float64(b.Value))
	if b.Before == nil {
		return text + ", the first of this model"
	}
	change := float64(b.Value) - float64(b.Before.Value)
	than := fmt.Sprintf(" %.4g than %s before", math.Abs(change), pipeline.Name(b.Model, b.Before.Version))
	switch {
	case change == 0:
		return text + ", as good as " + pipeline.Name(b.Model, b.Before.Version) + " before"
	case math.IsNaN(change) || math.IsInf(change, 0):
		return fmt.Sprintf("%s, and %.4g for %s before", text, float64(b.Before.Value), pipeline.Name(b.Model, b.Before.Version))
	case change > 0 == (b.Goal == "max"):
		return text + ", better by" + than
	}
	return text + ", worse by" + than
}

// summaryText says what a call has done, with its failures once more: they may have scrolled away hours ago. recorded says
// that there is more to read.
func summaryText(sum *pipeline.Summary, bests []best, test, recorded bool) string {
	text := fmt.Sprintf("%d finished, %d failed, %d skipped", sum.Finished, sum.Failed, sum.Skipped)
	if sum.Interrupted > 0 {
		text += fmt.Sprintf(", %d interrupted", sum.Interrupted)
	}
	done := sum.Finished+sum.Failed+sum.Interrupted > 0
	switch {
	case sum.Left:
		text += "; stopped before all was done"
	case !done:
		text += "; nothing was left to do"
	}
	var lines []string
	line := func(key, text string) { lines = append(lines, fmt.Sprintf("  %-8s %s", key, text)) }
	if !test || len(sum.Failures) > 1 { // the one failure that halts test mode stands just above
		for i, f := range sum.Failures {
			if i == maxNamed {
				line("", fmt.Sprintf("and %d more: mlpipeline ls --status failed", sum.Failed-i))
				break
			}
			first, _ := cause(f.Cause)
			line("failed:", outputs.Clean(pipeline.Name(f.Model, f.Version))+": "+first)
			if recorded {
				line("", "mlpipeline show "+f.Run)
			}
		}
	}
	for i, b := range bests {
		if i == maxNamed {
			line("", fmt.Sprintf("and of %d more models: mlpipeline report", len(bests)-i))
			break
		}
		line("best:", outputs.Clean(b.String()))
	}
	if done && !test {
		line("took:", outputs.Duration(sum.Seconds))
	}
	if recorded && done {
		line("more:", "mlpipeline ls, mlpipeline report")
	}
	return strings.Join(append([]string{text}, lines...), "\n")
}
