package pipeline

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/pipeline/plugin"
)

// build builds what the queue holds in one go. What fails is reported when its turn comes, and, before a long night, now.
func (p *Pipeline) build() {
	var found []plugin.Model
	for _, m := range p.selected() {
		if f, err := plugin.Find(p.Project.ModelsDir, m.name); err == nil {
			p.mu.Lock()
			m.found = f
			p.mu.Unlock()
			found = append(found, f)
		}
	}
	for name, result := range p.Builder.Build(p.ctx, found) {
		if result.Err != nil && p.Execute && p.ctx.Err() == nil && len(found) > 1 {
			p.notice("%s does not build; it fails when its turn comes, unless it is mended by then", name)
		}
		if m := p.models[name]; result.Err == nil && m != nil {
			p.mu.Lock()
			m.program = result.Program
			p.mu.Unlock()
		}
	}
}

// maxAhead is of how many versions, about, it is kept in memory what their models told before their turn.
const maxAhead = 100_000

// openFinished opens the models, several at once, of which the history says that they have nothing to do: it takes asking
// each for its versions to know, and they have no run to wait for. It also tells of the others what changed.
func (p *Pipeline) openFinished() {
	if p.History == nil {
		return
	}
	var wait sync.WaitGroup
	slots := make(chan struct{}, 4)
	var kept atomic.Int64 // versions
	for _, m := range p.selected() {
		finished, stale := p.expectation(m)
		if len(stale) > 0 {
			p.noticeStale(m, stale)
		}
		if !finished || kept.Load() > maxAhead {
			continue
		}
		wait.Add(1)
		slots <- struct{}{}
		go func() {
			defer wait.Done()
			defer func() { <-slots }()
			if p.ask(m) != nil || slices.ContainsFunc(m.plan, due.pending) {
				m.plan = nil // it is asked again when its turn comes
			}
			kept.Add(int64(len(m.plan)))
			m.close(p)
		}()
	}
	wait.Wait()
}

// expectation says what the history alone lets one expect of m: that all its versions have finished, or which of them
// have finished with other code.
func (p *Pipeline) expectation(m *model) (finished bool, stale []outputs.Past) {
	versions := p.History.Versions(m.name)
	finished = len(versions) > 0
	for _, past := range versions {
		if past.Event != outputs.Finished {
			finished = false
			continue
		}
		if m.program.Path == "" || p.Keep {
			continue
		}
		switch p.compareCode(m, *past) {
		case otherCode:
			finished = false
			stale = append(stale, *past)
		case unknownCode:
			finished = false
		}
	}
	return finished, stale
}
