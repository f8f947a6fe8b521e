package mlp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

type noData struct{}

func (*noData) TrainInput(context.Context, Phase) (any, error) { return nil, nil }
func (*noData) TestInput(context.Context) (any, error)         { return nil, nil }
func (*noData) TrainSampleCount() int                          { return 1 }
func (*noData) TestSampleCount() int                           { return 1 }

func defaults() Version { return Version{DataLoader: &noData{}, BatchSize: 1, Epochs: 1} }

func TestWhatAVersionIsRefusedFor(t *testing.T) {
	for _, test := range []struct {
		version Version
		want    string // empty: it is right
	}{
		{Version{Name: "ok"}, ""},
		{Version{Name: "naïve 日本"}, ""},
		{Version{}, "version 1: Name is missing"},
		{Version{Name: "a\nb"}, `version 1: Name "a\nb" has control characters or is not UTF-8`},
		{Version{Name: "a\u0085"}, `version 1: Name "a\u0085" has control characters or is not UTF-8`},
		{Version{Name: "a\xff"}, `version 1: Name "a\xff" has control characters or is not UTF-8`},
		{Version{Name: strings.Repeat("x", 1<<20)}, "version 1: Name has 1048576 bytes; it may have 16384"},
		{Version{Name: "x", DataLoader: (*noData)(nil)}, "DataLoader is a nil *mlp.noData"},
		{Version{Name: "x", BatchSize: -1}, "BatchSize is -1; it must be greater than 0"},
		{Version{Name: "x", Epochs: -2}, "Epochs is -2; it must be greater than 0"},
		{Version{Name: "x", ModelDirSuffix: "fine.1 2"}, ""},
		{Version{Name: "x", ModelDirSuffix: "a/b"}, `ModelDirSuffix "a/b" has a path separator`},
		{Version{Name: "x", ModelDirSuffix: `a\b`}, `ModelDirSuffix "a\\b" has a path separator`},
		{Version{Name: "x", ModelDirSuffix: ".."}, `ModelDirSuffix ".." is no name`},
		{Version{Name: "x", ModelDirSuffix: "."}, `ModelDirSuffix "." is no name`},
		{Version{Name: "x", ModelDirSuffix: " a"}, `ModelDirSuffix " a" begins or ends with a space`},
		{Version{Name: "x", ModelDirSuffix: "a\x00"}, `ModelDirSuffix "a\x00" has control characters or is not UTF-8`},
		{Version{Name: "x", ModelDirSuffix: strings.Repeat("x", 100)}, ""},
		{Version{Name: "x", ModelDirSuffix: strings.Repeat("x", 101)}, `ModelDirSuffix "` + strings.Repeat("x", 101) + `" is longer than 100 bytes`},
		{Version{Name: "x", Params: Params{"a": strings.Repeat("x", 1<<20)}}, "Params are longer than 524288 bytes as JSON"},
	} {
		vs := NewVersions(defaults())
		vs.Add(test.version)
		c := vs.checked()[0]
		if c.problem != test.want {
			t.Errorf("got %.300s\nwant %.300s", c.problem, test.want)
		}
		text, err := json.Marshal(c.event())
		if err != nil || len(text) >= wire.MaxMessage {
			t.Errorf("its event has %d bytes, %v", len(text), err)
		}
	}
	var none *Versions
	if got := none.checked(); len(got) != 0 {
		t.Errorf("no versions are %v", got)
	}
	vs := NewVersions(Version{})
	vs.Add(Version{Name: "x"})
	want := "DataLoader is missing; also BatchSize is 0; it must be greater than 0; also Epochs is 0; it must be greater than 0"
	if got := vs.checked()[0].problem; got != want {
		t.Errorf("got %s", got)
	}
}

func TestAddedVersionsDoNotShareParams(t *testing.T) {
	d := defaults()
	d.Params = Params{"a": 1, "b": 2}
	vs := NewVersions(d)
	vs.Add(Version{Name: "x", Params: Params{"b": 3}})
	vs.added[0].Params["a"] = 9
	vs.Add(Version{Name: "y"})
	if got := fmt.Sprint(vs.added[0].Params, vs.added[1].Params); got != "map[a:9 b:3] map[a:1 b:2]" {
		t.Error(got)
	}
}

func TestGridProblems(t *testing.T) {
	many := make([]any, 1001)
	for _, test := range []struct {
		axes []Axis
		want string
	}{
		{[]Axis{{"a", nil}}, `Grid: axis "a" has no values`},
		{[]Axis{{"", []any{1}}}, "Grid: axis 1 has no Param"},
		{[]Axis{{"a", []any{1}}, {"a", []any{2}}}, `Grid: axis "a" is there twice`},
		{[]Axis{{"batch_size", []any{1}}, {"BatchSize", []any{2}}}, `Grid: axis "BatchSize" is there twice`},
		{[]Axis{{"a", many}, {"b", many}}, "Grid: there are more than 1000000 versions"},
		{[]Axis{{"LearningRate", []any{"fast"}}}, `LearningRate is the string "fast"; it must be a number`},
		{[]Axis{{"LearningRate", []any{nil}}}, `LearningRate is the <nil> "null"; it must be a number`},
		{[]Axis{{"batch_size", []any{1.5}}}, "BatchSize is 1.5; it must be a whole number"},
		{[]Axis{{"epocs", []any{1.5}}}, ""},
		{[]Axis{{"epoc_count", []any{math.NaN()}}}, "Epochs is NaN; it must be a whole number"},
		{[]Axis{{"batch_size", []any{0}}}, "BatchSize is 0; it must be greater than 0"},
		{[]Axis{{"batch_size", []any{uint8(8)}}, {"Epochs", []any{2.0}}, {"LEARNING_RATE", []any{float32(0.5)}}}, ""},
	} {
		vs := NewVersions(defaults())
		vs.Grid("g", test.axes...)
		if got := vs.checked(); len(got) != 1 || got[0].problem != test.want {
			t.Errorf("%v: got %d, %s", test.axes, len(got), got[0].problem)
		}
	}
}

func TestGridSetsFields(t *testing.T) {
	d := defaults()
	d.LearningRate = 0.5
	vs := NewVersions(d)
	vs.Grid("", Axis{"epoch_count", []any{int64(7)}}, Axis{"BATCH_SIZE", []any{uint16(8)}}, Axis{"learning_rate", []any{0}})
	v := vs.added[0]
	if v.Epochs != 7 || v.BatchSize != 8 || v.LearningRate != 0 || len(v.Params) != 0 || v.Name != "epoch_count=7-BATCH_SIZE=8-learning_rate=0" {
		t.Errorf("got %+v", v.Version)
	}
}

func TestGridSuffixesAreUniqueFileNames(t *testing.T) {
	vs := NewVersions(defaults())
	vs.Add(Version{Name: "taken", ModelDirSuffix: "p=plain"})
	vs.Grid("", Axis{"p", []any{
		"plain", "Plain", "a/b", `a\b`, "a b", "é", "..", strings.Repeat("x", 300), strings.Repeat("x", 301), 1.5, -3, true, nil,
		[]int{1, 2}, struct{ A int }{1},
	}})
	seen := map[string]bool{}
	for _, c := range vs.checked() {
		folded := strings.ToLower(c.ModelDirSuffix)
		if c.problem != "" || seen[folded] || folded == "" {
			t.Errorf("%.100s: %q, %s", c.Name, c.ModelDirSuffix, c.problem)
		}
		seen[folded] = true
	}
	if got := vs.added[len(vs.added)-6].ModelDirSuffix; got != "p=1.5" {
		t.Errorf("got %s", got)
	}
}

type textual struct{ s string }

func (t textual) MarshalText() ([]byte, error) {
	if t.s == "" {
		return nil, errors.New("empty")
	}
	return []byte(t.s), nil
}

type panics struct{ A int }

func (panics) MarshalJSON() ([]byte, error) { panic("no") }

type tree struct {
	Left, Right *tree
	hidden      int
}

func TestParams(t *testing.T) {
	self := map[string]any{}
	self["self"] = self
	loop := &tree{hidden: 1}
	loop.Left = loop
	number := 5
	for _, test := range []struct {
		value any
		want  string
	}{
		{nil, "null"}, {true, "true"}, {-3, "-3"}, {uint8(200), "200"}, {0.1, "0.1"}, {float32(0.1), "0.1"}, {1e21, "1e+21"},
		{math.NaN(), `"NaN"`}, {math.Inf(-1), `"-Infinity"`}, {[]float64{1, math.Inf(1)}, `[1,"Infinity"]`},
		{"a\"\x00\xff", `"a\"\u0000\ufffd"`}, {time.Second, "1000000000"}, {[2]bool{true}, "[true,false]"},
		{[]int(nil), "null"}, {(*int)(nil), "null"}, {map[string]int(nil), "null"}, {&number, "5"},
		{func(float64) float64 { return 0 }, `"func(float64) float64"`}, {make(chan int), `"chan int"`}, {complex(1, 2), `"complex128"`},
		{uintptr(1), `"uintptr"`}, {unsafe.Pointer(&number), `"unsafe.Pointer"`},
		{map[any]any{2: "b", "1": "a", 1: "c", math.NaN(): 0}, `{"1":"a","1":"c","2":"b","\"NaN\"":0}`},
		{tree{hidden: 1}, `{"Left":null,"Right":null}`}, {panics{7}, `{"A":7}`},
		{time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC), `"2020-01-02T03:04:05Z"`}, {textual{"x"}, `"x"`}, {textual{}, `{}`},
		{json.RawMessage(`{"a": 1}`), `{"a":1}`}, {json.RawMessage(`{`), `[123]`},
	} {
		got, fits := encodeParams(Params{"p": test.value}, 1000)
		if want := `{"p":` + test.want + `}`; string(got) != want || !fits || !json.Valid(got) {
			t.Errorf("%v: got %s\nwant %s", test.value, got, want)
		}
	}
	for _, endless := range []any{self, loop} {
		got, fits := encodeParams(Params{"p": endless}, 10000)
		if !fits || !json.Valid(got) {
			t.Errorf("got %s", got)
		}
	}
	loop.Right = loop // hundreds of leaves
	if got, fits := encodeParams(Params{"p": loop}, 1000); fits || got != nil {
		t.Errorf("got %d bytes", len(got))
	}
}

func FuzzVersion(f *testing.F) {
	f.Add("baseline", "", 1, 1, 0.1, "hidden", "16")
	f.Add("a\x00\xff", "../x", -1, 0, math.Inf(1), "", "\u2028")
	f.Fuzz(func(t *testing.T, name, suffix string, batch, epochs int, rate float64, key, value string) {
		vs := NewVersions(Version{DataLoader: &noData{}})
		vs.Add(Version{Name: name, ModelDirSuffix: suffix, BatchSize: batch, Epochs: epochs, LearningRate: rate, Params: Params{key: value}})
		vs.Grid(name, Axis{key, []any{value, rate, batch}}, Axis{"BatchSize", []any{rate, batch}})
		for _, c := range vs.checked() {
			line, err := json.Marshal(c.event())
			if err != nil {
				t.Fatal(err)
			}
			e, err := wire.Decode(line)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			if strings.ContainsAny(e.Version.Name+e.Version.ModelDirSuffix+e.Error, "\x00\x1b\n\r") {
				t.Fatalf("control characters in %s", line)
			}
			if c.problem == "" && (e.Version.Name != c.Name || e.Version.ModelDirSuffix != c.ModelDirSuffix || e.Version.BatchSize <= 0) {
				t.Fatalf("%+v is told as %s", c.Version, line)
			}
		}
	})
}

func TestGridWithoutDefaultParams(t *testing.T) {
	vs := NewVersions(Version{DataLoader: &noData{}, BatchSize: 2, Epochs: 1})
	vs.Grid("g", Axis{"LearningRate", []any{0.1}}, Axis{"hidden", []any{8, 16}})
	for _, c := range vs.checked() {
		if c.problem != "" || len(c.Params) != 1 {
			t.Errorf("%s: problem %q, params %v", c.Name, c.problem, c.Params)
		}
	}
}

// A process that runs one version finds it as it is in the list of all.
func TestOnlyOneVersion(t *testing.T) {
	make := func() *Versions {
		vs := NewVersions(Version{DataLoader: &noData{}, BatchSize: 1, Epochs: 1, Params: Params{"depth": 1}})
		vs.Add(Version{Name: "a"})
		vs.Add(Version{Name: "suffix", ModelDirSuffix: "g-X=1"})
		vs.Add(Version{Name: "a", BatchSize: 2})
		vs.Grid("g", Axis{"x", []any{1, "A/B", "a b"}}, Axis{"learning_rate", []any{0, 0.1}})
		vs.Add(Version{Name: "ordered", Order: 3, Epochs: 7})
		vs.Grid("g", Axis{"X", []any{1, 2}}, Axis{"batch_size", []any{1.5, 4}})
		vs.Grid("broken")
		vs.Add(Version{Name: "last"})
		return vs
	}
	all := make()
	if len(all.added) != 16 {
		t.Fatalf("%d versions", len(all.added))
	}
	defer func() { only = "" }()
	for _, c := range all.added {
		want, wantErr := all.find(c.Name)
		only = c.Name
		one := make()
		if len(one.added) > 2 { // a is there twice
			t.Errorf("%s: %d versions were made", c.Name, len(one.added))
		}
		got, err := one.find(c.Name)
		if !reflect.DeepEqual(got, want) || fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Errorf("%s: %+v, %v; want %+v, %v", c.Name, got, err, want, wantErr)
		}
		only = ""
	}
}
