package pipeline

import (
	"slices"
	"strings"
	"time"
)

// A run that has said its last word is leaving: another may come after it. That one's process starts the moment that the process of
// the first is gone, with all that it has left behind, and comes up while the first is recorded. It begins when that is done,
// unless by then the user wishes to stop, or has edited the queue: then it has not taken place, and its version is due anew.
// Between two short versions this saves most of the time that each costs.

// short is how long a run may take after which the next of its model is expected to be as short. That one is leaving from its
// beginning, when there is nothing else to do, and no longer if it takes more.
const short = time.Second

// anew is the status of a run that has not taken place. Its version is still due.
const anew = "anew"

// slot reports whether another run can start, and after which one, or nil.
func (p *Pipeline) slot() (after *run, ok bool) {
	taken := 0
	for r := range p.running {
		if !p.running[r.after] {
			taken++
		}
	}
	if taken < p.Jobs {
		return nil, true
	}
	for r := range p.running {
		if r.leaving.Load() && !r.followed {
			return r, true
		}
	}
	return nil, false
}

// handOver is the reserve of a line for what comes after r: it gets the place of r, if it needs such a one.
func (r *run) handOver(gpus int) (Place, bool) { return r.place, gpus == r.due.gpus }

// vacate releases the place of r, which has ended, unless another has it: the run after it or, when that has not taken place, the
// one that it was to come after.
func (p *Pipeline) vacate(r *run) {
	if !r.followed && !p.running[r.after] {
		p.Executor.Release(r.place)
	}
}

// leave is called when the end of r is near.
func (r *run) leave() {
	r.leaving.Store(true)
	r.wake()
}

// wake has the loop look what it can do.
func (r *run) wake() {
	select {
	case r.p.leaves <- struct{}{}:
	default: // the loop will look anyway
	}
}

// leaveSoon is leave for a run that is expected to be short.
func (r *run) leaveSoon() {
	r.leave()
	time.AfterFunc(short, func() {
		select {
		case <-r.said:
		default:
			r.leaving.Store(false)
			r.wake()
		}
	})
}

// admit lets those begin that come after a run that has ended, and none if the queue has changed, or if that run stays.
func (p *Pipeline) admit(changed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for r := range p.running {
		switch before := p.running[r.after]; {
		case r.answered:
		case changed || before && !r.after.leaving.Load():
			p.tell(r, false)
		case !before:
			p.tell(r, p.ctx.Err() == nil)
		}
	}
}

// tell tells r whether it may begin. The caller holds p.mu.
func (p *Pipeline) tell(r *run, may bool) {
	r.answered, r.admitted, r.soon = true, may, r.model.short
	if may {
		r.after = nil // it does not keep all those before it in memory
	}
	r.admit <- may
}

// admittedRuns counts the runs that may begin. The caller holds p.mu.
func (p *Pipeline) admittedRuns() (n int) {
	for r := range p.running {
		if r.admitted {
			n++
		}
	}
	return n
}

// prepared returns the runs that wait for the end of another, in the order in which they were made. The caller holds p.mu.
func (p *Pipeline) prepared() (runs []*run) {
	for r := range p.running {
		if !r.answered {
			runs = append(runs, r)
		}
	}
	slices.SortFunc(runs, func(a, b *run) int { return strings.Compare(a.ID, b.ID) })
	return runs
}

// putBack makes the version of r, which has not taken place, the first that is due of its model. The caller holds p.mu.
func (p *Pipeline) putBack(r *run) {
	m := r.model
	m.due = slices.Concat([]due{r.due}, m.due)
	m.outlook.efforts = slices.Concat([]effort{r.due.effort}, m.outlook.efforts)
	r.after.followed = false
	p.passed = 0
}

// mayComeBack reports whether a version of m that is not due any more may be put back.
func (p *Pipeline) mayComeBack(m *model) bool {
	for r := range p.running {
		if r.model == m && !r.admitted {
			return true
		}
	}
	return false
}
