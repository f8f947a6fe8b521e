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

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// Every line that scanFields takes is one that encoding/json takes for the same.
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
		var fast, slow Entry
		if !scanFields(line, &fast) {
			return
		}
		if !decodeEntry(line, &slow) {
			t.Fatalf("%q is no entry for encoding/json: %+v", line, fast)
		}
		var a, b Results
		json.Unmarshal([]byte(slow.Results), &a)
		json.Unmarshal([]byte(fast.Results), &b)
		if diff := cmp.Diff(a, b, sameEvent, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%q (-encoding/json +ours):\n%s", line, diff)
		}
		slow.Results, fast.Results = "", ""
		if diff := cmp.Diff(slow, fast); diff != "" {
			t.Errorf("%q (-encoding/json +ours):\n%s", line, diff)
		}
	})
}

func FuzzResults(f *testing.F) {
	for _, s := range []string{`{"test":{"loss":0.5,"acc":"NaN"},"train":{}}`, `{}`, `{"a":{"b":1},"a":{"b":2}}`, `{"a":null}`, `{"a":{"b":"x"}}`,
		`{"a":{"b":123456789012345678901234567890123456789}}`, `{"a" : {"b": 1}}`, `{"a":{"b":1e400}}`, `{"a":{"b":"-Infinity"}}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c := cursor{s: s}
		var results string
		if !c.results(&results) || c.i != len(s) {
			return
		}
		var want Results
		if err := json.Unmarshal([]byte(s), &want); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		got := Results{}
		EachResult(results, func(set, name, value string) bool {
			if got[set] == nil {
				got[set] = map[string]wire.Float{}
			}
			got[set][name] = wire.Float(ResultValue(value))
			return true
		})
		for set, values := range want {
			for name, v := range values {
				if g := got[set][name]; math.Float64bits(float64(v)) != math.Float64bits(float64(g)) && (v == v || g == g) {
					t.Errorf("%q: %s %s is %v, not %v", s, set, name, g, v)
				}
			}
		}
	})
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
		var fast, slow Entry
		if !scanFields(string(line), &fast) || !decodeEntry(string(line), &slow) {
			t.Errorf("not scanned: %s", line)
		}
		if diff := cmp.Diff(slow, fast); diff != "" {
			t.Errorf("%s: %s", line, diff)
		}
	}
}

func TestEachResult(t *testing.T) {
	for results, want := range map[string]string{
		`{"test":{"acc":0.5,"loss":"Infinity"},"train":{"acc":1e-05},"training":{}}`: "test.acc=0.5 test.loss=+Inf train.acc=1e-05",
		`{ "train": {"b": 1, "a": 2} }`:                                              "train.a=2 train.b=1",
		`{"test":{"a\"b\u003c":1}}`:                                                  `test.a"b<=1`,
		`{"test":{"acc":"high"}}`:                                                    "",
		`{"test":{"acc":1e400}}`:                                                     "",
		`null`:                                                                       "",
	} {
		var e Entry
		if !scanEntry(`{"event":"finished","results":`+results+`}`, &e) {
			t.Errorf("%s: no entry", results)
		}
		var got []string
		EachResult(e.Results, func(set, name, value string) bool {
			got = append(got, fmt.Sprintf("%s.%s=%v", set, name, ResultValue(value)))
			return true
		})
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q", results, got)
		}
	}
	n := 0
	EachResult(`{"test":{"a":1,"b":2}}`, func(string, string, string) bool { n++; return false })
	if n != 1 {
		t.Errorf("went on %d times", n)
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
		if host != "host" || e.Version != fmt.Sprint(next) {
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
