package mlp

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime/debug"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// A program is what Main was given.
type program struct {
	model       Model
	versions    *Versions
	allowDelete bool
	resetSteps  bool
	// crash lets a panic of the model go on after it was told, so that it looks as in any other program.
	crash bool
}

// errInterrupted ends a run that was asked to stop.
var errInterrupted = errors.New("interrupted")

// A panicError is a panic of a hook.
type panicError struct {
	hook  string
	value any
	stack string
}

func (e *panicError) Error() string { return fmt.Sprintf("panic in %s: %v", e.hook, e.value) }

// An execution is one run on its way. It is the only place where a model is executed.
type execution struct {
	*program
	ctx   context.Context
	run   *Run
	phase string
}

// execute executes the version that cmd names, sends what comes of it, and returns how it ended.
func (p *program) execute(ctx context.Context, to sink, cmd wire.Command) (status string) {
	x := &execution{program: p, ctx: ctx, run: &Run{Model: cmd.Model, Mode: Mode(cmd.Mode), Dir: cmd.Dir, to: to}}
	version, err := p.versions.find(cmd.Version)
	if err == nil {
		x.run.Version = version
		err = x.hooks(cmd.Clean)
	}
	return x.end(err)
}

// hooks calls the hooks of model and data loader in their order.
func (x *execution) hooks(clean bool) error {
	run, loader := x.run, x.run.Version.DataLoader
	if clean && x.allowDelete {
		if err := x.clean(); err != nil {
			return err
		}
	}

	if err := x.begin(wire.Event{Phase: wire.PhaseSetup}); err != nil {
		return err
	}
	if err := x.hook("Setup", func() error { return x.model.Setup(x.ctx, run) }); err != nil {
		return err
	}
	trainSamples, err := x.samples("TrainSampleCount", loader.TrainSampleCount)
	if err != nil {
		return err
	}
	testSamples, err := x.samples("TestSampleCount", loader.TestSampleCount)
	if err != nil {
		return err
	}

	if err := x.train(trainSamples, testSamples); err != nil {
		return err
	}
	err = x.evaluate(wire.PhaseEvaluateTrain, wire.SetTrain, trainSamples, "TrainInput", func() (any, error) {
		return loader.TrainInput(x.ctx, Evaluation)
	})
	if err != nil {
		return err
	}
	err = x.evaluate(wire.PhaseEvaluateTest, wire.SetTest, testSamples, "TestInput", func() (any, error) {
		return loader.TestInput(x.ctx)
	})
	if err != nil {
		return err
	}

	if f, ok := x.model.(Finisher); ok {
		if err := x.begin(wire.Event{Phase: wire.PhaseFinish}); err != nil {
			return err
		}
		if err := x.hook("Finish", func() error { return f.Finish(x.ctx, run) }); err != nil {
			return err
		}
	}
	if err := x.summary("model", x.model); err != nil {
		return err
	}
	return x.summary("data", loader)
}

func (x *execution) clean() error {
	if err := x.begin(wire.Event{Phase: wire.PhaseClean}); err != nil {
		return err
	}
	c, ok := x.model.(Cleaner)
	if !ok {
		x.run.Logf("nothing is deleted: CleanModelDir is not implemented")
		return nil
	}
	return x.hook("CleanModelDir", func() error { return c.CleanModelDir(x.ctx, x.run.Dir) })
}

func (x *execution) samples(name string, count func() int) (n int, err error) {
	err = x.hook(name, func() error { n = count(); return nil })
	if err == nil && n <= 0 {
		err = fmt.Errorf("version %s: DataLoader: %s is %d; it must be greater than 0", x.run.Version.Name, name, n)
	}
	return n, err
}

func (x *execution) train(trainSamples, testSamples int) error {
	run := x.run
	trained, total := 0, 1
	if run.Mode != Test {
		epoch := steps(trainSamples, run.Version.BatchSize)
		if run.Version.Epochs > math.MaxInt/epoch {
			return fmt.Errorf("version %s: %d epochs of %d steps are too many", run.Version.Name, run.Version.Epochs, epoch)
		}
		total = run.Version.Epochs * epoch
		x.phase = wire.PhaseTrain
		var err error
		if trained, err = x.trained(total); err != nil {
			return err
		}
	}
	err := x.begin(wire.Event{
		Phase: wire.PhaseTrain, Step: int64(trained), Total: int64(total),
		TrainSamples: int64(trainSamples), TestSamples: int64(testSamples),
	})
	if err != nil {
		return err
	}
	if trained == total {
		run.Logf("all %d steps are trained; training is skipped", total)
		return nil
	}
	in, err := x.input("TrainInput", func() (any, error) { return run.Version.DataLoader.TrainInput(x.ctx, Training) })
	if err != nil {
		return err
	}
	var metrics Metrics
	err = x.hook("Train", func() (err error) {
		metrics, err = x.model.Train(x.ctx, run, in, total-trained)
		return err
	})
	if err != nil || len(metrics) == 0 {
		return err
	}
	return x.result(wire.SetTraining, metrics)
}

// trained asks the model how many of total steps are trained.
func (x *execution) trained(total int) (n int, err error) {
	counter, ok := x.model.(StepCounter)
	if !ok || x.resetSteps {
		return 0, nil
	}
	err = x.hook("TrainedSteps", func() (err error) {
		if n, err = counter.TrainedSteps(x.ctx, x.run); err != nil {
			return fmt.Errorf("TrainedSteps: %w", err)
		}
		return nil
	})
	if in := min(max(n, 0), total); err == nil && in != n {
		x.run.log("warn", fmt.Sprintf("TrainedSteps is %d of %d steps; %d is taken", n, total, in))
		n = in
	}
	return n, err
}

func (x *execution) evaluate(phase, set string, samples int, inputHook string, input func() (any, error)) error {
	n := 1
	if x.run.Mode != Test {
		n = steps(samples, x.run.Version.BatchSize)
	}
	if err := x.begin(wire.Event{Phase: phase, Total: int64(n)}); err != nil {
		return err
	}
	in, err := x.input(inputHook, input)
	if err != nil {
		return err
	}
	var metrics Metrics
	err = x.hook("Evaluate", func() (err error) {
		metrics, err = x.model.Evaluate(x.ctx, x.run, in, n)
		return err
	})
	if err != nil {
		return err
	}
	return x.result(set, metrics)
}

func (x *execution) input(name string, input func() (any, error)) (in any, err error) {
	err = x.hook(name, func() (err error) {
		if in, err = input(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
	return in, err
}

func (x *execution) summary(source string, of any) error {
	s, ok := of.(Summarizer)
	if !ok {
		return nil
	}
	var text string
	err := x.hook("Summary", func() error { text = s.Summary(); return nil })
	if err == nil {
		x.run.summary(source, text)
	}
	return err
}

// steps is how many batches of size make one pass over samples; both are greater than 0.
func steps(samples, size int) int { return (samples-1)/size + 1 }

// begin tells that e.Phase begins.
func (x *execution) begin(e wire.Event) error {
	x.phase, e.Type = e.Phase, wire.Phase
	return x.run.to.Send(e)
}

func (x *execution) result(set string, metrics Metrics) error {
	values := make(map[string]wire.Float, len(metrics))
	for name, v := range metrics {
		values[name] = wire.Float(v)
	}
	if err := x.run.to.Put(wire.Event{Type: wire.Result, Set: set, Metrics: values}); err != nil {
		return fmt.Errorf("%s: metrics: %w", x.phase, err)
	}
	return nil
}

// hook calls f, the hook name of the model or the data loader.
func (x *execution) hook(name string, f func() error) (err error) {
	if x.ctx.Err() != nil {
		return errInterrupted
	}
	returned := false
	defer func() {
		if returned {
			return
		}
		value := recover()
		if value == nil { // runtime.Goexit, which nothing can hold up
			x.end(fmt.Errorf("%s ended the main goroutine", name))
			os.Exit(1)
		}
		err = &panicError{name, value, string(debug.Stack())}
		if x.crash {
			x.end(err)
			panic(value)
		}
	}()
	err = f()
	returned = true
	switch {
	case x.ctx.Err() != nil:
		return errInterrupted
	case err != nil:
		return fmt.Errorf("%s: %w", x.phase, err)
	}
	return nil
}

// end tells how the run ended.
func (x *execution) end(err error) (status string) {
	e := wire.Event{Type: wire.End}
	switch {
	case err == nil:
		e.Status = wire.Finished
	case err == errInterrupted:
		e.Status = wire.Interrupted
	default:
		e.Status = wire.Failed
		e.Error = fmt.Sprint(err) // which bears an Error method that panics
		var p *panicError
		var detailed fmt.Formatter // an error of a package that keeps where it was made
		if errors.As(err, &p) {
			e.Trace = p.stack
		} else if errors.As(err, &detailed) {
			e.Trace = fmt.Sprintf("%+v", detailed)
		}
		e.Error, e.Trace = cutText(e.Error), cutText(e.Trace)
	}
	x.run.to.Send(e)
	return e.Status
}
