package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/pipeline"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// A screen shows what happens: results on standard output, as text or JSON; progress, warnings and failures in full on
// standard error. On a terminal what runs now stands below all that. It is safe for use by several goroutines, and keeps none
// of them waiting: a terminal that is frozen, or a pipe that nobody reads for a while, must not hold up the night. Only what
// models print in test mode, which may be more than there is memory, waits until there is room for it.
type screen struct {
	mu      sync.Mutex
	room    sync.Cond     // printed has become less
	printed int           // bytes in queue that models have printed
	queue   []func()      // what is to be shown
	closed  chan struct{} // nothing more comes into the queue
	more    chan struct{} // something has come into it
	shown   chan struct{} // closed when all has been shown

	// The rest belongs to the goroutine of show.
	out       io.Writer
	err       io.Writer
	json      bool
	test      bool // what models print is shown
	events    bool // what happens without a result is shown
	quiet     bool // only failures and the end are shown
	typed     bool // what is typed may stand before what is written
	colour    bool // on standard output
	live      *live
	ended     bool                           // nothing runs any more
	bests     func(*pipeline.Summary) []best // of this call, once it has ended
	summarize func(*pipeline.Summary) string
	lost      func(error)
	gone      error // why nobody can be shown anything any more
}

// newScreen returns a screen; state says what runs now.
func newScreen(app *app, opts options, state func() outputs.Status) *screen {
	s := &screen{
		out: app.stdout, err: app.stderr,
		json: opts.json, test: !opts.run, quiet: opts.quiet, events: !opts.quiet && opts.progress != progressNone,
		lost:   func(error) {},
		closed: make(chan struct{}), more: make(chan struct{}, 1), shown: make(chan struct{}),
	}
	s.room.L = &s.mu
	outTerminal, errTerminal := isTerminal(app.stdout), isTerminal(app.stderr)
	s.typed = errTerminal
	plain := os.Getenv("NO_COLOR") != ""
	s.colour = outTerminal && !plain && !opts.json
	if !opts.dryRun && (opts.progress == progressTTY || opts.progress == progressAuto && errTerminal && !opts.quiet) {
		s.live = newLive(app.stderr, state, errTerminal && !plain)
		s.err = s.live
		if outTerminal && errTerminal || sameFile(app.stdout, app.stderr) {
			s.out = s.live // both are the same terminal: lines go above the live ones
		}
	}
	go s.show()
	return s
}

// onLost sets what is called, once, when nobody can be shown anything any more.
func (s *screen) onLost(f func(error)) { s.later(func() { s.lost = f }) }

// show shows what comes into the queue, until close.
func (s *screen) show() {
	defer close(s.shown)
	var tick <-chan time.Time
	var resized chan os.Signal
	if s.live != nil {
		ticker := time.NewTicker(livePace)
		defer ticker.Stop()
		tick, resized = ticker.C, make(chan os.Signal, 1)
		signal.Notify(resized, syscall.SIGWINCH)
		defer signal.Stop(resized)
		defer s.live.takeStops(s.later)()
	}
	for closed := false; !closed; {
		select {
		case <-s.more:
		case <-tick:
		case <-resized:
		case <-s.closed:
			closed = true
		}
		s.mu.Lock()
		queue := s.queue
		s.queue, s.printed = nil, 0
		s.room.Broadcast()
		s.mu.Unlock()
		for _, f := range queue {
			f()
		}
		if s.live == nil {
			continue
		}
		s.check(s.live.draw(!closed && !s.ended))
		select { // what comes many times a second is shown together
		case <-s.closed:
		case <-time.After(drawPace):
		}
	}
}

// later has f called by show.
func (s *screen) later(f func()) {
	s.mu.Lock()
	s.queue = append(s.queue, f)
	s.mu.Unlock()
	select {
	case s.more <- struct{}{}:
	default: // show is about to look
	}
}

const (
	maxPrinted = 1 << 20 // bytes that models have printed are kept until they can be shown
	reportSize = 500     // bytes that a report takes besides
)

// wait waits until there is room for so much that a model has printed.
func (s *screen) wait(size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.printed > maxPrinted {
		s.room.Wait()
	}
	s.printed += size
}

func sameFile(a, b *os.File) bool {
	one, err := a.Stat()
	other, err2 := b.Stat()
	return err == nil && err2 == nil && os.SameFile(one, other)
}

// write writes to one of the streams, and notices when it is gone.
func (s *screen) write(w io.Writer, text string) {
	_, err := io.WriteString(w, text)
	s.check(err)
}

func (s *screen) check(err error) {
	if err != nil && s.gone == nil {
		s.gone = err
		s.lost(err)
	}
}

// close shows what is left, and takes away what is shown of runs. Nothing is reported any more. The error is that of the
// first write that failed.
func (s *screen) close() error {
	close(s.closed)
	<-s.shown
	return s.gone
}

// say shows a line of the program's own on standard error.
func (s *screen) say(text string) {
	s.later(func() {
		start := ""
		if s.typed {
			start = "\r" // the terminal has shown a ^C at the cursor
		}
		s.write(s.err, start+"mlpipeline: "+text+"\n")
	})
}

// plan shows a line of a plan.
func (s *screen) plan(p pipeline.Planned) {
	s.later(func() {
		if s.json {
			line, _ := jsonLine(p)
			s.write(s.out, line)
			return
		}
		reason := p.Reason
		if p.Untested != "" {
			reason += "; " + p.Untested
		}
		s.write(s.out, fmt.Sprintf("%-6s  %s: %s\n", p.Action, outputs.Clean(pipeline.Name(p.Model, p.Version)), outputs.Clean(reason)))
	})
}

// report shows what happened.
func (s *screen) report(r pipeline.Report) {
	switch {
	case r.Event == pipeline.RunPrinted && !(s.test && s.events):
		return
	case r.Event == pipeline.RunPrinted:
		s.wait(len(r.Message) + reportSize)
	case r.Summary != nil:
		summary := *r.Summary
		r.Summary = &summary
	}
	s.later(func() { s.reported(r) })
}

func (s *screen) reported(r pipeline.Report) {
	name := outputs.Clean(pipeline.Name(r.Model, r.Version))
	switch r.Event {
	case pipeline.Warning:
		s.write(s.err, "warning: "+outputs.Clean(r.Message)+"\n")
	case pipeline.RunFailed:
		s.failure(name, r)
	case pipeline.Ended:
		s.ended = true
	}
	if s.events {
		s.event(name, r)
	}
	if s.json {
		s.reportJSON(r)
		return
	}
	if s.quiet && r.Event != pipeline.Ended && r.Event != pipeline.RunFailed {
		return
	}
	switch r.Event {
	case pipeline.RunFinished:
		text := fmt.Sprintf("%s: %s in %s", name, s.paint(green, "finished"), outputs.Duration(r.Seconds))
		for _, set := range []string{wire.SetTrain, wire.SetTest} {
			if m := r.Results[set]; len(m) > 0 {
				text += fmt.Sprintf("; %s %s", set, outputs.FormatMetrics(m))
			}
		}
		s.write(s.out, text+"\n")
	case pipeline.RunFailed:
		first, _ := cause(r.Failure.Cause)
		s.write(s.out, fmt.Sprintf("%s: %s: %s\n", name, s.paint(red, "failed"), first))
	case pipeline.RunInterrupted:
		s.write(s.out, fmt.Sprintf("%s: %s at step %d of %d: %s\n", name, s.paint(yellow, "interrupted"), r.Step, r.Total, outputs.Clean(r.Failure.Cause)))
	case pipeline.Skipped:
		s.write(s.out, fmt.Sprintf("%s: %s\n", name, outputs.Clean(r.Reason)))
	case pipeline.Ended:
		s.write(s.out, s.summarize(r.Summary)+"\n")
	}
}

// event shows what is neither a result nor something wrong.
func (s *screen) event(name string, r pipeline.Report) {
	switch r.Event {
	case pipeline.Notice:
		s.write(s.err, "mlpipeline: "+outputs.Clean(r.Message)+"\n")
	case pipeline.QueueAdded:
		s.write(s.err, "+ "+name+"\n")
	case pipeline.QueueRemoved:
		s.write(s.err, "- "+name+"\n")
	case pipeline.RunPrinted:
		s.write(s.err, name+": "+outputs.Clean(r.Message)+"\n")
	case pipeline.RunStarted:
		s.write(s.err, fmt.Sprintf("%s: started (%s)\n", name, outputs.Clean(r.Reason)))
	}
}

// cause splits the cause of a failure into the line for a summary and the rest.
func cause(text string) (first string, rest []string) {
	lines := outputs.CleanLines(strings.TrimSpace(text))
	if len(lines) == 0 {
		return "", nil
	}
	return lines[0], lines[1:]
}

// failure shows all that is known of a failure.
func (s *screen) failure(name string, r pipeline.Report) {
	f := r.Failure
	first, lines := cause(f.Cause)
	text := "mlpipeline: " + name + " failed: " + first
	if f.Exit != "" && !strings.Contains(f.Cause, f.Exit) {
		text += " (" + f.Exit + ")"
	}
	s.write(s.err, text+"\n")
	if f.Trace != "" {
		lines = append(lines, outputs.CleanLines(f.Trace)...)
	} else if !(s.test && s.events) { // else it has been shown
		lines = append(lines, f.Stderr...)
	}
	for _, line := range lines {
		s.write(s.err, "    "+line+"\n")
	}
}

// reportJSON prints r as one line, if it is one that tells of a result.
func (s *screen) reportJSON(r pipeline.Report) {
	switch r.Event {
	case pipeline.RunStarted, pipeline.RunFinished, pipeline.RunFailed, pipeline.RunInterrupted, pipeline.Skipped,
		pipeline.QueueAdded, pipeline.QueueRemoved, pipeline.Unrecorded, pipeline.Ended:
		told := struct {
			pipeline.Report
			Best []best `json:"best,omitempty"`
		}{Report: r}
		if r.Event == pipeline.Ended {
			told.Best = s.bests(r.Summary)
		}
		line, err := jsonLine(told)
		if err == nil {
			s.write(s.out, line)
		}
	}
}

// The colours of a terminal.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (s *screen) paint(colour, text string) string {
	if !s.colour {
		return text
	}
	return painted(colour, text)
}

func painted(colour, text string) string { return "\x1b[" + colour + "m" + text + "\x1b[0m" }
