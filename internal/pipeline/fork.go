package pipeline

import (
	"fmt"
	"os"
	"runtime"
	"slices"

	"github.com/mlpipeline/mlpipeline/internal/pipeline/plugin"
)

// threadVariables hold the libraries that models compute with to a number of threads. A process with more than one thread
// cannot be forked.
var threadVariables = []string{
	"OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "BLIS_NUM_THREADS",
}

// wantsFork reports whether the versions of m are to be forked from one process that imports it once.
func (p *Pipeline) wantsFork(m *model) bool {
	if !p.Project.ForkPython || p.planning || m.found.Kind != plugin.Python {
		return false
	}
	if runtime.GOOS == "darwin" {
		m.fresh = "a process is not safely forked on macOS"
		return false
	}
	for _, name := range threadVariables {
		if value := os.Getenv(name); value != "" && value != "1" {
			m.fresh = fmt.Sprintf("%s is %s, and would have to be 1", name, value)
			return false
		}
	}
	return true
}

// noticeFresh says why the versions of m are not forked, if they are not.
func (p *Pipeline) noticeFresh(m *model) {
	p.mu.Lock()
	why := m.fresh
	p.mu.Unlock()
	if why != "" {
		p.warn(fmt.Sprintf("%s: its versions start fresh, without python_start=fork: %s", m.name, why))
	}
}

// ofParent is the command for the process that versions are to be forked from.
func ofParent(runID string) Command {
	c := Command{ID: runID, Forks: true}
	for _, name := range threadVariables {
		c.Env = append(c.Env, name+"=1")
	}
	return c
}

// startVersion starts the process of a version of m: forked from its parent, if it has one that can.
func (p *Pipeline) startVersion(m *model, runID string) (*talk, error) {
	if t := p.forkVersion(m, runID); t != nil {
		return t, nil
	}
	return p.startTalk(m, Command{ID: runID})
}

// forkVersion returns nil where that is not to be, after it has said why.
func (p *Pipeline) forkVersion(m *model, runID string) *talk {
	p.mu.Lock()
	fresh, program := m.fresh, m.program
	p.mu.Unlock()
	if m.parent == nil || fresh != "" {
		return nil
	}
	if changed := program.Changed(p.Project.ModelsDir); changed != "" {
		fresh = changed + " has changed since it was imported"
	} else if t, err := p.startTalk(m, Command{ID: runID, Of: m.parent.Process}); err != nil {
		fresh = err.Error()
	} else {
		t.printed.follow(&m.parent.printed)
		return t
	}
	p.mu.Lock()
	m.fresh = fresh
	p.mu.Unlock()
	p.noticeFresh(m)
	return nil
}

// release ends the processes of m that nothing is left to be done for. What is forked does not outlive its parent.
func (p *Pipeline) release(m *model) {
	if !m.finished {
		return
	}
	for r := range p.running {
		if r.model == m {
			return
		}
	}
	m.close(p)
}

// follow takes over what a process has printed whose import is that of this one too.
func (c *capture) follow(parent *capture) {
	parent.mu.Lock()
	early, held := slices.Clone(parent.early), parent.held
	parent.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.early, c.held = append(early, c.early...), c.held+held
}
