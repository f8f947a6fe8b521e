package mlp

import "context"

// A Model trains and evaluates. It is used by one goroutine; a process executes one version at most when the pipeline has
// started it, several in turn when it is started by hand.
//
// An error, a panic and a call of os.Exit end the run as failed. When ctx is done the user wants to stop: save what is
// worth it and return, with an error or without; the run is then recorded as interrupted.
type Model interface {
	// Setup comes first: build what run.Version describes, load from run.Dir what an earlier run has left there.
	Setup(ctx context.Context, run *Run) error
	// Train makes steps steps on in, which the data loader's TrainInput made for Training. steps is greater than 0. What it
	// returns (nil if there is nothing to tell) is recorded as the result of training.
	Train(ctx context.Context, run *Run, in any, steps int) (Metrics, error)
	// Evaluate makes steps steps, which are one pass, on in. It is called on the training data (TrainInput for Evaluation),
	// then on the test data (TestInput). What it returns is recorded as the result on that data.
	Evaluate(ctx context.Context, run *Run, in any, steps int) (Metrics, error)
}

// A DataLoader gives a version its data. It should load when it is first asked: a model is started to tell its versions
// too. What the inputs are is between it and the model: tensors, a channel of batches, an iterator, a path.
type DataLoader interface {
	// TrainInput returns the training data, to be trained on or to be evaluated on.
	TrainInput(ctx context.Context, phase Phase) (any, error)
	// TestInput returns the test data.
	TestInput(ctx context.Context) (any, error)
	// TrainSampleCount is the number of training samples, greater than 0. It is asked after Setup, before the first step.
	TrainSampleCount() int
	// TestSampleCount is the number of test samples, greater than 0.
	TestSampleCount() int
}

// A StepCounter is a Model that can go on with a run which was interrupted.
type StepCounter interface {
	// TrainedSteps returns how many steps run.Version has been trained in run.Dir. It may be called in a process that does
	// not execute the version, and so without Setup. Not called in test mode and under ResetSteps. A number outside of
	// 0 to the steps of the whole training is taken for the nearer end.
	TrainedSteps(ctx context.Context, run *Run) (int, error)
}

// A Cleaner is a Model that can empty its model directory. The pipeline never deletes one itself.
type Cleaner interface {
	// CleanModelDir deletes what an earlier run has left in dir. It is called, before Setup, when a version starts from
	// scratch and Main was given AllowDeleteModelDir.
	CleanModelDir(ctx context.Context, dir string) error
}

// A Finisher is a Model that has something to do after the evaluations.
type Finisher interface {
	Finish(ctx context.Context, run *Run) error
}

// A Summarizer is a Model or a DataLoader that describes itself in a few lines for the record. It is asked at the end of
// a run.
type Summarizer interface {
	Summary() string
}

// Metrics are results by name. NaN and infinities are recorded as such.
type Metrics map[string]float64

// A Phase is what a training input is for.
type Phase string

// Phases of a data loader.
const (
	Training   Phase = "training"
	Evaluation Phase = "evaluation"
)

// An Option of Main says what the pipeline may do with the model.
type Option func(*program)

// AllowDeleteModelDir lets CleanModelDir be called when a version starts from scratch.
func AllowDeleteModelDir() Option { return func(p *program) { p.allowDelete = true } }

// ResetSteps makes every run train all its steps, whatever has been trained already. TrainedSteps is not called.
func ResetSteps() Option { return func(p *program) { p.resetSteps = true } }
