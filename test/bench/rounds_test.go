package main

import (
	"strings"
	"testing"
)

func TestLine(t *testing.T) {
	r := row{name: "x", what: "ours", against: "floor", unit: seconds, ratio: 2}
	for _, test := range []struct {
		pairs []pair
		want  []string
	}{
		{[]pair{{1, 1}, {4, 2}, {9, 3}}, []string{"4 s", "2 s", "2.00 (1.00..3.00)", "<= 2.00", "ok"}}, // of the ratios, not of the medians
		{[]pair{{3e-3, 1e-3}, {2e-3, 1e-3}}, []string{"2.5 ms", "1 ms", "2.50 (2.00..3.00)", "short"}},
	} {
		line := r.line(test.pairs)
		for _, w := range test.want {
			if !strings.Contains(line, w) {
				t.Errorf("%v: %s lacks %q", test.pairs, line, w)
			}
		}
	}
	limited := row{name: "x", what: "ours", unit: megabytes, limit: 10e6}
	if line := limited.line([]pair{{ours: 11e6}}); !strings.Contains(line, "11 MB (11 MB..11 MB)") || !strings.Contains(line, "short") {
		t.Error(line)
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
}
