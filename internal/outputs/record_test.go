package outputs

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// sampleRun is a run with every field set.
func sampleRun() Run {
	ended := at(61_500)
	return Run{
		Format: RunFormat, ID: "20231114-221320000-abcdefgh", Model: "vision/softmax", Version: "slow", Status: Finished, Mode: wire.ModeExecution,
		Parameters: json.RawMessage(`{"batch_size":32,"learning_rate":0.1}`), ParametersHash: "0123456789abcdef",
		Host: "host", User: "ana", Pipeline: "1.0.0", Command: []string{"/cache/softmax", "--x"},
		Code: Code{Fingerprint: "fedcba9876543210", Files: map[string]string{"main.go": "00112233445566ff"}, Git: &Git{Commit: "abc", Branch: "main", Dirty: true}},
		Data: Data{Loader: "digits", TrainSamples: 1500, TestSamples: 297},
		Dir:  "model_ckpts/vision/softmax-slow", Resumes: "20231113-000000000-aaaaaaaa",
		Started: at(0), Ended: &ended, Seconds: 61.5, Steps: Steps{Before: 100, Done: 470, Total: 470},
		Results: Results{
			wire.SetTraining: {"loss": wire.Float(math.NaN())},
			wire.SetTrain:    {"accuracy": 0.99, "loss": 0.03125},
			wire.SetTest:     {"accuracy": 0.9712, "loss": wire.Float(math.Inf(1))},
		},
		Failure: &Failure{Cause: "panic: no", Phase: wire.PhaseTrain, Exit: "exit status 2", Trace: "goroutine 1", Stderr: []string{"a", "b"}},
		Summary: Summary{Model: "dense 64x10\nsoftmax", Data: "8x8 digits", Run: "converged"},
	}
}

func names(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestRecord(t *testing.T) {
	f := NewFolder(t.TempDir(), "host")
	run := sampleRun()
	first := run
	first.Status, first.Ended, first.Results, first.Failure = Running, nil, nil, nil
	r, err := f.Record(first)
	if err != nil {
		t.Fatal(err)
	}
	dir := f.RunDir(run.ID)
	if got := names(t, dir); !slices.Equal(got, []string{"run.json"}) {
		t.Errorf("at the start: %q", got)
	}
	got, err := f.ReadRun(run.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, got, sameEvent, compactJSON); diff != "" {
		t.Errorf("at the start (-written +read):\n%s", diff)
	}

	for step, value := range []float64{0.5, math.NaN(), math.Inf(-1)} {
		if err := r.Metric(wire.AppendPoint(nil, wire.Point{Name: "loss", Step: int64(step + 1), Value: value, Time: 7})); err != nil {
			t.Fatal(err)
		}
	}
	if got := f.LastStep(run.ID); got != 0 {
		t.Errorf("step %d before a flush", got)
	}
	if err := r.FlushMetrics(); err != nil {
		t.Fatal(err)
	}
	if got := f.LastStep(run.ID); got != 3 {
		t.Errorf("last step %d, want 3", got)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"metrics.jsonl", "run.json"}) {
		t.Errorf("after a metric: %q", got)
	}
	want := "{\"name\":\"loss\",\"step\":1,\"value\":0.5,\"time\":7}\n{\"name\":\"loss\",\"step\":2,\"value\":\"NaN\",\"time\":7}\n{\"name\":\"loss\",\"step\":3,\"value\":\"-Infinity\",\"time\":7}\n"
	if got := string(readFile(t, filepath.Join(dir, "metrics.jsonl"))); got != want {
		t.Errorf("metrics:\n%swant:\n%s", got, want)
	}

	for _, line := range []string{"epoch 1", ""} {
		if err := r.Printed(line); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.FlushPrinted(); err != nil {
		t.Fatal(err)
	}
	if got := string(readFile(t, filepath.Join(dir, "output.log"))); got != "epoch 1\n\n" {
		t.Errorf("printed %q", got)
	}
	r.Printed("not flushed")
	if err := r.Close(run); err != nil {
		t.Fatal(err)
	}
	if err := r.Missing(); err != nil {
		t.Fatal(err)
	}
	if got := string(readFile(t, filepath.Join(dir, "output.log"))); got != "epoch 1\n\nnot flushed\n" {
		t.Errorf("printed %q", got)
	}
	if got, err = f.ReadRun(run.ID); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(run, got, sameEvent, compactJSON); diff != "" {
		t.Errorf("at the end (-written +read):\n%s", diff)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"metrics.jsonl", "output.log", "run.json"}) {
		t.Errorf("at the end: %q", got)
	}
}

var compactJSON = cmp.Comparer(func(a, b json.RawMessage) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && cmp.Equal(x, y)
})

func TestRecordOfARunThatPrintsNothing(t *testing.T) {
	f := NewFolder(t.TempDir(), "host")
	r, err := f.Record(Run{ID: "x"})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{r.FlushMetrics(), r.FlushPrinted(), r.Close(Run{ID: "x", Status: Finished}), r.Missing()} {
		if err != nil {
			t.Error(err)
		}
	}
	if got := names(t, f.RunDir("x")); !slices.Equal(got, []string{"run.json"}) {
		t.Errorf("%q", got)
	}
}

func TestReadRunSaysWhatIsWrong(t *testing.T) {
	f := NewFolder(t.TempDir(), "host")
	if err := os.MkdirAll(f.RunDir("x"), 0o777); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(f.RunDir("x"), "run.json")
	for content, want := range map[string]string{`{"format":2}`: "newer mlpipeline (format 2", `{"format":`: "unexpected end", "": "unexpected end"} {
		writeFile(t, path, []byte(content))
		if _, err := f.ReadRun("x"); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", content, err)
		}
	}
	if _, err := f.ReadRun("none"); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("%v", err)
	}
}

func TestLastStep(t *testing.T) {
	f := NewFolder(t.TempDir(), "host")
	if got := f.LastStep("none"); got != 0 {
		t.Errorf("no such run: %d", got)
	}
	if err := os.MkdirAll(f.RunDir("x"), 0o777); err != nil {
		t.Fatal(err)
	}
	point := func(name string, step int64) string {
		return string(wire.AppendPoint(nil, wire.Point{Name: name, Step: step, Value: math.NaN(), Time: 1})) + "\n"
	}
	var long strings.Builder
	for step := range int64(10_000) {
		long.WriteString(point("loss", step+1))
	}
	for _, c := range []struct {
		name, content string
		want          int64
	}{
		{"empty", "", 0},
		{"one", point("a", 5), 5},
		{"the highest of several metrics", point("a", 5) + point("b", 3), 5},
		{"torn", point("a", 5) + strings.TrimSuffix(point("a", 612345), "1}\n")[:25], 5},
		{"whole, but for the newline", point("a", 5) + strings.TrimSpace(point("a", 6)), 6},
		{"zeros", point("a", 5) + strings.Repeat("\x00", 4096), 5},
		{"garbage", "garbage\n" + point("a", 5) + "{}\n", 5},
		{"longer than its tail", long.String(), 10_000},
		{"a name that looks like a point", point(`{"step":99,"value":1}`, 4), 4},
	} {
		writeFile(t, filepath.Join(f.RunDir("x"), "metrics.jsonl"), []byte(c.content))
		if got := f.LastStep("x"); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	// A torn line never tells of a step beyond what was written.
	whole := point("a", 5) + point("a", 678)
	for cut := range len(whole) + 1 {
		writeFile(t, filepath.Join(f.RunDir("x"), "metrics.jsonl"), []byte(whole[:cut]))
		if got := f.LastStep("x"); got != 0 && got != 5 && got != 678 {
			t.Errorf("cut at %d: %d", cut, got)
		}
	}
}
