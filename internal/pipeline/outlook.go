package pipeline

import (
	"slices"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
)

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
		plan := slices.Values(m.plan)
		if m.plan == nil {
			plan = p.expected(m, p.passport(m).Versions)
		}
		for d := range plan {
			o.known = true
			if !d.why.Due() {
				continue
			}
			if len(o.first) < outputs.MaxNext {
				o.first = append(o.first, d)
			}
			o.load.count++
			o.load.tests = m.tests.expect(o.load.tests, d)
		}
		m.tests.passport = nil // it is read again when its turn comes, and there may be very many versions
		p.mu.Lock()
		m.outlook = o
		p.mu.Unlock()
	}
}

// expect adds to m how long d will take in seconds, by what it took in test mode.
func (t *tests) expect(m mean, d due) mean {
	if t.passport == nil {
		return m
	}
	if v, ok := t.passport.Version(d.Name); ok && v.Passed != 0 && v.Steps > 0 {
		m = mean{m.sum + v.Step*float64(v.Steps), m.n + 1}
	}
	return m
}
