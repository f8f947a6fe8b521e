package report

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/runs"
)

var midnight = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

// execution writes an execution of a host with one run into its journal. It begins and ends so many hours from midnight; at 0
// it was killed.
func execution(t *testing.T, dir, host, version string, begin, end float64) {
	t.Helper()
	at := func(hours float64) outputs.Time {
		return outputs.Time{Time: midnight.Add(time.Duration(hours * float64(time.Hour)))}
	}
	j, _, err := outputs.NewFolder(dir, host).OpenJournal()
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	id := outputs.NewRunID(at(begin).Time)
	events := []outputs.Event{
		{Event: outputs.Begin, Time: at(begin), PID: 7, Command: "/bin/mlpipeline -r"},
		{Event: outputs.Started, Model: "m", Version: version, Run: id, Time: at(begin), Params: []byte(`{"batch_size":1}`)},
	}
	if end != 0 {
		events = append(events,
			outputs.Event{Event: outputs.Finished, Model: "m", Version: version, Run: id, Time: at(end), Seconds: (end - begin) * 3600, Results: outputs.Results{"test": {"accuracy": 0.5}},
				Git: &outputs.Git{Commit: "0123456789abcdef", Branch: "main", Dirty: true}},
			outputs.Event{Event: outputs.End, Time: at(end), Seconds: (end - begin) * 3600, Tally: &outputs.Tally{Finished: 1}})
	}
	for _, e := range events {
		if err := j.Append(e); err != nil {
			t.Fatal(err)
		}
	}
}

func page(t *testing.T, dir string, since time.Time) string {
	t.Helper()
	folder := outputs.NewFolder(dir, "reader")
	index, err := runs.Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := Write(&b, Request{Project: "/p/night", Folder: folder, Index: index, Since: since, Now: midnight.Add(9 * time.Hour)}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The night is the last execution of the host that began last, and those of others that went on in the same night.
func TestNight(t *testing.T) {
	dir := t.TempDir()
	execution(t, dir, "a", "a-before", -26, -25)
	execution(t, dir, "a", "a-last", 1, 6)
	execution(t, dir, "b", "b-last", -3, -1)
	execution(t, dir, "c", "c-killed", -2, 0)
	execution(t, dir, "d", "d-long-ago", -50, -49)
	for _, c := range []struct {
		since     time.Time
		has, lack []string
	}{
		{time.Time{}, []string{"a-last", "b-last", "c-killed", "What was interrupted", "the pipeline was killed", "as good as d-long-ago before (0.5)", "Commit: 0123456789ab on main with changes"}, []string{">m/a-before", ">m/d-long-ago"}},
		{midnight.Add(-30 * time.Hour), []string{"a-before", "a-last", "b-last"}, []string{">m/d-long-ago"}},
		{midnight.Add(24 * time.Hour), []string{"No run in this time."}, []string{"a-last", "<table"}},
	} {
		text := page(t, dir, c.since)
		for _, want := range c.has {
			if !strings.Contains(text, want) {
				t.Errorf("since %v: there is no %q", c.since, want)
			}
		}
		for _, not := range c.lack {
			if strings.Contains(text, not) {
				t.Errorf("since %v: there is %q", c.since, not)
			}
		}
	}
}

// Every element that begins ends, in turn: write would fail on one too many, and none is left.
func TestMarkupIsBalanced(t *testing.T) {
	dir := t.TempDir()
	execution(t, dir, "a", `"><script>alert(1)</script>`+"\u2028'&", 1, 2)
	text := page(t, dir, time.Time{})
	for _, element := range []string{"html", "head", "body", "main", "section", "table", "tr", "td", "th", "script", "div", "p"} {
		begins, ends := strings.Count(text, "<"+element+">")+strings.Count(text, "<"+element+" "), strings.Count(text, "</"+element+">")
		if begins != ends || begins == 0 {
			t.Errorf("%s begins %d times and ends %d times", element, begins, ends)
		}
	}
	if strings.Contains(text, "<script>alert") || !strings.Contains(text, "&#34;&gt;&lt;script&gt;alert(1)") {
		t.Error("a name has become an element")
	}
	if strings.Contains(text, "\u2028") {
		t.Error("a name has ended a line")
	}
}

// A clock that was set back during an execution puts its end long before its beginning.
func TestClockSetBack(t *testing.T) {
	dir := t.TempDir()
	execution(t, dir, "a", "only", 1, -40)
	if text := page(t, dir, time.Time{}); !strings.Contains(text, ">m/only") {
		t.Error("the run is not on the page")
	}
}
