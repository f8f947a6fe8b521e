package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/pipeline"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// A screen shows what happens: results on standard output, as text or JSON; progress, warnings and failures in full on
// standard error. It is safe for use by several goroutines, and keeps none of them waiting: a terminal that is frozen, or
// a pipe that nobody reads for a while, must not hold up the night.
type screen struct {
	mu     sync.Mutex
	more   *sync.Cond
	queue  []func()      // what is to be shown
	closed bool          // nothing more comes into the queue
	shown  chan struct{} // closed when all has been shown

	// The rest belongs to the goroutine of show.
	out       io.Writer
	err       io.Writer
	json      bool
	test      bool // what models print is shown
	colour    bool
	bars      *mpb.Progress // nil off a terminal
	bar       map[string]*mpb.Bar
	bests     func(*pipeline.Summary) []best // of this call, once it has ended
	summarize func(*pipeline.Summary) string
	lost      func(error) // is told once that nobody can be shown anything any more
	gone      error       // why nobody can be shown anything any more
}

func newScreen(app *app, opts options) *screen {
	s := &screen{json: opts.json, test: !opts.run, bar: map[string]*mpb.Bar{}, lost: func(error) {}, shown: make(chan struct{})}
	s.more = sync.NewCond(&s.mu)
	s.out, s.err = app.stdout, app.stderr
	outTerminal, errTerminal := isTerminal(app.stdout), isTerminal(app.stderr)
	s.colour = outTerminal && os.Getenv("NO_COLOR") == "" && !opts.json
	if errTerminal && !opts.dryRun {
		s.bars = mpb.New(mpb.WithOutput(app.stderr), mpb.WithWidth(30))
		s.err = s.bars
		if outTerminal {
			s.out = s.bars // both are the same terminal: lines go above the bars
		}
	}
	go s.show()
	return s
}

// show shows what comes into the queue, until close.
func (s *screen) show() {
	defer close(s.shown)
	for {
		s.mu.Lock()
		for len(s.queue) == 0 && !s.closed {
			s.more.Wait()
		}
		queue := s.queue
		s.queue = nil
		s.mu.Unlock()
		if len(queue) == 0 {
			return
		}
		for _, f := range queue {
			f()
		}
	}
}

// later has f called by show.
func (s *screen) later(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, f)
	s.more.Signal()
}

// behind reports whether so much waits to be shown that progress may be left out.
func (s *screen) behind() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue) > 100
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" }

// write writes to one of the streams, and notices when it is gone.
func (s *screen) write(w io.Writer, text string) {
	if _, err := io.WriteString(w, text); err != nil && s.gone == nil {
		if errors.Is(err, mpb.ErrDone) {
			err = errors.New("it takes no more output") // the bars have noticed it first
		}
		s.gone = err
		s.lost(err)
	}
}

// close shows what is left. Nothing is reported any more. The error is that of the first write that failed.
func (s *screen) close() error {
	s.mu.Lock()
	s.closed = true
	s.more.Signal()
	s.mu.Unlock()
	<-s.shown
	for _, bar := range s.bar {
		bar.Abort(true)
	}
	if s.bars != nil {
		s.bars.Wait()
	}
	return s.gone
}

// say shows a line of the program's own on standard error.
func (s *screen) say(text string) {
	s.later(func() {
		start := ""
		if s.bars != nil {
			start = "\r" // the terminal has shown a ^C at the cursor
		}
		s.write(s.err, start+"mlpipeline: "+text+"\n")
	})
}

// plan shows a line of a plan.
func (s *screen) plan(p pipeline.Planned) {
	s.later(func() {
		if s.json {
			line, _ := json.Marshal(p)
			s.write(s.out, string(line)+"\n")
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
	case r.Event == pipeline.RunProgress && (s.bars == nil || s.behind()), r.Event == pipeline.RunPrinted && !s.test:
		return
	case r.Summary != nil:
		summary := *r.Summary
		r.Summary = &summary
	}
	s.later(func() { s.reported(r) })
}

func (s *screen) reported(r pipeline.Report) {
	s.progress(r)
	name := outputs.Clean(pipeline.Name(r.Model, r.Version))
	switch r.Event {
	case pipeline.Warning:
		s.write(s.err, "warning: "+outputs.Clean(r.Message)+"\n")
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
	case pipeline.RunFailed:
		s.failure(name, r)
	}
	if s.json {
		s.reportJSON(r)
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
	} else if !s.test { // where it has been shown
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
		pipeline.QueueAdded, pipeline.QueueRemoved, pipeline.Ended:
		told := struct {
			pipeline.Report
			Best []best `json:"best,omitempty"`
		}{Report: r}
		if r.Event == pipeline.Ended {
			told.Best = s.bests(r.Summary)
		}
		line, err := json.Marshal(told)
		if err == nil {
			s.write(s.out, string(line)+"\n")
		}
	}
}

// progress keeps a bar for each run that trains.
func (s *screen) progress(r pipeline.Report) {
	if s.bars == nil {
		return
	}
	bar := s.bar[r.Run]
	switch r.Event {
	case pipeline.RunProgress:
		if r.Total <= 0 {
			return
		}
		if bar == nil {
			var err error
			bar, err = s.bars.Add(r.Total, mpb.BarStyle().Build(), mpb.BarRemoveOnComplete(),
				mpb.PrependDecorators(decor.Name(outputs.Clean(pipeline.Name(r.Model, r.Version))+" ")),
				mpb.AppendDecorators(decor.CountersNoUnit("%d/%d "), decor.OnComplete(decor.AverageETA(decor.ET_STYLE_GO), "")))
			if err != nil {
				return // the terminal is gone
			}
			s.bar[r.Run] = bar
			bar.DecoratorAverageAdjust(r.Time)
		}
		if r.Phase == wire.PhaseTrain {
			bar.SetCurrent(min(r.Step, r.Total-1))
		}
	case pipeline.RunFinished, pipeline.RunFailed, pipeline.RunInterrupted:
		if bar != nil {
			bar.Abort(true)
			delete(s.bar, r.Run)
		}
	}
}

// The colours of a terminal.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
)

func (s *screen) paint(colour, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}
