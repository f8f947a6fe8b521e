package pipeline

import (
	"slices"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
)

// An outlook is what is expected of a model. Before its turn comes and it is asked, that is that it tells the versions that it
// told when it was tested last.
type outlook struct {
	known   bool
	efforts []effort // of each version that waits, in the order in which they will run; never written to, but replaced
	first   []due    // of those, at most outputs.MaxNext
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
		plan := m.plan
		if plan == nil {
			plan = slices.Collect(p.expected(m, p.passport(m).Versions))
		}
		o := outlook{known: len(plan) > 0}
		if slices.ContainsFunc(plan, func(d due) bool { return d.why.Due() }) {
			p.forecast.recall(p.Folder)
			for _, d := range plan {
				seconds, test := p.forecast.before(m.name, d), m.tests.foretell(d)
				if seconds > 0 && test > 0 { // what has run tells what the tests of the others are worth
					p.forecast.add(m.name, effort{ofTests, test}, seconds)
				}
				if !d.why.Due() {
					continue
				}
				if len(o.first) < outputs.MaxNext {
					o.first = append(o.first, d)
				}
				o.efforts = append(o.efforts, p.effort(m, d))
			}
		}
		m.tests.passport = nil // it is read again when its turn comes, and there may be very many versions
		p.mu.Lock()
		m.outlook = o
		p.mu.Unlock()
	}
}

// foretell is how long d will take in seconds, by what its test took, or 0 when that does not tell.
func (t *tests) foretell(d due) float64 {
	if t.passport == nil {
		return 0
	}
	v, ok := t.passport.Version(d.Name)
	if !ok || v.Passed == 0 || v.With != 0 || uint64(v.Parameters) != d.Hash || v.Steps == 0 {
		return 0
	}
	return v.Step*float64(v.Steps) + max(0, v.Seconds-v.Step)
}
