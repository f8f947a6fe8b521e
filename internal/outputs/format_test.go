package outputs

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// testdata/v1 was written by the first version of the program. It is never changed, and every later version reads it.
func TestFormat1IsStillRead(t *testing.T) {
	f := NewFolder("testdata/v1", "reader")
	h := readHistory(t, f)
	if len(h.Warnings) > 0 {
		t.Errorf("warnings: %q", h.Warnings)
	}
	for _, want := range []struct{ model, version, event, host, cause string }{
		{"softmax", "done", Finished, "beta", ""}, // alpha had interrupted it before
		{"softmax", "started", Started, "alpha", ""},
		{"softmax", "broken", Failed, "alpha", "panic: \"no\"\n\tat <main>"},
		{"softmax", `"quoted" <é>`, Interrupted, "alpha", "asked to stop"},
		{"vision/knn.go", "done", Finished, "beta", ""},
	} {
		past, ok := h.Last(want.model, want.version)
		if !ok || past.Event != want.event || past.Host != want.host || past.Parameters != 0x0123456789abcdef || past.Code != 0xfedcba9876543210 {
			t.Errorf("%s %s: %+v, %t", want.model, want.version, past, ok)
			continue
		}
		if e, err := past.Read(); err != nil || e.Model != want.model || e.Version != want.version || e.Cause != want.cause {
			t.Errorf("%s %s: %+v, %v", want.model, want.version, e, err)
		}
	}
	if n := len(h.Versions("softmax")) + len(h.Versions("vision/knn.go")) + len(h.Versions("nobuild")); n != 5 {
		t.Errorf("%d versions", n)
	}

	past, _ := h.Last("softmax", "done")
	e, err := past.Read()
	if err != nil {
		t.Fatal(err)
	}
	want := Event{
		Event: Finished, Model: "softmax", Version: "done", Run: "20231114-221320000-abcdefgh", Time: at(61_500),
		Parameters: "0123456789abcdef", Code: "fedcba9876543210", Step: 470, Seconds: 61.5, Results: Results{
			wire.SetTraining: {"loss": wire.Float(math.NaN())},
			wire.SetTrain:    {"accuracy": 0.99, "loss": 0.03125},
			wire.SetTest:     {"accuracy": 0.9712, "loss": wire.Float(math.Inf(1))},
		},
	}
	if diff := cmp.Diff(want, e, sameEvent); diff != "" {
		t.Errorf("finished (-want +got):\n%s", diff)
	}

	run, err := f.ReadRun(e.Run)
	if err != nil {
		t.Fatal(err)
	}
	wantRun := sampleRun()
	wantRun.Model, wantRun.Version, wantRun.Host = "softmax", "done", "beta"
	if diff := cmp.Diff(wantRun, run, sameEvent, compactJSON); diff != "" {
		t.Errorf("run.json (-want +got):\n%s", diff)
	}
	if got := f.LastStep(e.Run); got != 470 {
		t.Errorf("last step %d", got)
	}
}
