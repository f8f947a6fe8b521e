package outputs

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Every line that fields takes is one that encoding/json takes for the same.
func FuzzEntry(f *testing.F) {
	for _, e := range allKinds() {
		line, _ := json.Marshal(e)
		f.Add(string(line))
	}
	for _, line := range []string{
		`{"event":"finished","Event":"failed"}`, `{"event":"a","event":"b"}`, `{"event":"x","step":1e3}`, `{"event":"x","step":9223372036854775808}`,
		`{"event":"x","params":{"a":[1,-0.5e+7,true,null,{"b":"\u00e9\ud800"}]},"later":{"z":[]}}`, `{"event":"x","params":null}`, `{"event":"x","params":[]}`,
		`{"event":"x","time":"2023-02-30T00:00:00.000Z"}`, `{"event":"x","model":"` + "\xff" + `","cause":"a\"\\\n"}`, `{"event":""}`, `{}`, `{"event":"x",}`,
		`{"event":"begin","pid":7,"command":"mlpipeline -r"}`, `{"event":"x","seconds":1e999}`, `{"event":"x","seconds":01}`, ` {"event" : "x"}`,
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		var s scanner
		var fast, again, slow Entry
		if !s.fields([]byte(line), &fast, false) {
			return
		}
		// Its results have a known shape then.
		if !s.fields([]byte(line), &again, false) || cmp.Diff(fast, again, sameEntry...) != "" {
			t.Errorf("%q is read as %+v and, the second time, as %+v", line, fast, again)
		}
		if !s.decode([]byte(line), &slow) {
			t.Fatalf("%q is no entry for encoding/json: %+v", line, fast)
		}
		if diff := cmp.Diff(resultsOf(slow), resultsOf(fast), cmpopts.EquateNaNs()); diff != "" {
			t.Errorf("%q (-encoding/json +ours):\n%s", line, diff)
		}
		slow.Names, slow.Values, fast.Names, fast.Values = nil, nil, nil, nil
		if diff := cmp.Diff(slow, fast, sameEntry...); diff != "" {
			t.Errorf("%q (-encoding/json +ours):\n%s", line, diff)
		}
	})
}

// resultsOf are the results of an entry by name. Of a name that occurs twice the last value counts.
func resultsOf(e Entry) map[string]float64 {
	results := map[string]float64{}
	for i, name := range e.Names {
		results[name] = e.Values[i]
	}
	return results
}

var sameEntry = cmp.Options{cmpopts.EquateEmpty(), cmpopts.EquateNaNs(), cmp.AllowUnexported(Entry{})}

// What is taken for results is what encoding/json takes for the same, whatever has been scanned before.
func FuzzResults(f *testing.F) {
	for _, s := range []string{`{"test":{"loss":0.5,"acc":"NaN"},"train":{}}`, `{}`, `{"a":{"b":1},"a":{"b":2}}`, `{"a":null}`, `{"a":{"b":"x"}}`,
		`{"a":{"b":123456789012345678901234567890123456789}}`, `{"a" : {"b": 1}}`, `{"a":{"b":1e400}}`, `{"a":{"b":"-Infinity"}}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var r resultScanner
		for _, before := range []string{`{"a":{"b":1}}`, `{"test":{"acc":1,"loss":2},"train":{"acc":3}}`, `{}`, s} {
			r.scan(&cursor{s: []byte(before)}, &Entry{})
		}
		c := cursor{s: []byte(s)}
		var e Entry
		if !r.scan(&c, &e) || c.i != len(s) {
			return
		}
		var decoded Results
		if err := json.Unmarshal([]byte(s), &decoded); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		got := resultsOf(e)
		for set, values := range decoded {
			for name, v := range values {
				if g := got[set+"."+name]; math.Float64bits(float64(v)) != math.Float64bits(g) && (v == v || g == g) && !strings.ContainsRune(set+name, '.') {
					t.Errorf("%q: %s %s is %v, not %v", s, set, name, g, v)
				}
			}
		}
	})
}

// Lines share the names of their results, however many shapes these have; none is taken for another.
func TestResultShapes(t *testing.T) {
	var r resultScanner
	first := map[int][]string{}
	for round := range 3 {
		for n := range 20 {
			text := `{"test":{`
			for i := range n {
				text += fmt.Sprintf(`"m%d":%d,`, i, round)
			}
			text = strings.TrimSuffix(text, ",") + `}}`
			var e Entry
			if !r.scan(&cursor{s: []byte(text)}, &e) || len(e.Names) != n || len(e.Values) != n {
				t.Fatalf("%s: %q, %v", text, e.Names, e.Values)
			}
			for i, name := range e.Names {
				if name != fmt.Sprintf("test.m%d", i) || e.Values[i] != float64(round) {
					t.Errorf("%s: %s is %v", text, name, e.Values[i])
				}
			}
			if round == 0 {
				first[n] = e.Names
			} else if n > 0 && &first[n][0] != &e.Names[0] {
				t.Errorf("%s has names of its own", text)
			}
		}
	}
}

// What the journal writes is found without encoding/json.
func TestEntriesAreScanned(t *testing.T) {
	kinds := append(allKinds(),
		Event{Event: Begin, Time: at(1), PID: 7, Command: "mlpipeline -r --version 'a b'"},
		Event{Event: End, Time: at(2), Seconds: 1e-7, Tally: &Tally{Finished: 2, Ends: &Time{at(1).Time}}},
		Event{Event: Failed, Time: at(3), Params: []byte(`{"a":{"b":["\u00e9",1e-9,null]}}`), Order: 3, Git: &Git{Commit: "abc", Dirty: true}, Cause: "<é>"},
	)
	for _, event := range kinds {
		line, err := json.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		var s scanner
		var fast, slow Entry
		if !s.fields(line, &fast, false) || !s.decode(line, &slow) {
			t.Errorf("not scanned: %s", line)
		}
		if diff := cmp.Diff(slow, fast, sameEntry...); diff != "" {
			t.Errorf("%s: %s", line, diff)
		}
	}
}

func TestResultsOfAnEntry(t *testing.T) {
	for results, want := range map[string]string{
		`{"test":{"acc":0.5,"loss":"Infinity"},"train":{"acc":1e-05},"training":{}}`: "test.acc=0.5 test.loss=+Inf train.acc=1e-05",
		`{ "train": {"b": 1, "a": 2} }`:                                              "train.a=2 train.b=1",
		`{"test":{"a\"b\u003c":1}}`:                                                  `test.a"b<=1`,
		`{"test":{"acc":"high"}}`:                                                    "",
		`{"test":{"acc":1e400}}`:                                                     "",
		`null`:                                                                       "",
	} {
		var s scanner
		var e Entry
		if !s.entry([]byte(`{"event":"finished","results":`+results+`}`), &e, false) {
			t.Errorf("%s: no entry", results)
		}
		var got []string
		for i, name := range e.Names {
			got = append(got, fmt.Sprintf("%s=%v", name, e.Values[i]))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q", results, got)
		}
	}
}

// Lines are scanned in blocks by several goroutines: they come in their order, and bad ones have their numbers.
func TestEntriesOfALongJournal(t *testing.T) {
	f := NewFolder(t.TempDir(), "host")
	var text []byte
	const n = 20_000
	for i := range n {
		line, _ := json.Marshal(Event{Event: Finished, Model: "m", Version: fmt.Sprint(i), Time: at(int64(i)), Cause: strings.Repeat("x", i%500)})
		switch i {
		case n / 3:
			line = []byte("bad")
		case n / 2:
			line, _ = json.Marshal(Event{Event: Finished, Model: "m", Version: fmt.Sprint(i), Cause: strings.Repeat("x", 3*blockSize)})
		}
		text = append(append(text, line...), '\n')
	}
	text = append(text, `{"event":"finished","torn`...)
	if err := os.WriteFile(f.HistoryFile(), text, 0o666); err != nil {
		t.Fatal(err)
	}
	next := 0
	warnings, err := f.ReadEntries(func(host string, e *Entry) {
		if next == n/3 {
			next++
		}
		if host != "host" || string(e.Version) != fmt.Sprint(next) {
			t.Fatalf("line %d of %s: version %s", next, host, e.Version)
		}
		next++
	})
	if want := fmt.Sprintf("%s:%d: ", f.HistoryFile(), n/3+1); err != nil || next != n || len(warnings) != 1 || !strings.HasPrefix(warnings[0], want) {
		t.Errorf("%d lines, %v, warnings %.300q", next, err, warnings)
	}
	if err := os.WriteFile(f.HistoryFile(), append([]byte(`{"event":"journal","format":2,"host":"host"}`+"\n"), text...), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := f.ReadEntries(func(string, *Entry) { t.Fatal("it is read") }); err == nil || !strings.Contains(err.Error(), ":1: written by a newer mlpipeline (format 2;") {
		t.Errorf("%v", err)
	}
}
