package mlp_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// A child is a model as the pipeline sees it.
type child struct {
	t        *testing.T
	cmd      *exec.Cmd
	commands *os.File
	send     *wire.Writer
	pipe     *os.File
	events   *wire.Reader
	stdin    io.WriteCloser
	stdout   bytes.Buffer
	stderr   bytes.Buffer
	dir      string
}

// start starts a model and reads its hello.
func start(t *testing.T, word string) *child {
	t.Helper()
	commandsR, commandsW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	eventsR, eventsW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{
		t: t, cmd: exec.Command(self), dir: t.TempDir(),
		commands: commandsW, send: wire.NewWriter(commandsW), pipe: eventsR, events: wire.NewReader(eventsR),
	}
	c.cmd.Env = append(modelEnv(word), wire.EnvProtocol+"=1", wire.EnvRun+"=tree")
	c.cmd.ExtraFiles = []*os.File{commandsR, eventsW}
	c.cmd.Stdout, c.cmd.Stderr = &c.stdout, &c.stderr
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	commandsR.Close()
	eventsW.Close()
	t.Cleanup(func() {
		c.cmd.Process.Kill()
		c.cmd.Wait()
		commandsW.Close()
		eventsR.Close()
	})
	if e, ok := c.next(); !ok || e.Type != wire.Hello || e.Protocol != wire.Protocol || e.SDK == "" {
		t.Fatalf("no hello: %+v, %s", e, c.stderr.String())
	}
	return c
}

// next returns the next event, false at the end.
func (c *child) next() (wire.Event, bool) {
	c.t.Helper()
	line, err := c.events.Next()
	if err == io.EOF {
		return wire.Event{}, false
	}
	if err != nil {
		c.t.Fatal(err)
	}
	e, err := wire.Decode(line)
	if err != nil {
		c.t.Fatalf("%.200s: %v", line, err)
	}
	return e, true
}

// until returns the events up to the first that last accepts, or to the end.
func (c *child) until(last func(wire.Event) bool) (events []wire.Event) {
	c.t.Helper()
	for {
		e, ok := c.next()
		if !ok {
			return events
		}
		if events = append(events, e); last(e) {
			return events
		}
	}
}

func ofType(typ string) func(wire.Event) bool {
	return func(e wire.Event) bool { return e.Type == typ }
}
func logged(text string) func(wire.Event) bool {
	return func(e wire.Event) bool { return e.Type == wire.Log && e.Message == text }
}

func (c *child) command(cmd wire.Command) {
	c.t.Helper()
	if err := c.send.Send(cmd); err != nil {
		c.t.Fatal(err)
	}
}

func (c *child) run(version string) {
	c.t.Helper()
	c.command(wire.Command{Type: wire.Execute, Model: "m", Version: version, Mode: wire.ModeExecution, Dir: c.dir})
}

// exit returns the exit status, -1 after a signal.
func (c *child) exit() int {
	c.t.Helper()
	if err := c.cmd.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		c.t.Fatal(err)
	}
	return c.cmd.ProcessState.ExitCode()
}

// ends reads the events to the end and checks how the run ended.
func (c *child) ends(status string, exit int) (events []wire.Event, end wire.Event) {
	c.t.Helper()
	events = c.until(func(wire.Event) bool { return false })
	if len(events) > 0 {
		end = events[len(events)-1]
	}
	got := c.exit()
	if end.Type != wire.End || end.Status != status || got != exit {
		c.t.Errorf("ended with %.300s, exit status %d; want %s, %d\n%.2000s", shown(end), got, status, exit, c.stderr.String())
	}
	return events, end
}

// shown is an event in a line.
func shown(e wire.Event) string {
	switch e.Type {
	case wire.Phase:
		s := fmt.Sprintf("phase %s %d/%d", e.Phase, e.Step, e.Total)
		if e.TrainSamples != 0 {
			s += fmt.Sprintf(" of %d, %d samples", e.TrainSamples, e.TestSamples)
		}
		return s
	case wire.Log:
		return e.Level + " " + e.Message
	case wire.Summary:
		return "summary of " + e.Source + ": " + e.Message
	case wire.Result:
		return fmt.Sprintf("result %s %v", e.Set, e.Metrics)
	case wire.End:
		return strings.TrimSpace("end " + e.Status + " " + e.Error)
	case wire.Trained:
		return strings.TrimSpace(fmt.Sprintf("trained %d %s", e.Step, e.Error))
	}
	return e.Type
}

func wantEvents(t *testing.T, events []wire.Event, want string) {
	t.Helper()
	var got []string
	for _, e := range events {
		got = append(got, shown(e))
	}
	want = strings.TrimSpace(strings.ReplaceAll(want, "\t", ""))
	if got := strings.Join(got, "\n"); got != want {
		t.Errorf("got\n%s\n\nwant\n%s", got, want)
	}
}

func TestList(t *testing.T) {
	c := start(t, "versions")
	c.command(wire.Command{Type: "dance"})
	c.send.Flush()
	c.commands.WriteString("this is no command\n")
	c.command(wire.Command{Type: wire.List})
	events := c.until(ofType(wire.Listed))
	var got strings.Builder
	for _, e := range events[:len(events)-1] {
		v := e.Version
		fmt.Fprintf(&got, "%s %d batch=%d epochs=%d %s %s %s\n", v.Name, v.Order, v.BatchSize, v.Epochs, v.DataLoader, v.Params, e.Error)
	}
	want := `first -1 batch=3 epochs=3 mlp_test.data  
bad 2 batch=-1 epochs=3 mlp_test.data  BatchSize is -1; it must be greater than 0; also ModelDirSuffix "../x" has a path separator
 3 batch=3 epochs=3 mlp_test.data  version 3: Name is missing
late 5 batch=3 epochs=3 mlp_test.data  Name is used by an earlier version
late 10 batch=3 epochs=3 mlp_test.data {"act":"relu","hidden":16} 
`
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
	if listed := events[len(events)-1]; !listed.AllowDeleteModelDir || !listed.ResetSteps {
		t.Errorf("options: %+v", listed)
	}
	c.commands.Close()
	if code := c.exit(); code != 0 {
		t.Errorf("exit status %d at the end of the commands", code)
	}
	if got := c.stderr.String(); !strings.Contains(got, "a command is ignored") {
		t.Errorf("stderr: %q", got)
	}
}

func TestListThenRun(t *testing.T) {
	c := start(t, "plain")
	c.command(wire.Command{Type: wire.List})
	c.until(ofType(wire.Listed))
	c.run("baseline")
	events, _ := c.ends(wire.Finished, 0)
	wantEvents(t, events, `
		phase setup 0/0
		info Setup m/baseline execution
		phase train 0/12 of 10, 2 samples
		info Train training 12
		result training map[steps:12]
		phase evaluate_train 0/4
		info Evaluate evaluation 4
		result train map[steps:4]
		phase evaluate_test 0/1
		info Evaluate test 1
		result test map[]
		summary of data: about the data
		end finished`)
}

func TestTestMode(t *testing.T) {
	c := start(t, "full")
	c.command(wire.Command{Type: wire.Execute, Model: "m", Version: "baseline", Mode: wire.ModeTest, Dir: c.dir})
	events, _ := c.ends(wire.Finished, 0)
	wantEvents(t, events, `
		phase setup 0/0
		info Setup m/baseline test
		phase train 0/1 of 10, 2 samples
		info Train training 1
		result training map[steps:1]
		phase evaluate_train 0/1
		info Evaluate evaluation 1
		result train map[steps:1]
		phase evaluate_test 0/1
		info Evaluate test 1
		result test map[]
		phase finish 0/0
		info Finish
		summary of model: about the model
		summary of data: about the data
		end finished`)
}

// What comes before the evaluations.
func TestTraining(t *testing.T) {
	for _, test := range []struct {
		word   string
		clean  bool
		events string
	}{
		{"full", true, `
			phase clean 0/0
			phase setup 0/0
			info Setup m/baseline execution
			phase train 5/12 of 10, 2 samples
			info Train training 7
			result training map[steps:7]`},
		{"full, may not clean", true, `
			phase setup 0/0
			info Setup m/baseline execution
			phase train 5/12 of 10, 2 samples
			info Train training 7
			result training map[steps:7]`},
		{"clean without CleanModelDir", true, `
			phase clean 0/0
			info nothing is deleted: CleanModelDir is not implemented
			phase setup 0/0
			info Setup m/baseline execution
			phase train 0/12 of 10, 2 samples
			info Train training 12
			result training map[steps:12]`},
		{"all trained", false, `
			phase setup 0/0
			info Setup m/baseline execution
			phase train 12/12 of 10, 2 samples
			info all 12 steps are trained; training is skipped`},
		{"too many trained", false, `
			phase setup 0/0
			info Setup m/baseline execution
			warn TrainedSteps is 100 of 12 steps; 12 is taken
			phase train 12/12 of 10, 2 samples
			info all 12 steps are trained; training is skipped`},
		{"negative trained", false, `
			phase setup 0/0
			info Setup m/baseline execution
			warn TrainedSteps is -1 of 12 steps; 0 is taken
			phase train 0/12 of 10, 2 samples
			info Train training 12
			result training map[steps:12]`},
		{"reset", false, `
			phase setup 0/0
			info Setup m/baseline execution
			phase train 0/12 of 10, 2 samples
			info Train training 12
			result training map[steps:12]`},
	} {
		t.Run(test.word, func(t *testing.T) {
			c := start(t, test.word)
			old := filepath.Join(c.dir, "old")
			if err := os.WriteFile(old, nil, 0o666); err != nil {
				t.Fatal(err)
			}
			c.command(wire.Command{Type: wire.Execute, Model: "m", Version: "baseline", Mode: wire.ModeExecution, Dir: c.dir, Clean: test.clean})
			events := c.until(func(e wire.Event) bool { return e.Phase == wire.PhaseEvaluateTrain })
			wantEvents(t, events[:len(events)-1], test.events)
			c.ends(wire.Finished, 0)
			if _, err := os.Stat(old); (err != nil) != (test.word == "full") {
				t.Errorf("the file in the model directory: %v", err)
			}
		})
	}
}

func TestTrained(t *testing.T) {
	for _, test := range []struct{ word, version, want string }{
		{"full", "baseline", "trained 5"},
		{"full", "nobody", "trained 0 version nobody does not exist"},
		{"plain", "baseline", "trained 0"},
		{"negative trained", "baseline", "trained 0"},
		{"trained fails", "baseline", "trained 0 no checkpoint"},
		{"trained panics", "baseline", "trained 0 panic in TrainedSteps: no checkpoint"},
	} {
		t.Run(test.word, func(t *testing.T) {
			c := start(t, test.word)
			for range 2 {
				c.command(wire.Command{Type: wire.AskTrained, Model: "m", Version: test.version, Dir: c.dir})
				wantEvents(t, c.until(ofType(wire.Trained)), test.want)
			}
			c.commands.Close()
			if code := c.exit(); code != 0 {
				t.Errorf("exit status %d", code)
			}
		})
	}
}

func TestFailures(t *testing.T) {
	for _, test := range []struct {
		word, version string
		exit          int
		err           string
		trace         string // part of it
	}{
		{"error", "baseline", 1, "train: diverged", ""},
		{"nil error", "baseline", 1, "train: <nil>", ""},
		{"error with a trace", "baseline", 1, "evaluate_train: wrapped: traced", "at model.go:1"},
		{"panic", "baseline", 2, "panic in Train: index out of luck", "model_test.go"},
		{"trained panics", "baseline", 2, "panic in TrainedSteps: no checkpoint", "model_test.go"},
		{"trained fails", "baseline", 1, "train: TrainedSteps: no checkpoint", ""},
		{"goexit", "baseline", 1, "Train ended the main goroutine", ""},
		{"no samples", "none", 1, "version none: DataLoader: TrainSampleCount is 0; it must be greater than 0", ""},
		{"no samples", "no test", 1, "version no test: DataLoader: TestSampleCount is -3; it must be greater than 0", ""},
		{"versions", "bad", 1, `version bad: BatchSize is -1; it must be greater than 0; also ModelDirSuffix "../x" has a path separator`, ""},
		{"plain", "nobody", 1, "version nobody does not exist", ""},
	} {
		t.Run(test.word+" "+test.version, func(t *testing.T) {
			c := start(t, test.word)
			c.run(test.version)
			_, end := c.ends(wire.Failed, test.exit)
			if end.Error != test.err {
				t.Errorf("got %s\nwant %s", end.Error, test.err)
			}
			if !strings.Contains(end.Trace, test.trace) || (end.Trace == "") != (test.trace == "") {
				t.Errorf("trace: %s", end.Trace)
			}
			if stderr := c.stderr.String(); (test.exit == 2) != strings.Contains(stderr, "goroutine 1 [running]") {
				t.Errorf("stderr: %s", stderr)
			}
		})
	}
}

func TestOsExitLeavesNoEnd(t *testing.T) {
	c := start(t, "exit")
	c.run("baseline")
	for _, e := range c.until(func(wire.Event) bool { return false }) {
		if e.Type == wire.End {
			t.Error(shown(e))
		}
	}
	if code := c.exit(); code != 7 {
		t.Errorf("exit status %d", code)
	}
}

func TestLongTexts(t *testing.T) {
	c := start(t, "big")
	c.run("baseline")
	events, _ := c.ends(wire.Finished, 0)
	texts := map[string]string{}
	for _, e := range events {
		if len(e.Message) > 64<<10 {
			t.Errorf("a piece of %d bytes", len(e.Message))
		}
		if len(e.Message) > 1000 || strings.HasSuffix(e.Message, "9é") {
			texts[e.Type+e.Source] += e.Message
		}
	}
	for _, key := range []string{wire.Log, wire.Summary + "run"} {
		if texts[key] != bigText {
			t.Errorf("%s: %d of %d bytes came", key, len(texts[key]), len(bigText))
		}
	}

	c = start(t, "long error")
	c.run("baseline")
	_, end := c.ends(wire.Failed, 1)
	if len(end.Error) > 64<<10 || !strings.HasPrefix(end.Error, "train: éé") || !strings.HasSuffix(end.Error, " bytes more)") {
		t.Errorf("%d bytes, ends with %q", len(end.Error), end.Error[len(end.Error)-30:])
	}

	c = start(t, "too many metrics")
	c.run("baseline")
	if _, end := c.ends(wire.Failed, 1); !strings.HasPrefix(end.Error, "evaluate_train: metrics: message of ") {
		t.Error(end.Error)
	}
}

func TestMetrics(t *testing.T) {
	c := start(t, "metrics")
	c.run("baseline")
	events, _ := c.ends(wire.Finished, 0)
	step, warnings := int64(0), 0
	var progress wire.Event
	for _, e := range events {
		switch {
		case e.Type == wire.MetricPoint:
			if step++; e.Name != "loss" || e.Step != step || float64(*e.Value) != 1/float64(step) || e.Time == 0 {
				t.Fatalf("metric %d: %+v", step, e)
			}
		case e.Type == wire.Progress:
			progress = e
		case e.Type == wire.Log && e.Level == "warn":
			warnings++
		}
	}
	if step != 1000 || progress.Step != 1000 || progress.Total != 1000 || warnings != 1 {
		t.Errorf("%d metrics, %d warnings, last progress %+v", step, warnings, progress)
	}
}

func TestInterrupt(t *testing.T) {
	c := start(t, "stop")
	c.run("baseline")
	c.until(logged("trains"))
	c.cmd.Process.Signal(syscall.SIGTERM)
	c.until(logged("saves"))
	c.cmd.Process.Signal(syscall.SIGTERM) // does nothing more
	io.WriteString(c.stdin, "\n")
	events, _ := c.ends(wire.Interrupted, 0)
	wantEvents(t, events, "info saved\nend interrupted")
}

func TestInterruptWhileNothingRuns(t *testing.T) {
	c := start(t, "plain")
	c.cmd.Process.Signal(syscall.SIGTERM)
	events, _ := c.ends(wire.Interrupted, 0)
	wantEvents(t, events, "end interrupted")
}

func TestPipelineIsGone(t *testing.T) {
	c := start(t, "wait")
	c.run("baseline")
	c.until(logged("Train training 12"))
	c.pipe.Close()
	io.WriteString(c.stdin, "\n")
	if code := c.exit(); code != 1 {
		t.Errorf("exit status %d", code)
	}
	if c.stderr.Len() > 0 || c.stdout.Len() > 0 {
		t.Errorf("it says %s%s", c.stdout.String(), c.stderr.String())
	}
}

func TestCommandsEndDuringARun(t *testing.T) {
	c := start(t, "wait")
	c.run("baseline")
	c.commands.Close()
	c.until(logged("Train training 12"))
	io.WriteString(c.stdin, "\n")
	c.ends(wire.Finished, 0)
}

func TestChildrenOfAModel(t *testing.T) {
	c := start(t, "children")
	c.run("baseline")
	events, _ := c.ends(wire.Finished, 0)
	for _, e := range events {
		if text, ok := strings.CutPrefix(e.Message, "child: "); ok {
			if text != "protocol= run=tree" {
				t.Error(text)
			}
			return
		}
	}
	t.Error("no word of the child")
}

func TestStdoutIsTheModelsOwn(t *testing.T) {
	c := start(t, "prints")
	c.run("baseline")
	c.ends(wire.Finished, 0)
	if got := c.stdout.String(); got != "{\"type\":\"end\",\"status\":\"failed\"}\n" {
		t.Errorf("stdout: %q", got)
	}
}
