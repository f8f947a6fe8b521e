// Command softmax is a model: a small neural network that reads handwritten digits.
package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/mlpipeline/mlpipeline/examples/sample-project/checkpoint"
	"github.com/mlpipeline/mlpipeline/examples/sample-project/digits"
	"github.com/mlpipeline/mlpipeline/pkg/mlp"
)

func main() {
	mlp.Main(&softmax{}, versions(baseline(digits.New("datasets/digits.csv.gz"))), mlp.AllowDeleteModelDir())
}

// baseline has what the versions have in common.
func baseline(data mlp.DataLoader) mlp.Version {
	return mlp.Version{
		Name: "baseline", DataLoader: data, BatchSize: 32, Epochs: 20, LearningRate: 0.05,
		Params: mlp.Params{"hidden": 32, "seed": 1},
	}
}

// versions all have a model directory of their own: a checkpoint is of no use to a version with other parameters.
func versions(baseline mlp.Version) *mlp.Versions {
	v := mlp.NewVersions(baseline)
	v.Add(mlp.Version{Name: baseline.Name})
	v.Add(mlp.Version{Name: "slow", LearningRate: 0.005, ModelDirSuffix: "slow"})
	v.Grid("grid",
		mlp.Axis{Param: "hidden", Values: []any{16, 64}},
		mlp.Axis{Param: "learning_rate", Values: []any{0.02, 0.1}})
	return v
}

type softmax struct{ *training }

// Setup starts a new network, or takes up the one in the model directory.
func (m *softmax) Setup(_ context.Context, run *mlp.Run) error {
	if err := run.Version.DataLoader.(*digits.Loader).Load(); err != nil {
		return err
	}
	hidden, seed := run.Version.Params["hidden"].(int), run.Version.Params["seed"].(int)
	saved := &training{}
	found, err := checkpoint.Load(run.Dir, saved)
	switch {
	case err != nil:
		return err
	case !found:
		m.training = newTraining(hidden, seed)
		return nil
	case saved.Hidden != hidden || saved.Seed != seed:
		return fmt.Errorf("checkpoint in %s is of hidden=%d, seed=%d; the version has hidden=%d, seed=%d",
			run.Dir, saved.Hidden, saved.Seed, hidden, seed)
	}
	saved.ready()
	m.training = saved
	run.Logf("continues after step %d", m.Step)
	return nil
}

// TrainedSteps tells the pipeline how much of an interrupted training is done.
func (*softmax) TrainedSteps(_ context.Context, run *mlp.Run) (int, error) {
	var t training
	_, err := checkpoint.Load(run.Dir, &t)
	return t.Step, err
}

// CleanModelDir is called before a version starts from scratch.
func (*softmax) CleanModelDir(_ context.Context, dir string) error { return checkpoint.Remove(dir) }

// Train goes steps further. It saves at the end of each epoch, and when ctx ends. It returns the accuracy of the last
// epoch, measured on the way.
func (m *softmax) Train(ctx context.Context, run *mlp.Run, in any, steps int) (mlp.Metrics, error) {
	set, size := in.(digits.Set), run.Version.BatchSize
	perEpoch := (set.Len() + size - 1) / size
	last := m.Step + steps
	metrics := mlp.NewMetricSet(1, "accuracy")
	for m.Step < last && ctx.Err() == nil {
		epoch := m.Step / perEpoch
		batches := slices.Collect(slices.Chunk(m.order(epoch, set.Len()), size))
		for end := min(last, (epoch+1)*perEpoch); m.Step < end && ctx.Err() == nil; {
			batch := batches[m.Step%perEpoch]
			loss, correct := m.step(set, batch, run.Version.LearningRate)
			run.Metric("loss", m.Step, loss)
			metrics.Update("accuracy", float64(correct), len(batch))
			run.Progress(m.Step, last)
		}
		metrics.Record(run, m.Step)
		metrics.EndEpoch()
		if err := checkpoint.Save(run.Dir, m.training); err != nil {
			return nil, err
		}
	}
	return mlp.Metrics{"accuracy": metrics.TrackedAverage("accuracy")}, ctx.Err()
}

// Evaluate returns loss and accuracy on the first steps batches of in; all of them, outside test mode.
func (m *softmax) Evaluate(ctx context.Context, run *mlp.Run, in any, steps int) (mlp.Metrics, error) {
	set := in.(digits.Set).Head(steps * run.Version.BatchSize)
	loss, correct := 0.0, 0
	for i, image := range set.Images {
		if m.net.forward(image) == set.Labels[i] {
			correct++
		}
		loss += m.net.loss(set.Labels[i])
	}
	n := float64(set.Len())
	return mlp.Metrics{"accuracy": float64(correct) / n, "loss": loss / n}, ctx.Err()
}

// Summary is recorded with every run.
func (m *softmax) Summary() string {
	return fmt.Sprintf("%d-%d-%d network, %d parameters, stochastic gradient descent with momentum %g, steps trained: %d",
		digits.Pixels, m.Hidden, digits.Classes, len(m.Params), momentum, m.Step)
}
