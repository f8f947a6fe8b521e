package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/mlpipeline/mlpipeline/examples/sample-project/digits"
	"github.com/mlpipeline/mlpipeline/pkg/mlp"
)

var data = digits.New("../../datasets/digits.csv.gz")

func newRun(t *testing.T) *mlp.Run {
	return &mlp.Run{Model: "softmax", Version: baseline(data), Mode: mlp.Execution, Dir: t.TempDir()}
}

// start sets up a model as a new process does.
func start(t *testing.T, run *mlp.Run) (m *softmax, trained int) {
	t.Helper()
	m = &softmax{}
	if err := m.Setup(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	trained, err := m.TrainedSteps(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	return m, trained
}

func input(t *testing.T, in any, err error) digits.Set {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return in.(digits.Set)
}

func trainSet(t *testing.T) digits.Set {
	in, err := data.TrainInput(t.Context(), mlp.Training)
	return input(t, in, err)
}

func testSet(t *testing.T) digits.Set {
	in, err := data.TestInput(t.Context())
	return input(t, in, err)
}

func TestBaselineIsAccurate(t *testing.T) {
	run := newRun(t)
	m, _ := start(t, run)
	train, test := trainSet(t), testSet(t)
	steps := run.Version.Epochs * ((train.Len()-1)/run.Version.BatchSize + 1)
	if _, err := m.Train(t.Context(), run, train, steps); err != nil {
		t.Fatal(err)
	}
	metrics, err := m.Evaluate(t.Context(), run, test, test.Len())
	if err != nil {
		t.Fatal(err)
	}
	if metrics["accuracy"] <= 0.95 {
		t.Errorf("results on the test set: %v, want an accuracy over 0.95", metrics)
	}
	if want := "64-32-10 network, 2410 parameters"; !strings.HasPrefix(m.Summary(), want) {
		t.Errorf("Summary() = %q, want %q...", m.Summary(), want)
	}
}

// stopAfter is a context that ends when it has been asked n times whether it has ended.
type stopAfter struct {
	context.Context
	n int
}

func (s *stopAfter) Err() error {
	if s.n--; s.n < 0 {
		return context.Canceled
	}
	return nil
}

func TestResumedTrainingEqualsUninterrupted(t *testing.T) {
	const steps = 100 // more than two epochs
	train := trainSet(t)
	whole, _ := start(t, newRun(t))
	if _, err := whole.Train(t.Context(), newRun(t), train, steps); err != nil {
		t.Fatal(err)
	}

	run := newRun(t)
	for asked := 1; ; asked += 20 { // stopped at different places of an epoch, and before the first step
		m, trained := start(t, run)
		if trained != m.Step {
			t.Fatalf("TrainedSteps = %d, resumed at step %d", trained, m.Step)
		}
		_, err := m.Train(&stopAfter{t.Context(), asked}, run, train, steps-trained)
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}

	resumed, trained := start(t, run)
	if trained != steps {
		t.Fatalf("%d steps are trained, want %d", trained, steps)
	}
	if !slices.Equal(resumed.Params, whole.Params) || !slices.Equal(resumed.Velocity, whole.Velocity) {
		t.Error("a resumed training differs from an uninterrupted one")
	}
}

func TestCleanModelDir(t *testing.T) {
	run := newRun(t)
	m, _ := start(t, run)
	if _, err := m.Train(t.Context(), run, trainSet(t), 1); err != nil {
		t.Fatal(err)
	}
	if _, trained := start(t, run); trained != 1 {
		t.Fatalf("%d steps are trained, want 1", trained)
	}
	if err := m.CleanModelDir(t.Context(), run.Dir); err != nil {
		t.Fatal(err)
	}
	if _, trained := start(t, run); trained != 0 {
		t.Errorf("%d steps are trained after CleanModelDir", trained)
	}
}

func TestSetupRefusesCheckpointOfOtherParameters(t *testing.T) {
	run := newRun(t)
	m, _ := start(t, run)
	if _, err := m.Train(t.Context(), run, trainSet(t), 1); err != nil {
		t.Fatal(err)
	}
	run.Version.Params["hidden"] = 8
	want := "is of hidden=32, seed=1; the version has hidden=8, seed=1"
	if err := m.Setup(t.Context(), run); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Setup = %v, want an error that names both", err)
	}
}

func TestSetupNamesTheMissingFile(t *testing.T) {
	run := newRun(t)
	run.Version.DataLoader = digits.New("missing.csv.gz")
	if err := new(softmax).Setup(t.Context(), run); err == nil || !strings.Contains(err.Error(), "missing.csv.gz") {
		t.Errorf("Setup = %v, want an error that names the file", err)
	}
}
