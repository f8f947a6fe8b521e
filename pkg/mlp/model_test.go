package mlp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/mlpipeline/mlpipeline/pkg/mlp"
)

// The test binary is a model itself when it is told so: a real process, which is what the SDK is for.
const envModel = "MLP_TEST_MODEL"

// self is the test binary. os.Args is changed by the examples.
var self = os.Args[0]

func TestMain(m *testing.M) {
	if word := os.Getenv(envModel); word != "" {
		runModel(word)
		return
	}
	os.Exit(m.Run())
}

// modelEnv is the environment of a model. The race detector need not wait at its end for reports of other goroutines.
func modelEnv(word string) []string {
	return append(os.Environ(), envModel+"="+word, "GORACE=atexit_sleep_ms=0")
}

// A probe logs each of its hooks. What else it does depends on what it is told to do in one of them.
type probe struct {
	told map[string]func(run *mlp.Run) error
}

func (p *probe) in(hook string, run *mlp.Run, format string, args ...any) error {
	if run != nil {
		run.Logf("%s%s", hook, fmt.Sprintf(format, args...))
	}
	if do := p.told[hook]; do != nil {
		return do(run)
	}
	return nil
}

func (p *probe) Setup(ctx context.Context, run *mlp.Run) error {
	if _, err := os.Stat(run.Dir); err != nil {
		return err
	}
	return p.in("Setup", run, " %s/%s %s", run.Model, run.Version.Name, run.Mode)
}

func (p *probe) Train(ctx context.Context, run *mlp.Run, in any, steps int) (mlp.Metrics, error) {
	return mlp.Metrics{"steps": float64(steps)}, p.in("Train", run, " %v %d", in, steps)
}

func (p *probe) Evaluate(ctx context.Context, run *mlp.Run, in any, steps int) (mlp.Metrics, error) {
	if in == "test" {
		return nil, p.in("Evaluate", run, " %v %d", in, steps)
	}
	return mlp.Metrics{"steps": float64(steps)}, p.in("Evaluate", run, " %v %d", in, steps)
}

// A fullProbe has the optional hooks too.
type fullProbe struct {
	probe
	trained func() (int, error)
}

func (p *fullProbe) TrainedSteps(ctx context.Context, run *mlp.Run) (int, error) { return p.trained() }

func (p *fullProbe) CleanModelDir(ctx context.Context, dir string) error {
	if err := os.Remove(filepath.Join(dir, "old")); err != nil {
		return err
	}
	return p.in("CleanModelDir", nil, "")
}

func (p *fullProbe) Finish(ctx context.Context, run *mlp.Run) error { return p.in("Finish", run, "") }
func (p *fullProbe) Summary() string                                { return "about the model\n" }

// data is a data loader of so many samples.
type data struct{ train, test int }

func (d data) TrainInput(ctx context.Context, phase mlp.Phase) (any, error) { return phase, nil }
func (d data) TestInput(ctx context.Context) (any, error)                   { return "test", nil }
func (d data) TrainSampleCount() int                                        { return d.train }
func (d data) TestSampleCount() int                                         { return d.test }
func (d data) Summary() string                                              { return "about the data" }

func runModel(word string) {
	p := &probe{told: map[string]func(*mlp.Run) error{}}
	var model mlp.Model = p
	var options []mlp.Option
	// 3 epochs of 4 steps; 1 step makes a test.
	versions := mlp.NewVersions(mlp.Version{DataLoader: data{10, 2}, BatchSize: 3, Epochs: 3})
	full := func(trained int, err error) {
		model = &fullProbe{*p, func() (int, error) { return trained, err }}
	}
	switch word {
	case "plain":
	case "versions":
		versions.Add(mlp.Version{Name: "late", Order: 10, Params: mlp.Params{"hidden": 16, "act": "relu"}})
		versions.Add(mlp.Version{Name: "bad", BatchSize: -1, ModelDirSuffix: "../x"})
		versions.Add(mlp.Version{})
		versions.Add(mlp.Version{Name: "first", Order: -1})
		versions.Add(mlp.Version{Name: "late"})
		options = append(options, mlp.AllowDeleteModelDir(), mlp.ResetSteps())
	case "full":
		options = append(options, mlp.AllowDeleteModelDir())
		full(5, nil)
	case "full, may not clean":
		full(5, nil)
	case "clean without CleanModelDir":
		options = append(options, mlp.AllowDeleteModelDir())
	case "all trained":
		full(12, nil)
	case "too many trained":
		full(100, nil)
	case "negative trained":
		full(-1, nil)
	case "reset":
		options = append(options, mlp.ResetSteps())
		model = &fullProbe{*p, func() (int, error) { panic("asked") }}
	case "trained fails":
		full(3, errors.New("no checkpoint"))
	case "trained panics":
		model = &fullProbe{*p, func() (int, error) { panic("no checkpoint") }}
	case "error":
		p.told["Train"] = func(*mlp.Run) error { return errors.New("diverged") }
	case "long error":
		p.told["Train"] = func(*mlp.Run) error { return errors.New(strings.Repeat("é", 1<<20)) }
	case "nil error":
		p.told["Train"] = func(*mlp.Run) error { return (*brokenError)(nil) }
	case "error with a trace":
		p.told["Evaluate"] = func(*mlp.Run) error { return fmt.Errorf("wrapped: %w", &tracedError{}) }
	case "panic":
		p.told["Train"] = func(*mlp.Run) error { panic("index out of luck") }
	case "goexit":
		p.told["Train"] = func(*mlp.Run) error { runtime.Goexit(); return nil }
	case "exit":
		p.told["Train"] = func(*mlp.Run) error { os.Exit(7); return nil }
	case "no samples":
		versions.Add(mlp.Version{Name: "none", DataLoader: data{0, 1}})
		versions.Add(mlp.Version{Name: "no test", DataLoader: data{1, -3}})
	case "big":
		p.told["Train"] = func(run *mlp.Run) error {
			run.Logf("%s", bigText)
			run.Summaryf("%s", bigText)
			return nil
		}
	case "metrics":
		p.told["Train"] = func(run *mlp.Run) error {
			for step := 1; step <= 1000; step++ {
				run.Metric("loss", step, 1/float64(step))
				run.Progress(step, 1000)
			}
			run.Metric("", 1, 1)
			run.Metric("", 2, 1)
			return nil
		}
	case "too many metrics":
		model = manyMetrics{p}
	case "wait":
		// Says what it waits for, so that nobody has to guess when it is there.
		p.told["Train"] = func(run *mlp.Run) error {
			readLine()
			run.Logf("goes on")
			return nil
		}
	case "stop":
		model = &stopping{p}
	case "children":
		p.told["Train"] = func(run *mlp.Run) error {
			out, err := exec.Command("sh", "-c", `
				(: <&3) 2>/dev/null && echo 3 is open
				(: >&4) 2>/dev/null && echo 4 is open
				echo "protocol=$MLPIPELINE_PROTOCOL run=$MLPIPELINE_RUN"`).CombinedOutput()
			run.Logf("child: %s", out)
			return err
		}
	case "prints":
		p.told["Train"] = func(run *mlp.Run) error {
			fmt.Println(`{"type":"end","status":"failed"}`)
			run.Summaryf("a \x1b[31mred\x1b[0m summary")
			run.Metric("loss", 1, 0.5)
			return nil
		}
	}
	if word != "versions" {
		versions.Add(mlp.Version{Name: "baseline", Params: mlp.Params{"hidden": 16}})
	}
	mlp.Main(model, versions, options...)
	fmt.Println("Main returned")
}

var bigText = strings.Repeat("0123456789é", 20000)

func readLine() {
	var b [1]byte
	for {
		if _, err := io.ReadFull(os.Stdin, b[:]); err != nil || b[0] == '\n' {
			return
		}
	}
}

type brokenError struct{ text string }

func (e *brokenError) Error() string { return e.text }

type tracedError struct{}

func (e *tracedError) Error() string { return "traced" }
func (e *tracedError) Format(s fmt.State, verb rune) {
	io.WriteString(s, "traced")
	if s.Flag('+') {
		io.WriteString(s, "\nat model.go:1")
	}
}

// stopping ends its training when it is asked to, having waited for a line.
type stopping struct{ *probe }

func (s *stopping) Train(ctx context.Context, run *mlp.Run, in any, steps int) (mlp.Metrics, error) {
	run.Logf("trains")
	<-ctx.Done()
	run.Logf("saves")
	readLine()
	run.Logf("saved")
	return nil, nil
}

type manyMetrics struct{ *probe }

func (manyMetrics) Evaluate(context.Context, *mlp.Run, any, int) (mlp.Metrics, error) {
	m := mlp.Metrics{}
	for i := range 100_000 {
		m[fmt.Sprintf("metric %d", i)] = float64(i)
	}
	return m, nil
}
