// Package mlp is the SDK that models import.
//
// A model is a program whose main function hands a Model and its Versions to Main:
//
//	package main
//
//	import (
//		"context"
//
//		"github.com/mlpipeline/mlpipeline/pkg/mlp"
//	)
//
//	// points are samples of y = 3x.
//	type points struct{ x, y []float64 }
//
//	func (p *points) TrainInput(context.Context, mlp.Phase) (any, error) { return p, nil }
//	func (p *points) TestInput(context.Context) (any, error)             { return p, nil }
//	func (p *points) TrainSampleCount() int                              { return len(p.x) }
//	func (p *points) TestSampleCount() int                               { return len(p.x) }
//
//	// line is y = slope * x.
//	type line struct{ slope float64 }
//
//	func (m *line) Setup(context.Context, *mlp.Run) error {
//		m.slope = 0
//		return nil
//	}
//
//	func (m *line) Train(ctx context.Context, run *mlp.Run, in any, steps int) (mlp.Metrics, error) {
//		p := in.(*points)
//		for step := 1; step <= steps; step++ {
//			if err := ctx.Err(); err != nil {
//				return nil, err
//			}
//			i := step % len(p.x)
//			loss := m.slope*p.x[i] - p.y[i]
//			m.slope -= run.Version.LearningRate * loss * p.x[i]
//			run.Metric("loss", step, loss*loss)
//			run.Progress(step, steps)
//		}
//		return nil, nil
//	}
//
//	func (m *line) Evaluate(ctx context.Context, run *mlp.Run, in any, steps int) (mlp.Metrics, error) {
//		p := in.(*points)
//		loss := 0.0
//		for i := range p.x {
//			loss += (m.slope*p.x[i] - p.y[i]) * (m.slope*p.x[i] - p.y[i])
//		}
//		return mlp.Metrics{"loss": loss / float64(len(p.x))}, nil
//	}
//
//	func main() {
//		data := &points{x: []float64{1, 2, 3}, y: []float64{3, 6, 9}}
//		versions := mlp.NewVersions(mlp.Version{DataLoader: data, BatchSize: 1, Epochs: 10, LearningRate: 0.05})
//		versions.Add(mlp.Version{Name: "baseline"})
//		versions.Add(mlp.Version{Name: "slow", LearningRate: 0.01, ModelDirSuffix: "slow"})
//		mlp.Main(&line{}, versions)
//	}
//
// # What is called when
//
// For one run, and each of them only when the one before went well: CleanModelDir, when the version starts from scratch
// and Main was given AllowDeleteModelDir; Setup; the sample counts of the data loader; TrainedSteps; TrainInput for
// Training and Train; TrainInput for Evaluation and Evaluate; TestInput and Evaluate; Finish; Summary of the model and of
// the data loader. Those that Model and DataLoader do not have are found by their interface: StepCounter, Cleaner,
// Finisher, Summarizer.
//
// In Execution a training has Epochs x ceil(training samples / BatchSize) steps, less those that TrainedSteps returns. With
// none left TrainInput for Training and Train are left out. An evaluation has ceil(samples / BatchSize). In Test each
// has 1.
//
// # How a run ends
//
// It is interrupted when SIGTERM, which ends the ctx of all hooks, came before the last of them had returned. It has
// failed when a hook returned an error, panicked, or ended the process. A panic is told to the pipeline with its stack
// trace and then goes on: the process dies of it as any other does. When the pipeline is gone, the process exits at
// its next event.
//
// # What else a model can rely on
//
// Standard output and standard error are the model's own and are kept as its output; the descriptors of the protocol
// (package wire) are not inherited by its children. Texts of any length may be logged: they are sent in pieces. Metrics may
// reach the pipeline 10 ms late: a process that is killed loses those.
//
// A program that was started by hand (go run ./models/line) explains itself, and can execute its versions in Test.
package mlp
