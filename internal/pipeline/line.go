package pipeline

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/mlpipeline/mlpipeline/internal/version"
)

// A line is what those stand in who want a place, in the order of the queue. As soon as one has to wait for GPUs, none behind it
// that needs any goes first: else one that needs many would wait for as long as there are others that need few.
type line struct {
	reserve func(gpus int) (Place, bool)
	waits   bool // somebody waits for GPUs
}

// closed reports whether one that needs so many GPUs has to wait for somebody before it.
func (l *line) closed(gpus int) bool { return l.waits && gpus != 0 }

// place reserves a place for the next in the line. ok is false when it has to wait.
func (l *line) place(gpus int) (place Place, ok bool) {
	if l.closed(gpus) {
		return Place{}, false
	}
	place, ok = l.reserve(gpus)
	l.waits = l.waits || !ok
	return place, ok
}

// needs sets how many GPUs d needs. If there will never be so many it is not to run.
func (p *Pipeline) needs(d *due) {
	d.gpus = UsualGPUs
	if p.Project.GPUs == nil {
		return
	}
	gpus, err := gpusOf(d.Parameters, p.Executor.GPUs())
	if err != nil && d.why.Due() {
		d.why, d.Refused = version.Refused, err.Error()
	}
	d.gpus = gpus
}

// gpusOf is how many GPUs a version asks for, in a parameter GPUS, in letters of any case, of at most so many.
func gpusOf(parameters json.RawMessage, most int) (int, error) {
	var own struct{ GPUS json.RawMessage } // json finds it in any case
	if err := json.Unmarshal(parameters, &own); err != nil || own.GPUS == nil || string(own.GPUS) == "null" {
		return UsualGPUs, nil
	}
	switch n, err := strconv.ParseFloat(string(own.GPUS), 64); {
	case err != nil || n < 0 || n != math.Trunc(n):
		return UsualGPUs, fmt.Errorf("GPUS is %s; it must be a whole number, 0 or more", cut(string(own.GPUS), 80))
	case n > float64(most):
		return UsualGPUs, fmt.Errorf("GPUS is %s, more than there are: %d (gpus in mlp.config)", cut(string(own.GPUS), 80), most)
	default:
		return int(n), nil
	}
}

// noticeWaiting says, once, that d waits for GPUs.
func (p *Pipeline) noticeWaiting(m *model, d due) {
	if p.waits == d.Version {
		return
	}
	p.waits = d.Version
	if d.gpus == UsualGPUs {
		d.gpus = p.Project.GPUsPerVersion
	}
	gpus := "1 GPU"
	if d.gpus > 1 {
		gpus = fmt.Sprintf("%d GPUs", d.gpus)
	}
	p.notice("%s waits for %s", Name(m.name, d.Name), gpus)
}

// aside is a place for a process that is asked for versions and runs none. It is called while nothing runs, and reserves
// nothing. The process sees GPUs as a version does: a script may choose by them, when it is loaded, which versions it has.
func (p *Pipeline) aside() Place {
	place, _ := p.Executor.Reserve(UsualGPUs)
	p.Executor.Release(place)
	place.Cores = nil // several may be asked at once
	return place
}
