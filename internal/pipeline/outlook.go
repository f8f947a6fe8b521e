package pipeline

import "github.com/mlpipeline/mlpipeline/internal/outputs"

// An outlook is what is expected of a model before its turn comes and it is asked: that it tells the versions that it told
// when it was tested last.
type outlook struct {
	known bool
	load  load
	first []due // that will run, at most outputs.MaxNext
}

// lookAhead sets the outlook of each model that has not been opened.
func (p *Pipeline) lookAhead() {
	if !p.Execute {
		return // a test has begun before it could be told how long it takes
	}
	for _, m := range p.selected() {
		if m.program.Path == "" {
			continue
		}
		o := outlook{load: load{model: m.name}}
		plan := m.plan
		if plan == nil {
			for d := range p.expected(m, p.passport(m).Versions) {
				plan = append(plan, d)
			}
		}
		o.known = len(plan) > 0
		var ready []due
		for _, d := range plan {
			if d.why.Due() {
				ready = append(ready, d)
			}
		}
		o.first = ready[:min(len(ready), outputs.MaxNext)]
		o.load.count, o.load.tests = len(ready), m.tests.expect(ready)
		p.mu.Lock()
		m.outlook = o
		p.mu.Unlock()
	}
}

// expect returns how long some of the versions will take in seconds, by what they took in test mode.
func (t *tests) expect(versions []due) (m mean) {
	if t.passport == nil {
		return m
	}
	for _, d := range versions {
		if v, ok := t.passport.Version(d.Name); ok && v.Passed != 0 && v.Steps > 0 {
			m = mean{m.sum + v.Step*float64(v.Steps), m.n + 1}
		}
	}
	return m
}
