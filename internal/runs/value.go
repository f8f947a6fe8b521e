package runs

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// A Value is the value of a parameter: compact JSON, as its model wrote it.
type Value string

// MarshalJSON implements json.Marshaler.
func (v Value) MarshalJSON() ([]byte, error) { return []byte(v), nil }

// Number is what v is as a number, if it is one.
func (v Value) Number() (number float64, ok bool) {
	if v == "" || v[0] != '-' && (v[0] < '0' || v[0] > '9') {
		return 0, false
	}
	number, err := strconv.ParseFloat(string(v), 64)
	return number, err == nil
}

// String writes v in full: a text without quotes, and a whole number with all its digits, however many.
func (v Value) String() string { return v.text(Exact) }

// Short is String for tables: a number that is not whole has five significant digits.
func (v Value) Short() string { return v.text(Short) }

func (v Value) text(write func(float64) string) string {
	if strings.HasPrefix(string(v), `"`) {
		var text string
		if json.Unmarshal([]byte(v), &text) == nil {
			return text
		}
	}
	if n, ok := v.Number(); ok && strings.ContainsAny(string(v), ".eE") {
		return write(n)
	}
	return string(v) // a number beyond float64 among them
}

// Exact writes a number so that it is read back as the same.
func Exact(v float64) string {
	form := byte('g')
	if a := math.Abs(v); a == 0 || a >= 1e-5 && a < 1e15 {
		form = 'f'
	}
	return finite(v, form, -1)
}

// Short writes a number with five significant digits, and a whole one whole.
func Short(v float64) string {
	if a := math.Abs(v); a >= 1e5 && a < 1e15 || a < 1e15 && v == math.Trunc(v) {
		return finite(v, 'f', 0)
	}
	return finite(v, 'g', 5)
}

func finite(v float64, form byte, digits int) string {
	switch {
	case math.IsInf(v, 1):
		return "Infinity"
	case math.IsInf(v, -1):
		return "-Infinity"
	}
	return strconv.FormatFloat(v, form, digits, 64)
}
