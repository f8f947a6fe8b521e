package runs

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

// some are runs with a metric and parameters; that of the last three are odd.
func some() []*Run {
	run := func(id string, values []float64, params string) *Run {
		return &Run{ID: id, Model: "m", Version: id, Status: Finished, Started: time.Unix(int64(id[0]), 0), Ended: time.Unix(1000, 0), Seconds: float64(id[0]), metrics: []string{"test.acc", "test.loss"}[:len(values)], values: values, params: []byte(params)}
	}
	return []*Run{
		run("a", []float64{0.5, 0.5}, `{"lr":0.1,"opt":"sgd"}`),
		run("b", []float64{0.9, 0.1}, `{"lr":0.001,"opt":"adam"}`),
		run("c", []float64{math.NaN(), math.Inf(1)}, `{"lr":"auto"}`),
		run("d", nil, ``),
	}
}

func ids(runs []*Run) string {
	var all []string
	for _, r := range runs {
		all = append(all, r.ID)
	}
	return strings.Join(all, "")
}

func TestSort(t *testing.T) {
	for _, c := range []struct {
		by          string
		measure     Measure
		there, back string
	}{
		{by: "test.acc", there: "bacd", back: "cabd"},
		{by: "test.loss", there: "bacd", back: "cabd"},
		{by: "test.acc", measure: Measure{"test.acc", "min"}, there: "abcd", back: "cbad"},
		{by: "test.acc", measure: Measure{"test.loss", "min"}, there: "bacd", back: "cabd"},
		{by: "lr", there: "bacd", back: "cabd"},
		{by: "opt", there: "bacd", back: "abcd"},
		{by: "started", there: "dcba", back: "abcd"},
		{by: "took", there: "dcba", back: "abcd"},
		{by: "id", there: "abcd", back: "dcba"},
		{by: "status", there: "abcd", back: "abcd"},
		{by: "error", there: "abcd", back: "abcd"},
	} {
		for reverse, want := range map[bool]string{false: c.there, true: c.back} {
			runs := some()
			if err := Sort(runs, c.by, c.measure, reverse); err != nil || ids(runs) != want {
				t.Errorf("by %s, reverse %t: %s, not %s (%v)", c.by, reverse, ids(runs), want, err)
			}
		}
	}
	var unknown *ColumnError
	if err := Sort(some(), "acc", Measure{}, false); !errors.As(err, &unknown) || unknown.Name != "acc" || unknown.Known[0] != "test.acc" {
		t.Errorf("%v", err)
	}
	if err := Sort(nil, "acc", Measure{}, false); err != nil {
		t.Errorf("of none: %v", err)
	}
}

func TestWhere(t *testing.T) {
	x := &Index{Runs: some()}
	for text, want := range map[string]string{
		"test.acc>0.5": "b", "test.acc >= 0.5": "ab", "test.acc<0.9": "a", "test.acc<=0.9": "ab", "test.acc=0.9": "b", "test.acc==0.90": "b", "test.acc!=0.9": "ac", "test.acc=NaN": "c", "test.acc=high": "",
		"lr=1e-3": "b", "lr<1": "ab", "lr=auto": "c", "lr!=auto": "ab", "lr>auto": "", "opt=sgd": "a", "opt!=sgd": "b", "opt=": "", "seconds>98": "cd", "nothing=1": "",
	} {
		c, err := ParseCondition(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if got := ids(x.Select(Filter{Where: []Condition{c}})); got != want {
			t.Errorf("%s: %q, not %q", text, got, want)
		}
	}
	for _, text := range []string{"", "test.acc", "=1", "a!b", " > 3"} {
		if c, err := ParseCondition(text); err == nil {
			t.Errorf("%q: %+v", text, c)
		}
	}
}
