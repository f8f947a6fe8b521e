package mlp_test

import (
	"context"
	"fmt"
	"os"

	"github.com/mlpipeline/mlpipeline/pkg/mlp"
)

// points are samples of y = 3x.
type points struct{ x, y []float64 }

func (p *points) TrainInput(context.Context, mlp.Phase) (any, error) { return p, nil }
func (p *points) TestInput(context.Context) (any, error)             { return p, nil }
func (p *points) TrainSampleCount() int                              { return len(p.x) }
func (p *points) TestSampleCount() int                               { return len(p.x) }

// line is y = slope * x.
type line struct{ slope float64 }

func (m *line) Setup(context.Context, *mlp.Run) error {
	m.slope = 0
	return nil
}

func (m *line) Train(ctx context.Context, run *mlp.Run, in any, steps int) (mlp.Metrics, error) {
	p := in.(*points)
	for step := 1; step <= steps; step++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		i := step % len(p.x)
		loss := m.slope*p.x[i] - p.y[i]
		m.slope -= run.Version.LearningRate * loss * p.x[i]
		run.Metric("loss", step, loss*loss)
		run.Progress(step, steps)
	}
	return nil, nil
}

func (m *line) Evaluate(ctx context.Context, run *mlp.Run, in any, steps int) (mlp.Metrics, error) {
	p := in.(*points)
	loss := 0.0
	for i := range p.x {
		loss += (m.slope*p.x[i] - p.y[i]) * (m.slope*p.x[i] - p.y[i])
	}
	return mlp.Metrics{"loss": loss / float64(len(p.x))}, nil
}

func ExampleNewVersions() {
	os.Args = []string{"line", "test", "slow"}

	data := &points{x: []float64{1, 2, 3}, y: []float64{3, 6, 9}}
	versions := mlp.NewVersions(mlp.Version{DataLoader: data, BatchSize: 1, Epochs: 10, LearningRate: 0.125}) // defaults
	versions.Add(mlp.Version{Name: "baseline"})
	versions.Add(mlp.Version{Name: "slow", LearningRate: 0.0625, ModelDirSuffix: "slow"})
	mlp.Main(&line{}, versions)
	// Output:
	// line/slow
	// setup
	// train
	//   metric loss after step 1 = 36
	// evaluate train
	//   result on train: loss = 23.625
	// evaluate test
	//   result on test: loss = 23.625
	// finished
}

// A whole model, run by hand in test mode.
func Example() {
	os.Args = []string{"line", "test"} // as if it was started with: go run ./models/line test

	data := &points{x: []float64{1, 2, 3}, y: []float64{3, 6, 9}}
	versions := mlp.NewVersions(mlp.Version{DataLoader: data, BatchSize: 1, Epochs: 10, LearningRate: 0.125})
	versions.Add(mlp.Version{Name: "baseline"})
	mlp.Main(&line{}, versions)
	// Output:
	// line/baseline
	// setup
	// train
	//   metric loss after step 1 = 36
	// evaluate train
	//   result on train: loss = 10.5
	// evaluate test
	//   result on test: loss = 10.5
	// finished
}

func ExampleVersions_Add() {
	os.Args = []string{"line"}

	data := &points{x: []float64{1}, y: []float64{3}}
	versions := mlp.NewVersions(mlp.Version{
		DataLoader: data, BatchSize: 32, Epochs: 10, LearningRate: 0.1, Params: mlp.Params{"hidden": 32, "activation": "relu"},
	})
	versions.Add(mlp.Version{Name: "baseline"})
	versions.Add(mlp.Version{Name: "small", Params: mlp.Params{"hidden": 16}}) // activation stays relu
	versions.Add(mlp.Version{Name: "first", Order: -1})
	versions.Add(mlp.Version{Name: "wrong", BatchSize: -1})
	mlp.Main(&line{}, versions)
	// Output:
	// line is a model for mlpipeline, which trains and compares the versions of models.
	//
	// Usage:
	//   line                     show this and the versions
	//   line test [VERSION...]   run these versions, or all, in test mode: one step each, nothing is recorded
	//   line -h, --help          show this
	//
	// To have it trained name it in models.config and run: mlpipeline -r
	//
	// Versions, in the order in which they run:
	//   first
	//   baseline
	//   small
	//   wrong  refused: BatchSize is -1; it must be greater than 0
}

func ExampleVersions_Grid() {
	os.Args = []string{"line"}

	data := &points{x: []float64{1}, y: []float64{3}}
	versions := mlp.NewVersions(mlp.Version{DataLoader: data, BatchSize: 32, Epochs: 10})
	versions.Grid("sgd",
		mlp.Axis{Param: "learning_rate", Values: []any{0.1, 0.01}}, // sets Version.LearningRate
		mlp.Axis{Param: "hidden", Values: []any{16, 32}},           // sets Version.Params["hidden"]
	)
	mlp.Main(&line{}, versions)
	// Output:
	// line is a model for mlpipeline, which trains and compares the versions of models.
	//
	// Usage:
	//   line                     show this and the versions
	//   line test [VERSION...]   run these versions, or all, in test mode: one step each, nothing is recorded
	//   line -h, --help          show this
	//
	// To have it trained name it in models.config and run: mlpipeline -r
	//
	// Versions, in the order in which they run:
	//   sgd-learning_rate=0.1-hidden=16
	//   sgd-learning_rate=0.1-hidden=32
	//   sgd-learning_rate=0.01-hidden=16
	//   sgd-learning_rate=0.01-hidden=32
}

func ExampleMetricSet() {
	set := mlp.NewMetricSet(3, "loss")
	for epoch := range 3 {
		for range 10 {
			batchLoss, batchSize := 1/float64(epoch+1), 32
			set.Update("loss", batchLoss*float64(batchSize), batchSize)
		}
		fmt.Printf("epoch %d: loss %.3f\n", epoch, set.EpochAverage("loss"))
		set.EndEpoch()
	}
	fmt.Printf("last 3 epochs: %.3f, deviation %.3f\n", set.TrackedAverage("loss"), set.TrackedStdDev("loss"))
	fmt.Printf("last change: %.3f\n", set.TrackedDelta("loss"))
	fmt.Printf("all: %.3f\n", set.Metrics()["loss"])
	// Output:
	// epoch 0: loss 1.000
	// epoch 1: loss 0.500
	// epoch 2: loss 0.333
	// last 3 epochs: 0.611, deviation 0.283
	// last change: -0.167
	// all: 0.611
}
