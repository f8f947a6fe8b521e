package pipeline

import (
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/config"
	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/pipeline/passport"
	"github.com/mlpipeline/mlpipeline/internal/pipeline/plugin"
	"github.com/mlpipeline/mlpipeline/internal/version"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// tests is what a model has of tests: what is remembered of those before, in both modes, and in test mode what is new.
type tests struct {
	passport *passport.Passport // nil until it is read
	code     string             // fingerprint of the program that same is about
	same     map[string]bool    // whether a code that versions passed with is the present one, by its fingerprint

	// What has been warned of: that the model was never tested, or how its versions are to their last tests.
	never  bool
	warned map[string]passport.State

	news   []func(*passport.Passport) // what is not written yet
	saved  time.Time                  // when the last was written,
	saving time.Duration              // and how long that took
}

// passport returns what is remembered of m.
func (p *Pipeline) passport(m *model) *passport.Passport {
	t := &m.tests
	if t.passport == nil {
		var err error
		if t.passport, err = p.Passports.Read(p.Project.Dir, m.name); err != nil {
			p.warn(err.Error())
		}
		t.same = nil
	}
	return t.passport
}

// tested says how a version of m is to its last test.
func (p *Pipeline) tested(m *model, v *version.Version) passport.State {
	return p.passport(m).State(v.Name, passport.Hash(v.Hash), func(c passport.Code) bool {
		t := &m.tests
		if t.same == nil || t.code != m.program.Fingerprint {
			t.code, t.same = m.program.Fingerprint, map[string]bool{}
		}
		same, known := t.same[c.Fingerprint]
		if !known {
			same = c.Fingerprint == m.program.Fingerprint || m.growing() && len(p.differing(m, c.Files)) == 0
			t.same[c.Fingerprint] = same
		}
		return same
	})
}

// growing reports whether m may tell, when it runs, that it is made of more files than are known now.
func (m *model) growing() bool { return m.program.Partial || m.found.Kind == plugin.Executable }

// told takes in, in test mode, which versions m has.
func (p *Pipeline) told(m *model, versions []version.Version) {
	if p.Execute || p.planning {
		return
	}
	var told []passport.Told
	var refused []int
	for _, v := range versions {
		if v.Name == "" || v.Duplicate {
			continue
		}
		if v.Refused != "" {
			refused = append(refused, len(told))
		}
		told = append(told, passport.Told{Name: v.Name, Parameters: passport.Hash(v.Hash)})
	}
	m.tests.news = append(m.tests.news, func(t *passport.Passport) {
		t.Tell(told)
		for _, i := range refused {
			t.Fail(told[i].Name, told[i].Parameters)
		}
	})
}

// remember takes in, in test mode, how the test of a version ended. One that was stopped says nothing about it.
func (p *Pipeline) remember(r *run) {
	if p.Execute || r.Status != outputs.Finished && r.Status != outputs.Failed {
		return
	}
	t := &r.model.tests
	name := r.Version
	var parameters passport.Hash
	_ = parameters.UnmarshalText([]byte(r.ParametersHash)) // it was written here
	if r.Status == outputs.Finished {
		code, when, pace := passport.Code{Fingerprint: r.Code.Fingerprint, Files: r.Code.Files}, r.Ended.Time, r.pace()
		t.news = append(t.news, func(t *passport.Passport) { t.Pass(name, parameters, code, when, pace) })
	} else {
		t.news = append(t.news, func(t *passport.Passport) { t.Fail(name, parameters) })
	}
	// What is written is all that is known of the model: of one with very many versions that must not be done for each.
	if len(r.model.due) == 0 || time.Since(t.saved) > 50*t.saving {
		p.saveTests(r.model)
	}
}

// pace is what a run in test mode tells of how long one for real will take.
func (r *run) pace() passport.Pace {
	micro := func(seconds float64) float64 { return math.Round(seconds*1e6) / 1e6 }
	pace := passport.Pace{Step: micro(r.trained.Seconds()), Seconds: micro(r.Seconds)}
	var size struct {
		BatchSize int64 `json:"batch_size"`
		Epochs    int64 `json:"epochs"`
	}
	if json.Unmarshal(r.Parameters, &size) == nil && size.BatchSize > 0 && r.Data.TrainSamples > 0 {
		epoch := (r.Data.TrainSamples-1)/size.BatchSize + 1
		if size.Epochs <= math.MaxInt64/epoch {
			pace.Steps = size.Epochs * epoch
		}
	}
	return pace
}

// saveTests writes what is new of the tests of m.
func (p *Pipeline) saveTests(m *model) {
	t := &m.tests
	if len(t.news) == 0 {
		return
	}
	began := time.Now()
	_, err := p.Passports.Update(p.Project.Dir, m.name, func(written *passport.Passport) {
		for _, take := range t.news {
			take(written)
		}
	})
	if err != nil {
		p.warn(err.Error())
	}
	t.news, t.saved = nil, time.Now()
	t.saving = t.saved.Sub(began)
}

// An untested is a version, or with an empty version a model, that would run without having passed test mode as it is now.
type untested struct{ model, version, why string }

func (u untested) String() string { return fmt.Sprintf("%s (%s)", Name(u.model, u.version), u.why) }

// warnUntested warns, before anything starts, of what would run without having passed test mode as it is now. Models are not
// asked for it: it goes by the versions that each told when it was tested. What is otherwise when its turn comes, warnOpened
// tells then.
func (p *Pipeline) warnUntested() {
	var all []untested
	for _, m := range p.selected() {
		if m.program.Path == "" || p.leftOut(m) {
			continue // that is said when its turn comes
		}
		if p.History != nil {
			if finished, _ := p.expectation(m); finished {
				continue // nothing of it runs, or else it is said when it has been asked
			}
		}
		known := p.passport(m)
		if len(known.Versions) == 0 {
			m.tests.never = true
			all = append(all, untested{m.name, "", whyNever})
			continue
		}
		all = append(all, p.untested(m, p.expected(m, known.Versions))...)
	}
	p.warnOf(all)
}

// expected is what is to become of the versions of m if they are told again as they were when they were tested.
func (p *Pipeline) expected(m *model, versions []passport.Version) iter.Seq[due] {
	return func(yield func(due) bool) {
		for _, v := range versions {
			if !p.Versions.Has(v.Name) {
				continue
			}
			d := due{Version: &version.Version{Version: wire.Version{Name: v.Name}, Hash: uint64(v.Parameters)}}
			p.decide(m, &d)
			if !yield(d) {
				return
			}
		}
	}
}

// warnOpened warns of those versions of m, which has just told them, that would run without having passed test mode as they
// are now, unless that was said before. Where tests are required these do not run: they count as failed.
func (p *Pipeline) warnOpened(m *model) {
	if !p.Execute {
		return
	}
	m.tests.passport = nil // it may have been tested meanwhile
	if p.RequireTested {
		for i := range m.plan {
			d := &m.plan[i]
			if state := p.tested(m, d.Version); d.why.Due() && state != passport.Passed {
				d.why, d.Refused = version.Refused, "it has not passed test mode as it is now ("+p.whyUntested(m, d.Name, state)+"), which --require-tested asks for"
			}
		}
		return
	}
	p.warnOf(p.untested(m, slices.Values(m.plan)))
}

// untested returns those of the versions of m that would run without having passed test mode as they are now, together where
// the same is to be said of all. What was warned of before is left out.
func (p *Pipeline) untested(m *model, versions iter.Seq[due]) []untested {
	t := &m.tests
	count := map[passport.State]int{}
	runs := 0
	var found []untested
	for d := range versions {
		if !d.why.Due() {
			continue
		}
		runs++
		state := p.tested(m, d.Version)
		if state == passport.Passed || t.warned[d.Name] == state || t.never && state == passport.Never {
			continue
		}
		if t.warned == nil {
			t.warned = map[string]passport.State{}
		}
		t.warned[d.Name] = state
		count[state]++
		switch {
		case state != passport.CodeChanged:
			found = append(found, untested{m.name, d.Name, p.whyUntested(m, d.Name, state)})
		case count[state] == 1:
			found = append(found, untested{m.name, "", p.whyUntested(m, d.Name, state)})
		}
	}
	if count[passport.Never] == runs && runs > 1 {
		found = []untested{{m.name, "", whyNever}}
	}
	return found
}

const whyNever = "never tested"

// whyUntested says for people why a version of m has not passed as it is now.
func (p *Pipeline) whyUntested(m *model, name string, state passport.State) string {
	code := "a dependency"
	if state == passport.CodeChanged {
		v, _ := p.passport(m).Version(name)
		if files := p.differing(m, p.passport(m).Codes[v.Code].Files); len(files) > 0 {
			code = list(files, 3)
		}
	}
	return untestedText(state, code)
}

// untestedNote is whyUntested for a plan that has given the reason why d is due.
func (p *Pipeline) untestedNote(m *model, d due, state passport.State) string {
	stale := d.why == version.NewCode || d.why == version.NewParameters
	if stale && (state == passport.CodeChanged || state == passport.ParametersChanged) {
		return "not tested since"
	}
	return p.whyUntested(m, d.Name, state)
}

// untestedText says for people what a state means. code names what has changed if it is the code.
func untestedText(state passport.State, code string) string {
	switch state {
	case passport.Never:
		return whyNever
	case passport.Failed:
		return "failed its test"
	case passport.CodeChanged:
		return code + " changed since its test"
	case passport.ParametersChanged:
		return "parameters changed since its test"
	}
	return ""
}

// warnOf warns of all that is untested in one line, with the command that tests it.
func (p *Pipeline) warnOf(all []untested) {
	if len(all) == 0 {
		return
	}
	names := make([]string, len(all)) // those that are shown are filled in
	for i, u := range all[:min(len(all), 3)] {
		names[i] = u.String()
	}
	those := "it is"
	if len(all) > 1 {
		those = "they are"
	}
	p.warn(fmt.Sprintf("not tested as %s now: %s; %s", those, list(names, 3), p.howToTest(all)))
}

// howToTest says with which command all is tested.
func (p *Pipeline) howToTest(all []untested) string {
	queue, err := config.LoadQueue(filepath.Join(p.Project.Dir, "models_test.config"))
	listed, seen := queue.Listed(), map[string]bool{}
	var models, missing []string // missing in the queue of test mode
	for _, u := range all {
		if seen[u.model] {
			continue
		}
		seen[u.model] = true
		models = append(models, u.model)
		if err != nil || listed[u.model] == queue.Blacklist {
			missing = append(missing, u.model)
		}
	}
	command, those := "mlpipeline -u", "it"
	if len(models) == 1 && plain.MatchString(models[0]) {
		command += " --model " + models[0]
	}
	if len(all) > 1 {
		those = "them"
	}
	switch {
	case len(missing) == 0:
		return fmt.Sprintf("%s tests %s, one step each", command, those)
	case err == nil && queue.Blacklist:
		return fmt.Sprintf("%s tests %s once models_test.config does not leave out %s", command, those, list(missing, 3))
	}
	return fmt.Sprintf("%s tests %s once models_test.config lists %s", command, those, list(missing, 3))
}

// plain fits names that need no quotes in a shell.
var plain = regexp.MustCompile(`^[\w./+-]+$`)

// checkTests looks, before anything starts in execution mode, at what would run without having passed test mode as it is now.
// The error refuses to start anything.
func (p *Pipeline) checkTests() error {
	switch {
	case p.RequireTested:
		return p.requireTested()
	case p.Execute:
		p.warnUntested()
	}
	return nil
}

// requireTested refuses to start anything when something would run that has not passed test mode as it is now. It asks each
// model for its versions.
func (p *Pipeline) requireTested() error {
	var all []untested
	kept := 0 // versions
	for _, m := range p.selected() {
		err := p.refresh(m)
		if err == nil {
			err = p.ask(m, p.aside(), true)
		}
		switch {
		case p.ctx.Err() != nil:
			return nil
		case err == errLeftOut:
		case err != nil:
			all = append(all, untested{m.name, "", "it cannot be run: " + Advise(err)})
		default:
			m.close(p)
			all = append(all, p.untested(m, slices.Values(m.plan))...)
			if kept += len(m.plan); kept > maxAhead {
				m.plan = nil // it is asked again when its turn comes
			}
		}
	}
	for i, u := range all {
		if i == 20 {
			p.notice("and %d more", len(all)-i)
			break
		}
		p.notice("not tested as it is now: %v", u)
	}
	return p.refusal(all)
}

// refusal is the error of a call that requires tests.
func (p *Pipeline) refusal(all []untested) error {
	if len(all) == 0 {
		return nil
	}
	return &UsageError{Msg: "nothing was started: not all that would run has passed test mode as it is now (--require-tested)", Hint: p.howToTest(all)}
}
