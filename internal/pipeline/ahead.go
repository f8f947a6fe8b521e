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
	models := p.selected()
	names := make([]string, len(models))
	for i, m := range models {
		names[i] = m.name
	}
	all := plugin.FindAll(p.Project.ModelsDir, names)
	var found []plugin.Model
	p.mu.Lock()
	for i, f := range all {
		if f.Kind != 0 {
			models[i].found = f
			found = append(found, f)
		}
	}
	p.mu.Unlock()
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
	place := p.aside()
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
			if p.ask(m, place, true) != nil || slices.ContainsFunc(m.plan, due.pending) {
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
