package outputs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

func openRecorder(t *testing.T, f Folder) *Recorder {
	t.Helper()
	r, err := f.OpenRecorder(nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A step is something that an execution writes at once.
type step func() error

// killedNight returns the steps of an execution as the pipeline does them: two versions that finish, one of them very long to
// tell of, one that fails, one that is interrupted, one that could not be started, and one that is running.
func killedNight(f Folder, r *Recorder) (steps []step) {
	began := time.Now().Add(-time.Hour)
	status := Status{Host: f.Host, PID: 1, Started: Time{began}}
	steps = append(steps,
		func() error { return r.Mark(Event{Event: Begin, Time: Time{began}, PID: 1}) },
		func() error { return f.WriteStatus(status) })
	for i, v := range []struct{ version, status string }{{"one", Finished}, {"two", Failed}, {"three", Interrupted}, {"four", Finished}, {"refused", ""}, {"five", Running}} {
		started := began.Add(time.Duration(i+1) * time.Minute)
		run := sampleRun()
		run.ID, run.Version, run.Status, run.Host, run.Started, run.Resumes = NewRunID(started), v.version, Running, f.Host, Time{started}, ""
		run.Ended, run.Failure, run.Results, run.Seconds = nil, nil, nil, 0
		run.Steps = Steps{Total: 470}
		if v.version == "four" {
			run.Summary.Run = strings.Repeat("many words\n", 2000)
		}
		if v.status == "" {
			run.Status, run.Ended, run.Failure = Failed, &Time{started}, &Failure{Cause: "refused"}
			steps = append(steps, func() error { _, err := f.Record(run); return err })
			continue
		}
		var record *Record
		steps = append(steps, func() (err error) { record, err = f.Record(run); return err }, func() error {
			return r.Append(Event{Event: Started, Model: run.Model, Version: run.Version, Run: run.ID, Time: run.Started, Parameters: run.ParametersHash, Code: run.Code.Fingerprint, Params: run.Parameters, Dir: run.Dir})
		}, func() error {
			record.Metric(wire.AppendPoint(nil, wire.Point{Name: "loss", Step: 7, Value: 1, Time: 1}))
			return record.FlushMetrics()
		})
		if v.status == Running {
			break
		}
		end := run
		end.Status, end.Ended, end.Seconds, end.Steps.Done = v.status, &Time{started.Add(30 * time.Second)}, 30, 8
		if v.status == Finished {
			end.Results = Results{wire.SetTest: {"loss": 0.5}}
			steps = append(steps, func() error { return record.Close(end) }, func() error { return func() error { _, _, err := r.appendBlock(end); return err }() })
		} else {
			end.Failure = &Failure{Cause: strings.Repeat("cause ", 1000)}
			steps = append(steps, func() error { return record.Close(end) })
		}
		steps = append(steps, func() error { return r.Append(end.End()) })
	}
	return steps
}

// do does the first n steps of a killed night in a new folder.
func do(t *testing.T, n int) Folder {
	t.Helper()
	f := NewFolder(t.TempDir(), "host")
	r := openRecorder(t, f)
	for _, step := range killedNight(f, r)[:n] {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	r.Journal.Close()
	r.log.close()
	return f
}

// recovered checks that every run has one end, that is the same everywhere, and returns how many ends of each kind there are.
func recovered(t *testing.T, f Folder, what string) map[string]int {
	t.Helper()
	r, err := f.OpenRecorder(nil)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	r.Close()
	journal, output := readFile(t, f.HistoryFile()), []byte(nil)
	if _, err := os.Stat(f.OutputFile()); err == nil {
		output = readFile(t, f.OutputFile())
	}
	again := openRecorder(t, f)
	again.Close()
	if len(again.Recovered) > 0 || !bytes.Equal(journal, readFile(t, f.HistoryFile())) {
		t.Errorf("%s: recovered twice: %q", what, again.Recovered)
	}
	ends, began := map[string]string{}, map[string]bool{}
	warnings, err := f.ReadEntries(func(_ string, e *Entry) {
		run := string(e.Run)
		switch e.Event {
		case Started:
			began[run] = true
		case Finished, Failed, Interrupted:
			if ends[run] != "" {
				t.Errorf("%s: run %s has two ends", what, run)
			}
			ends[run] = e.Event
			if e.Event == Finished && (len(e.Values) == 0 || e.Step != 8 || e.Seconds != 30) || e.Event != Finished && (len(e.Cause) == 0 || len(e.Cause) > 2100) || len(e.Params) == 0 && !began[run] {
				t.Errorf("%s: %+v", what, e)
			}
		}
	})
	if err != nil || len(warnings) > 0 {
		t.Errorf("%s: %q, %v", what, warnings, err)
	}
	for run := range began {
		if ends[run] == "" {
			t.Errorf("%s: run %s has no end", what, run)
		}
	}
	kinds := map[string]int{}
	blocks := ""
	entries, _ := os.ReadDir(filepath.Join(f.Dir, "runs"))
	for _, e := range entries {
		run, err := f.ReadRun(e.Name())
		if err != nil || run.Ended == nil || run.Status == Running || ends[run.ID] != "" && ends[run.ID] != run.Status {
			t.Errorf("%s: run %s is %s, %q in the journal, %v", what, e.Name(), run.Status, ends[e.Name()], err)
		}
		if run.Status == Finished {
			run, _ = f.recorded(run.ID)
			blocks += block(run)
		}
		if ends[run.ID] != "" {
			kinds[run.Status]++
		}
	}
	if !slices.Equal(sortedBlocks(string(output)), sortedBlocks(blocks)) {
		t.Errorf("%s: blocks:\n%.3000s\nwant:\n%.3000s", what, output, blocks)
	}
	return kinds
}

func sortedBlocks(text string) []string {
	blocks := strings.Split(text, ruler)
	slices.Sort(blocks)
	return blocks
}

func TestRecoverFromAKillAtAnyStep(t *testing.T) {
	steps := len(killedNight(Folder{}, nil))
	for n := range steps + 1 {
		f := do(t, n)
		kinds := recovered(t, f, fmt.Sprintf("%d steps", n))
		if n == steps && (kinds[Finished] != 2 || kinds[Failed] != 1 || kinds[Interrupted] != 2) {
			t.Errorf("at the end: %v", kinds)
		}
	}
}

// Lines of the journal that are lost cost no result: the records have them.
func TestRecoverAJournalCutAtAnyByte(t *testing.T) {
	steps := len(killedNight(Folder{}, nil))
	f := do(t, steps)
	whole := snapshotOf(t, f.Dir)
	journal := readFile(t, f.HistoryFile())
	first := bytes.IndexByte(journal, '\n') + 1
	for cut := first; cut <= len(journal); cut++ {
		nearEnd := bytes.IndexByte(journal[max(0, cut-2):min(len(journal), cut+2)], '\n') >= 0
		if !nearEnd && cut%149 != 0 {
			continue
		}
		restore(t, f.Dir, whole)
		if err := os.Truncate(f.HistoryFile(), int64(cut)); err != nil {
			t.Fatal(err)
		}
		what := fmt.Sprintf("cut at %d", cut)
		if kinds := recovered(t, f, what); kinds[Finished] != 2 || kinds[Failed] != 1 || kinds[Interrupted] != 2 {
			t.Errorf("%s: %v", what, kinds)
		}
		if cut%3 > 0 {
			continue
		}
		// A kill while it recovers: what was written last may be torn again.
		if size := len(readFile(t, f.HistoryFile())); size > first+300 {
			if err := os.Truncate(f.HistoryFile(), int64(size-300)); err != nil {
				t.Fatal(err)
			}
			if kinds := recovered(t, f, what+" and once more"); kinds[Finished] != 2 || kinds[Failed] != 1 || kinds[Interrupted] != 2 {
				t.Errorf("%s and once more: %v", what, kinds)
			}
		}
	}
}

// SIGKILL tears a long write, a power cut any; a record may be lost then.
func TestRecoverATornBlock(t *testing.T) {
	steps := len(killedNight(Folder{}, nil))
	for _, night := range []struct {
		name string
		n    int
	}{{"its line is missing", steps - 5}, {"its line is there", steps - 4}} {
		f := do(t, night.n)
		whole := snapshotOf(t, f.Dir)
		output := readFile(t, f.OutputFile())
		last := bytes.LastIndex(output, []byte(ruler))
		for cut := last + 1; cut < len(output); cut++ {
			inside := cut > last+3 && cut < len(output)-3 && !bytes.Contains(output[cut-1:cut+1], []byte("\n"))
			if inside && (cut < last+1000 && cut%23 != 0 || cut >= last+1000 && cut%9973 != 0) || !inside && cut > last+1000 && cut < len(output)-3 {
				continue
			}
			if night.n == steps-4 && (output[cut-1] == '\n' || cut < last+bytes.Index(output[last:], []byte("\nstarted"))) {
				continue // the run has its end: that there was more of its block, or a block, is not known any more
			}
			restore(t, f.Dir, whole)
			if err := os.Truncate(f.OutputFile(), int64(cut)); err != nil {
				t.Fatal(err)
			}
			recovered(t, f, fmt.Sprintf("%s, cut at %d of %d", night.name, cut, len(output)))
		}
	}
}

func TestRecoverWithoutRecords(t *testing.T) {
	steps := len(killedNight(Folder{}, nil))
	f := do(t, steps)
	dirs, _ := filepath.Glob(filepath.Join(f.Dir, "runs", "2*"))
	last := dirs[len(dirs)-1]
	for _, text := range []string{"", `{"format":1,"run":"20`, "\x00\x00\x00"} {
		writeFile(t, filepath.Join(last, runFile), []byte(text))
		if err := os.Truncate(f.HistoryFile(), int64(lastLines(readFile(t, f.HistoryFile()), "interrupted"))); err != nil {
			t.Fatal(err)
		}
		recovered(t, f, fmt.Sprintf("record %q", text))
		if run, err := f.ReadRun(filepath.Base(last)); err != nil || run.Version != "five" || run.Failure.Cause != Killed || run.Steps.Done != 7 {
			t.Errorf("record %q: %+v, %v", text, run, err)
		}
	}
	// A folder that the user has deleted is not made again.
	if err := os.Truncate(f.HistoryFile(), int64(lastLines(readFile(t, f.HistoryFile()), "interrupted"))); err != nil {
		t.Fatal(err)
	}
	os.RemoveAll(last)
	r := openRecorder(t, f)
	r.Close()
	if _, err := os.Stat(last); err == nil || len(r.Recovered) != 1 {
		t.Errorf("%v, %q", err, r.Recovered)
	}
}

// lastLines is where the last line of the journal begins, if it is of a kind, else where it ends.
func lastLines(journal []byte, event string) int {
	at := bytes.LastIndexByte(journal[:len(journal)-1], '\n') + 1
	if bytes.HasPrefix(journal[at:], []byte(`{"event":"`+event+`"`)) {
		return at
	}
	return len(journal)
}

// Nothing is looked for when the last execution has ended in order, or when the user has deleted the history.
func TestRecoverNothing(t *testing.T) {
	f := do(t, len(killedNight(Folder{}, nil)))
	whole := snapshotOf(t, f.Dir)
	r := openRecorder(t, f)
	if !r.AfterKill || len(r.Recovered) != 1 || !strings.Contains(r.Recovered[0], "vision/softmax/five") || !strings.Contains(r.Recovered[0], "after step 7") {
		t.Errorf("%v %q", r.AfterKill, r.Recovered)
	}
	r.Mark(Event{Event: End, Time: Time{time.Now()}})
	r.Close()
	s, _ := f.readStatus(f.Host)
	s.Ended = &Time{time.Now()}
	if err := f.WriteStatus(s); err != nil {
		t.Fatal(err)
	}
	if r := openRecorder(t, f); r.AfterKill || len(r.Recovered) > 0 {
		t.Errorf("%v %q", r.AfterKill, r.Recovered)
	} else {
		r.Close()
	}
	restore(t, f.Dir, whole)
	os.Remove(f.HistoryFile())
	if r := openRecorder(t, f); r.AfterKill || len(r.Recovered) > 0 || len(readHistory(t, f).Versions("vision/softmax")) > 0 {
		t.Errorf("%v %q", r.AfterKill, r.Recovered)
	} else {
		r.Close()
	}
}

// In an early journal many runs may have no end. Only of the last of a version one is told: the others do not count any more.
func TestRecoverAnEarlyJournal(t *testing.T) {
	f := NewFolder(t.TempDir(), "host")
	j, _ := openJournal(t, f)
	for i, e := range []Event{{Event: Started, Version: "done"}, {Event: Started, Version: "done"}, {Event: Finished, Version: "done"}, {Event: Started, Version: "open"}, {Event: Started, Version: "open"}} {
		e.Model, e.Time, e.Run = "m", at(int64(i)), NewRunID(at(int64(i)).Time)
		if e.Event == Finished {
			e.Run = "20231114-221320001-aaaaaaaa"
		}
		if i == 1 {
			e.Run = "20231114-221320001-aaaaaaaa"
		}
		appendAll(t, j, e)
	}
	j.Close()
	openRecorder(t, f).Close()
	h := readHistory(t, f)
	done, _ := h.Last("m", "done")
	open, _ := h.Last("m", "open")
	if done.Event != Finished || open.Event != Interrupted {
		t.Errorf("done: %s, open: %s", done.Event, open.Event)
	}
	if n := bytes.Count(readFile(t, f.HistoryFile()), []byte(`"event":"interrupted"`)); n != 1 {
		t.Errorf("%d lines of interrupted runs", n)
	}
}

func TestLastLineWith(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for _, c := range []struct {
		text string
		want int64
	}{
		{"", -1}, {"a", 0}, {"b\na", 2}, {"a\nb", 0}, {"b a\n", -1}, {"a\na\nb\n", 2},
		{"a" + long, 0}, {long + "\na", 1<<20 + 1}, {"b\na" + long, 2}, {"b\na" + long[1:], 2}, {"b\na" + long[2:], 2}, {"b\na" + long[3:], 2}, {long + long + "\n" + long, -1},
	} {
		if got, err := lastLineWith(strings.NewReader(c.text), int64(len(c.text)), []byte("a")); got != c.want || err != nil {
			t.Errorf("%.20q of %d: %d, %v; want %d", c.text, len(c.text), got, err, c.want)
		}
	}
}

// snapshotOf returns the files in a folder, by path.
func snapshotOf(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files[path], err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func restore(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	for path, text := range files {
		writeFile(t, path, text)
	}
}

// BenchmarkRecoverNothing is what a start costs when nothing has to be done.
func BenchmarkRecoverNothing(b *testing.B) {
	f := NewFolder(b.TempDir(), "host")
	line := `{"event":"finished","model":"m","version":"v","run":"20231114-221320001-aaaaaaaa","time":"2023-11-14T22:13:20.000Z","parameters":"","code":""}` + "\n"
	text := strings.Repeat(line, 1_000_000) + `{"event":"end","model":"","version":"","run":"","time":"2023-11-14T22:13:20.000Z","parameters":"","code":""}` + "\n"
	if err := os.WriteFile(f.HistoryFile(), []byte(text), 0o666); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		r, err := f.OpenRecorder(nil)
		if err != nil || r.AfterKill {
			b.Fatal(err)
		}
		r.Close()
	}
}
