package pipeline

import (
	"math"
	"testing"
	"time"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// training is a live run in training that began at start.
func training(start time.Time, before, total, epochs int64) *live {
	l := &live{begun: true}
	l.seen.Epochs = epochs
	l.phase(wire.PhaseTrain, before, total)
	l.samples[0].time = start
	return l
}

func TestLiveEpochs(t *testing.T) {
	l := training(time.Now(), 0, 430, 10)
	for step, epoch := range map[int64]int64{0: 1, 42: 1, 43: 2, 429: 10, 430: 10} {
		l.progress(step, 0)
		if seen, _ := l.look(time.Now()); seen.Epoch != epoch || seen.Epochs != 10 {
			t.Errorf("step %d: epoch %d of %d, want %d", step, seen.Epoch, seen.Epochs, epoch)
		}
	}
	l.phase(wire.PhaseEvaluateTest, 0, 14)
	if seen, _ := l.look(time.Now()); seen.Epoch != 0 || seen.Epochs != 0 {
		t.Errorf("an evaluation has epoch %d of %d", seen.Epoch, seen.Epochs)
	}
}

// The rate is that of lately: here training becomes ten times slower after a minute.
func TestLiveRate(t *testing.T) {
	start := time.Date(2026, 11, 22, 22, 0, 0, 0, time.UTC)
	l := training(start, 1000, 100_000, 1)
	step := 1000.0
	for s := 1; s <= 300; s++ {
		if step += 10; s > 60 {
			step -= 9
		}
		l.progress(int64(step), 0)
		seen, _ := l.look(start.Add(time.Duration(s) * time.Second))
		switch {
		case s <= 60 && math.Abs(seen.Rate-10) > 0.5:
			t.Fatalf("after %d s the rate is %v, want 10", s, seen.Rate)
		case s == 300 && math.Abs(seen.Rate-1) > 0.1:
			t.Fatalf("at the end the rate is %v, want 1", seen.Rate)
		case s == 300 && math.Abs(seen.Left-(100_000-step)/seen.Rate) > 1:
			t.Fatalf("%v s are left", seen.Left)
		}
	}
	if len(l.samples) > maxSamples {
		t.Errorf("%d samples are kept", len(l.samples))
	}
}

// A step that takes minutes has a rate too.
func TestLiveRateOfSlowSteps(t *testing.T) {
	start := time.Date(2026, 11, 22, 22, 0, 0, 0, time.UTC)
	l := training(start, 0, 100, 1)
	for s := 1; s <= 3600; s++ {
		l.progress(int64(s/180), 0)
		seen, _ := l.look(start.Add(time.Duration(s) * time.Second))
		if want := 1.0 / 180; s > 600 && math.Abs(seen.Rate-want) > want/3 {
			t.Fatalf("after %d s the rate is %v, want about %v", s, seen.Rate, want)
		}
	}
}

func TestLiveMetrics(t *testing.T) {
	l := training(time.Now(), 0, 10, 1)
	for _, p := range []wire.Point{{Name: "loss", Step: 1, Value: 2.5}, {Name: "accuracy", Step: 1, Value: 0.5}, {Name: "loss", Step: 3, Value: math.NaN()}, {Name: "later", Step: 99, Value: 1}} {
		l.metric(wire.AppendPoint(nil, p), p.Step)
	}
	seen, _ := l.look(time.Now())
	if !math.IsNaN(float64(seen.Metrics["loss"])) || seen.Metrics["accuracy"] != 0.5 || len(seen.Metrics) != 3 {
		t.Errorf("metrics %v", seen.Metrics)
	}
	if seen.Step != 3 {
		t.Errorf("step %d, want 3: a step beyond the end is none", seen.Step)
	}
	for i := range 2 * maxLiveMetrics {
		p := wire.Point{Name: string(rune('a' + i)), Value: 1}
		l.metric(wire.AppendPoint(nil, p), 0)
	}
	if len(l.metrics) != maxLiveMetrics {
		t.Errorf("%d metrics are kept", len(l.metrics))
	}
	if allocs := testing.AllocsPerRun(100, func() { l.metric([]byte(`{"name":"loss","step":4,"value":2.25,"time":1}`), 4) }); allocs > 0 {
		t.Errorf("a point allocates %v times", allocs)
	}
}
