package outputs

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// journalOf writes the journal of a host with events of version v of model m at the times given, in milliseconds; each has
// its own time as its fingerprint of the code.
func journalOf(t *testing.T, dir, host string, times ...int64) {
	t.Helper()
	j, _ := openJournal(t, NewFolder(dir, host))
	for _, ms := range times {
		appendAll(t, j, Event{Event: Finished, Model: "m", Version: "v", Time: at(ms), Code: fmt.Sprintf("%016x", ms)})
	}
}

func TestHistoryMergesHosts(t *testing.T) {
	for _, c := range []struct {
		name string
		a, b []int64
		host string
		code uint64
	}{
		{"the later counts, not the first read", []int64{10}, []int64{20}, "b", 20},
		{"nor the last read", []int64{20}, []int64{10}, "a", 20},
		{"on one host the order counts: its clock was put back", []int64{20, 10}, nil, "a", 10},
		{"and so it does between others", []int64{5}, []int64{30, 10}, "b", 10},
		{"several from each", []int64{10, 40}, []int64{20, 30}, "a", 40},
		{"several from each, read last", []int64{20, 30}, []int64{10, 40}, "b", 40},
		// A host's line is no older than the one before it, whatever its clock says: else it would depend on the names of the
		// hosts which one counts.
		{"clock put back, read first", []int64{30, 10}, []int64{20}, "a", 10},
		{"clock put back, read last", []int64{20}, []int64{30, 10}, "b", 10},
	} {
		dir := t.TempDir()
		journalOf(t, dir, "a", c.a...)
		journalOf(t, dir, "b", c.b...)
		past, ok := readHistory(t, NewFolder(dir, "c")).Last("m", "v")
		if !ok || past.Host != c.host || past.Code != c.code {
			t.Errorf("%s: host %s, event at %d; want %s, %d", c.name, past.Host, past.Code, c.host, c.code)
		}
	}
}

func TestHistoryOfAFolderWithOddNames(t *testing.T) {
	dir := filepath.Join(t.TempDir(), `a[b]*?\c`)
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	journalOf(t, dir, "host[1]", 1)
	past, ok := readHistory(t, NewFolder(dir, "x")).Last("m", "v")
	if !ok || past.Host != "host[1]" {
		t.Errorf("%+v, %t", past, ok)
	}
	if h := readHistory(t, NewFolder(filepath.Join(dir, "none"), "x")); len(h.Versions("m")) > 0 || len(h.Warnings) > 0 {
		t.Errorf("a folder that is not there: %+v", h)
	}
}

func TestHistoryWarnsOfABadLine(t *testing.T) {
	f := NewFolder(t.TempDir(), "host")
	for _, bad := range []string{"garbage", "", "{}", "[]", "\x00\x00\x00", `{"event":"finished"`, `{"event":7}`, strings.Repeat("x", 8<<20)} {
		os.Remove(f.HistoryFile())
		j, _ := openJournal(t, f)
		event := func(version string) Event { return Event{Event: Finished, Model: "m", Version: version, Time: at(0)} }
		appendAll(t, j, event("before"))
		j.file.WriteString(bad + "\n")
		appendAll(t, j, event("after"))
		h := readHistory(t, f)
		if len(h.Warnings) != 1 || !strings.HasPrefix(h.Warnings[0], f.HistoryFile()+":3: ") || len(h.Warnings[0]) > 4096 {
			t.Errorf("%.40q: warnings %.300q", bad, h.Warnings)
		}
		for _, version := range []string{"before", "after"} {
			past, ok := h.Last("m", version)
			if e, err := past.Read(); !ok || err != nil || e.Version != version {
				t.Errorf("%.40q: %s: %t, %v, %q", bad, version, ok, err, e.Version)
			}
		}
	}
}

func TestHistoryRefusesANewerFormat(t *testing.T) {
	f := NewFolder(t.TempDir(), "host")
	j, _ := openJournal(t, f)
	appendAll(t, j, allKinds()[0], Event{Event: Opened, Time: at(9), Format: 2, Host: "host"})
	_, err := f.ReadHistory()
	if err == nil || !strings.HasPrefix(err.Error(), f.HistoryFile()+":3: ") || !strings.Contains(err.Error(), "format 2") {
		t.Errorf("%v", err)
	}
}

func TestHistoryIgnoresWhatItDoesNotKnow(t *testing.T) {
	f := NewFolder(t.TempDir(), "host")
	j, _ := openJournal(t, f)
	appendAll(t, j, Event{Event: Finished, Model: "m", Version: "v", Time: at(1)}, Event{Event: "renamed", Model: "m", Version: "v", Time: at(2)})
	j.file.WriteString(`{"later":"field", "version": "w","model":"m","event":"failed","time":"2024-01-01T01:00:00+01:00"}` + "\r\n")
	h := readHistory(t, f)
	if past, _ := h.Last("m", "v"); past.Event != Finished || len(h.Warnings) > 0 {
		t.Errorf("%+v, warnings %q", past, h.Warnings)
	}
	if past, _ := h.Last("m", "w"); past.Event != Failed {
		t.Errorf("%+v", past)
	}
}

// An event may be longer than a message of the protocol: it has the results of three.
func TestHistoryReadsEveryLineThatAJournalWrites(t *testing.T) {
	f := NewFolder(t.TempDir(), "host")
	j, _ := openJournal(t, f)
	metrics := map[string]wire.Float{}
	for i := range 30_000 {
		metrics[fmt.Sprintf("accuracy of class %d", i)] = 0.5
	}
	want := Event{Event: Finished, Model: "m", Version: "v", Time: at(1), Results: Results{
		wire.SetTraining: metrics, wire.SetTrain: metrics, wire.SetTest: metrics,
	}}
	appendAll(t, j, want)
	h := readHistory(t, f)
	past, ok := h.Last("m", "v")
	if !ok || len(h.Warnings) > 0 {
		t.Fatalf("known %t, warnings %q", ok, h.Warnings)
	}
	got, err := past.Read()
	if err != nil || !cmp.Equal(want, got, sameEvent) {
		t.Errorf("not what was written, error %v", err)
	}
}

func TestHistoryFindsNamesThatNeedEscapes(t *testing.T) {
	f := NewFolder(t.TempDir(), "host")
	j, _ := openJournal(t, f)
	names := []string{`"`, `\`, `a"b\c`, "<b>&", "é", "\u2028", "🙂", "\x7f", `{"event":"`, "../x", "a\tb"}
	for _, name := range names {
		appendAll(t, j, Event{Event: Finished, Model: name, Version: name, Time: at(0)})
	}
	h := readHistory(t, f)
	for _, name := range names {
		past, ok := h.Last(name, name)
		if e, err := past.Read(); !ok || err != nil || e.Model != name || e.Version != name {
			t.Errorf("%q: %t, %v, %+v", name, ok, err, e)
		}
	}
}

// sameHead reports whether two entries are the same for ReadHistory.
func sameHead(a, b Entry) bool {
	return a.Event == b.Event && string(a.Model) == string(b.Model) && string(a.Version) == string(b.Version) && a.Time.Equal(b.Time) &&
		hash(a.Parameters) == hash(b.Parameters) && hash(a.Code) == hash(b.Code) && (a.Event != Opened || a.Format == b.Format && string(a.Host) == string(b.Host))
}

// FuzzScanLine: of a line that holds an event the head is read as encoding/json reads it, in whatever notation its strings are.
func FuzzScanLine(f *testing.F) {
	add := func(e Event) {
		f.Add(e.Event, e.Model, e.Version, e.Run, e.Time.UnixMilli(), e.Parameters, e.Code, e.Cause, int64(e.Format), e.Step)
	}
	for _, e := range allKinds() {
		add(e)
	}
	add(Event{Event: Opened, Format: 2, Host: "h", Time: at(0)})
	add(Event{Event: Finished, Model: `a"\`, Version: "<é>", Run: "\xff", Parameters: "x", Code: "ABCDEF0123456789", Cause: `"}`, Time: at(0)})
	add(Event{Event: `fin"ished`, Parameters: "10000000000000000", Code: " 0123456789abcde", Time: at(-1e12)})
	f.Fuzz(func(t *testing.T, event, model, version, run string, ms int64, parameters, code, cause string, format, step int64) {
		e := Event{Event: event, Model: model, Version: version, Run: run, Time: at(ms % 1e14), Parameters: parameters, Code: code, Cause: cause, Format: int(format), Step: step}
		if y := e.Time.Year(); y < 0 || y > 9999 {
			t.Skip() // RFC 3339 has no such year
		}
		line, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var s scanner
		var want, got Entry
		wantOK, ok := s.decode(line, &want), s.entry(line, &got, true)
		if ok != wantOK || !sameHead(want, got) {
			t.Errorf("%s\nread as %+v, %t\njson    %+v", line, got, ok, want)
		}
		if ok && event != "" && got.Time.UnixMilli() != ms%1e14+1_700_000_000_000 {
			t.Errorf("%s: time %v", line, got.Time)
		}
	})
}

// FuzzScanLineRaw: no line makes it fail, and one in the journal's own notation is read as encoding/json reads it.
func FuzzScanLineRaw(f *testing.F) {
	for _, e := range allKinds() {
		line, _ := json.Marshal(e)
		f.Add(line)
		f.Add(line[:len(line)/2])
	}
	f.Add([]byte(`{"event":"finished","model":"","version":"","run":"","time":"","parameters":"","code":""`))
	f.Add([]byte("{\"event\":\"finished\",\"model\":\"\xff\x00"))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, line []byte) {
		var s scanner
		var want, got Entry
		ok := s.entry(line, &got, true)
		var e Event
		if json.Unmarshal(line, &e) != nil || e.Event == "" {
			return
		}
		if own, err := json.Marshal(e); err != nil || string(own) != string(line) {
			return
		}
		if s.decode(line, &want); !ok || !sameHead(want, got) {
			t.Errorf("%s\nread as %+v, %t\njson    %+v", line, got, ok, want)
		}
	})
}

// longJournal writes the journal of n versions: each was started and has finished.
func longJournal(b *testing.B, n int) (f Folder, size int64) {
	b.Helper()
	f = NewFolder(b.TempDir(), "host")
	file, err := os.Create(f.HistoryFile())
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	w := bufio.NewWriterSize(file, 1<<20)
	opened, _ := json.Marshal(Event{Event: Opened, Time: at(0), Format: JournalFormat, Host: "host"})
	w.Write(append(opened, '\n'))
	// The parts of its lines between model, version and run.
	parts := func(e Event) []string {
		e.Model, e.Version, e.Run, e.Time = "|", "|", "|", at(0)
		e.Parameters, e.Code = "0123456789abcdef", "fedcba9876543210"
		line, err := json.Marshal(e)
		if err != nil {
			b.Fatal(err)
		}
		return strings.Split(string(line), "|")
	}
	started := parts(Event{Event: Started, Dir: "model_ckpts/softmax"})
	finished := parts(Event{Event: Finished, Step: 1000, Seconds: 1.5, Results: Results{
		wire.SetTrain: {"accuracy": 0.987, "loss": 0.0625}, wire.SetTest: {"accuracy": 0.971, "loss": 0.0931},
	}})
	for i := range n {
		for _, p := range [][]string{started, finished} {
			fmt.Fprintf(w, "%smodel_%d%sversion-%d%s20240101-%09d-abcdefgh%s\n", p[0], i%10, p[1], i, p[2], i, p[3])
		}
	}
	err = w.Flush()
	info, serr := file.Stat()
	if err := errors.Join(err, serr); err != nil {
		b.Fatal(err)
	}
	return f, info.Size()
}

// BenchmarkReadHistory reads a history of 1,000,000 lines for -u.
func BenchmarkReadHistory(b *testing.B) {
	const lines = 1_000_000
	f, size := longJournal(b, lines/2)
	b.SetBytes(size)
	b.ReportAllocs()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var h *History
	for b.Loop() {
		var err error
		if h, err = f.ReadHistory(); err != nil || len(h.Warnings) > 0 {
			b.Fatal(err, h.Warnings)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if past, ok := h.Last("model_9", "version-499999"); !ok || past.Event != Finished {
		b.Errorf("%+v, %t", past, ok)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/lines, "ns/line")
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(lines/2), "B-held/version")
}

// BenchmarkReadEntries reads it for those who show runs.
func BenchmarkReadEntries(b *testing.B) {
	const lines = 1_000_000
	f, size := longJournal(b, lines/2)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		if _, err := f.ReadEntries(func(string, *Entry) { n++ }); err != nil || n != lines {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/lines, "ns/line")
}

// BenchmarkOpenJournal opens it to append to it: without -u for the first time, with it after it has been read.
func BenchmarkOpenJournal(b *testing.B) {
	f, size := longJournal(b, 500_000)
	h, err := f.ReadHistory()
	if err != nil {
		b.Fatal(err)
	}
	for name, known := range map[string]*History{"new": nil, "read": h} {
		b.Run(name, func(b *testing.B) {
			if known == nil {
				b.SetBytes(size)
			}
			for b.Loop() {
				j, _, err := f.openJournal(known)
				if err != nil {
					b.Fatal(err)
				}
				j.Close()
			}
		})
	}
}

// What went on with an interrupted run tells nothing of how long a version takes.
func TestLately(t *testing.T) {
	dir := t.TempDir()
	j, _ := openJournal(t, NewFolder(dir, "a"))
	params := json.RawMessage(`{"epochs":3}`)
	appendAll(t, j,
		Event{Event: Started, Model: "m", Version: "v", Run: "1", Time: at(1), Params: params},
		Event{Event: Interrupted, Model: "m", Version: "v", Run: "1", Time: at(2), Seconds: 9},
		Event{Event: Started, Model: "m", Version: "v", Run: "2", Time: at(3), Params: params, Resumes: "1"},
		Event{Event: Started, Model: "m", Version: "w", Run: "3", Time: at(4), Params: params},
		Event{Event: Finished, Model: "m", Version: "v", Run: "2", Time: at(5), Seconds: 1},
		Event{Event: Finished, Model: "m", Version: "w", Run: "3", Time: at(6), Seconds: 20},
	)
	var got []string
	NewFolder(dir, "b").Lately(func(e Event) { got = append(got, fmt.Sprint(e.Run, " ", e.Seconds, " ", string(e.Params))) })
	if diff := cmp.Diff([]string{`3 20 {"epochs":3}`}, got); diff != "" {
		t.Error(diff)
	}
}
