package pipeline

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

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
	if p.Project.Pin && p.Jobs > 1 {
		m.fresh = "pin ties each version to cores of its own from its start"
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

// oneThread is a place whose processes compute with one thread.
func oneThread(place Place) Place {
	place.Env = slices.DeleteFunc(slices.Clone(place.Env), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return slices.Contains(threadVariables, name)
	})
	for _, name := range threadVariables {
		place.Env = append(place.Env, name+"=1")
	}
	return place
}

// forks reports whether the versions of m are forked from its parent.
func (p *Pipeline) forks(m *model) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return m.parent != nil && m.fresh == ""
}

// fork has the process of r forked from the parent of its model. If that is not to be, it says why, and reports false.
func (r *run) fork() bool {
	p, m := r.p, r.model
	if !p.forks(m) {
		return false
	}
	p.mu.Lock()
	program := m.program
	p.mu.Unlock()
	var fresh string
	if changed := program.Changed(p.Project.ModelsDir); changed != "" {
		fresh = changed + " has changed since it was imported"
	} else if t, err := p.startTalk(m, Command{ID: r.ID, Place: oneThread(r.place), Of: m.parent.Process}); err != nil {
		fresh = err.Error()
	} else {
		t.printed.follow(&m.parent.printed)
		r.talk = t
		return true
	}
	p.mu.Lock()
	m.fresh = fresh
	p.mu.Unlock()
	p.noticeFresh(m)
	return false
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
