package outputs

import (
	"encoding/json"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
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
		if diff := cmp.Diff(slow, fast); diff != "" {
			t.Errorf("%q (-encoding/json +ours):\n%s", line, diff)
		}
	})
}

func FuzzResults(f *testing.F) {
	for _, s := range []string{`{"test":{"loss":0.5,"acc":"NaN"},"train":{}}`, `{}`, `{"a":{"b":1},"a":{"b":2}}`, `{"a":null}`, `{"a":{"b":"x"}}`, `{"a":{"b":123456789012345678901234567890123456789}}`, `{"a" : {"b": 1}}`, `{"a":{"b":1}} `} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		type result struct {
			set, name string
			value     uint64
		}
		var fast []result
		if !scanResults(s, func(set, name string, v float64) bool {
			fast = append(fast, result{set, name, math.Float64bits(v)})
			return true
		}) {
			return
		}
		var slow Results
		if err := json.Unmarshal([]byte(s), &slow); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		for _, r := range fast {
			last := slices.IndexFunc(fast, func(o result) bool { return o.set == r.set && o.name == r.name && o != r }) >= 0
			if v, has := slow[r.set][r.name]; has && !last && math.Float64bits(float64(v)) != r.value {
				t.Errorf("%q: %s %s is %v, not %v", s, r.set, r.name, v, math.Float64frombits(r.value)) // of a set told twice the last counts
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
	for results, want := range map[string][]string{
		`{"test":{"acc":0.5,"loss":"Infinity"},"train":{"acc":1}}`: {"test.acc", "test.loss", "train.acc"},
		`{ "train": {"b": 1, "a": 2} }`:                            {"train.a", "train.b"},
		``:                                                         nil,
		`{"test":{"acc":"high"}}`:                                  nil,
	} {
		var got []string
		EachResult(results, func(set, name string, value float64) bool {
			if value == 0 {
				t.Errorf("%s: %s.%s is 0", results, set, name)
			}
			got = append(got, set+"."+name)
			return true
		})
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q", results, got)
		}
	}
	n := 0
	EachResult(`{"test":{"a":1,"b":2}}`, func(string, string, float64) bool { n++; return false })
	if n != 1 {
		t.Errorf("went on %d times", n)
	}
}
