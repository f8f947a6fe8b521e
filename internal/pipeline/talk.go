package pipeline

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/pipeline/plugin"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// A model says hello before it loads anything. One that does not within this time is none.
const helloTimeout = time.Minute

// A talk is a process of a model together with the conversation with it and what it prints.
type talk struct {
	Process
	*plugin.Session
	pulse   pulse
	printed capture
	readers sync.WaitGroup
	last    *wire.Event // an end that close has found: the model said it before it could be asked
}

// startTalk starts a process of m, with what c has besides. What is said begins with hello.
func (p *Pipeline) startTalk(m *model, c Command) (*talk, error) {
	c.Path, c.Args, c.Dir = m.program.Path, m.program.Args, p.Project.Dir
	c.Env = append(c.Env, fmt.Sprintf("%s=%d", wire.EnvProtocol, wire.Protocol), "PWD="+p.Project.Dir)
	process, err := p.Executor.Start(c)
	if err != nil && c.Of == nil {
		err = whyNotStarted(m.program.Path, err)
	}
	if err != nil {
		return nil, err
	}
	t := &talk{Process: process}
	t.Session = plugin.NewSession(process.Commands(), &listener{Reader: process.Events(), pulse: &t.pulse})
	t.Warn = func(text string) { p.log("warn", m.name+": "+text) }
	t.Log = func(level, text string) { t.printed.log(level, outputs.CleanLines(text)) }
	t.Code = func(files map[string]string) {
		p.mu.Lock()
		defer p.mu.Unlock()
		m.program.Load(p.Project.ModelsDir, files)
	}
	t.printed.emit = func(level, line string) {
		p.report(Report{Event: RunPrinted, Model: m.name, Message: line, Level: level})
	}
	t.capture(process.Stdout(), false)
	t.capture(process.Stderr(), true)
	return t, nil
}

// hello waits for the first word of m.
func (t *talk) hello(p *Pipeline, m *model) error {
	limit := helloTimeout
	if t := p.Project.Timeout; t > 0 {
		limit = min(limit, t)
	}
	err := t.within(p, limit, "it is no model: it said nothing of the plugin protocol within %v", "before its first word", t.Hello)
	var death *deathError
	if errors.As(err, &death) && m.found.Kind == plugin.Python {
		death.what += fmt.Sprintf("; is %s a Python 3.8 or later (python in mlp.config)?", m.program.Path)
	}
	return err
}

// within calls talk, which speaks with the process, and kills the process, so that talk fails, when it takes longer than
// limit, unless that is 0, when the process gives no sign of life, or when the user wishes to stop. A process that talk fails
// with is gone. The error of one that is late has limit in its text; where says what a process that stalls was about.
func (t *talk) within(p *Pipeline, limit time.Duration, late, where string, talk func() error) error {
	done, watched := make(chan struct{}), make(chan struct{})
	var tooLate, stalls bool
	go func() {
		defer close(watched)
		limits := t.limits(limit, p.Project.Stall)
		defer limits.stop()
		for stopped := false; !tooLate && !stalls && !stopped; {
			select {
			case <-done:
				return
			case <-limits.next():
				tooLate, stalls = limits.passed()
			case <-p.Stop.Reached(Finishing):
				stopped = true
			}
		}
		t.Kill()
	}()
	err := talk()
	close(done)
	<-watched
	if err == nil {
		return nil
	}
	death := t.gaveUp(err)
	switch {
	case tooLate:
		death.what = fmt.Sprintf(late, limit)
	case stalls:
		death.what = stalled(p.Project.Stall) + " " + where
	}
	return death
}

// stalled is the cause of death of a process that has given no sign of life for so long.
func stalled(limit time.Duration) string {
	return fmt.Sprintf("stalled: no sign of life for %v (stall in mlp.config)", limit)
}

// buffers are for what processes print: each has two readers, and most print little.
var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// capture reads what the process prints, to the end.
func (t *talk) capture(r io.Reader, isStderr bool) {
	t.readers.Add(1)
	go func() {
		defer t.readers.Done()
		heard := &listener{Reader: r, pulse: &t.pulse}
		lines := outputs.NewLineWriter(func(line string) { t.printed.line(line, isStderr) })
		pooled := buffers.Get().(*[32 << 10]byte)
		defer buffers.Put(pooled)
		buf := pooled[:]
		for {
			n, err := heard.Read(buf)
			lines.Write(buf[:n])
			if err != nil {
				lines.Close()
			}
			t.printed.pause()
			if err != nil {
				return
			}
		}
	}()
}

// close ends the conversation, and kills the process if that does not end it within grace. It waits for it, and for all
// that it prints.
func (t *talk) close(grace time.Duration) (exit Exit, killed bool) {
	t.Commands().Close()
	t.pulse.busy.Add(1) // nothing more is expected of it: grace counts now
	timer := time.AfterFunc(grace, t.Kill)
	for {
		e, _, err := t.Next()
		if err != nil {
			break
		}
		if e.Type == wire.End && t.last == nil {
			t.last = &e
		}
	}
	t.readers.Wait()
	exit = t.Wait()
	return exit, !timer.Stop()
}

// gaveUp ends a conversation that failed with err, and the process, and returns why: its death when that was the reason.
func (t *talk) gaveUp(err error) *deathError {
	var failed *plugin.FailedError
	if err != plugin.ErrEnded && err != plugin.ErrNoModel && !errors.As(err, &failed) {
		t.Kill()
	}
	// What is not ended by now does not listen, but it is given the time to print why.
	exit, _ := t.close(time.Second)
	if err == plugin.ErrEnded && t.last != nil && t.last.Status == wire.Failed {
		failed = &plugin.FailedError{Msg: t.last.Error, Trace: t.last.Trace}
	}
	stderr, why := t.printed.dying(exit, "")
	death := &deathError{exit: exit, stderr: stderr}
	switch {
	case failed != nil:
		death.what, death.trace = cut(failed.Msg, maxCause), failed.Trace
	case err == plugin.ErrNoModel && exit.OK():
		death.what = "it is no model: it ended without a word of the plugin protocol (see docs/protocol.md)"
	case err == plugin.ErrNoModel:
		death.what = "it died before its first word: " + why
	case err == plugin.ErrEnded:
		death.what = "it died before it told its versions: " + why
	default:
		death.what = err.Error()
	}
	return death
}

// A deathError tells of a process that ended before it was to.
type deathError struct {
	what   string
	exit   Exit
	stderr []string
	trace  string
}

func (e *deathError) Error() string { return e.what }

// keptLines of standard error, of each at most keptLine bytes, are shown with a failure; of what is printed before a run
// begins, keptEarly bytes are put into its record. The log has all of it.
const (
	keptLines = 20
	keptLine  = 2000
	keptEarly = 1 << 20
)

// A capture distributes the lines that a process prints. emit and the functions of begin are called with its lock held.
type capture struct {
	mu    sync.Mutex
	emit  func(level, line string)
	flush func()
	early []string
	held  int // bytes in early
	begun bool
	count int      // lines of standard error
	last  []string // the last of them
	crash []string // the lines in which the runtime of Go or Python says why it died, and the first that follow
	where int      // the number of lines before crash
}

// crashed fits the line in which the runtime of Go or Python says why a program dies.
var crashed = regexp.MustCompile(`^(panic|fatal error|SIG[A-Z]+|Fatal Python error): `)

func (c *capture) line(line string, isStderr bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if isStderr {
		if len(c.last) == keptLines {
			c.last = append(c.last[:0], c.last[1:]...)
		}
		c.last = append(c.last, cut(line, keptLine))
		crashing := len(c.crash) > 0
		if !crashing && crashed.MatchString(line) {
			crashing, c.where = true, c.count
		}
		if crashing && len(c.crash) < keptLines {
			c.crash = append(c.crash, cut(line, keptLine))
		}
		c.count++
	}
	if !c.begun && c.held < keptEarly {
		c.early = append(c.early, line)
		c.held += len(line) + 1
	}
	c.emit("info", line)
}

// log takes lines that the model logs at a level.
func (c *capture) log(level string, lines []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, line := range lines {
		c.emit(level, line)
	}
	if c.flush != nil {
		c.flush()
	}
}

// pause is called when no more output has come yet.
func (c *capture) pause() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flush != nil {
		c.flush()
	}
}

// begin hands the lines to a run from now on: emit takes them, and record as well, which also takes those that have come
// already.
func (c *capture) begin(emit func(level, line string), record func(line string), flush func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, line := range c.early {
		record(line)
	}
	c.early, c.begun, c.flush = nil, true, flush
	c.emit = func(level, line string) {
		emit(level, line)
		record(line)
	}
}

// cut returns s, or the first n bytes of it if it is longer.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "..."
}

// dying returns what is left of a process that died: what stands on its standard error, from where it crashed and at its
// end, and its cause of death, which is exit, where, and what it said about it.
func (c *capture) dying(exit Exit, where string) (stderr []string, cause string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cause = exit.String() + where
	if len(c.crash) == 0 {
		return append(stderr, c.last...), cause
	}
	gap := c.count - len(c.last) - (c.where + len(c.crash)) // lines that neither has
	stderr = append(stderr, c.crash...)
	if gap > 0 {
		stderr = append(stderr, fmt.Sprintf("... %d more lines ...", gap))
	}
	return append(stderr, c.last[min(max(0, -gap), len(c.last)):]...), cause + ", " + c.crash[0]
}
