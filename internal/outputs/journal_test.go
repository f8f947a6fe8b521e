package outputs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

func at(ms int64) Time { return Time{time.UnixMilli(1_700_000_000_000 + ms).UTC()} }

// sameEvent compares events; NaN equals NaN.
var sameEvent = cmp.Options{
	cmp.Comparer(func(a, b wire.Float) bool { return a == b || a != a && b != b }),
	cmp.Comparer(func(a, b Time) bool { return a.Equal(b.Time) }),
}

// allKinds has an event of every kind, with every field that it can have.
func allKinds() []Event {
	base := Event{Model: "softmax", Version: "v", Run: "20240101-000000000-abcdefgh", Parameters: "0123456789abcdef", Code: "fedcba9876543210"}
	kind := func(event, version string, ms int64, set func(*Event)) Event {
		e := base
		e.Event, e.Version, e.Time = event, version, at(ms)
		if set != nil {
			set(&e)
		}
		return e
	}
	return []Event{
		kind(Started, "a", 1, func(e *Event) { e.Dir = "model_ckpts/softmax-slow"; e.Resumes = "20230101-000000000-aaaaaaaa" }),
		kind(Finished, "b", 2, func(e *Event) {
			e.Step, e.Seconds = 1200, 3.25
			e.Results = Results{
				wire.SetTraining: {"loss": 0.5},
				wire.SetTrain:    {"loss": wire.Float(math.NaN()), "up": wire.Float(math.Inf(1))},
				wire.SetTest:     {"down": wire.Float(math.Inf(-1)), "tiny": 5e-324},
			}
		}),
		kind(Failed, "c", 3, func(e *Event) { e.Step, e.Seconds, e.Cause = 7, 0.001, "panic: \"no\"\n\tat <main>" }),
		kind(Interrupted, "d", 4, func(e *Event) { e.Step, e.Cause = 9, "asked to stop" }),
		kind(Failed, "", 5, func(e *Event) { e.Run, e.Parameters, e.Cause = "", "", "does not build" }),
	}
}

func openJournal(t *testing.T, f Folder) (*Journal, string) {
	t.Helper()
	j, torn, err := f.OpenJournal()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j, torn
}

func appendAll(t *testing.T, j *Journal, events ...Event) {
	t.Helper()
	for _, e := range events {
		if err := j.Append(e); err != nil {
			t.Fatal(err)
		}
	}
}

func readHistory(t *testing.T, f Folder) *History {
	t.Helper()
	h, err := f.ReadHistory()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func writeFile(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestJournalReturnsWhatWasWritten(t *testing.T) {
	f := NewFolder(t.TempDir(), "host")
	j, _ := openJournal(t, f)
	want := allKinds()
	appendAll(t, j, want...)

	var got []Event
	for i, line := range strings.SplitAfter(string(readFile(t, f.HistoryFile())), "\n") {
		if line == "" {
			continue
		}
		var e Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("line %d: %v", i+1, err)
		}
		got = append(got, e)
	}
	if first := got[0]; first.Event != Opened || first.Format != JournalFormat || first.Host != "host" {
		t.Errorf("first line: %+v", first)
	}
	if diff := cmp.Diff(want, got[1:], sameEvent); diff != "" {
		t.Errorf("in the file (-written +read):\n%s", diff)
	}

	h := readHistory(t, f)
	if len(h.Warnings) > 0 {
		t.Errorf("warnings: %q", h.Warnings)
	}
	for _, e := range want {
		past, ok := h.Last(e.Model, e.Version)
		if e.Version == "" {
			if ok {
				t.Errorf("the failure of a whole model is told of a version: %+v", past)
			}
			continue
		}
		if !ok || past.Event != e.Event || past.Host != "host" || past.Parameters != 0x0123456789abcdef || past.Code != 0xfedcba9876543210 {
			t.Errorf("last of %s: %+v, %t", e.Version, past, ok)
		}
		whole, err := past.Read()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, whole, sameEvent); diff != "" {
			t.Errorf("event of %s (-written +read):\n%s", e.Version, diff)
		}
	}
	if got := len(h.Versions("softmax")); got != 4 {
		t.Errorf("%d versions", got)
	}
	if _, ok := h.Last("softmax", "none"); ok {
		t.Error("a version that never ran is known")
	}
}

func TestJournalIsContinued(t *testing.T) {
	f := NewFolder(t.TempDir(), "host")
	for range 3 {
		j, torn := openJournal(t, f)
		if torn != "" {
			t.Errorf("torn %q", torn)
		}
		appendAll(t, j, allKinds()[0])
		j.Close()
	}
	if got := bytes.Count(readFile(t, f.HistoryFile()), []byte(`"event":"journal"`)); got != 1 {
		t.Errorf("%d first lines", got)
	}
	if got := bytes.Count(readFile(t, f.HistoryFile()), []byte("\n")); got != 4 {
		t.Errorf("%d lines", got)
	}
}

func TestJournalIsSafeForSeveralGoroutines(t *testing.T) {
	f := NewFolder(t.TempDir(), "host")
	j, _ := openJournal(t, f)
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for i := range 20 {
				if err := j.Append(Event{Event: Finished, Model: "m", Version: fmt.Sprint(n, "-", i), Time: at(0)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	h := readHistory(t, f)
	if len(h.Warnings) > 0 || len(h.Versions("m")) != 160 {
		t.Errorf("%d versions, warnings %q", len(h.Versions("m")), h.Warnings)
	}
}

// mended checks a journal whose content a power cut has left as it is: the whole lines before the cut, and an event that
// is added after the repair, are all there.
func mended(t *testing.T, content []byte, cut string, whole []string, torn bool) {
	t.Helper()
	f := NewFolder(t.TempDir(), "host")
	writeFile(t, f.HistoryFile(), content)

	// A reader without the lock, before the repair: it neither fails nor warns.
	if h := readHistory(t, f); len(h.Warnings) > 0 {
		t.Errorf("%s: a reader warns: %q", cut, h.Warnings)
	}

	j, taken := openJournal(t, f)
	if (taken != "") != torn {
		t.Errorf("%s: taken off %q", cut, taken)
	}
	appendAll(t, j, Event{Event: Finished, Model: "m", Version: "after", Time: at(100)})
	j.Close()

	h := readHistory(t, f)
	if len(h.Warnings) > 0 {
		t.Errorf("%s: warnings after the repair: %q", cut, h.Warnings)
	}
	if !bytes.HasPrefix(readFile(t, f.HistoryFile()), []byte(`{"event":"journal"`)) {
		t.Errorf("%s: no first line", cut)
	}
	for _, version := range append(whole, "after") {
		if _, ok := h.Last("m", version); !ok {
			t.Errorf("%s: %s is lost", cut, version)
		}
	}
	if got := len(h.Versions("m")); got != len(whole)+1 {
		t.Errorf("%s: %d versions, want %d", cut, got, len(whole)+1)
	}
	if _, taken := openJournal(t, f); taken != "" {
		t.Errorf("%s: torn again: %q", cut, taken)
	}
}

// sampleJournal returns a journal with three versions, and for each where its line ends, before the newline.
func sampleJournal(t *testing.T) (content []byte, versions []string, ends []int) {
	f := NewFolder(t.TempDir(), "host")
	j, _ := openJournal(t, f)
	for i, version := range []string{"plain", "<&\"é\\", "last"} {
		appendAll(t, j, Event{Event: Finished, Model: "m", Version: version, Time: at(int64(i)), Results: Results{wire.SetTest: {"loss": 0.5}}})
		content = readFile(t, f.HistoryFile())
		versions, ends = append(versions, version), append(ends, len(content)-1)
	}
	return content, versions, ends
}

func wholeAt(cut int, versions []string, ends []int) (whole []string) {
	for i, end := range ends {
		if cut >= end {
			whole = append(whole, versions[i])
		}
	}
	return whole
}

func TestJournalCutAtAnyByteLosesItsLastLineAtMost(t *testing.T) {
	content, versions, ends := sampleJournal(t)
	header := bytes.IndexByte(content, '\n')
	for cut := range len(content) + 1 {
		whole := cut == 0 || cut == header || content[cut-1] == '\n'
		for _, end := range ends {
			whole = whole || cut == end
		}
		mended(t, content[:cut], fmt.Sprintf("cut at %d", cut), wholeAt(cut, versions, ends), !whole)
	}
}

// A file system may have made the file longer before it wrote the data.
func TestJournalWithZerosInPlaceOfItsEnd(t *testing.T) {
	content, versions, ends := sampleJournal(t)
	for cut := range len(content) {
		zeros := append(bytes.Clone(content[:cut]), make([]byte, len(content)-cut)...)
		var whole []string
		for i, end := range ends {
			if cut > end {
				whole = append(whole, versions[i])
			}
		}
		mended(t, zeros, fmt.Sprintf("zeros from %d", cut), whole, true)
	}
}

func TestJournalMendsALastLineThatIsLong(t *testing.T) {
	f := NewFolder(t.TempDir(), "host")
	j, _ := openJournal(t, f)
	appendAll(t, j, Event{Event: Finished, Model: "m", Version: "first", Time: at(0)})
	before := len(readFile(t, f.HistoryFile()))
	appendAll(t, j, Event{Event: Failed, Model: "m", Version: "long", Time: at(1), Cause: strings.Repeat("x", 200<<10)})
	content := readFile(t, f.HistoryFile())
	mended(t, content[:len(content)-1], "only the newline is missing", []string{"first", "long"}, false)
	for _, length := range []int{64<<10 - 1, 64 << 10, 64<<10 + 1, 128<<10 - 1, 128 << 10, 128<<10 + 1} {
		mended(t, content[:before+length], fmt.Sprintf("%d bytes of the last line", length), []string{"first"}, true)
	}
}

// Nothing of a newer format is overlooked, whether the journal has been read before it is opened or not.
func TestJournalOfANewerFormatIsNotAppendedTo(t *testing.T) {
	f := NewFolder(t.TempDir(), "host")
	opened := func(format int, host string) string {
		return fmt.Sprintf(`{"event":"journal","model":"","version":"","run":"","time":"2024-01-01T00:00:00.000Z","parameters":"","code":"","format":%d,"host":%q}`, format, host)
	}
	long := `{"event":"failed","model":"m","version":"v","cause":"` + strings.Repeat("x", 3<<20) + `"}`
	for _, c := range []struct {
		name, content string
		line          int
	}{
		{"the first line", opened(2, "host") + "\n", 1},
		{"in another notation", `{ "format": 2 }` + "\n{}\n", 1},
		{"a later line", opened(1, "host") + "\n{}\n" + opened(2, "host") + "\n{}\n", 3},
		{"the last line, whole but for the newline", opened(1, "host") + "\n" + opened(2, "host"), 2},
		{"behind a very long line", opened(1, "host") + "\n" + long + "\n" + opened(2, "host") + "\n", 3},
		{"in the journal of a machine that was renamed", opened(1, "old") + "\n" + opened(2, "old") + "\n", 2},
	} {
		for _, read := range []bool{false, true} {
			writeFile(t, f.HistoryFile(), []byte(c.content))
			var known *History
			if read {
				var err error
				if known, err = f.ReadHistory(); err != nil {
					if !strings.Contains(err.Error(), fmt.Sprintf("%s:%d: ", f.HistoryFile(), c.line)) {
						t.Errorf("%s, read: %v", c.name, err)
					}
					continue
				}
			}
			j, _, err := f.openJournal(known)
			if err == nil {
				j.Close()
				t.Fatalf("%s, read before %t: a journal of format 2 was opened for appending lines of format 1", c.name, read)
			}
			if where := fmt.Sprintf("%s:%d: ", f.HistoryFile(), c.line); !strings.Contains(err.Error(), where) {
				t.Errorf("%s, read before %t: %v, want %q in it", c.name, read, err, where)
			}
			if got := string(readFile(t, f.HistoryFile())); got != c.content {
				t.Errorf("%s, read before %t: it was changed", c.name, read)
			}
		}
	}
}

// What has been read is known, until something is added: by the opening, or by another.
func TestHistoryHasTheJournal(t *testing.T) {
	f := NewFolder(t.TempDir(), "host")
	journalOf(t, f.Dir, "host", 1, 2)
	h := readHistory(t, f)
	j, _, err := f.openJournal(h)
	if err != nil || !h.Has(j) {
		t.Fatalf("it has not what was read: %v", err)
	}
	appendAll(t, j, Event{Event: Finished, Model: "m", Version: "v", Time: at(3)})
	if h.Has(j) || !readHistory(t, f).Has(j) {
		t.Error("an event has been added")
	}
	j.Close()
	file, _ := os.OpenFile(f.HistoryFile(), os.O_WRONLY|os.O_APPEND, 0)
	file.WriteString(`{"event":"finished","model":"m","version":"w"}`)
	file.Close()
	h = readHistory(t, f)
	if j, _, err = f.openJournal(h); err != nil || h.Has(j) {
		t.Errorf("the last line had no newline: %v", err)
	}
	j.Close()
}

// A disk that is full takes a part of a line. What is written when there is room again must not be lost with it.
func TestJournalGoesOnAfterAWriteThatFailed(t *testing.T) {
	f := NewFolder(t.TempDir(), "host")
	// The shell's unit for the size of a file differs: one unit is 512 or 1024 bytes.
	cmd := exec.Command("sh", "-c", `ulimit -S -f 4; exec "$0"`, os.Args[0])
	cmd.Env = append(os.Environ(), "OUTPUTS_TEST=full disk", "OUTPUTS_TEST_DIR="+f.Dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	h := readHistory(t, f)
	if len(h.Warnings) > 0 {
		t.Errorf("warnings: %q", h.Warnings)
	}
	if _, ok := h.Last("m", "after"); !ok {
		t.Error("the event that was written after the failure is lost")
	}
}

func fillDisk() error {
	j, _, err := NewFolder(os.Getenv("OUTPUTS_TEST_DIR"), "host").OpenJournal()
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		if i > 1000 {
			return fmt.Errorf("the disk is not full after %d events", i)
		}
		if err := j.Append(Event{Event: Finished, Model: "m", Version: fmt.Sprint(i), Time: at(int64(i))}); err != nil {
			break
		}
	}
	if err := liftFileSizeLimit(); err != nil {
		return err
	}
	return j.Append(Event{Event: Finished, Model: "m", Version: "after", Time: at(2000)})
}

func BenchmarkAppend(b *testing.B) {
	j, _, err := NewFolder(b.TempDir(), "host").OpenJournal()
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	e := allKinds()[1]
	b.ReportAllocs()
	for b.Loop() {
		if err := j.Append(e); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAppendFloor is what BenchmarkAppend is held against: the same bytes, written and made durable.
func BenchmarkAppendFloor(b *testing.B) {
	file, err := os.OpenFile(filepath.Join(b.TempDir(), "floor"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	line, err := json.Marshal(allKinds()[1])
	if err != nil {
		b.Fatal(err)
	}
	line = append(line, '\n')
	for b.Loop() {
		if _, err := io.Writer(file).Write(line); err != nil {
			b.Fatal(err)
		}
		if err := syncData(file); err != nil {
			b.Fatal(err)
		}
	}
}
