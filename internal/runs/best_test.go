package runs

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// What keeps no runs in memory finds what the index of all runs finds.
func TestBestOfIsBest(t *testing.T) {
	dir := t.TempDir()
	finished := func(ms int64, model, version string, results outputs.Results) outputs.Event {
		e := ended(outputs.Finished, ms, ms+1, model, version)
		e.Results = results
		return e
	}
	test := func(name string, value float64) outputs.Results {
		return outputs.Results{"test": {name: wire.Float(value)}}
	}
	journal(t, dir, "b", begin(1, 7), finished(2, "m", "b1", test("loss", 0.1)), finished(900, "m", "late", test("loss", 0)))
	f := journal(t, dir, "a",
		begin(10, 7), finished(11, "m", "v1", test("loss", 0.3)), finished(12, "n", "v1", test("accuracy", 0.3)),
		finished(13, "gone", "v1", test("loss", 1)), end(20),
		begin(30, 8), finished(31, "m", "v0", test("loss", 0.9)), end(40),
		begin(50, 7), started(51, "m", "v2"), started(52, "m", "v3"), finished(52, "m", "v3", test("loss", 0.2)),
		finished(51, "m", "v2", test("loss", 0.2)), finished(53, "m", "nan", test("loss", math.NaN())),
		ended(outputs.Failed, 54, 55, "m", "v4"),
		finished(56, "n", "v1", outputs.Results{"test": {"accuracy": 0.5, "loss": 2}, "train": {"accuracy": 0.9}}),
		finished(57, "new", "v1", test("score", 4)), finished(58, "empty", "v1", nil), end(60),
	)
	for _, measure := range []Measure{{}, {Metric: "test.loss"}, {Metric: "test.loss", Goal: "max"}, {Metric: "train.accuracy"}} {
		x := read(t, f)
		now, before := x.Split(x.Executions[len(x.Executions)-1])
		type line struct {
			Measure
			Model, Run, Before string
			Value, Was         float64
		}
		lines := func(bests []ModelBest) (lines []line) {
			for _, b := range bests {
				l := line{b.Measure, b.Model, b.Run.Name() + " " + b.Run.ID, "", b.Value, b.Was}
				if b.Before != nil {
					l.Before = b.Before.Name() + " " + b.Before.ID
				}
				lines = append(lines, l)
			}
			return lines
		}
		got, err := BestOf(f, measure, 7)
		if err != nil {
			t.Fatal(err)
		}
		want := lines(Best(measure, now, before))
		if diff := cmp.Diff(want, lines(got)); diff != "" || len(want) == 0 {
			t.Errorf("%+v: %s", measure, diff)
		}
	}
}
