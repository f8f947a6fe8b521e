package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

const (
	hookLimit    = time.Minute     // how long a hook may take
	hookPipes    = time.Second     // how long what it prints is waited for when it has ended: it may have left a daemon behind
	hookLines    = 1000            // how many lines of it are kept
	hookPatience = 2 * time.Second // how long the end of the pipeline waits for hooks without a word
	hookQueue    = 100             // how many may wait for one that runs
	hookFact     = 32 << 10        // the longest fact, in bytes: Linux takes no more than 128 KiB
)

// hooks run the commands that mlp.config has for a failure and for the end of the queue, in execution mode. They run beside
// the queue, one at a time in their order, and can neither stop it nor hold it up.
type hooks struct {
	p       *Pipeline
	limit   time.Duration
	waiting chan hook
	ended   chan struct{} // none waits any more, none runs
	ctx     context.Context
	cancel  context.CancelFunc
}

// A hook is a command with the facts that it is run for.
type hook struct {
	name    string // its key in mlp.config
	about   string
	command string
	facts   []string // for its environment
}

// startHooks makes ready for hooks, if there are any. The caller calls finish.
func (p *Pipeline) startHooks(limit time.Duration) *hooks {
	if !p.Execute || p.Project.OnFailure == "" && p.Project.OnFinish == "" {
		return nil
	}
	h := &hooks{p: p, limit: limit, waiting: make(chan hook, hookQueue), ended: make(chan struct{})}
	h.ctx, h.cancel = h.until(Killing)
	go func() {
		defer close(h.ended)
		for hook := range h.waiting {
			h.run(h.ctx, hook)
		}
	}()
	return h
}

// until returns a context that ends when the user's wish to stop reaches level.
func (h *hooks) until(level Level) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	if h.p.Stop.Level() >= level {
		cancel()
	}
	go func() {
		select {
		case <-h.p.Stop.Reached(level):
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// failed has on_failure run for a failure. It does not wait.
func (h *hooks) failed(r Report) {
	if h == nil || h.p.Project.OnFailure == "" {
		return
	}
	dir := ""
	if r.Run != "" && h.p.Recorder != nil {
		dir = h.p.Folder.RunDir(r.Run)
	}
	hook := hook{"on_failure", Name(r.Model, r.Version), h.p.Project.OnFailure, h.facts("failure",
		"MODEL", fact(r.Model), "VERSION", fact(r.Version), "RUN_ID", r.Run, "CAUSE", fact(r.Failure.Cause), "SECONDS", seconds(r.Seconds), "RUN_DIR", dir)}
	select {
	case h.waiting <- hook:
	default:
		h.p.log("warn", fmt.Sprintf("on_failure is not run for %s: it waits for %d failures already", hook.about, hookQueue))
	}
}

// finish waits for what runs or waits, at most for the limit, and runs on_finish. The user's next wish to stop ends both.
func (h *hooks) finish(sum *Summary) {
	if h == nil {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		ctx, cancel := h.until(min(h.p.Stop.Level()+1, Killing))
		defer cancel()
		context.AfterFunc(ctx, h.cancel)
		late := time.AfterFunc(h.limit, h.cancel)
		close(h.waiting)
		<-h.ended
		late.Stop()
		h.cancel()
		if h.p.Project.OnFinish != "" {
			h.run(ctx, h.finished(sum))
		}
	}()
	select {
	case <-done:
	case <-time.After(hookPatience):
		h.p.notice("waiting for on_failure and on_finish of mlp.config, at most %v each; Ctrl-C ends them", h.limit)
		<-done
	}
}

// finished is on_finish with what it is told.
func (h *hooks) finished(sum *Summary) hook {
	text, left, cause := "", "0", ""
	if h.p.Summarize != nil {
		text = h.p.Summarize(sum)
	}
	if sum.Left {
		left = "1"
	}
	if err := h.p.broken(); err != nil {
		cause = err.Error()
	}
	var failures []string
	size := 0
	for i, f := range sum.Failures {
		cause, _, _ := strings.Cut(strings.TrimSpace(f.Cause), "\n")
		line := cut(outputs.Clean(Name(f.Model, f.Version)+": "+cause), keptLine)
		if size += len(line) + 1; size > hookFact {
			failures = append(failures, fmt.Sprintf("... %d more failures", sum.Failed-i))
			break
		}
		failures = append(failures, line)
	}
	return hook{"on_finish", "the queue", h.p.Project.OnFinish, h.facts("finish",
		"FINISHED", strconv.Itoa(sum.Finished), "FAILED", strconv.Itoa(sum.Failed), "INTERRUPTED", strconv.Itoa(sum.Interrupted),
		"SKIPPED", strconv.Itoa(sum.Skipped), "LEFT", left, "SECONDS", seconds(sum.Seconds), "SUMMARY", fact(text),
		"FAILURES", strings.Join(failures, "\n"), "CAUSE", fact(cause))}
}

// facts are the variables of an event, those that both have included.
func (h *hooks) facts(event string, pairs ...string) []string {
	log := ""
	if h.p.Recorder != nil {
		log = h.p.Folder.LogFile()
	}
	pairs = append([]string{"EVENT", event, "PROJECT", h.p.Project.Dir, "HOST", h.p.Folder.Host, "OUTPUTS", h.p.Folder.Dir, "LOG", log}, pairs...)
	var facts []string
	for i := 0; i < len(pairs); i += 2 {
		facts = append(facts, "MLPIPELINE_"+pairs[i]+"="+pairs[i+1])
	}
	return facts
}

// fact makes a text fit for the environment: lines that are clean, and only the first of very many.
func fact(text string) string {
	lines := outputs.CleanLines(text)
	size := 0
	for i, line := range lines {
		lines[i] = cut(line, keptLine)
		if size += len(lines[i]) + 1; size > hookFact {
			lines = append(lines[:i:i], fmt.Sprintf("... %d more lines", len(lines)-i))
			break
		}
	}
	return strings.Join(lines, "\n")
}

// seconds are whole, for the arithmetic of a shell.
func seconds(s float64) string { return strconv.FormatFloat(s, 'f', 0, 64) }

// run runs a hook to its end.
func (h *hooks) run(ctx context.Context, hook hook) {
	if ctx.Err() != nil {
		h.p.log("warn", hook.name+" is not run for "+hook.about+": the pipeline is ending")
		return
	}
	h.p.log("info", hook.name+": runs for "+hook.about)
	limited, cancel := context.WithTimeout(ctx, h.limit)
	defer cancel()
	shell := "sh"
	if _, err := exec.LookPath(shell); err != nil {
		shell = "/bin/sh" // without a PATH, as a service may be started
	}
	cmd := exec.CommandContext(limited, shell, "-c", hook.command)
	cmd.Dir = h.p.Project.Dir
	cmd.Env = append(hookEnviron(), append(hook.facts, "PWD="+cmd.Dir)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C is not for it, nor the terminal
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = hookPipes
	count, last := 0, ""
	printed := outputs.NewLineWriter(func(line string) {
		line = strings.ReplaceAll(line, "`"+hook.command+"'", "it") // as bash shows what it cannot parse, passwords and all
		switch count++; {
		case count <= hookLines:
			h.p.log("info", hook.name+": "+line)
		case count == hookLines+1:
			h.p.log("info", hook.name+": what else it prints is left out")
		}
		last = line
	})
	cmd.Stdout, cmd.Stderr = printed, printed
	err := cmd.Run()
	printed.Close()
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
	case ctx.Err() != nil:
		h.p.log("warn", hook.name+": killed: the pipeline is ending")
	case limited.Err() != nil:
		h.p.warn(fmt.Sprintf("%s in mlp.config: killed after %v", hook.name, h.limit))
	default:
		text := hook.name + " in mlp.config: " + err.Error()
		if last != "" {
			text += ": " + cut(last, keptLine)
		}
		h.p.warn(text)
	}
}

// hookEnviron is the environment of the pipeline without what it may have itself of a hook or a model: only the mark of its
// process tree stays.
func hookEnviron() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "MLPIPELINE_") || strings.HasPrefix(e, wire.EnvRun+"=") {
			env = append(env, e)
		}
	}
	return env
}
