package pipeline

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/pipeline/passport"
	"github.com/mlpipeline/mlpipeline/internal/pipeline/plugin"
	"github.com/mlpipeline/mlpipeline/internal/version"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// A model is one name of the queue, in this call. When its turn comes it is opened: found, built, and asked for its
// versions. Then its versions run, and it is finished. A model that is taken out of the queue keeps its state, should it be
// put back.
type model struct {
	name     string
	opened   bool
	finished bool
	found    plugin.Model
	program  plugin.Program
	suffixes map[string]int        // of its model directories, and how many versions have each
	plan     []due                 // every version that is selected, until the model is opened
	due      []due                 // those that have not been started
	users    map[string]user       // who used a model directory that is shared last, by suffix
	cleans   bool                  // a version that starts from scratch may have its model directory emptied
	compared map[uint64]comparison // of the code of past runs with that of program, by their fingerprint; see compareCode
	tests    tests
	outlook  outlook // what is expected of it before it is opened
	short    bool    // its last run was
	git      func() *outputs.Git
	talk     *talk  // the process that told the versions: it runs the first that is due,
	parent   *talk  // unless it is the one that they are all forked from
	fresh    string // why they are not, although python_start=fork; guarded by Pipeline.mu once a version runs
}

// A due is a version with what is to become of it.
type due struct {
	*version.Version
	why  version.Why
	past *outputs.Past // its last run, or nil
	// known is the history that has decided it, and elsewhere the machine that runs it if it is another one.
	known     *outputs.History
	elsewhere string
	// tested is how it is to its last test, when that decides whether it is due.
	tested passport.State
	effort effort // known once its model is opened
	gpus   int    // that it needs, or UsualGPUs
}

// A user of a model directory is a version, and the run in which it has used it, if that was before this call.
type user struct {
	version string
	past    *outputs.Past
}

// pending reports whether there is something to do for d: to run it, or to say that it cannot be run.
func (d due) pending() bool { return d.why.Due() || d.why == version.Refused }

// next returns the next run that can start now or, unless after is nil, once after is gone; or nil. It opens the models on the
// way, but while after goes on none: what one loads to tell its versions may not have room yet. Those at the head of the queue
// that have finished, and names of nothing, are looked at again only when no other can start.
func (p *Pipeline) next(after *run) *run {
	r := p.nextFrom(p.passed, after)
	if r == nil && p.passed > 0 {
		r = p.nextFrom(0, after)
	}
	return r
}

func (p *Pipeline) nextFrom(first int, after *run) *run {
	p.passed = first
	line := line{reserve: p.Executor.Reserve}
	if after != nil {
		line.reserve = after.handOver
	}
	for i := first; i < len(p.queue); i++ {
		m := p.model(p.queue[i])
		for m != nil && !m.finished && p.ctx.Err() == nil {
			if !m.opened {
				if after != nil {
					return nil
				}
				// It is asked for its versions where the first of them will run, by the process that will run it.
				place, ok := line.place(UsualGPUs)
				if !ok {
					break
				}
				err := p.open(m, place)
				p.Executor.Release(place)
				if err != nil {
					switch {
					case p.ctx.Err() != nil:
					case err == errLeftOut:
						p.notice("%s is left out: it does not use the SDK", m.name)
					default:
						p.modelFailed(m, err)
					}
					p.finish(m)
					break
				}
			}
			i, place := p.choose(m, &line, after)
			if i < 0 {
				switch {
				case len(m.due) > 0 && m.talk != nil && len(m.talk.place.GPUs) > 0:
					m.close(p) // others will have these GPUs
				case len(m.due) == 0 && !p.mayComeBack(m):
					p.finish(m)
				}
				break
			}
			d := m.due[i]
			p.mu.Lock()
			if i == 0 { // the usual case, that costs the same however many there are
				m.due, m.outlook.efforts = m.due[1:], m.outlook.efforts[1:]
			} else {
				m.due = slices.Delete(m.due, i, i+1)
				m.outlook.efforts = slices.Concat(m.outlook.efforts[:i], m.outlook.efforts[i+1:])
			}
			p.mu.Unlock()
			if !p.take(m, &d) {
				if after == nil {
					p.Executor.Release(place)
				}
				p.skipped(m, d)
				continue
			}
			return p.newRun(m, d, place, after)
		}
		if p.passed == i && (m == nil || m.finished) {
			p.passed++
		}
	}
	return nil
}

// choose returns the first version of m that can start now, or once after is gone, and reserves its place; or -1.
func (p *Pipeline) choose(m *model, line *line, after *run) (int, Place) {
	for i, d := range m.due {
		if line.closed(d.gpus) || p.busy(p.dir(m, d), after) {
			continue
		}
		place, ok := line.place(d.gpus)
		if ok {
			return i, place
		}
		if after == nil {
			p.noticeWaiting(m, d)
		}
	}
	return -1, Place{}
}

// finish notes that nothing of m is left to be started, and drops what only that takes: there may be very many models, with
// very many versions.
func (p *Pipeline) finish(m *model) {
	defer p.release(m)
	p.mu.Lock()
	defer p.mu.Unlock()
	m.finished = true
	m.plan, m.due, m.outlook = nil, nil, outlook{}
	m.users, m.compared = nil, nil
	m.tests.passport, m.tests.same, m.tests.warned = nil, nil, nil
}

// take claims d for this machine, unless another one that shares the outputs folder runs it, or has finished it meanwhile.
func (p *Pipeline) take(m *model, d *due) bool {
	if p.History == nil {
		return true
	}
	done := p.Folder.Turn()
	defer done()
	if p.overtaken(m, d) {
		return false
	}
	p.claim(outputs.Claim{Model: m.name, Version: d.Name})
	return true
}

// claim tells other machines what this one runs, and what else is about to.
func (p *Pipeline) claim(also ...outputs.Claim) {
	if p.History == nil || p.Recorder == nil || p.Recorder.Held == nil {
		return
	}
	for r := range p.running {
		also = append(also, outputs.Claim{Model: r.Model, Version: r.Version})
	}
	p.Recorder.Held.Claim(also)
}

// overtaken reports whether another machine that shares the outputs folder has taken on d since the history was read.
func (p *Pipeline) overtaken(m *model, d *due) bool {
	if p.Folder.Outdated(p.History) {
		history, err := p.Folder.ReadHistory()
		if err != nil {
			p.warn(err.Error())
			return false
		}
		p.History = history
	}
	if d.known != p.History {
		p.decide(m, d)
	}
	if d.why.Due() {
		if d.elsewhere = p.Folder.Claimant(outputs.Claim{Model: m.name, Version: d.Name}); d.elsewhere != "" {
			d.why = version.Elsewhere
		}
	}
	return !d.why.Due()
}

// busy reports whether a version that runs, other than after, uses dir, or a directory in it or around it.
func (p *Pipeline) busy(dir string, after *run) bool {
	within := func(a, b string) bool { return a == b || strings.HasPrefix(a, b+string(filepath.Separator)) }
	for r := range p.running {
		if used := p.dir(r.model, r.due); r != after && p.Execute && (within(dir, used) || within(used, dir)) {
			return true
		}
	}
	return false
}

// refresh finds and builds m as it is now. Before anything has run, that is what was built ahead.
func (p *Pipeline) refresh(m *model) error {
	if !p.begun && m.program.Path != "" {
		return nil
	}
	found, err := plugin.Find(p.Project.ModelsDir, m.name)
	if err != nil {
		return err
	}
	result := p.Builder.Build(p.ctx, []plugin.Model{found})[m.name]
	if result.Err != nil {
		return result.Err
	}
	if m.plan != nil && result.Program.Partial && maps.Equal(result.Program.Now(p.Project.ModelsDir, m.program.Files), m.program.Files) {
		result.Program = m.program
	}
	if m.program.Fingerprint != result.Program.Fingerprint {
		m.plan = nil // what was asked ahead was asked of other code
	}
	m.compared = nil
	p.mu.Lock()
	m.found, m.program = found, result.Program
	p.mu.Unlock()
	return nil
}

// open builds m, asks it for its versions, in a process at a place, and reports which of them are not due.
func (p *Pipeline) open(m *model, place Place) error {
	if err := p.refresh(m); err != nil {
		return err
	}
	if m.plan == nil || p.wantsFork(m) && m.parent == nil && slices.ContainsFunc(m.plan, due.pending) {
		if err := p.ask(m, place, false); err != nil {
			return err
		}
	}
	m.git = sync.OnceValue(func() *outputs.Git { return gitState(m.found.Path, p.Project.OutputsDir) })
	p.warnShared(m)
	p.warnOpened(m)
	var ready []due
	var efforts []effort
	for _, d := range m.plan {
		switch {
		case d.why == version.Refused:
			p.refused(m, d)
		case d.why.Due():
			d.effort = p.effort(m, d)
			ready = append(ready, d)
			efforts = append(efforts, d.effort)
		default:
			p.skipped(m, d)
		}
	}
	m.tests.passport, m.tests.warned = nil, nil // there may be very many versions
	p.mu.Lock()
	m.opened, m.due, m.plan = true, ready, nil
	m.outlook = outlook{known: true, efforts: efforts}
	p.mu.Unlock()
	if len(m.due) == 0 {
		m.close(p)
		p.saveTests(m)
	} else if p.Recorder != nil {
		go m.git() // the first run will want it at its end
	}
	return nil
}

// errLeftOut is returned for a Go program that was found, not listed, and is no model.
var errLeftOut = errors.New("it does not use the SDK")

// leftOut reports whether m is such a program.
func (p *Pipeline) leftOut(m *model) bool {
	if !p.blacklist || m.found.Kind != plugin.GoFile && m.found.Kind != plugin.GoFolder {
		return false
	}
	ok, err := plugin.Speaks(m.program.Path)
	return err == nil && !ok
}

// ask asks m for its versions, in a process at a place, and holds them against the history. With last that process is asked for
// nothing else.
func (p *Pipeline) ask(m *model, place Place, last bool) error {
	if p.leftOut(m) {
		return errLeftOut
	}
	forks := !last && p.wantsFork(m)
	c := Command{ID: outputs.NewRunID(time.Now()), Place: place, Forks: forks}
	if forks {
		c.Place = oneThread(place)
	}
	c.Env = []string{wire.EnvVersion + "="}
	talk, err := p.startTalk(m, c)
	if err == nil {
		talk.AskList()
		if last {
			talk.Commands().Close()
		}
		err = talk.hello(p, m)
	}
	if err != nil {
		return err
	}
	var told version.List
	late := "it did not tell its versions within %v (timeout in mlp.config)"
	var listed wire.Event
	err = talk.within(p, p.Project.Timeout, late, "before it told its versions", func() (err error) {
		listed, err = talk.List(told.Add)
		return err
	})
	if err != nil {
		return err
	}
	m.cleans = listed.AllowDeleteModelDir
	switch {
	case !forks:
		m.talk = talk
	case listed.Forks:
		m.parent = talk
	default: // it is not as the process of a version would be
		m.fresh = listed.Error
		talk.close(p.Project.Grace)
	}
	versions := told.Sorted()
	p.told(m, versions)
	if len(versions) == 0 {
		p.warn(m.name + " has no versions")
	}
	m.plan = make([]due, 0, len(versions))
	for i := range versions {
		v := &versions[i]
		if v.Name != "" && !p.Versions.Has(v.Name) {
			continue
		}
		d := due{Version: v}
		p.decide(m, &d)
		p.needs(&d)
		m.plan = append(m.plan, d)
	}
	m.countSuffixes()
	p.mu.Lock()
	p.summary.selected += len(m.plan)
	p.mu.Unlock()
	return nil
}

// countSuffixes sets suffixes and, of the directories that are shared, users.
func (m *model) countSuffixes() {
	m.suffixes, m.users = map[string]int{}, map[string]user{}
	for _, d := range m.plan {
		if d.why != version.Refused {
			m.suffixes[d.ModelDirSuffix]++
		}
	}
	for _, d := range m.plan {
		if last := m.users[d.ModelDirSuffix]; d.past != nil && (last.past == nil || d.past.After(*last.past)) {
			m.use(d)
		}
	}
}

// use notes that d uses its model directory, if it is shared.
func (m *model) use(d due) {
	if m.suffixes[d.ModelDirSuffix] > 1 {
		m.users[d.ModelDirSuffix] = user{d.Name, d.past}
	}
}

// claim is called when d is about to run, or in a plan would be. An interrupted version cannot go on in a model directory
// that another has used since.
func (m *model) claim(d *due) {
	if last, shared := m.users[d.ModelDirSuffix]; shared && d.why == version.Resumes && last.version != d.Name {
		d.why = version.Evicted
	}
	m.use(*d)
}

// decide sets why d is due or not.
func (p *Pipeline) decide(m *model, d *due) {
	if p.History == nil {
		d.why = version.Asked
		if d.Refused != "" {
			d.why = version.Refused
		} else if p.OnlyUntested {
			if d.tested = p.tested(m, d.Version); d.tested == passport.Passed {
				d.why = version.Passed
			}
		}
		return
	}
	d.known = p.History
	past := version.Past{}
	if last, ok := p.History.Last(m.name, d.Name); ok {
		d.past = &last
		past.Parameters, past.Code = last.Parameters, last.Code
		if p.compareCode(m, last) == sameCode {
			past.Code = fingerprint(m.program)
		}
		switch last.Event {
		case outputs.Finished:
			past.Status = version.Finished
		case outputs.Failed:
			past.Status = version.Failed
		default:
			past.Status = version.Interrupted
			if last.Event == outputs.Started && (p.planning || last.Host != p.Folder.Host) && p.Folder.Executing(last.Host) {
				past.Status, d.elsewhere = version.Running, last.Host
			}
		}
	}
	d.why = version.Decide(*d.Version, past, fingerprint(m.program), p.Keep)
}

// close ends the process that told the versions, if it has run none itself.
func (m *model) close(p *Pipeline) {
	for _, talk := range []**talk{&m.talk, &m.parent} {
		if *talk != nil {
			(*talk).close(p.Project.Grace)
			*talk = nil
		}
	}
}
