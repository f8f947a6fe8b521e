package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLine(t *testing.T) {
	ratio := row{name: "ratio", what: "ours", against: "floor", unit: seconds, ratio: 2}
	limit := row{name: "limit", what: "ours", unit: megabytes, limit: 10e6}
	both := row{name: "both", what: "ours", against: "floor", unit: seconds, ratio: 2, limit: 3}
	for _, test := range []struct {
		result  result
		cells   string
		summary string
	}{
		{result{row: ratio, pairs: []pair{{1, 1}, {4, 2}, {9, 3}}}, // of the ratios, not of the medians
			"ratio|ours / floor|3|4 s|||2 s|2.00 (1.00..3.00)|<= 2.00|reached", "1 of 1 rows reached."},
		{result{row: ratio, pairs: []pair{{3e-3, 1e-3}, {2e-3, 1e-3}}},
			"ratio|ours / floor|2|2.5 ms|||1 ms|2.50 (2.00..3.00)|<= 2.00|not reached", "0 of 1 rows reached. Not reached: ratio."},
		{result{row: limit, pairs: []pair{{ours: 11e6}}},
			"limit|ours|1|11 MB|<= 10 MB|not reached||||", "0 of 1 rows reached. Not reached: limit."},
		{result{row: both, pairs: []pair{{3, 1}}},
			"both|ours / floor|1|3 s|<= 3 s|reached|1 s|3.00|<= 2.00|not reached", "0 of 1 rows reached. Not reached: both (as a ratio)."},
		{result{row: both, pairs: []pair{{4, 2}}},
			"both|ours / floor|1|4 s|<= 3 s|not reached|2 s|2.00|<= 2.00|reached", "0 of 1 rows reached. Not reached: both (as a time)."},
		{result{row: both, err: errors.Join(missing("x is not installed"), errors.New("y"))},
			"both|ours / floor|0|not measured: x is not installed||||||", "0 of 1 rows reached. Not measured: both."},
	} {
		var cells []string
		for _, c := range strings.Split(strings.Trim(test.result.line(), "|\n"), "|") {
			cells = append(cells, strings.TrimSpace(c))
		}
		if got := strings.Join(cells, "|"); got != test.cells {
			t.Errorf("got  %s\nwant %s", got, test.cells)
		}
		if got := summary([]result{test.result}); got != test.summary+"\n" {
			t.Errorf("got %s, want %s", got, test.summary)
		}
	}
}

func TestRowsHaveAGoal(t *testing.T) {
	seen := map[string]bool{}
	for _, g := range groups {
		for _, r := range g.rows {
			if seen[r.name] || r.what == "" || r.unit == nil || (r.ratio > 0) != (r.against != "") {
				t.Errorf("row %+v", r.name)
			}
			seen[r.name] = true
		}
	}
	for _, p := range peers {
		if !seen[p.row] {
			t.Errorf("%s stands beside row %s", p.name, p.row)
		}
	}
}

func TestReplace(t *testing.T) {
	t.Chdir(t.TempDir())
	const text = "a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n<!-- y: begin -->\n<!-- y: end -->\n"
	if err := os.Mkdir(filepath.Dir(document), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(document, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := keepable("x"); err != nil {
		t.Error(err)
	}
	if err := replace("x", "new\n"); err != nil {
		t.Error(err)
	}
	if keepable("z") == nil || replace("z", "new") == nil {
		t.Error("a part that is not there was replaced")
	}
	got, err := os.ReadFile(document)
	if want := strings.Replace(text, "old\n", "\nnew\n\n", 1); string(got) != want || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestTheDocumentHasItsParts(t *testing.T) {
	t.Chdir("../..")
	for _, part := range []string{"figures", "scale"} {
		if err := keepable(part); err != nil {
			t.Error(err)
		}
	}
}

func TestLineTimes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lines")
	var text strings.Builder
	start := time.UnixMilli(1_700_000_000_000).UTC()
	for i := range 20 {
		text.WriteString(`{"event":"started","time":"` + start.Format(time.RFC3339Nano) + "\"}\n")
		text.WriteString(`{"event":"finished","time":"` + start.Add(time.Duration(i)*time.Second).Format(time.RFC3339Nano) + "\"}\n")
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	ends, err := lineTimes(file, `{"event":"finished"`, 20)
	if err != nil || len(ends) != 11 || !ends[0].Equal(start) || !ends[1].Equal(start.Add(time.Second)) || !ends[10].Equal(start.Add(19*time.Second)) {
		t.Errorf("%v, %v", ends, err)
	}
	if _, err := lineTimes(file, `{"event":"finished"`, 30); err == nil {
		t.Error("lines that are missing are not missed")
	}
	if got, err := lineTime([]byte(`{"name":"loss","time":1700000000000}`)); err != nil || !got.Equal(start) {
		t.Errorf("%v, %v", got, err)
	}
}
