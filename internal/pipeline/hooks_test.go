package pipeline

import (
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/config"
	"github.com/mlpipeline/mlpipeline/internal/outputs"
)

// hooked is a Pipeline with hooks, and what it has been warned of.
func hooked(t *testing.T, onFailure, onFinish string) (*Pipeline, func() []string) {
	var mu sync.Mutex
	var warnings []string
	p := &Pipeline{
		Project: config.Project{Dir: t.TempDir(), OnFailure: onFailure, OnFinish: onFinish},
		Stop:    NewStop(),
		Execute: true,
		warned:  map[string]bool{},
		Report: func(r Report) {
			mu.Lock()
			defer mu.Unlock()
			if r.Event == Warning {
				warnings = append(warnings, r.Message)
			}
		},
	}
	return p, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return warnings
	}
}

// A hook that hangs is killed at its limit, with all that it started; those that wait meanwhile do not make the end of the
// pipeline longer, and failures are never held up, however many there are.
func TestHookLimit(t *testing.T) {
	p, warnings := hooked(t, "sleep 1000 & wait", "sleep 1000 & wait")
	h := p.startHooks(50 * time.Millisecond)
	for range 5 * hookQueue {
		h.failed(Report{Event: RunFailed, Model: "a", Failure: &outputs.Failure{Cause: "x"}})
	}
	h.finish(&Summary{})
	if got := warnings(); len(got) == 0 || got[len(got)-1] != "on_finish in mlp.config: killed after 50ms" {
		t.Errorf("warnings: %q", got)
	}
}

// What it is told is always something that the system takes.
func TestHookFacts(t *testing.T) {
	p, warnings := hooked(t, "", `test ${#MLPIPELINE_FAILURES} -gt 20000 && test "$MLPIPELINE_SUMMARY" = "$(printf 'a\nb\\x00')"`)
	p.Summarize = func(*Summary) string { return "a\nb\x00\n" }
	sum := &Summary{}
	long := strings.Repeat("z", 10000)
	for range 100000 {
		sum.Failures = append(sum.Failures, Failure{Model: "a", Version: "v\x00\n", Cause: "x\x00" + long + "\ny"})
	}
	p.startHooks(hookLimit).finish(sum)
	if got := warnings(); len(got) > 0 {
		t.Errorf("warnings: %q", got)
	}
	long = fact(strings.Repeat("x", 1<<20) + strings.Repeat("\ny", 100000))
	if err := exec.Command("true", long).Run(); err != nil || !strings.HasSuffix(long, " more lines") {
		t.Errorf("%d bytes: %v", len(long), err)
	}
}
