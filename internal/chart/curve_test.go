package chart

import (
	"math"
	"math/rand/v2"
	"testing"
)

func sampled(n int, points ...Point) []Point {
	s := NewSampler(n)
	for _, p := range points {
		s.Add(p.Step, p.Value)
	}
	return s.Points()
}

func has(points []Point, want Point) bool {
	for _, p := range points {
		if p.Step == want.Step && (p.Value == want.Value || math.IsNaN(p.Value) && math.IsNaN(want.Value)) {
			return true
		}
	}
	return false
}

// Few points are all kept, in order.
func TestSamplerKeepsFew(t *testing.T) {
	var points []Point
	for i := range int64(100) {
		points = append(points, Point{i * 17, float64(i % 7)})
	}
	got := sampled(500, points...)
	if len(got) != len(points) {
		t.Fatalf("%d points are left of %d", len(got), len(points))
	}
	for i, p := range got {
		if p != points[i] {
			t.Errorf("point %d is %v, want %v", i, p, points[i])
		}
	}
}

// Of many, in whatever order they come, the ends, each spike and each gap are left, and they are bounded in number.
func TestSamplerKeepsWhatMatters(t *testing.T) {
	const n, count = 500, 100_000
	special := map[int64]float64{77: math.NaN(), 12_345: 1e9, 12_346: -1e9, 50_000: math.Inf(1), 99_999: 42, 0: 17}
	for name, order := range map[string]func(i int64) int64{
		"up": func(i int64) int64 { return i }, "down": func(i int64) int64 { return count - 1 - i },
		"mixed": func(i int64) int64 { return i * 7919 % count },
	} {
		s := NewSampler(n)
		for i := range int64(count) {
			step := order(i)
			v, ok := special[step]
			if !ok {
				v = math.Sin(float64(step) / 1000)
			}
			s.Add(step-1000, v)
		}
		got := s.Points()
		if len(got) > n*3/2+2 || len(got) < n/2 {
			t.Errorf("%s: %d points are left", name, len(got))
		}
		for step, v := range special {
			if !has(got, Point{step - 1000, v}) {
				t.Errorf("%s: %v at step %d is lost", name, v, step-1000)
			}
		}
		for i := 1; i < len(got); i++ {
			if got[i].Step < got[i-1].Step {
				t.Fatalf("%s: step %d comes after %d", name, got[i].Step, got[i-1].Step)
			}
		}
	}
}

// Every point that is left was recorded; the extremes are those of all; no step, however far away, breaks it.
func TestSamplerWithAnySteps(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var points []Point
		low, high := math.Inf(1), math.Inf(-1)
		size := int64(1) << r.IntN(63)
		for range r.IntN(60) + 1 {
			step := r.Int64N(size)
			switch r.IntN(20) {
			case 0:
				step = -step
			case 1:
				step = math.MaxInt64
			case 2:
				step = math.MinInt64
			}
			v := r.NormFloat64()
			low, high = min(low, v), max(high, v)
			points = append(points, Point{step, v})
		}
		got := sampled(8, points...)
		for _, p := range got {
			if !has(points, p) {
				t.Fatalf("%v was not recorded in %v", p, points)
			}
		}
		l, h, ok := Curve{Points: got}.Bounds()
		if !ok || l != low || h != high {
			t.Fatalf("bounds of %v are %v and %v, want %v and %v", got, l, h, low, high)
		}
	}
}
