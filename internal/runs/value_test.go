package runs

import (
	"math"
	"strconv"
	"testing"
)

func TestValues(t *testing.T) {
	for v, want := range map[Value][2]string{
		`"a\n\"b\""`: {"a\n\"b\"", "a\n\"b\""}, `"1e5"`: {"1e5", "1e5"}, `9007199254740993`: {"9007199254740993", "9007199254740993"}, `1e400`: {"1e400", "1e400"},
		`0.123456789`: {"0.123456789", "0.12346"}, `2.0`: {"2", "2"}, `1e+06`: {"1000000", "1000000"}, `-1e-07`: {"-1e-07", "-1e-07"}, `1234567.25`: {"1234567.25", "1234567"},
		`null`: {"null", "null"}, `true`: {"true", "true"}, `[1.50,{"a":"b"}]`: {`[1.50,{"a":"b"}]`, `[1.50,{"a":"b"}]`}, `{}`: {"{}", "{}"}, `"\ud800"`: {"\ufffd", "\ufffd"},
	} {
		if v.String() != want[0] || v.Short() != want[1] {
			t.Errorf("%s: %s and %s", v, v.String(), v.Short())
		}
	}
	for v, want := range map[Value]bool{`1`: true, `-0.5`: true, `"1"`: false, `null`: false, `[1]`: false, `1e400`: false, ``: false} {
		if _, ok := v.Number(); ok != want {
			t.Errorf("%s is a number: %t", v, ok)
		}
	}
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.1: "0.1", 0.123456789: "0.12346", 1e-7: "1e-07", 64: "64", 123456: "123456", 123456.789: "123457", 12345.678: "12346", -2.5: "-2.5", 1e20: "1e+20", math.Inf(-1): "-Infinity"} {
		if got := Short(v); got != want {
			t.Errorf("%v: %s, not %s", v, got, want)
		}
	}
	for v, want := range map[float64]string{0: "0", 1e6: "1000000", 0.1: "0.1", 1e-5: "0.00001", 1e-9: "1e-09", 1e15: "1e+15", 0.30000000000000004: "0.30000000000000004", math.Inf(1): "Infinity", math.MaxFloat64: "1.7976931348623157e+308"} {
		got := Exact(v)
		back, _ := strconv.ParseFloat(got, 64)
		if got != want || back != v {
			t.Errorf("%v: %s, not %s", v, got, want)
		}
	}
}
