package pipeline

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/config"
	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/pipeline/plugin"
	"github.com/mlpipeline/mlpipeline/internal/version"
)

// A model is one name of the queue, in this call. When its turn comes it is opened: found, built, and asked for its
// versions. Then its versions run, and it is finished. A model that is taken out of the queue keeps its state, should it be
// put back.
type model struct {
	name     string
	opened   bool
	finished bool
	program  plugin.Program
	suffixes map[string]int // of its model directories, and how many versions have each
	plan     []due          // every version that is selected, until the model is opened
	due      []due          // those that have not been started
	git      func() *outputs.Git
	talk     *talk // the process that told the versions: it runs the first that is due
}

// A due is a version with what is to become of it.
type due struct {
	*version.Version
	why  version.Why
	past *outputs.Past // its last run, or nil
}

// pending reports whether there is something to do for d: to run it, or to say that it cannot be run.
func (d due) pending() bool { return d.why.Due() || d.why == version.Refused }

// setQueue makes queue the one in force.
func (p *Pipeline) setQueue(queue config.Queue) {
	p.queue = queue.Names
	if queue.Blacklist {
		found, err := plugin.Discover(p.Project.ModelsDir, p.Project.OutputsDir)
		if err != nil {
			p.warn(err.Error())
		}
		p.queue = nil
		for _, m := range found {
			if !slices.Contains(queue.Names, m.Name) {
				p.queue = append(p.queue, m.Name)
			}
		}
	}
	for _, name := range queue.Names {
		p.checkName(name)
	}
}

// checkName warns of a name that does not exist, long before its turn comes.
func (p *Pipeline) checkName(name string) {
	if _, err := os.Stat(filepath.Join(p.Project.ModelsDir, filepath.FromSlash(name))); err == nil || !errors.Is(err, os.ErrNotExist) {
		return
	}
	warning := fmt.Sprintf("there is no model %s in %s", name, p.Project.ModelsDir)
	known, _ := plugin.Discover(p.Project.ModelsDir, p.Project.OutputsDir)
	names := make([]string, len(known))
	for i, m := range known {
		names[i] = m.Name
	}
	if near := config.Nearest(name, names); near != "" {
		warning += "; did you mean " + near + "?"
	}
	p.warn(warning)
}

// selected returns the models of the queue that the call selects, in order. Those that do not exist are left out.
func (p *Pipeline) selected() []*model {
	var models []*model
	for _, name := range p.queue {
		m := p.models[name]
		if m == nil {
			if _, err := os.Stat(filepath.Join(p.Project.ModelsDir, filepath.FromSlash(name))); err != nil {
				continue
			}
			m = &model{name: name}
			p.models[name] = m
			p.summary.models++
		}
		if p.Models.Has(name) {
			models = append(models, m)
		}
	}
	return models
}

// build builds what the queue holds in one go. What fails is reported when its turn comes, and, before a long night, now.
func (p *Pipeline) build() {
	var found []plugin.Model
	for _, m := range p.selected() {
		if f, err := plugin.Find(p.Project.ModelsDir, m.name); err == nil {
			found = append(found, f)
		}
	}
	for name, result := range p.Builder.Build(p.ctx, found) {
		if result.Err != nil && p.Execute && p.ctx.Err() == nil && len(found) > 1 {
			p.notice("%s does not build; it fails when its turn comes, unless it is mended by then", name)
		}
		if m := p.models[name]; result.Err == nil && m != nil {
			m.program = result.Program
		}
	}
}

// openFinished opens the models, several at once, of which the history says that they have nothing to do: it takes asking
// each for its versions to know, and they have no run to wait for. It also tells of the others what changed.
func (p *Pipeline) openFinished() {
	if p.History == nil {
		return
	}
	var wait sync.WaitGroup
	slots := make(chan struct{}, 4)
	for _, m := range p.selected() {
		finished, stale := p.expectation(m)
		if len(stale) > 0 {
			p.noticeStale(m, stale)
		}
		if !finished {
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
		switch {
		case past.Event != outputs.Finished:
			finished = false
		case past.Code != fingerprint(m.program) && m.program.Path != "" && !p.Keep:
			finished = false
			stale = append(stale, past)
		}
	}
	return finished, stale
}

// next returns the next run that can start now, or nil. It opens the models on the way.
func (p *Pipeline) next() *run {
	for _, m := range p.selected() {
		for !m.finished && p.ctx.Err() == nil {
			if !m.opened {
				if err := p.open(m); err != nil {
					if p.ctx.Err() == nil {
						p.modelFailed(m, err)
					}
					m.finished = true
					break
				}
			}
			i := slices.IndexFunc(m.due, func(d due) bool { return !p.busy(p.dir(m, d)) })
			if i < 0 {
				m.finished = len(m.due) == 0
				break
			}
			d := m.due[i]
			if i == 0 {
				m.due = m.due[1:] // the usual case, that costs the same however many there are
			} else {
				m.due = slices.Delete(m.due, i, i+1)
			}
			if p.overtaken(m, &d) {
				p.skipped(m, d)
				continue
			}
			return p.newRun(m, d)
		}
	}
	return nil
}

// overtaken reports whether another machine that shares the outputs folder has taken on d since the history was read.
func (p *Pipeline) overtaken(m *model, d *due) bool {
	if p.History == nil || !p.Folder.Outdated(p.History) {
		return false
	}
	history, err := p.Folder.ReadHistory()
	if err != nil {
		p.warn(err.Error())
		return false
	}
	p.History = history
	p.decide(m, d)
	return !d.why.Due()
}

// busy reports whether a version that runs uses dir, or a directory in it or around it.
func (p *Pipeline) busy(dir string) bool {
	within := func(a, b string) bool { return a == b || strings.HasPrefix(a, b+string(filepath.Separator)) }
	for r := range p.running {
		if used := p.dir(r.model, r.due); p.Execute && (within(dir, used) || within(used, dir)) {
			return true
		}
	}
	return false
}

// open builds m, asks it for its versions, and reports which of them are not due.
func (p *Pipeline) open(m *model) error {
	found, err := plugin.Find(p.Project.ModelsDir, m.name)
	if err != nil {
		return err
	}
	result := p.Builder.Build(p.ctx, []plugin.Model{found})[m.name]
	if result.Err != nil {
		return result.Err
	}
	if m.plan == nil || result.Program.Fingerprint != m.program.Fingerprint {
		m.program = result.Program
		if err := p.ask(m); err != nil {
			return err
		}
	}
	m.opened = true
	m.git = sync.OnceValue(func() *outputs.Git { return gitState(found.Path) })
	p.warnShared(m)
	for _, d := range m.plan {
		switch {
		case d.why == version.Refused:
			p.refused(m, d)
		case d.why.Due():
			m.due = append(m.due, d)
		default:
			p.skipped(m, d)
		}
	}
	m.plan = nil
	if len(m.due) == 0 {
		m.close(p)
	} else if p.Recorder != nil {
		go m.git() // the first run will want it at its end
	}
	return nil
}

// ask asks m for its versions, and holds them against the history.
func (p *Pipeline) ask(m *model) error {
	talk, err := p.startTalk(m, outputs.NewRunID(time.Now()))
	if err != nil {
		return err
	}
	stopped := make(chan struct{})
	go func() {
		select {
		case <-p.Stop.Reached(Finishing):
			talk.Kill()
		case <-stopped:
		}
	}()
	timer := p.timeout(talk.Kill)
	var told version.List
	err = talk.List(told.Add)
	close(stopped)
	if timer != nil && !timer.Stop() && err != nil {
		talk.close(0)
		return fmt.Errorf("it did not tell its versions within %v (timeout in mlp.config)", p.Project.Timeout)
	}
	if err != nil {
		return talk.gaveUp(err)
	}
	m.talk = talk
	versions := told.Sorted()
	m.plan = make([]due, 0, len(versions))
	for i := range versions {
		v := &versions[i]
		if v.Name != "" && !p.Versions.Has(v.Name) {
			continue
		}
		d := due{Version: v}
		p.decide(m, &d)
		m.plan = append(m.plan, d)
	}
	p.mu.Lock()
	p.summary.selected += len(m.plan)
	p.mu.Unlock()
	return nil
}

// timeout calls f when the longest time for one version is over.
func (p *Pipeline) timeout(f func()) *time.Timer {
	if p.Project.Timeout == 0 {
		return nil
	}
	return time.AfterFunc(p.Project.Timeout, f)
}

// decide sets why d is due or not.
func (p *Pipeline) decide(m *model, d *due) {
	if p.History == nil {
		d.why = version.Asked
		if d.Refused != "" {
			d.why = version.Refused
		}
		return
	}
	past := version.Past{}
	if last, ok := p.History.Last(m.name, d.Name); ok {
		d.past = &last
		past.Parameters, past.Code = last.Parameters, last.Code
		switch last.Event {
		case outputs.Finished:
			past.Status = version.Finished
		case outputs.Failed:
			past.Status = version.Failed
		default:
			past.Status = version.Interrupted
			if last.Event == outputs.Started && (p.planning || last.Host != p.Folder.Host) && p.Folder.Executing(last.Host) {
				past.Status = version.Running
			}
		}
	}
	d.why = version.Decide(*d.Version, past, fingerprint(m.program), p.Keep)
}

// warnShared warns of versions that share a model directory: the later ones find what the earlier ones left there.
func (p *Pipeline) warnShared(m *model) {
	m.suffixes = map[string]int{}
	for _, d := range m.plan {
		if d.why != version.Refused {
			m.suffixes[d.ModelDirSuffix]++
		}
	}
	users := map[string][]string{} // of the directories that are shared, by suffix
	var shared []string
	for _, d := range m.plan {
		if s := d.ModelDirSuffix; m.suffixes[s] > 1 && d.why != version.Refused {
			if users[s] == nil {
				shared = append(shared, s)
			}
			users[s] = append(users[s], d.Name)
		}
	}
	for _, s := range shared {
		dir := filepath.Base(p.Folder.ModelDir(m.name, s))
		p.warn(fmt.Sprintf("%s: versions %s share the model directory %s; a MODEL_DIR_SUFFIX gives each its own", m.name, list(users[s], 5), dir))
	}
	for _, other := range p.models {
		for _, pair := range [][2]*model{{m, other}, {other, m}} {
			if dir := sharedDir(pair[0], pair[1]); dir != "" {
				p.warn(fmt.Sprintf("%s and %s share the model directory %s", pair[0].name, pair[1].name, dir))
			}
		}
	}
}

// sharedDir returns a model directory of long that is one of short too: that of "net-wide" is also that of "net" with the
// suffix "wide".
func sharedDir(short, long *model) string {
	rest, ok := strings.CutPrefix(long.name, short.name+"-")
	if !ok {
		return ""
	}
	for s := range long.suffixes {
		if s != "" {
			s = "-" + s
		}
		if short.suffixes[rest+s] > 0 {
			return long.name + s
		}
	}
	return ""
}

// dir is the model directory of a version in execution mode.
func (p *Pipeline) dir(m *model, d due) string { return p.Folder.ModelDir(m.name, d.ModelDirSuffix) }

// list writes names with commas, of many only the first most.
func list(names []string, most int) string {
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// close ends the process that told the versions, if it has run none.
func (m *model) close(p *Pipeline) {
	if m.talk != nil {
		m.talk.close(p.Project.Grace)
		m.talk = nil
	}
}

// modelFailed records that m could not be run at all.
func (p *Pipeline) modelFailed(m *model, err error) {
	failure := &outputs.Failure{Cause: advise(err)}
	var death *deathError
	if errors.As(err, &death) {
		failure.Exit, failure.Stderr = death.exit.String(), death.stderr
	}
	var compile *plugin.BuildError
	if errors.As(err, &compile) {
		failure.Trace = compile.Output
	}
	p.recordFailure(m, due{Version: &version.Version{}}, failure)
}

// advise is the text of err with what to do about it, when it knows.
func advise(err error) string {
	var adviser interface{ Hint() string }
	if errors.As(err, &adviser) && adviser.Hint() != "" {
		return err.Error() + "; " + adviser.Hint()
	}
	return err.Error()
}

// refused records that a version cannot be run.
func (p *Pipeline) refused(m *model, d due) {
	p.recordFailure(m, d, &outputs.Failure{Cause: d.Refused})
}

func (p *Pipeline) recordFailure(m *model, d due, failure *outputs.Failure) {
	label, name := "", d.Name
	if d.why == version.Refused {
		label = d.Label()
	}
	if d.Duplicate {
		name = ""
	}
	if p.Recorder != nil {
		p.fatal(p.Recorder.Append(outputs.Event{
			Event: outputs.Failed, Model: m.name, Version: name, Time: outputs.Time{Time: time.Now()},
			Parameters: hex(d.Hash), Code: m.program.Fingerprint, Cause: failure.Cause,
		}))
	}
	p.report(Report{Event: RunFailed, Model: m.name, Version: label, Failure: failure})
	p.failed(m.name, label, failure.Cause)
}
