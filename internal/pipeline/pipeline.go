// Package pipeline runs a queue of models: it reloads the queue, plans, executes and records, until nothing is due.
//
// The loop is in this file. queue.go turns names into models, model.go opens each when its turn comes, fork.go has one process
// import a script for all of its versions, ahead.go does before the loop what needs not wait, succession.go says when another version
// can start and line.go who goes first where GPUs are scarce, run.go runs one. talk.go holds a process of a model together with what
// it says and prints, limits.go tells when its time is over, plan.go the reasons why a version is due, tested.go what has passed test
// mode, failure.go what cannot run, stop.go the user's wish to stop, hooks.go the user's commands. Processes come from an Executor,
// below this package; what happens goes to the outputs folder and, as in report.go, to whoever watches. state.go tells at any moment
// what is going on: live.go of a run, outlook.go of what waits, forecast.go until when.
package pipeline

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/config"
	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/pipeline/passport"
	"github.com/mlpipeline/mlpipeline/internal/pipeline/plugin"
	"github.com/mlpipeline/mlpipeline/internal/version"
)

// A Pipeline is one call of mlpipeline. The exported fields are set before Run or Plan is called, once.
type Pipeline struct {
	Project  config.Project
	Queue    *config.Watcher
	Executor Executor
	Builder  *plugin.Builder
	Folder   outputs.Folder
	Recorder *outputs.Recorder // nil when nothing is to be written
	History  *outputs.History  // nil when it is not used
	// Passports are what is remembered of test mode.
	Passports passport.Folder
	Stop      *Stop
	// Warnings are given when the call begins.
	Warnings []string
	// Report is told of what happens, by several goroutines.
	Report func(Report)
	// Summarize returns the text that is shown at the end, for on_finish. It may be nil.
	Summarize func(*Summary) string

	Execute bool // execution mode; else test mode
	Keep    bool // what has finished stays finished although its code has changed
	// OnlyUntested is test mode of what has not passed as it is now; RequireTested is execution mode of nothing else than what has.
	OnlyUntested, RequireTested bool
	Jobs                        int // how many versions run at once
	Models                      version.Selection
	Versions                    version.Selection

	Program string // version of mlpipeline, for the records
	User    string

	ctx       context.Context // ends when no other version is to start
	started   time.Time
	models    map[string]*model
	longer    map[string][]*model // by what their names begin with before a - or a /
	queue     []string            // names of models, in the order in force
	passed    int                 // how many of these, from the first on, next need not look at
	blacklist bool                // they were found, not listed
	running   map[*run]bool
	ended     chan *run
	leaves    chan struct{}     // a run is leaving
	planning  bool              // it is only said what would run
	begun     bool              // a run has been started
	waits     *version.Version  // it was said last that it waits for GPUs
	env       map[string]string // what is recorded of it with each run
	temp      string            // where test mode has its model directories
	forecast  forecast
	reasons   reasons
	hooks     *hooks // nil when there are none
	over      atomic.Bool

	// mu guards what follows, and besides what State looks at while the loop changes it: models, queue and running above, and
	// of each model opened, finished, due, outlook, found and program.
	mu      sync.Mutex
	summary Summary
	faults  []outputs.Fault // the last failures
	warned  map[string]bool
	err     *RecordError // why nothing can be recorded any more
	flawed  error        // the first that was lost of what is recorded besides results,
	flaws   int          // and how often something was
}

// Run runs everything that is due. The error is one of the pipeline itself: nothing of it could be started, or its
// results could not be written.
func (p *Pipeline) Run() (Summary, error) {
	done, err := p.begin()
	defer done()
	if err != nil {
		return p.summary, err
	}
	p.log("info", fmt.Sprintf("mlpipeline %s starts, pid %d", p.Program, os.Getpid()))
	if p.Recorder != nil {
		p.Recorder.Reserve(p.Jobs)
		for _, text := range p.Recorder.Recovered {
			p.notice("%s", text)
		}
	}
	p.mark(outputs.Event{Event: outputs.Begin, Time: outputs.Time{Time: p.started}, PID: os.Getpid(), Command: strings.Join(os.Args, " ")})
	endStatus := p.writeStatus()
	p.hooks = p.startHooks(hookLimit)
	p.build()
	refused := p.checkTests()
	if refused == nil {
		p.openFinished()
		p.lookAhead()
	}
	for refused == nil {
		p.admit(p.reload())
		if after, ok := p.slot(); ok {
			if run := p.next(after); run != nil {
				p.start(run)
				continue
			}
		}
		if len(p.running) == 0 {
			break
		}
		p.wait()
	}
	for _, m := range p.models {
		p.saveTests(m)
	}
	p.mu.Lock()
	p.summary.Left = p.ctx.Err() != nil
	p.summary.Seconds = time.Since(p.started).Seconds()
	p.mu.Unlock()
	tally := p.State().Queue
	if p.Recorder != nil {
		p.Recorder.Done()
	}
	if p.broken() == nil { // else the next start completes what it can
		p.mark(outputs.Event{Event: outputs.End, Time: outputs.Time{Time: time.Now()}, Seconds: p.summary.Seconds, Tally: &tally})
	}
	endStatus()
	if refused != nil {
		return p.summary, refused
	}
	p.report(Report{Event: Ended, Summary: &p.summary})
	p.over.Store(true)
	p.hooks.finish(&p.summary)
	return p.summary, p.verdict()
}

// Over reports whether the queue has ended: only hooks may still be running.
func (p *Pipeline) Over() bool { return p.over.Load() }

// begin makes what a call needs. The caller calls done in any case.
func (p *Pipeline) begin() (done func(), err error) {
	p.ctx = p.Stop.ctx
	p.mu.Lock()
	p.started = time.Now()
	p.models, p.running, p.warned = map[string]*model{}, map[*run]bool{}, map[string]bool{}
	p.longer = map[string][]*model{}
	p.mu.Unlock()
	p.ended, p.leaves = make(chan *run), make(chan struct{}, 1)
	p.env = recordedEnvironment()
	if !p.Execute {
		if p.temp, err = os.MkdirTemp("", "mlpipeline-test-"); err != nil {
			err = &UsageError{Msg: fmt.Sprintf("test mode needs a temporary folder: %v", err), Hint: "set TMPDIR to a folder that can be written to"}
		}
	}
	for _, w := range slices.Concat(p.Warnings, p.Queue.Queue().Warnings) {
		p.warn(w)
	}
	if p.History != nil {
		for _, w := range p.History.Warnings {
			p.warn(w)
		}
	}
	p.setQueue(p.Queue.Queue())
	return func() {
		for _, m := range p.models {
			m.close(p)
		}
		if p.temp != "" {
			os.RemoveAll(p.temp)
		}
	}, err
}

// reload takes over a queue that was edited, and reports whether it was.
func (p *Pipeline) reload() bool {
	queue, change := p.Queue.Reload(p.ctx)
	for _, w := range change.Warnings {
		p.warn(w)
	}
	if !change.Taken {
		return false
	}
	for _, name := range change.Added {
		p.report(Report{Event: QueueAdded, Model: name})
	}
	for _, name := range change.Removed {
		p.report(Report{Event: QueueRemoved, Model: name})
	}
	if len(change.Added)+len(change.Removed) == 0 {
		p.notice("the queue has changed")
	}
	p.setQueue(queue)
	p.selected() // so that State counts those that are new
	return true
}

// start starts a run. Its end comes through p.ended.
func (p *Pipeline) start(r *run) {
	after := r.after
	p.mu.Lock()
	p.running[r], p.begun = true, true
	if after != nil {
		after.followed = true
	} else {
		p.tell(r, true)
	}
	p.mu.Unlock()
	go func() {
		r.do(after)
		p.ended <- r
	}()
}

// wait waits until a run has ended or the queue may have changed.
func (p *Pipeline) wait() {
	select {
	case <-p.Queue.Changed():
	case <-p.leaves:
	case r := <-p.ended:
		p.vacate(r)
		p.remember(r)
		p.mu.Lock()
		delete(p.running, r)
		switch r.Status {
		case anew:
			p.putBack(r)
		case outputs.Finished:
			p.summary.Finished++
		case outputs.Interrupted:
			p.summary.Interrupted++
		}
		p.mu.Unlock()
		if r.Status == anew {
			p.claim()
		} else {
			r.model.short = r.Seconds < short.Seconds()
		}
		switch r.Status {
		case outputs.Finished:
			p.forecast.finished(r)
		case outputs.Failed:
			p.failed(Failure{r.ID, r.Model, r.Version, r.Failure.Cause})
		}
		p.release(r.model)
	}
}

// failed counts a failure. In test mode it is the end.
func (p *Pipeline) failed(f Failure) {
	f.Cause = cut(f.Cause, keptLine) // the record has all of it
	p.mu.Lock()
	p.summary.Failed++
	if len(p.summary.Failures) < maxFailures {
		p.summary.Failures = append(p.summary.Failures, f)
	}
	p.faults = append(p.faults[max(0, len(p.faults)-outputs.MaxNext+1):], outputs.Fault(f))
	p.mu.Unlock()
	if !p.Execute {
		p.Stop.Raise(Killing)
	}
}

// nothing is the error of a call that could not do what it was asked because no name fits.
func (p *Pipeline) nothing() error {
	switch s := p.summary; {
	case s.Failed > 0 || s.Left:
		return nil
	case s.models == 0 && len(p.queue) > 0:
		return &UsageError{Msg: "no model of the queue exists", Hint: "write names of what lies in " + p.Project.ModelsDir}
	case s.models > 0 && s.selected == 0 && len(p.Models)+len(p.Versions) > 0:
		return &UsageError{Msg: "nothing in the queue fits --model and --version", Hint: "mlpipeline --dry-run without them lists what there is"}
	}
	return nil
}

// A UsageError is a mistake in the call or the configuration that only showed later.
type UsageError struct{ Msg, Hint string }

func (e *UsageError) Error() string { return e.Msg }

// mark notes in the history what concerns no version.
func (p *Pipeline) mark(e outputs.Event) {
	if p.Recorder == nil {
		return
	}
	p.fatal(p.Recorder.Mark(e))
}

// Fail has no other version start, because of err. Run returns it.
func (p *Pipeline) Fail(err error) { p.fatal(err) }

// fatal notes that results cannot be written any more. No other version starts; those that run go on to their end.
func (p *Pipeline) fatal(err error) {
	if err == nil {
		return
	}
	p.mu.Lock()
	first, running := p.err == nil, p.admittedRuns()
	if first {
		p.err = &RecordError{err}
	}
	p.mu.Unlock()
	if !first {
		return
	}
	p.Stop.Raise(Finishing)
	p.report(Report{Event: Unrecorded, Message: err.Error()})
	if running > 1 { // it is long until the call ends with this error
		p.warn(err.Error() + "; nothing else starts, what runs goes on to its end")
	}
}

// flaw notes that something was lost that is recorded besides results. The queue goes on, but is no success.
func (p *Pipeline) flaw(err error) {
	if err == nil {
		return
	}
	p.mu.Lock()
	if p.flaws++; p.flaws == 1 {
		p.flawed = err
	}
	p.mu.Unlock()
	p.warn(err.Error())
}

// broken is why results cannot be written any more, or nil.
func (p *Pipeline) broken() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		return nil
	}
	return p.err
}

// verdict is the error of the call.
func (p *Pipeline) verdict() error {
	if err := p.broken(); err != nil {
		return err
	}
	if err := p.nothing(); err != nil {
		return err
	}
	switch p.flaws {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("results are recorded, but not all else: %w", p.flawed)
	}
	return fmt.Errorf("results are recorded, but not all else: %w, and %d more that warnings tell of", p.flawed, p.flaws-1)
}

func (p *Pipeline) report(r Report) {
	r.Time = time.Now()
	p.Report(r)
	switch r.Event {
	case RunPrinted:
		p.log(r.Level, Name(r.Model, r.Version)+": "+r.Message)
	case Warning:
		p.log("warn", r.Message)
	case Unrecorded:
		p.log("error", r.text())
	case RunFailed:
		p.log("error", r.text())
		for _, line := range outputs.CleanLines(r.Failure.Trace) {
			p.log("error", "  "+line)
		}
		p.hooks.failed(r)
	default:
		p.log("info", r.text())
	}
}

// warn warns once of each thing.
func (p *Pipeline) warn(text string) {
	p.mu.Lock()
	known := p.warned[text]
	p.warned[text] = true
	p.mu.Unlock()
	if known || text == "" {
		return
	}
	p.report(Report{Event: Warning, Message: text})
}

func (p *Pipeline) notice(format string, args ...any) {
	p.report(Report{Event: Notice, Message: fmt.Sprintf(format, args...)})
}
