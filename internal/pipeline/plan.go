package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/pipeline/passport"
	"github.com/mlpipeline/mlpipeline/internal/pipeline/plugin"
	"github.com/mlpipeline/mlpipeline/internal/version"
)

// A Planned is what would become of one version.
type Planned struct {
	Model   string `json:"model"`
	Version string `json:"version,omitempty"`
	// Action is run, resume, skip or fail.
	Action string `json:"action"`
	Reason string `json:"reason"`
	// Tested says how the version is to its last test, and Untested, for people, what is missing before it runs for real.
	Tested   passport.State `json:"tested,omitempty"`
	Untested string         `json:"-"`
}

// Plan returns, instead of running anything, what Run would do, one entry for each version, and one for each model that
// cannot be run at all.
func (p *Pipeline) Plan(tell func(Planned)) error {
	done, err := p.begin()
	defer done()
	if err != nil {
		return err
	}
	p.planning = true
	p.build()
	var missing []untested
	for _, m := range p.selected() {
		err := p.refresh(m)
		if err == nil {
			err = p.ask(m, p.aside(), false)
		}
		if p.ctx.Err() != nil {
			break
		}
		if err == errLeftOut {
			continue
		}
		if err != nil {
			p.summary.Failed++
			tell(Planned{Model: m.name, Action: "fail", Reason: Advise(err)})
			continue
		}
		p.warnShared(m)
		var stale []outputs.Past
		for _, d := range m.plan {
			if d.why == version.NewCode {
				stale = append(stale, *d.past)
			}
			if d.why.Due() {
				m.claim(&d)
			}
			planned := Planned{Model: m.name, Version: d.Label(), Action: "run", Reason: p.reason(m, d)}
			if d.why != version.Refused {
				planned.Tested = p.tested(m, d.Version)
			}
			if p.Execute && d.why.Due() {
				planned.Untested = p.untestedNote(m, d, planned.Tested)
			}
			switch {
			case d.why == version.Resumes:
				planned.Action = "resume"
				planned.Reason = fmt.Sprintf("resumes at step %d", p.resumeStep(m, d))
			case d.why == version.Refused:
				planned.Action = "fail"
				p.summary.Failed++
			case !d.why.Due():
				planned.Action = "skip"
			}
			tell(planned)
		}
		if len(stale) > 0 {
			p.noticeStale(m, stale)
		}
		if p.Execute {
			missing = append(missing, p.untested(m, slices.Values(m.plan))...)
		}
		m.close(p)
		p.finish(m)
	}
	if p.RequireTested {
		if err := p.refusal(missing); err != nil {
			return err
		}
	}
	p.warnOf(missing)
	return errors.Join(p.broken(), p.nothing())
}

// reason says why d is due or not, for people.
func (p *Pipeline) reason(m *model, d due) string {
	switch d.why {
	case version.Asked:
		if !p.Execute && d.tested != "" {
			return "test: 1 step, " + untestedText(d.tested, "code")
		}
		if !p.Execute {
			return "test: 1 step"
		}
		return "the history is not used"
	case version.New:
		return "new"
	case version.NewParameters:
		what := "parameters"
		if last, err := p.lastRun(*d.past); err == nil {
			if changes := version.Changed(last.Parameters, d.Parameters); len(changes) > 0 {
				what = list(changes, 3)
			}
		}
		return "stale: " + what + " changed"
	case version.NewCode:
		return "stale: " + p.whatChanged(m, *d.past) + " changed"
	case version.FailedBefore:
		if e, err := d.past.Read(); err == nil && e.Cause != "" {
			return "failed before: " + e.Cause
		}
		return "failed before"
	case version.Evicted:
		return "interrupted, and another version has used its model directory since: it starts from scratch"
	case version.Resumes:
		return "resumes"
	case version.Done:
		return "done"
	case version.Kept:
		return "done; kept although " + p.whatChanged(m, *d.past) + " changed"
	case version.Elsewhere:
		return "running on " + d.elsewhere
	case version.Passed:
		return "passed"
	case version.Refused:
		return d.Refused
	}
	return ""
}

// resumeStep is the step at which the interrupted version d goes on: what the model itself finds in its model directory
// or, when it cannot tell, the last step that is known of.
func (p *Pipeline) resumeStep(m *model, d due) int64 {
	var step int64
	var err error
	m.talk.within(p, p.Project.Timeout, "", "", func() error {
		step, err = m.talk.Trained(m.name, d.Name, p.dir(m, d))
		return nil // it may go on: it has said why not, or m.close will find it dead
	})
	if err == nil {
		return step
	}
	e, err := d.past.Read()
	if err != nil {
		return 0
	}
	if e.Step > 0 {
		return e.Step
	}
	return p.Folder.LastStep(e.Run)
}

// lastRun reads the record of the run that the history ends with.
func (p *Pipeline) lastRun(past outputs.Past) (outputs.Run, error) {
	e, err := past.Read()
	if err != nil {
		return outputs.Run{}, err
	}
	return p.Folder.ReadRun(e.Run)
}

// A comparison says how the code of a model is to what it was in a run.
type comparison int

const (
	sameCode comparison = iota + 1
	otherCode
	unknownCode // it cannot be told without the record of the run: to be safe, it counts as other
)

// compareCode compares the code of m with that of a run. Of a program that only tells what it is made of while it runs it
// compares the files that the run had loaded.
func (p *Pipeline) compareCode(m *model, past outputs.Past) comparison {
	switch {
	case past.Code == fingerprint(m.program):
		return sameCode
	case !m.program.Partial:
		return otherCode
	}
	if m.compared[past.Code] == 0 {
		if m.compared == nil {
			m.compared = map[uint64]comparison{}
		}
		changed, err := p.changedFiles(m, past)
		var newer *outputs.NewerError
		switch {
		case errors.As(err, &newer): // to run again for hours what may be done is not for this program to decide
			p.fatal(err)
			fallthrough
		case err != nil:
			m.compared[past.Code] = unknownCode
		case len(changed) > 0:
			m.compared[past.Code] = otherCode
		default:
			m.compared[past.Code] = sameCode
		}
	}
	return m.compared[past.Code]
}

// changedFiles returns the files of m that are not what they were in a run.
func (p *Pipeline) changedFiles(m *model, past outputs.Past) (changed []string, err error) {
	run, err := p.lastRun(past)
	if err == nil && len(run.Code.Files) == 0 {
		err = errors.New("its record names no files")
	}
	if err != nil {
		return nil, err
	}
	return p.differing(m, run.Code.Files), nil
}

// differing returns the files of m that are not what they were then.
func (p *Pipeline) differing(m *model, then map[string]string) (changed []string) {
	now := m.program.Files
	if m.growing() {
		now = m.program.Now(p.Project.ModelsDir, then)
	}
	for file, hash := range now {
		if then[file] != hash {
			changed = append(changed, file)
		}
	}
	for file := range then {
		if _, is := now[file]; !is {
			changed = append(changed, file+" (removed)")
		}
	}
	slices.Sort(changed)
	return changed
}

// whatChanged names, for people, the files of m that are not what they were in a run.
func (p *Pipeline) whatChanged(m *model, past outputs.Past) string {
	changed, err := p.changedFiles(m, past)
	switch {
	case err != nil:
		return "the code of " + m.name
	case len(changed) == 0:
		return "a dependency"
	}
	return list(changed, 3)
}

// noticeStale tells of finished versions of m that will run again because its code has changed.
func (p *Pipeline) noticeStale(m *model, stale []outputs.Past) {
	versions := "1 finished version of " + m.name + " runs"
	if len(stale) > 1 {
		versions = fmt.Sprintf("%d finished versions of %s run", len(stale), m.name)
	}
	p.notice("%s again because %s changed; to keep what has finished: mlpipeline -r -u --keep, or on_code_change=keep in mlp.config", versions, p.whatChanged(m, stale[0]))
}

func (p *Pipeline) skipped(m *model, d due) {
	p.mu.Lock()
	p.summary.Skipped++
	p.mu.Unlock()
	p.report(Report{Event: Skipped, Model: m.name, Version: d.Name, Reason: p.reason(m, d)})
}

func fingerprint(program plugin.Program) uint64 {
	n, _ := strconv.ParseUint(program.Fingerprint, 16, 64)
	return n
}

func hex(n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%016x", n)
}
