// Command knn is a model in one file: it classifies a digit by the k training images nearest to it.
package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/mlpipeline/mlpipeline/examples/sample-project/checkpoint"
	"github.com/mlpipeline/mlpipeline/examples/sample-project/digits"
	"github.com/mlpipeline/mlpipeline/pkg/mlp"
)

func main() {
	mlp.Main(&knn{}, versions(digits.New("datasets/digits.csv.gz")), mlp.AllowDeleteModelDir())
}

func versions(data mlp.DataLoader) *mlp.Versions {
	v := mlp.NewVersions(mlp.Version{DataLoader: data, BatchSize: 128, Epochs: 1})
	v.Grid("", mlp.Axis{Param: "k", Values: []any{1, 3, 5}}) // k=1, k=3, k=5, each with its own model directory
	return v
}

// knn is trained by remembering: each step stores one batch. Its exported fields are the checkpoint.
type knn struct {
	Step   int
	Stored digits.Set

	k int
}

func (m *knn) Setup(_ context.Context, run *mlp.Run) error {
	if err := run.Version.DataLoader.(*digits.Loader).Load(); err != nil {
		return err
	}
	*m = knn{k: run.Version.Params["k"].(int)}
	_, err := checkpoint.Load(run.Dir, m)
	return err
}

func (*knn) TrainedSteps(_ context.Context, run *mlp.Run) (int, error) {
	var saved knn
	_, err := checkpoint.Load(run.Dir, &saved)
	return saved.Step, err
}

func (*knn) CleanModelDir(_ context.Context, dir string) error { return checkpoint.Remove(dir) }

func (m *knn) Train(ctx context.Context, run *mlp.Run, in any, steps int) (mlp.Metrics, error) {
	set, size := in.(digits.Set), run.Version.BatchSize
	last := m.Step + steps
	for m.Step < last && ctx.Err() == nil {
		m.Step++
		m.Stored = set.Head(m.Step * size)
		run.Metric("stored", m.Step, float64(m.Stored.Len()))
		run.Progress(m.Step, last)
	}
	if err := checkpoint.Save(run.Dir, m); err != nil {
		return nil, err
	}
	return mlp.Metrics{"stored": float64(m.Stored.Len())}, ctx.Err()
}

// Evaluate returns the accuracy on the first steps batches of in. On the training set it flatters: there, the nearest
// image is the image itself.
func (m *knn) Evaluate(ctx context.Context, run *mlp.Run, in any, steps int) (mlp.Metrics, error) {
	set := in.(digits.Set).Head(steps * run.Version.BatchSize)
	correct := 0
	for i, image := range set.Images {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if m.classify(image) == set.Labels[i] {
			correct++
		}
	}
	return mlp.Metrics{"accuracy": float64(correct) / float64(set.Len())}, nil
}

func (m *knn) Summary() string {
	return fmt.Sprintf("k=%d nearest of %d images, weighted by distance", m.k, m.Stored.Len())
}

// classify lets the k nearest images vote for their class, each with the inverse of its squared distance.
func (m *knn) classify(image []float64) int {
	type neighbour struct {
		distance float64
		label    int
	}
	neighbours := make([]neighbour, m.Stored.Len())
	for i, stored := range m.Stored.Images {
		neighbours[i] = neighbour{squaredDistance(image, stored), m.Stored.Labels[i]}
	}
	slices.SortFunc(neighbours, func(a, b neighbour) int { return cmp.Compare(a.distance, b.distance) })
	votes := make([]float64, digits.Classes)
	for _, n := range neighbours[:min(m.k, len(neighbours))] {
		votes[n.label] += 1 / (n.distance + 1e-9)
	}
	return slices.Index(votes, slices.Max(votes))
}

func squaredDistance(a, b []float64) float64 {
	sum := 0.0
	for i, x := range a {
		d := x - b[i]
		sum += d * d
	}
	return sum
}
