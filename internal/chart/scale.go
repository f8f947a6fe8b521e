package chart

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A scale is an axis: from low on, count times step, all of them round numbers.
type scale struct {
	low, step float64
	count     int
}

// far is the largest number that has a place of its own: beyond it the difference of two could be infinite.
const far = 1e300

func near(v float64) float64 { return min(max(v, -far), far) }

// newScale returns the scale with the smallest round step of which at most n take in the numbers from low to high.
func newScale(low, high float64, n int) scale {
	low, high = near(low), near(high)
	if low == high { // a flat curve is drawn in the middle
		room := math.Abs(low) / 10
		if room == 0 {
			room = 1
		}
		low, high = near(low-room), near(high+room)
	}
	// What differs in the last digits that a number has cannot be told apart.
	size := max((high-low)/float64(n), math.Abs(low)*1e-13, math.Abs(high)*1e-13, 1e-300)
	for power := math.Pow(10, math.Floor(math.Log10(size))); ; power *= 10 {
		for _, f := range []float64{1, 2, 2.5, 5} {
			s := scale{step: f * power}
			s.low = math.Floor(low/s.step) * s.step
			s.count = max(int(math.Ceil(s.place(high)-1e-9)), 1)
			if s.step >= size*(1-1e-9) && s.count <= n {
				return s
			}
		}
	}
}

// place is where v is, in steps from low.
func (s scale) place(v float64) float64 { return (near(v) - s.low) / s.step }

// label writes the number at the n-th step, with as many digits as tell it from its neighbours.
func (s scale) label(n int) string {
	v := s.low + float64(n)*s.step
	if math.Abs(v) < s.step/2 {
		return "0"
	}
	largest := math.Max(math.Abs(s.low), math.Abs(s.low+float64(s.count)*s.step))
	if largest >= 1e6 || s.step < 1e-5 {
		digits := max(0, int(math.Ceil(math.Log10(math.Abs(v)/s.step)-1e-9))) + 1
		text := strconv.FormatFloat(v, 'e', min(digits, 15), 64)
		mantissa, exponent, _ := strings.Cut(text, "e")
		if strings.Contains(mantissa, ".") {
			mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
		}
		power, _ := strconv.Atoi(exponent)
		return fmt.Sprintf("%se%d", mantissa, power)
	}
	decimals := 0
	for f := s.step; decimals < 7 && math.Abs(f-math.Round(f)) > 1e-6*f; f *= 10 {
		decimals++
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}

// stepScale is a scale of steps: whole numbers.
func stepScale(low, high int64, n int) scale {
	s := newScale(float64(low), float64(high), n)
	if s.step < 1 {
		s = scale{low: float64(low), step: 1, count: int(max(high-low, 1))}
	}
	return s
}

// stepLabel writes a step: 860, 12,500, 2.5M.
func stepLabel(v float64) string {
	switch size := math.Abs(v); {
	case size >= 1e15:
		return strconv.FormatFloat(v, 'g', 4, 64)
	case size >= 1e9:
		return strconv.FormatFloat(math.Round(v/1e7)/100, 'f', -1, 64) + "G"
	case size >= 1e6:
		return strconv.FormatFloat(math.Round(v/1e4)/100, 'f', -1, 64) + "M"
	}
	text := strconv.FormatInt(int64(math.Round(v)), 10)
	if digits := strings.TrimPrefix(text, "-"); len(digits) > 4 {
		text = text[:len(text)-3] + "," + text[len(text)-3:]
	}
	return text
}

// bounds returns the extremes of all curves; ok is false when no curve has a point to be drawn.
func bounds(curves []Curve) (from, to int64, low, high float64, ok bool) {
	from, to, low, high = math.MaxInt64, math.MinInt64, math.Inf(1), math.Inf(-1)
	for _, c := range curves {
		if l, h, some := c.Bounds(); some {
			low, high, ok = min(low, l), max(high, h), true
		}
		if len(c.Points) > 0 {
			from, to = min(from, c.Points[0].Step), max(to, c.Points[len(c.Points)-1].Step)
		}
	}
	return from, to, low, high, ok
}
