package version

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// told returns the event in which a model tells of a version that is fine, after change has been made to it.
func told(name string, change func(*wire.Event)) wire.Event {
	e := wire.Event{Type: wire.VersionInfo, Version: &wire.Version{Name: name, BatchSize: 32, Epochs: 10, LearningRate: 0.1, DataLoader: "digits"}}
	if change != nil {
		change(&e)
	}
	return e
}

func withOrder(name string, order int) wire.Event {
	return told(name, func(e *wire.Event) { e.Version.Order = order })
}

func withParams(name, params string) wire.Event {
	return told(name, func(e *wire.Event) { e.Version.Params = wire.RawJSON(params) })
}

// list lists what a model tells.
func list(told []wire.Event) []Version {
	var l List
	for _, e := range told {
		l.Add(*e.Version, e.Error)
	}
	return l.Sorted()
}

func labels(versions []Version) (labels []string) {
	for _, v := range versions {
		labels = append(labels, v.Label())
	}
	return labels
}

func TestListRunsFromTheLowestOrderToTheHighest(t *testing.T) {
	for _, c := range []struct {
		name string
		told []wire.Event
		want []string
	}{
		{"5, 1, 3", []wire.Event{withOrder("five", 5), withOrder("one", 1), withOrder("three", 3)}, []string{"one", "three", "five"}},
		{"as added", []wire.Event{withOrder("c", 0), withOrder("a", 1), withOrder("b", 2)}, []string{"c", "a", "b"}},
		{"equal ones as added", []wire.Event{withOrder("c", 1), withOrder("x", 0), withOrder("a", 1), withOrder("b", 1)}, []string{"x", "c", "a", "b"}},
		{"negative", []wire.Event{withOrder("zero", 0), withOrder("least", math.MinInt), withOrder("most", math.MaxInt)}, []string{"least", "zero", "most"}},
		{"refused ones keep their place", []wire.Event{withOrder("b", 2), withOrder("", 1)}, []string{"(no name)", "b"}},
		{"none", nil, nil},
	} {
		if got := labels(list(c.told)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestListRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*wire.Event)
		want   string // "" when it is not refused
	}{
		{"fine", func(*wire.Event) {}, ""},
		{"odd name", func(e *wire.Event) { e.Version.Name = `../é "x" <y> / 🙂` }, ""},
		{"no name", func(e *wire.Event) { e.Version.Name = "" }, "NAME"},
		{"newline in the name", func(e *wire.Event) { e.Version.Name = "a\nb" }, "NAME"},
		{"escape in the name", func(e *wire.Event) { e.Version.Name = "\x1b[31m" }, "NAME"},
		{"C1 control in the name", func(e *wire.Event) { e.Version.Name = "a\u009b" }, "NAME"},
		{"name is no UTF-8", func(e *wire.Event) { e.Version.Name = "a\xff" }, "NAME"},
		{"no batch size", func(e *wire.Event) { e.Version.BatchSize = 0 }, "BATCH_SIZE is 0"},
		{"negative batch size", func(e *wire.Event) { e.Version.BatchSize = -1 }, "BATCH_SIZE is -1"},
		{"no epochs", func(e *wire.Event) { e.Version.Epochs = 0 }, "EPOC_COUNT is 0"},
		{"no data loader", func(e *wire.Event) { e.Version.DataLoader = "" }, "DATALOADER"},
		{"no learning rate", func(e *wire.Event) { e.Version.LearningRate = 0 }, ""},
		{"NaN as learning rate", func(e *wire.Event) { e.Version.LearningRate = wire.Float(math.NaN()) }, ""},
		{"suffix", func(e *wire.Event) { e.Version.ModelDirSuffix = "slow.é 1" }, ""},
		{"suffix of dots", func(e *wire.Event) { e.Version.ModelDirSuffix = ".." }, ""}, // a part of a name: model-..
		{"suffix that leaves its folder", func(e *wire.Event) { e.Version.ModelDirSuffix = "/../../x" }, "MODEL_DIR_SUFFIX"},
		{"suffix with a backslash", func(e *wire.Event) { e.Version.ModelDirSuffix = `a\b` }, "MODEL_DIR_SUFFIX"},
		{"suffix with NUL", func(e *wire.Event) { e.Version.ModelDirSuffix = "a\x00" }, "MODEL_DIR_SUFFIX"},
		{"suffix is no UTF-8", func(e *wire.Event) { e.Version.ModelDirSuffix = "\xff" }, "MODEL_DIR_SUFFIX"},
		{"suffix of the longest length", func(e *wire.Event) { e.Version.ModelDirSuffix = strings.Repeat("x", maxSuffix) }, ""},
		{"suffix too long", func(e *wire.Event) { e.Version.ModelDirSuffix = strings.Repeat("x", maxSuffix+1) }, "151 bytes"},
		{"params that are a list", func(e *wire.Event) { e.Version.Params = wire.RawJSON(`[1]`) }, "params"},
		{"params cut off", func(e *wire.Event) { e.Version.Params = wire.RawJSON(`{"a":`) }, "params"},
		{"null as params", func(e *wire.Event) { e.Version.Params = wire.RawJSON(`null`) }, ""},
		{"the model's own reason first", func(e *wire.Event) { e.Error, e.Version.Name, e.Version.Params = "own reason", "", wire.RawJSON(`7`) }, "own reason"},
	} {
		got := list([]wire.Event{told("v", c.change)})[0].Refused
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: refused %q, want %q", c.name, got, c.want)
		}
		if strings.ContainsAny(got, "\x00\x1b\n") {
			t.Errorf("%s: control characters in %q", c.name, got)
		}
	}
}

func TestListRefusesANameThatIsUsed(t *testing.T) {
	versions := list([]wire.Event{withOrder("a", 3), withOrder("a", 1), withOrder("b", 2), told("A", nil)})
	for _, v := range versions {
		// The one that was added first has the name, wherever it runs.
		second := v.Name == "a" && v.Order == 1
		if refused := v.Refused != ""; refused != second || v.Duplicate != second {
			t.Errorf("%s with order %d: refused %q, duplicate %t", v.Name, v.Order, v.Refused, v.Duplicate)
		}
	}
	// A refused one has its name too, and a duplicate keeps the model's own reason.
	versions = list([]wire.Event{
		told("a", func(e *wire.Event) { e.Version.BatchSize = 0 }), told("a", nil),
		told("a", func(e *wire.Event) { e.Error = "own reason" }),
	})
	if v := versions[0]; v.Duplicate || !strings.Contains(v.Refused, "BATCH_SIZE") {
		t.Errorf("first: %+v", v)
	}
	if v := versions[1]; !v.Duplicate || !strings.Contains(v.Refused, "earlier version") {
		t.Errorf("second: %+v", v)
	}
	if v := versions[2]; !v.Duplicate || v.Refused != "own reason" {
		t.Errorf("third: %+v", v)
	}
}

func hashOf(t *testing.T, e wire.Event) uint64 {
	t.Helper()
	v := list([]wire.Event{e})[0]
	if v.Refused != "" {
		t.Fatal(v.Refused)
	}
	return v.Hash
}

func TestHashIsOfTheParametersAlone(t *testing.T) {
	base := hashOf(t, withParams("v", `{"hidden":16,"layers":[{"a":1,"b":"<é>"}]}`))
	for name, same := range map[string]wire.Event{
		"another name": withParams("w", `{"hidden":16,"layers":[{"a":1,"b":"<é>"}]}`),
		"another ORDER": told("v", func(e *wire.Event) {
			e.Version.Order = 9
			e.Version.Params = wire.RawJSON(`{"hidden":16,"layers":[{"a":1,"b":"<é>"}]}`)
		}),
		"keys turned around": withParams("v", `{"layers":[{"b":"<é>","a":1}],"hidden":16}`),
		"spaces and escapes": withParams("v", ` { "layers" : [ { "b" : "\u003c\u00e9>" , "a" : 1 } ] , "hidden" : 16 } `),
	} {
		if got := hashOf(t, same); got != base {
			t.Errorf("%s: another hash", name)
		}
	}
	seen := map[uint64]string{base: "base"}
	params := wire.RawJSON(`{"hidden":16,"layers":[{"a":1,"b":"<é>"}]}`)
	for name, change := range map[string]func(*wire.Version){
		"batch size":         func(v *wire.Version) { v.BatchSize = 33 },
		"epochs":             func(v *wire.Version) { v.Epochs = 11 },
		"learning rate":      func(v *wire.Version) { v.LearningRate = 0.01 },
		"learning rate NaN":  func(v *wire.Version) { v.LearningRate = wire.Float(math.NaN()) },
		"data loader":        func(v *wire.Version) { v.DataLoader = "faces" },
		"suffix":             func(v *wire.Version) { v.ModelDirSuffix = "x" },
		"params":             func(v *wire.Version) { v.Params = wire.RawJSON(`{"hidden":17,"layers":[{"a":1,"b":"<é>"}]}`) },
		"params, deep":       func(v *wire.Version) { v.Params = wire.RawJSON(`{"hidden":16,"layers":[{"a":2,"b":"<é>"}]}`) },
		"a parameter more":   func(v *wire.Version) { v.Params = wire.RawJSON(`{"hidden":16,"layers":[{"a":1,"b":"<é>"}],"x":null}`) },
		"no params":          func(v *wire.Version) { v.Params = nil },
		"own batch_size":     func(v *wire.Version) { v.Params = wire.RawJSON(`{"batch_size":32}`) },
		"own batch_size, 33": func(v *wire.Version) { v.Params = wire.RawJSON(`{"batch_size":33}`) },
		"big number":         func(v *wire.Version) { v.Params = wire.RawJSON(`{"n":9007199254740993}`) },
		"big number, less 1": func(v *wire.Version) { v.Params = wire.RawJSON(`{"n":9007199254740992}`) },
	} {
		got := hashOf(t, told("v", func(e *wire.Event) { e.Version.Params = params; change(e.Version) }))
		if other, taken := seen[got]; taken {
			t.Errorf("%s: the hash of %s", name, other)
		}
		seen[got] = name
	}
}

// The history holds hashes: another notation of the parameters would make every version run again.
func TestParametersStayInTheirNotation(t *testing.T) {
	v := list([]wire.Event{told("v", func(e *wire.Event) {
		e.Version.ModelDirSuffix = "slow"
		e.Version.Params = wire.RawJSON(`{"z":[1.50,true,null],"epochs":"own","a":{"y":1e3,"x":"<é>"}}`)
	})})[0]
	want := `{"a":{"x":"\u003cé\u003e","y":1e3},"batch_size":32,"dataloader":"digits","epochs":10,"learning_rate":0.1,"model_dir_suffix":"slow","params.epochs":"own","z":[1.50,true,null]}`
	if string(v.Parameters) != want {
		t.Errorf("%s, want\n%s", v.Parameters, want)
	}
	const hash = 0x63eb0136b6504c2b
	if v.Hash != hash {
		t.Errorf("hash %#x, want %#x", v.Hash, uint64(hash))
	}
}

func TestSelection(t *testing.T) {
	for _, c := range []struct {
		patterns Selection
		name     string
		want     bool
	}{
		{nil, "anything", true},
		{Selection{}, "", true},
		{Selection{"softmax"}, "softmax", true},
		{Selection{"softmax"}, "Softmax", false},
		{Selection{"soft"}, "softmax", false},
		{Selection{"soft*"}, "softmax", true},
		{Selection{"*"}, "vision/resnet.py", true},
		{Selection{"vision/*"}, "vision/deep/resnet.py", true},
		{Selection{"vision*"}, "vision/resnet.py", true},
		{Selection{"*.py"}, "vision/resnet.py", true},
		{Selection{"*.py"}, "vision/resnet.go", false},
		{Selection{"vision/*"}, "audio/resnet.py", false},
		{Selection{"v?"}, "v1", true},
		{Selection{"v?"}, "v10", false},
		{Selection{"v[0-3]"}, "v2", true},
		{Selection{"v[^0-3]"}, "v2", false},
		{Selection{`\*`}, "*", true},
		{Selection{`\*`}, "x", false},
		{Selection{"a", "b"}, "b", true},
		{Selection{"a", "b"}, "c", false},
		{Selection{""}, "c", false},
		{Selection{"é*"}, "été", true},
	} {
		if got := c.patterns.Has(c.name); got != c.want {
			t.Errorf("%q has %q: %t", c.patterns, c.name, got)
		}
		if err := c.patterns.Check(); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"[", "a[", "[]", "[a", `a\`, "[a-]", "*[", "x[-"} {
		if err := (Selection{"fine", bad}).Check(); err == nil || !strings.Contains(err.Error(), `"`) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzSelection(f *testing.F) {
	f.Add("v*[a-c]?", "vxb/")
	f.Add("[", "[")
	f.Add("\xff*", "\xff/")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		Selection{pattern}.Has(name)
		if !(Selection{"*"}).Has(name) {
			t.Errorf("* has no %q", name)
		}
		if !strings.ContainsAny(name, `*?[\`) && !(Selection{name}).Has(name) {
			t.Errorf("%q has no %q", name, name)
		}
	})
}

func TestChanged(t *testing.T) {
	for _, c := range []struct {
		old, new string
		want     []string
	}{
		{`{"a":1}`, `{"a":1}`, nil},
		{`{"a":1,"b":2}`, ` { "b" : 2, "a" : 1 } `, nil},
		{`{"a":[1, 2]}`, `{"a":[1,2]}`, nil},
		{`{"learning_rate":0.1}`, `{"learning_rate":0.01}`, []string{"learning_rate 0.1 -> 0.01"}},
		{`{}`, `{"a":"x"}`, []string{`a (none) -> "x"`}},
		{`{"a":{"b": 1}}`, `{}`, []string{`a {"b":1} -> (none)`}},
		{`{"c":1,"a":1,"b":1}`, `{"c":2,"b":1,"d":1}`, []string{"a 1 -> (none)", "c 1 -> 2", "d (none) -> 1"}},
		{`null`, `{"a":1}`, []string{"a (none) -> 1"}},
		{`{`, `{"a":1}`, nil},
		{``, `{"a":1}`, nil},
		{`{"a":1}`, `[]`, nil},
	} {
		if got := Changed(json.RawMessage(c.old), json.RawMessage(c.new)); !slices.Equal(got, c.want) {
			t.Errorf("%s and %s: %q, want %q", c.old, c.new, got, c.want)
		}
	}
}

// FuzzList: whatever a model tells, a version that is not refused has parameters that are the same when they are told again.
func FuzzList(f *testing.F) {
	f.Add("v", 32, 10, 0.1, "digits", "slow", []byte(`{"hidden":16}`))
	f.Add("", 0, -1, math.NaN(), "", "a/b", []byte(`{"batch_size":1,"params.batch_size":2}`))
	f.Add("\x00", 1, 1, math.Inf(-1), "d", "\xff", []byte(`{"a":1e400}`))
	f.Fuzz(func(t *testing.T, name string, batch, epochs int, rate float64, loader, suffix string, params []byte) {
		e := wire.Event{Version: &wire.Version{Name: name, BatchSize: batch, Epochs: epochs, LearningRate: wire.Float(rate), DataLoader: loader, ModelDirSuffix: suffix, Params: params}}
		versions := list([]wire.Event{e, e})
		if len(versions) != 2 || versions[1].Refused == "" {
			t.Fatal("told twice, and not refused")
		}
		v := versions[0]
		if v.Refused != "" {
			return
		}
		if strings.ContainsAny(v.Name+v.ModelDirSuffix, "\x00\n\x1b") || strings.Contains(v.ModelDirSuffix, "/") || v.BatchSize <= 0 || v.Epochs <= 0 {
			t.Fatalf("not refused: %+v", v)
		}
		var sorted map[string]json.RawMessage
		if err := json.Unmarshal(v.Parameters, &sorted); err != nil {
			t.Fatal(err)
		}
		if again, err := json.Marshal(sorted); err != nil || !bytes.Equal(again, v.Parameters) {
			t.Fatalf("%s is not in its order: %s, %v", v.Parameters, again, err)
		}
		if changes := Changed(v.Parameters, versions[1].Parameters); len(changes) > 0 || v.Hash != versions[1].Hash {
			t.Fatalf("changed by being told again: %q", changes)
		}
	})
}
