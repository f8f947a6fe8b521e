package main

import (
	"context"
	"testing"

	"github.com/mlpipeline/mlpipeline/examples/sample-project/digits"
	"github.com/mlpipeline/mlpipeline/pkg/mlp"
)

func TestStopResumeAndAccuracy(t *testing.T) {
	data := digits.New("../datasets/digits.csv.gz")
	run := &mlp.Run{
		Model: "knn.go", Mode: mlp.Execution, Dir: t.TempDir(),
		Version: mlp.Version{DataLoader: data, BatchSize: 128, Params: mlp.Params{"k": 3}},
	}
	train, err := data.TrainInput(t.Context(), mlp.Training)
	if err != nil {
		t.Fatal(err)
	}
	test, err := data.TestInput(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	start := func(wantTrained int) *knn {
		t.Helper()
		m := &knn{}
		if err := m.Setup(t.Context(), run); err != nil {
			t.Fatal(err)
		}
		if trained, err := m.TrainedSteps(t.Context(), run); err != nil || trained != wantTrained {
			t.Fatalf("TrainedSteps = %d, %v, want %d", trained, err, wantTrained)
		}
		return m
	}

	if _, err := start(0).Train(t.Context(), run, train, 4); err != nil {
		t.Fatal(err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := start(4).Train(stopped, run, train, 7); err == nil {
		t.Fatal("Train did not notice that it was stopped")
	}
	m := start(4)
	if _, err := m.Train(t.Context(), run, train, 7); err != nil {
		t.Fatal(err)
	}
	if got, want := m.Stored.Len(), data.TrainSampleCount(); got != want {
		t.Fatalf("%d images are stored, want %d", got, want)
	}
	m = start(11)
	metrics, err := m.Evaluate(t.Context(), run, test, 4)
	if err != nil {
		t.Fatal(err)
	}
	if metrics["accuracy"] <= 0.95 {
		t.Errorf("results on the test set: %v, want an accuracy over 0.95", metrics)
	}
	if err := m.CleanModelDir(t.Context(), run.Dir); err != nil {
		t.Fatal(err)
	}
	start(0)
}
