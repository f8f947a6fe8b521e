package runs

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/version"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// at is a time in milliseconds.
func at(ms int64) outputs.Time { return outputs.Time{Time: time.UnixMilli(1_700_000_000_000 + ms)} }

// journal writes the journal of a host.
func journal(t *testing.T, dir, host string, events ...outputs.Event) outputs.Folder {
	t.Helper()
	f := outputs.NewFolder(dir, host)
	j, _, err := f.OpenJournal()
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for _, e := range events {
		if err := j.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// started and finished are events of a run named by when it starts.
func started(ms int64, model, version string) outputs.Event {
	return outputs.Event{Event: outputs.Started, Model: model, Version: version, Run: id(ms), Time: at(ms), Params: []byte(`{"batch_size":2}`), Dir: "model_ckpts/" + model}
}

func ended(event string, start, end int64, model, version string) outputs.Event {
	return outputs.Event{Event: event, Model: model, Version: version, Run: id(start), Time: at(end), Seconds: float64(end-start) / 1000}
}

func id(ms int64) string { return fmt.Sprintf("20231114-%09d-abcdefgh", ms) }

func read(t *testing.T, f outputs.Folder) *Index {
	t.Helper()
	x, err := Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// told is what an index says, a line a run.
func told(x *Index) (lines []string) {
	for _, r := range x.Runs {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", r.Host, r.Name(), r.Status, r.Error)))
	}
	return lines
}

func begin(ms int64, pid int) outputs.Event {
	return outputs.Event{Event: outputs.Begin, Time: at(ms), PID: pid, Command: "mlpipeline -r"}
}

func end(ms int64) outputs.Event {
	return outputs.Event{Event: outputs.End, Time: at(ms), Seconds: 1, Tally: &outputs.Tally{Finished: 1}}
}

func TestHostsAreMergedByTime(t *testing.T) {
	dir := t.TempDir()
	journal(t, dir, "b", started(20, "m", "v"), ended(outputs.Finished, 20, 90, "m", "v"))
	f := journal(t, dir, "a", started(10, "m", "v"), ended(outputs.Failed, 10, 15, "m", "v"), started(30, "m", "w"), ended(outputs.Finished, 30, 40, "m", "w"))
	want := []string{"a m/v failed", "b m/v finished", "a m/w finished"}
	if diff := cmp.Diff(want, told(read(t, f))); diff != "" {
		t.Error(diff)
	}
}

// A clock that is put back, or was ahead for a while, does not change which run of a host was the last.
func TestRunsOfAHostAreInTheOrderOfItsJournal(t *testing.T) {
	const day = 24 * 3600 * 1000
	f := journal(t, t.TempDir(), "a",
		begin(day, 7), started(day+1, "m", "v"), ended(outputs.Finished, day+1, day+2, "m", "v"), end(day+3), // a day ahead
		begin(10, 8), started(11, "m", "v"), ended(outputs.Failed, 11, 12, "m", "v"), started(13, "m", "w"),
		ended(outputs.Finished, 13, 14-day, "m", "w"), started(15-day, "m", "v"), ended(outputs.Finished, 15-day, 16-day, "m", "v"), end(17-day), // put back in between
		begin(2*day, 9), started(2*day+1, "m", "w"), ended(outputs.Finished, 2*day+1, 2*day+5, "m", "w"), started(2*day+3, "m", "u"), started(2*day+2, "m", "t"))
	x := read(t, f)
	killed := " interrupted the pipeline was killed"
	want := []string{"a m/v finished", "a m/v failed", "a m/w finished", "a m/v finished", "a m/w finished", "a m/t" + killed, "a m/u" + killed}
	if diff := cmp.Diff(want, told(x)); diff != "" {
		t.Error(diff)
	}
	if r, err := x.Find("m/v"); err != nil || r.ID != id(15-day) {
		t.Errorf("the last of m/v is %+v, %v", r, err)
	}
	var pids []int
	for _, e := range x.Executions {
		pids = append(pids, e.PID)
	}
	if diff := cmp.Diff([]int{7, 8, 9}, pids); diff != "" {
		t.Error(diff)
	}
	if _, before := x.Split(x.Executions[1]); len(before) != 1 || before[0].ID != id(day+1) {
		t.Errorf("before the second: %d runs", len(before))
	}
	if _, before := x.Split(x.Executions[2]); len(before) != 4 {
		t.Errorf("before the third: %d runs", len(before))
	}
}

func TestRunningAndKilled(t *testing.T) {
	killed := func(name string) string { return "a " + name + " interrupted the pipeline was killed" }
	for _, c := range []struct {
		name   string
		events []outputs.Event
		lock   string // what the lock says; empty: nobody holds it
		want   []string
		alive  bool
	}{
		{"nobody holds the lock", []outputs.Event{begin(1, 7), started(2, "m", "v")}, "", []string{killed("m/v")}, false},
		{"it runs", []outputs.Event{begin(1, 7), started(2, "m", "v")}, "pid 7 of me, since then: x", []string{"a m/v running"}, true},
		{"another one holds the lock, which writes no journal", []outputs.Event{begin(1, 7), started(2, "m", "v")}, "pid 8 of me", []string{killed("m/v")}, false},
		{"the lock is held by one that has just written", []outputs.Event{begin(1, 7), started(2, "m", "v"), begin(3, 8), started(4, "m", "w")}, "pid 8 of me", []string{killed("m/v"), "a m/w running"}, true},
		{"it ended, and does not tell of this run", []outputs.Event{begin(1, 7), started(2, "m", "v"), end(3)}, "pid 7 of me", []string{killed("m/v")}, false},
		{"an early journal", []outputs.Event{started(2, "m", "v"), started(3, "m", "w"), started(4, "m", "v")}, "pid 7 of me", []string{killed("m/v"), "a m/w running", "a m/v running"}, false},
		{"an early journal of nobody", []outputs.Event{started(2, "m", "v")}, "", []string{killed("m/v")}, false},
		{"an early journal that goes on", []outputs.Event{started(2, "m", "v"), begin(3, 7), started(4, "m", "w"), ended(outputs.Finished, 4, 5, "m", "w")}, "pid 7 of me", []string{killed("m/v"), "a m/w finished"}, true},
	} {
		f := journal(t, t.TempDir(), "a", c.events...)
		if c.lock != "" {
			lock, err := f.Lock(c.lock)
			if err != nil {
				t.Fatal(err)
			}
			defer lock.Close()
		}
		x := read(t, outputs.NewFolder(f.Dir, "reader"))
		if diff := cmp.Diff(c.want, told(x)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		alive := len(x.Executions) > 0 && x.Executions[len(x.Executions)-1].Running
		if alive != c.alive {
			t.Errorf("%s: alive %t", c.name, alive)
		}
		for _, r := range x.Runs {
			if r.Error == Killed && (!r.Ended.IsZero() || r.Seconds != 0) {
				t.Errorf("%s: killed at %v after %v", c.name, r.Ended, r.Seconds)
			}
		}
	}
}

func TestExecutions(t *testing.T) {
	dir := t.TempDir()
	f := journal(t, dir, "a", started(1, "m", "early"), ended(outputs.Finished, 1, 2, "m", "early"),
		begin(10, 7), started(11, "m", "v"), ended(outputs.Finished, 11, 12, "m", "v"), started(13, "m", "w"), ended(outputs.Failed, 13, 14, "m", "w"), end(15),
		begin(30, 8), started(31, "m", "v"))
	journal(t, dir, "b", begin(20, 9), end(21))
	var got []string
	for _, e := range read(t, f).Executions {
		text := fmt.Sprintf("%s %d %q %t %t %v:", e.Host, e.PID, e.Command, e.Ended.IsZero(), e.Running, e.Tally != nil)
		for _, r := range e.Runs {
			text += " " + r.Name()
		}
		got = append(got, text)
	}
	want := []string{`a 7 "mlpipeline -r" false false true: m/v m/w`, `b 9 "mlpipeline -r" false false true:`, `a 8 "mlpipeline -r" true false false: m/v`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A line that cannot be read costs what it told, and nothing else.
func TestDamagedJournal(t *testing.T) {
	dir := t.TempDir()
	f := journal(t, dir, "a", started(1, "m", "v"), ended(outputs.Finished, 1, 1001, "m", "v"), started(2000, "m", "w"), ended(outputs.Finished, 2000, 2001, "m", "w"))
	text, err := os.ReadFile(f.HistoryFile())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	lines[1] = "\x00\x00\n"                                                    // the start of v
	lines[4] = `{"event":"finished","model":"m","version":"w","run":"20231114` // torn
	if err := os.WriteFile(f.HistoryFile(), []byte(strings.Join(lines, "")), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "history-copy"), text, 0o666); err != nil {
		t.Fatal(err)
	}
	x := read(t, f)
	want := []string{"a m/v finished", "a m/w interrupted the pipeline was killed"}
	if diff := cmp.Diff(want, told(x)); diff != "" {
		t.Error(diff)
	}
	if got := x.Runs[0].Started; !got.Equal(at(1).Time) {
		t.Errorf("started %v: from how long it took", got)
	}
	if len(x.Warnings) != 2 || !strings.HasPrefix(x.Warnings[0], f.HistoryFile()+":2: ") || !strings.Contains(x.Warnings[1], "copy of the history of a") {
		t.Errorf("warnings %q", x.Warnings)
	}
}

// Lines that this program does not write, which others may: without a time, with one beyond all bounds, with white space.
func TestOddLines(t *testing.T) {
	dir := t.TempDir()
	f := journal(t, dir, "a")
	file, err := os.OpenFile(f.HistoryFile(), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fmt.Fprintln(file, `{"event":"finished","model":"m","version":"no time","run":"1","seconds":1}`)
	fmt.Fprintln(file, `{"event":"finished","model":"m","version":"long","run":"2","time":"2023-11-14T22:13:20.000Z","seconds":1e300}`)
	fmt.Fprintln(file, `{"event": "finished", "model":"m","version":"spaces","run":"3","time":"2023-11-14T22:13:20.000Z", "params": { "a" : [ 1, 2 ], "b": 9007199254740993 }}`)
	x := read(t, f)
	if len(x.Runs) != 3 {
		t.Fatalf("%q", told(x))
	}
	named := map[string]*Run{}
	for _, r := range x.Runs {
		named[r.Version] = r
	}
	if r := named["no time"]; !r.Started.IsZero() || !strings.Contains(string(r.AppendJSON(nil)), `"started":null,"ended":null,"seconds":null`) {
		t.Errorf("no time: %s", r.AppendJSON(nil))
	}
	if r := named["long"]; !r.Started.Before(at(0).Time) {
		t.Errorf("started %v", r.Started)
	}
	if diff := cmp.Diff(map[string]Value{"a": "[1,2]", "b": "9007199254740993", "order": "0"}, named["spaces"].Params()); diff != "" {
		t.Error(diff)
	}
}

func TestFind(t *testing.T) {
	f := journal(t, t.TempDir(), "a",
		started(1, "m", "v"), ended(outputs.Failed, 1, 2, "m", "v"),
		started(20, "m", "v"), ended(outputs.Finished, 20, 21, "m", "v"),
		started(21, "m", "w"), ended(outputs.Finished, 21, 22, "m", "w"),
		started(30, "vision/m", "a/b"), ended(outputs.Finished, 30, 31, "vision/m", "a/b"),
		started(40, "2023", "v"), ended(outputs.Finished, 40, 41, "2023", "v"),
		outputs.Event{Event: outputs.Failed, Model: "broken.go", Run: id(50), Time: at(50), Cause: "does not build"},
	)
	x := read(t, f)
	for name, want := range map[string]int64{
		id(1): 1, "20231114-0000000": 0, id(20)[:18]: 20, "m/v": 20, "m/w": 21, "m": 21, "vision/m/a/b": 30, "vision/m": 30, "2023": 40,
		"broken.go": 50, "m/": 0, "": 0, "nothing": 0, "20231114-00000004": 40,
	} {
		r, err := x.Find(name)
		var failed *NameError
		switch {
		case want == 0 && !errors.As(err, &failed):
			t.Errorf("%q: %v, %v", name, r, err)
		case want != 0 && (err != nil || r.ID != id(want)):
			t.Errorf("%q: %v, %v", name, r, err)
		}
	}
	_, err := x.Find("20231114-00000002")
	want := `"20231114-00000002" is the beginning of 2 runs: 20231114-000000021-abcdefgh, 20231114-000000020-abcdefgh`
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

func TestSelect(t *testing.T) {
	dir := t.TempDir()
	journal(t, dir, "b", started(5, "vision/m", "x"), ended(outputs.Failed, 5, 6, "vision/m", "x"))
	f := journal(t, dir, "a", started(1, "m", "v"), ended(outputs.Finished, 1, 2, "m", "v"), started(9, "m", "w"))
	x := read(t, f)
	for _, c := range []struct {
		filter Filter
		want   string
	}{
		{Filter{}, "m/v vision/m/x m/w"},
		{Filter{Models: version.Selection{"*m"}, Versions: version.Selection{"[vw]"}}, "m/v m/w"},
		{Filter{Statuses: []string{Failed, Interrupted}}, "vision/m/x m/w"},
		{Filter{Hosts: []string{"b"}}, "vision/m/x"},
		{Filter{Since: at(5).Time}, "vision/m/x m/w"},
	} {
		var names []string
		for _, r := range x.Select(c.filter) {
			names = append(names, r.Name())
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%+v: %s, not %s", c.filter, got, c.want)
		}
	}
}

func TestChain(t *testing.T) {
	resuming := func(ms, of int64) outputs.Event {
		e := started(ms, "m", "v")
		e.Resumes = id(of)
		return e
	}
	x := read(t, journal(t, t.TempDir(), "a", started(1, "m", "v"), resuming(2, 1), resuming(3, 2), resuming(9, 8)))
	chain := func(r *Run) (ids []string) {
		for _, r := range x.Chain(r) {
			ids = append(ids, r.ID)
		}
		return ids
	}
	if got, want := chain(x.Runs[2]), []string{id(1), id(2), id(3)}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got, want := chain(x.Runs[3]), []string{id(9)}; !slices.Equal(got, want) {
		t.Errorf("%q: the one before is not known", got)
	}
	if by := x.ResumedBy(x.Runs[0]); len(by) != 1 || by[0].ID != id(2) {
		t.Errorf("resumed by %v", by)
	}
}

func TestParamsAndMetrics(t *testing.T) {
	start := started(1, "m", "v")
	start.Params = []byte(`{"batch_size":2,"params.epochs":"own","hidden":[1,2]}`)
	start.Order = 4
	finish := ended(outputs.Finished, 1, 2, "m", "v")
	finish.Results = outputs.Results{wire.SetTest: {"accuracy": 0.5}, wire.SetTraining: {"loss": 2}}
	finish.Git = &outputs.Git{Commit: "abc", Dirty: true}
	edited := ended(outputs.Failed, 3, 4, "m", "w")
	edited.Params = []byte(`{"batch_size":3,"order":"own"}`)
	x := read(t, journal(t, t.TempDir(), "a", start, finish, started(3, "m", "w"), edited))
	if diff := cmp.Diff(map[string]Value{"batch_size": "2", "params.epochs": `"own"`, "hidden": "[1,2]", "order": "4"}, x.Runs[0].Params()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]float64{"test.accuracy": 0.5, "training.loss": 2}, x.Runs[0].Metrics()); diff != "" {
		t.Error(diff)
	}
	if git := x.Runs[0].Git(); git == nil || *git != *finish.Git {
		t.Errorf("git %v", git)
	}
	if got, _ := x.Runs[1].Param("batch_size"); got != "3" || x.Runs[1].Params()["order"] != `"own"` || x.Runs[1].Git() != nil || len(x.Runs[1].Metrics()) > 0 {
		t.Errorf("%v, %v", got, x.Runs[1].Git())
	}
}

func TestRows(t *testing.T) {
	start := started(1, "m", "v\x1b[31m\u009b<\u202e")
	start.Params = []byte(`{"batch_size":2,"odd":"\u0085é"}`)
	finish := ended(outputs.Finished, 1, 1501, start.Model, start.Version)
	finish.Results = outputs.Results{wire.SetTest: {"accuracy": wire.Float(math.NaN()), "a\nb": 1}}
	finish.Git = &outputs.Git{Commit: "abc", Branch: "main", Dirty: true}
	own := started(3, "m", "w")
	own.Params, own.Order = []byte(`{"order":"own"}`), 7
	x := read(t, journal(t, t.TempDir(), "a", start, finish, own, outputs.Event{Event: outputs.Failed, Model: "m", Time: at(4), Cause: "no"}))
	dir := x.Runs[0].ModelDir()
	if !filepath.IsAbs(dir) || filepath.Base(dir) != "m" {
		t.Errorf("model directory %s", dir)
	}
	for i, want := range []string{
		`{"id":"` + id(1) + `","model":"m","version":"v\u001b[31m\u009b\u003c\u202e","status":"finished","host":"a","started":"2023-11-14T22:13:20.001Z","ended":"2023-11-14T22:13:21.501Z","seconds":1.5,"params":{"batch_size":2,"odd":"\u0085é","order":0},"metrics":{"test.a\nb":1,"test.accuracy":"NaN"},"model_dir":"` + dir + `","error":null,"git":{"commit":"abc","branch":"main","dirty":true}}`,
		`{"id":"` + id(3) + `","model":"m","version":"w","status":"interrupted","host":"a","started":"2023-11-14T22:13:20.003Z","ended":null,"seconds":null,"params":{"order":"own"},"metrics":{},"model_dir":"` + dir + `","error":"the pipeline was killed","git":null}`,
		`{"id":"","model":"m","version":"","status":"failed","host":"a","started":"2023-11-14T22:13:20.004Z","ended":"2023-11-14T22:13:20.004Z","seconds":0,"params":{},"metrics":{},"model_dir":null,"error":"no","git":null}`,
	} {
		got := string(x.Runs[i].AppendJSON(nil))
		if got != want {
			t.Errorf("row %d:\n%s\n%s", i, got, want)
		}
		if !json.Valid([]byte(got)) {
			t.Errorf("row %d is no JSON", i)
		}
	}
}

func TestShort(t *testing.T) {
	x := &Index{}
	for _, id := range []string{"20231114-000000001-abcdefgh", "20231114-000000002-abcdefgh", "20231115-000000002-abcdefgh", "20231115-000000002-abcdefxx", "", "odd"} {
		x.Runs = append(x.Runs, &Run{ID: id})
	}
	for i, want := range []int{18, 18, 26, 26, 15, 15} {
		if got := x.Short(x.Runs[i : i+1]); got != want {
			t.Errorf("%s: %d", x.Runs[i].ID, got)
		}
	}
}

// The first journals had neither parameters nor the state of the repository: they come from the records of runs.
func TestFormat1IsStillRead(t *testing.T) {
	x := read(t, outputs.NewFolder("../outputs/testdata/v1", "reader"))
	if len(x.Warnings) > 0 {
		t.Errorf("warnings %q", x.Warnings)
	}
	want := []string{
		"alpha softmax/done interrupted asked to stop",
		"alpha softmax/broken failed panic: \"no\"\n\tat <main>",
		"alpha softmax/\"quoted\" <é> interrupted asked to stop",
		"alpha nobuild failed main.go:3: syntax error",
		"alpha softmax/started interrupted the pipeline was killed",
		"beta softmax/done finished",
		"beta vision/knn.go/done finished",
	}
	if diff := cmp.Diff(want, told(x)); diff != "" {
		t.Error(diff)
	}
	done := x.Runs[5]
	record, err := done.Record()
	if err != nil {
		t.Fatal(err)
	}
	if params := done.Params(); len(params) == 0 || params["batch_size"] == "" {
		t.Errorf("params %v", params)
	}
	if git := done.Git(); git == nil || *git != *record.Code.Git {
		t.Errorf("git %v", git)
	}
	if m := done.Metrics(); m["test.accuracy"] != 0.9712 || m["training.loss"] == m["training.loss"] {
		t.Errorf("metrics %v", m)
	}
	if params := x.Runs[6].Params(); len(params) > 0 {
		t.Errorf("its folder is gone: %v", params)
	}
}

func TestHeadline(t *testing.T) {
	run := func(metrics ...string) *Run {
		return &Run{metrics: metrics, values: make([]float64, len(metrics))}
	}
	for _, c := range []struct {
		runs []*Run
		want string
	}{
		{nil, ""},
		{[]*Run{run()}, ""},
		{[]*Run{run("test.a"), run("test.accuracy")}, "test.accuracy"},
		{[]*Run{run("test.loss"), run("test.f1"), run("test.zeta")}, "test.f1"},
		{[]*Run{run("test.loss", "train.accuracy")}, "test.loss"},
		{[]*Run{run("train.loss", "training.accuracy")}, "train.loss"},
		{[]*Run{run("training.accuracy")}, ""},
	} {
		if got := Headline(c.runs); got != c.want {
			t.Errorf("%q, not %q", got, c.want)
		}
	}
}

// What is kept of a run is its own, however many are read.
func TestVeryManyRuns(t *testing.T) {
	const n = 5000
	x, err := Read(many(t, n))
	if err != nil || len(x.Runs) != n {
		t.Fatalf("%d runs, %v", len(x.Runs), err)
	}
	for i, r := range x.Runs {
		seed, _ := r.Param("seed")
		accuracy, _ := r.Metric("test.accuracy")
		git := r.Git()
		if r.Name() != fmt.Sprintf("model_%d/version-%d", i%10, i) || seed != Value(strconv.Itoa(i)) || accuracy != float64(shuffled(i)) || git == nil || git.Commit != fmt.Sprintf("%040x", i/1000) {
			t.Fatalf("run %d is %s with seed %s and accuracy %v", i, r.Name(), seed, accuracy)
		}
	}
	if got, want := MetricNames(x.Runs), []string{"test.accuracy", "test.loss", "train.accuracy", "train.loss", "training.accuracy", "training.loss"}; !slices.Equal(got, want) {
		t.Errorf("metrics %q", got)
	}
}
