package pipeline

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/pipeline/plugin"
	"github.com/mlpipeline/mlpipeline/internal/version"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// A run is one execution of one version. do is called once, in a goroutine of its own; Status and Failure are final when
// it returns.
type run struct {
	p     *Pipeline
	model *model
	due   due
	talk  *talk // the process that told the versions, or nil: then one is started
	place Place
	forks bool // the process is forked from the parent of the model, if that can be

	// See succession.go. What is no channel and not atomic is the loop's.
	after    *run          // whose slot this one takes over when that has ended, or nil
	admit    chan bool     // whether it may begin
	admitted bool          // it may
	answered bool          // it has been told whether
	followed bool          // another is after it
	soon     bool          // it is expected to be short
	leaving  atomic.Bool   // its end is near
	said     chan struct{} // closed when it has said its last word

	outputs.Run
	live    live
	told    string          // the hash of the parameters that the history knows
	record  *outputs.Record // nil when nothing is written
	begun   bool            // the model has been told to run
	mute    bool            // but has died before its first word
	noted   bool            // the history knows that it has started
	name    string          // model/version
	dir     string          // the model directory, absolute
	owner   string          // another model whose that is, or empty
	phase   string
	began   time.Time     // the phase
	trained time.Duration // how long the training took
	end     *wire.Event   // the model's last word
	summary struct{ model, data, run strings.Builder }
}

// newRun prepares a run at a place, with the process that waits for one if there is any that could have been started there.
func (p *Pipeline) newRun(m *model, d due, place Place, after *run) *run {
	m.claim(&d)
	if m.talk != nil && !m.talk.place.Same(place) {
		m.close(p)
	}
	p.noticeFresh(m)
	if m.talk == nil {
		p.mu.Lock()
		changed := m.program.Reread()
		p.mu.Unlock()
		if changed {
			p.notice("%s has changed since its versions were listed; %s runs it as it is now", m.name, d.Name)
		}
	}
	r := &run{p: p, model: m, due: d, talk: m.talk, place: place, name: Name(m.name, d.Name), after: after, admit: make(chan bool, 1), said: make(chan struct{})}
	m.talk, r.forks = nil, p.forks(m)
	environment := p.environment(place)
	if r.forks {
		environment = p.environment(oneThread(place))
	}
	r.Run = outputs.Run{
		ID:     outputs.NewRunID(time.Now()),
		Model:  m.name,
		Status: outputs.Running, Version: d.Name,
		Mode:       wire.ModeExecution,
		Parameters: d.Parameters, ParametersHash: hex(d.Hash),
		Host: p.Folder.Host, User: p.User, Pipeline: p.Program,
		Command: append([]string{m.program.Path}, m.program.Args...),
		Code:    outputs.Code{Fingerprint: m.program.Fingerprint, Files: m.program.Files},
		Data:    outputs.Data{Loader: d.DataLoader},
		Results: outputs.Results{},

		Environment: environment,
	}
	if d.why == version.Resumes {
		if e, err := d.past.Read(); err == nil {
			r.Resumes = e.Run
		}
	}
	r.dir = p.dir(m, d)
	if m.cleans {
		r.owner = p.owner(m, d.ModelDirSuffix)
	}
	if !p.Execute {
		r.owner, r.Mode = "", wire.ModeTest
		r.dir = filepath.Join(p.temp, r.ID)
	}
	return r
}

// do runs the version, once another run has ended unless that is nil, and records how it went.
func (r *run) do(after *run) {
	fresh, forks := r.talk == nil, r.forks
	var err error
	if fresh && !forks {
		err = r.start(after)
	}
	if !r.mayBegin(after) {
		r.Status = anew
		if r.talk != nil {
			r.talk.Kill()
			r.talk.close(0)
		}
		r.discard()
		return
	}
	switch {
	case forks && r.fork():
	case forks:
		r.Environment = r.p.environment(r.place)
		err = r.start(nil)
	case after != nil && err == nil && r.talk.lost():
		r.talk.close(0)
		err = r.start(nil)
	}
	r.Started = outputs.Time{Time: time.Now()}
	if err == nil {
		err = r.prepare()
	}
	if err == nil {
		err = r.begin()
	}
	var how ending
	var exit Exit
	switch {
	case err == nil:
		how, exit, err = r.follow(fresh)
	case err == plugin.ErrEnded: // before it could be asked
		exit, how.lingered = r.talk.close(r.p.Project.Grace)
		r.end, err = r.talk.last, nil
	case r.talk != nil:
		r.talk.Kill()
		exit, _ = r.talk.close(r.p.Project.Grace)
	}
	r.Seconds = time.Since(r.Started.Time).Seconds()
	if !r.begun && r.p.Stop.Level() >= Finishing {
		r.Status = "" // it has not taken place
		r.discard()
	} else {
		r.conclude(err, how, exit)
		r.write()
	}
	if !r.p.Execute {
		os.RemoveAll(r.dir)
	}
}

// start starts the process, once that of another run is gone unless that is nil.
func (r *run) start(after *run) (err error) {
	c := Command{ID: r.ID, Place: r.place, Env: []string{wire.EnvVersion + "=" + r.Version}}
	if after != nil {
		c.After = after.talk.Process
	}
	r.talk, err = r.p.startTalk(r.model, c)
	return err
}

// mayBegin waits until it is known whether the run may begin.
func (r *run) mayBegin(after *run) bool {
	if after == nil {
		return <-r.admit
	}
	select {
	case <-after.said:
		_ = r.makeRecord() // while that one ends; if it fails it is tried again
		return <-r.admit
	case may := <-r.admit:
		return may
	}
}

// prepare makes the record, unless it is there, and the model directory.
func (r *run) prepare() (err error) {
	p := r.p
	if p.Recorder != nil {
		if r.record == nil {
			err = r.makeRecord()
		} else {
			err = p.Recorder.Ready()
		}
		if err != nil {
			p.fatal(err)
			return err
		}
	}
	if p.Execute {
		err = p.Folder.MakeModelDir(r.dir)
	} else {
		err = os.MkdirAll(r.dir, 0o777)
	}
	if err != nil {
		if p.Recorder != nil && outputs.Sick(err) {
			p.fatal(err)
		}
		return err
	}
	return nil
}

func (r *run) makeRecord() error {
	p := r.p
	if p.Recorder == nil {
		return nil
	}
	dir, err := filepath.Rel(p.Folder.Dir, r.dir)
	if err != nil {
		dir = r.dir
	}
	r.Dir, r.Started = filepath.ToSlash(dir), outputs.Time{Time: time.Now()}
	r.record, err = p.Recorder.Begin(r.Run)
	return err
}

// discard removes the record of a run that has not taken place.
func (r *run) discard() {
	if r.record != nil {
		r.p.fatal(r.record.Discard())
	}
}

// begin tells the model to run. A process that has just been started reads it when it has come up.
func (r *run) begin() error {
	p := r.p
	clean := p.Execute && r.due.why != version.Resumes
	if clean && r.model.cleans && r.owner != "" {
		return fmt.Errorf("it would empty its model directory, which is also that of %s, or has those of its versions in it: give it another MODEL_DIR_SUFFIX", r.owner)
	}
	if !clean || !r.model.cleans {
		if err := r.note(); err != nil {
			return err
		}
	}
	record, flush := func(string) {}, func() {}
	if r.record != nil {
		record = func(line string) { r.waits(r.record.Printed(line)) }
		flush = func() { r.waits(r.record.FlushPrinted()) }
	}
	r.talk.printed.begin(func(level, line string) {
		p.report(Report{Event: RunPrinted, Model: r.Model, Version: r.Version, Run: r.ID, Message: line, Level: level})
	}, record, flush)
	reason := p.reason(r.model, r.due)
	r.live.begin(r, reason)
	p.report(Report{Event: RunStarted, Model: r.Model, Version: r.Version, Run: r.ID, Reason: reason})
	r.talk.Warn = func(text string) { p.report(Report{Event: Warning, Message: r.name + ": " + text}) }
	r.begun = true
	if r.soon {
		r.leaveSoon()
	}
	return r.talk.Run(wire.Command{Model: r.Model, Version: r.Version, Mode: r.Mode, Dir: r.dir, Clean: clean})
}

// note writes to the history that the run has started, durably: from now on it is one to resume. Of a run that may empty
// its model directory first this is not said before that is done. Until then the directory may hold the checkpoint of
// other parameters or other code, and the version has to start from scratch once more.
func (r *run) note() error {
	r.noted, r.told = true, r.ParametersHash
	if r.p.Recorder == nil {
		return nil
	}
	err := r.p.Recorder.Append(outputs.Event{
		Event: outputs.Started, Model: r.Model, Version: r.Version, Run: r.ID, Time: r.later(r.Started),
		Parameters: r.ParametersHash, Code: r.Code.Fingerprint, Params: r.Parameters, Order: r.due.Order, Dir: r.Dir, Resumes: r.Resumes,
	})
	r.p.fatal(err)
	return err
}

// later is t, but later than all that was known of the version before: the clock of another machine that wrote to the history
// may have been ahead.
func (r *run) later(t outputs.Time) outputs.Time {
	if past := r.due.past; past != nil && !t.After(past.Time()) {
		return outputs.Time{Time: past.Time().Add(time.Millisecond)}
	}
	return t
}

// An ending says what was done to a run from outside: it was asked to stop, by the user or because its time was over or it gave
// no sign of life, and was killed because it did not stop then, or because it did not exit after its last word.
type ending struct{ asked, timedOut, stalled, killed, lingered bool }

// follow takes in what the model tells until it is gone, first of all its hello if it is fresh. The error is why it was killed
// here.
func (r *run) follow(fresh bool) (how ending, exit Exit, err error) {
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		how = r.watch()
	}()
	if fresh {
		err = r.hello()
	}
	if err == nil {
		err = r.listen()
	}
	exit, killed := r.talk.close(r.p.Project.Grace)
	<-watched
	how.lingered = killed
	return how, exit, err
}

// hello waits for the first word of a process that has just been started.
func (r *run) hello() error {
	late := time.AfterFunc(helloTimeout, r.talk.Kill)
	err := r.talk.Hello()
	switch inTime := late.Stop(); {
	case !inTime:
		return fmt.Errorf(mute, helloTimeout)
	case err == plugin.ErrNoModel: // its end tells more
		r.mute = true
		return nil
	case err != nil:
		r.talk.Kill()
	}
	return err
}

// listen takes in what the model tells until it has said its last word.
func (r *run) listen() (unnoted error) {
	for r.end == nil {
		e, point, err := r.talk.Next()
		if err != nil {
			break
		}
		if !r.noted && !preliminary(e) {
			if err = r.note(); err != nil {
				unnoted = fmt.Errorf("its start could not be recorded: %w", err)
				r.talk.Kill()
			}
		}
		if point != nil {
			if r.phase == wire.PhaseTrain && e.Step <= r.Steps.Total {
				r.Steps.Done = max(r.Steps.Done, e.Step)
			}
			r.live.metric(point, e.Step)
			if r.record != nil {
				r.waits(r.record.Metric(point))
			}
		} else {
			r.take(e)
		}
		if r.record != nil && !r.talk.Waiting() {
			r.waits(r.record.FlushMetrics())
		}
	}
	r.leave()
	close(r.said)
	return unnoted
}

// waits warns of metrics or printed lines that cannot be written at present.
func (r *run) waits(err error) {
	if err != nil {
		r.p.warn(fmt.Sprintf("%s goes on, and what is to be recorded of it waits: %v", r.name, err))
	}
}

// preliminary reports whether a model may say e before its model directory is clean.
func preliminary(e wire.Event) bool {
	switch e.Type {
	case wire.Log, wire.Code, wire.VersionInfo:
		return true
	}
	return e.Type == wire.Phase && e.Phase == wire.PhaseClean
}

// watch asks the process to stop, and kills it, when the user wishes, its time is over or it gives no sign of life. It returns
// when it is gone.
func (r *run) watch() (how ending) {
	limits := r.talk.limits(r.p.Project.Timeout, r.p.Project.Stall)
	defer limits.stop()
	for how == (ending{}) {
		select {
		case <-r.talk.Done():
			return how
		case <-r.p.Stop.Reached(Stopping):
			how.asked = true
		case <-limits.next():
			how.timedOut, how.stalled = limits.passed()
		}
	}
	r.talk.Stop()
	grace := time.NewTimer(r.p.Project.Grace)
	defer grace.Stop()
	select {
	case <-r.talk.Done():
		return how
	case <-grace.C:
	case <-r.p.Stop.Reached(Killing):
	}
	how.killed = true
	r.talk.Kill()
	<-r.talk.Done()
	return how
}

// take takes in one event.
func (r *run) take(e wire.Event) {
	switch e.Type {
	case wire.Phase:
		if !slices.Contains(wire.Phases, e.Phase) {
			r.talk.Warning(fmt.Sprintf("phase %q is passed over: it is none of %s", cut(e.Phase, 80), strings.Join(wire.Phases, ", ")))
			return
		}
		e.Step, e.Total = max(0, e.Step), max(0, e.Total)
		if e.Phase == wire.PhaseEvaluateTrain && r.phase == wire.PhaseTrain {
			r.Steps.Done = r.Steps.Total
		}
		if r.phase == wire.PhaseTrain {
			r.trained = time.Since(r.began)
		}
		again := r.phase == e.Phase
		r.phase, r.began = e.Phase, time.Now()
		if e.Phase == wire.PhaseTrain {
			r.Steps = outputs.Steps{Before: e.Step, Done: e.Step, Total: e.Total}
			if e.Step > 0 && !again {
				r.p.notice("%s: %d of %d steps are trained already", r.name, e.Step, e.Total)
			}
			r.Data.TrainSamples, r.Data.TestSamples = max(0, e.TrainSamples), max(0, e.TestSamples)
		}
		r.live.phase(e.Phase, e.Step, e.Total)
	case wire.Progress:
		e.Step, e.Total = max(0, e.Step), max(0, e.Total)
		if r.phase == wire.PhaseTrain {
			r.Steps.Done = e.Step
		}
		r.live.progress(e.Step, e.Total)
	case wire.MetricPoint:
		if e.Time == 0 {
			e.Time = time.Now().UnixMilli()
		}
		point := wire.AppendPoint(nil, wire.Point{Name: e.Name, Step: e.Step, Value: float64(*e.Value), Time: e.Time})
		r.live.metric(point, e.Step)
		if r.record != nil {
			r.waits(r.record.Metric(point))
		}
	case wire.Code:
		r.loaded(e.Files)
	case wire.VersionInfo:
		if e.Version != nil {
			r.versionTold(*e.Version, e.Error)
		}
	case wire.Log:
		r.talk.printed.log(e.Level, outputs.CleanLines(e.Message))
	case wire.Summary:
		switch e.Source {
		case "model":
			r.summarize(&r.summary.model, e.Message)
		case "data":
			r.summarize(&r.summary.data, e.Message)
		default:
			r.summarize(&r.summary.run, e.Message)
		}
	case wire.Result:
		switch {
		case e.Set != wire.SetTraining && e.Set != wire.SetTrain && e.Set != wire.SetTest:
			r.talk.Warning(fmt.Sprintf("a result of %q is passed over: it is of training, train or test", cut(e.Set, 80)))
		case len(e.Metrics) > 0:
			r.Results[e.Set] = e.Metrics
		}
	case wire.End:
		if e.Status != wire.Finished && e.Status != wire.Failed && e.Status != wire.Interrupted {
			r.talk.Warning(fmt.Sprintf("an end that is %q is passed over: it is finished, failed or interrupted", cut(e.Status, 80)))
			return
		}
		r.end = &e
	}
}

// maxSummary is how many bytes each of the summaries of a run may have.
const maxSummary = 1 << 20

// summarize adds text to a summary, as far as it may grow.
func (r *run) summarize(to *strings.Builder, text string) {
	room := maxSummary - to.Len()
	if room <= 0 {
		return
	}
	if len(text) > room {
		r.talk.Warning(fmt.Sprintf("a summary is longer than %d MiB; the rest is left out", maxSummary>>20))
	}
	if to.Len() > 0 {
		to.WriteByte('\n')
	}
	to.WriteString(cut(text, room))
}

// loaded takes in that the program has loaded files. One that has changed since its model told the versions is a script that
// was edited meanwhile.
func (r *run) loaded(files map[string]string) {
	program := plugin.Program{Files: r.Code.Files}
	for _, file := range program.Load(r.p.Project.ModelsDir, files) {
		r.p.notice("%s: %s has changed since the versions were listed; this version runs it as it is now", r.name, file)
	}
	r.Code.Files, r.Code.Fingerprint = program.Files, program.Fingerprint
}

// versionTold takes in the version as the process that runs it knows it: an edited script may have given it other parameters.
func (r *run) versionTold(v wire.Version, refused string) {
	var l version.List
	l.Add(v, refused)
	now := l.Sorted()[0]
	if v.Name != r.Version || now.Refused != "" || now.Hash == r.due.Hash {
		return
	}
	r.p.notice("%s: its parameters have changed since the versions were listed: %s", r.name, strings.Join(version.Changed(r.Parameters, now.Parameters), ", "))
	r.Parameters, r.ParametersHash = now.Parameters, hex(now.Hash)
	r.Data.Loader = now.DataLoader
}

// maxCause is how many bytes the reason may have that a model gives for its failure.
const maxCause = 32 << 10

// conclude sets status and failure: err is why the run could not begin, how what was done to it, exit how its process
// ended.
func (r *run) conclude(err error, how ending, exit Exit) {
	r.Summary = outputs.Summary{Model: r.summary.model.String(), Data: r.summary.data.String(), Run: r.summary.run.String()}
	said := wire.Event{}
	if r.end != nil {
		said = *r.end
	}
	if said.Status == wire.Finished && (exit.OK() || how == ending{lingered: true}) {
		r.Status = outputs.Finished
		return
	}
	r.Status = outputs.Failed
	r.Failure = &outputs.Failure{Phase: r.phase, Trace: said.Trace}
	death := exit.String()
	if r.talk != nil {
		r.Failure.Exit = death
		r.Failure.Stderr, death = r.talk.printed.dying(exit, r.where())
	}
	cause := &r.Failure.Cause
	switch {
	case err != nil:
		*cause = err.Error()
		var early *deathError
		if errors.As(err, &early) {
			r.Failure.Exit, r.Failure.Stderr = early.exit.String(), early.stderr
		}
	case how.timedOut:
		*cause = fmt.Sprintf("timed out after %v (timeout in mlp.config)", r.p.Project.Timeout)
	case how.stalled:
		*cause = stalled(r.p.Project.Stall) + r.where()
	case how.asked && how.killed && r.p.Stop.Level() == Killing:
		r.Status, *cause = outputs.Interrupted, "killed by the user"
	case how.asked && how.killed:
		r.Status, *cause = outputs.Interrupted, fmt.Sprintf("killed: it had not stopped within %v (grace in mlp.config)", r.p.Project.Grace)
	case how.asked:
		r.Status, *cause = outputs.Interrupted, "stopped by the user"
	case r.mute:
		*cause = "it died before its first word: " + death
	case said.Status == wire.Failed:
		if *cause = cut(said.Error, maxCause); *cause == "" {
			*cause = "it gave no reason"
		}
	case said.Status == wire.Interrupted:
		*cause = "stopped by a signal that the pipeline did not send"
	case said.Status == wire.Finished:
		*cause = fmt.Sprintf("it said that it had finished, but then: %v", exit)
	case how.lingered:
		*cause = "it ended the conversation" + r.where() + " before the run had ended, and lived on"
	case exit.OK():
		*cause = "it exited with status 0" + r.where() + " before the run had ended"
	default:
		*cause = death
	}
}

// where says in which phase the run is.
func (r *run) where() string {
	if r.phase == "" {
		return ""
	}
	return " in " + strings.ReplaceAll(r.phase, "_", " on ")
}

// write records how the run ended.
func (r *run) write() {
	p := r.p
	ended := outputs.Time{Time: time.Now()}
	r.Ended = &ended
	if p.Recorder != nil {
		missing, err := r.writeTo(p.Recorder)
		p.flaw(missing)
		if err != nil {
			p.fatal(err)
			r.unrecorded(err)
		}
	}
	p.report(Report{
		Event: r.Status, Model: r.Model, Version: r.Version, Run: r.ID, Step: r.Steps.Done, Total: r.Steps.Total,
		Seconds: r.Seconds, Results: r.Results, Failure: r.Failure,
	})
}

// unrecorded turns an end that could not be recorded into a failure that tells what it was: who reads it has nothing else.
func (r *run) unrecorded(why error) {
	text := fmt.Sprintf("it is %s, but that could not be recorded: %v", r.Status, why)
	if r.Failure == nil {
		r.Failure = &outputs.Failure{}
	} else {
		text += "; its cause: " + r.Failure.Cause
	}
	var results []string
	for _, set := range slices.Sorted(maps.Keys(r.Results)) {
		results = append(results, set+" "+outputs.FormatMetrics(r.Results[set]))
	}
	if len(results) > 0 {
		text += "; its results: " + strings.Join(results, ", ")
	}
	r.Status, r.Failure.Cause = outputs.Failed, text
}

// writeTo records how the run ended. missing is what of its metrics and printed lines is lost.
func (r *run) writeTo(recorder *outputs.Recorder) (missing, err error) {
	r.Code.Git = r.model.git()
	last := r.Run.End()
	if !r.noted { // else the start has told that it is the latest
		last.Time = r.later(last.Time)
	}
	event := &last
	if r.told != r.ParametersHash {
		event.Params, event.Order = r.Parameters, r.due.Order
	}
	if r.Status == outputs.Interrupted && !r.noted {
		event = nil // it is as if it had not begun
	}
	return recorder.End(r.record, r.Run, event)
}
