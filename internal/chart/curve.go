package chart

import (
	"cmp"
	"math"
	"slices"
)

// A Point is the value of a metric after a step. A value that is NaN or infinite is a gap in the curve.
type Point struct {
	Step  int64
	Value float64
}

// Gap reports whether p has no place on a chart.
func (p Point) Gap() bool { return math.IsNaN(p.Value) || math.IsInf(p.Value, 0) }

// A Curve is a metric of a run by step.
type Curve struct {
	Name   string // for the legend
	Points []Point
}

// Last is the last point that is no gap, if there is one.
func (c Curve) Last() (last Point, ok bool) {
	for _, p := range slices.Backward(c.Points) {
		if !p.Gap() {
			return p, true
		}
	}
	return Point{}, false
}

// Bounds returns the lowest and the highest value of c that are no gaps; ok is false when there is none.
func (c Curve) Bounds() (low, high float64, ok bool) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, p := range c.Points {
		if !p.Gap() {
			low, high, ok = min(low, p.Value), max(high, p.Value), true
		}
	}
	return low, high, ok
}

// A Sampler takes the points of a curve, in any order, and keeps a bounded number of them. The steps that it has seen so
// far are divided into stretches of one length, a power of two, which is doubled whenever they become too many.
type Sampler struct {
	shift     uint      // a stretch is 1<<shift steps long
	base      int64     // the number of the first stretch
	stretches []stretch // their number never changes
	lowest    int64     // of the stretches that have a point
	highest   int64
	first     Point // the one with the lowest step
	last      Point // the one with the highest step; of several the last that came
	any       bool
}

// A stretch keeps the points of some steps that matter.
type stretch struct {
	low, high, gap Point
	hasValue       bool // low and high are set
	hasGap         bool // gap is the first one
}

// NewSampler returns a Sampler that keeps at most about n points, and no fewer than that many of its steps apart when they
// are so many.
func NewSampler(n int) *Sampler {
	return &Sampler{stretches: make([]stretch, max(n/2, 1))}
}

// Add takes a point.
func (s *Sampler) Add(step int64, value float64) {
	n := step >> (s.shift & 63)
	i := uint64(n) - uint64(s.base)
	if !s.any || i >= uint64(len(s.stretches)) {
		i = s.reach(step, value)
		n = step >> s.shift
	}
	s.lowest, s.highest = min(s.lowest, n), max(s.highest, n)
	if step >= s.last.Step {
		s.last = Point{step, value}
	}
	if step < s.first.Step {
		s.first = Point{step, value}
	}
	at := &s.stretches[i]
	switch {
	case value-value != 0: // NaN or infinite
		if !at.hasGap || step < at.gap.Step {
			at.gap, at.hasGap = Point{step, value}, true
		}
	case !at.hasValue:
		at.low, at.high, at.hasValue = Point{step, value}, Point{step, value}, true
	case value < at.low.Value:
		at.low = Point{step, value}
	case value > at.high.Value:
		at.high = Point{step, value}
	}
}

// Merge takes what another Sampler has kept.
func (s *Sampler) Merge(from *Sampler) {
	for _, p := range from.Points() {
		s.Add(p.Step, p.Value)
	}
}

// reach makes room for a step that is in none of the stretches, and returns the index of its own.
func (s *Sampler) reach(step int64, value float64) uint64 {
	if !s.any {
		s.any, s.first, s.last = true, Point{step, value}, Point{step, value}
		s.base, s.lowest, s.highest = step, step, step
		return 0
	}
	old, oldBase := s.stretches, s.base
	wide := s.shift
	n := step >> s.shift
	low, high := min(s.lowest, n), max(s.highest, n)
	for uint64(high)-uint64(low) >= uint64(len(old)) {
		low, high, s.shift = low>>1, high>>1, s.shift+1
	}
	s.base = low
	if n < s.lowest { // it is counted down: leave room there
		s.base = high - int64(len(old)) + 1
	}
	s.stretches = make([]stretch, len(old))
	for i, from := range old {
		if from.hasValue || from.hasGap {
			number := (oldBase + int64(i)) >> (s.shift - wide)
			s.stretches[number-s.base].merge(from)
		}
	}
	s.lowest, s.highest = s.lowest>>(s.shift-wide), s.highest>>(s.shift-wide)
	return uint64(step>>s.shift) - uint64(s.base)
}

func (at *stretch) merge(from stretch) {
	if from.hasGap && (!at.hasGap || from.gap.Step < at.gap.Step) {
		at.gap, at.hasGap = from.gap, true
	}
	if !from.hasValue {
		return
	}
	if !at.hasValue {
		at.low, at.high, at.hasValue = from.low, from.high, true
		return
	}
	if from.low.Value < at.low.Value {
		at.low = from.low
	}
	if from.high.Value > at.high.Value {
		at.high = from.high
	}
}

// Points returns what was kept, by step.
func (s *Sampler) Points() []Point {
	if !s.any {
		return nil
	}
	points := []Point{s.first}
	for _, at := range s.stretches {
		var kept []Point
		if at.hasValue {
			kept = append(kept, at.low)
			if at.low != at.high {
				kept = append(kept, at.high)
			}
		}
		if at.hasGap {
			kept = append(kept, at.gap)
		}
		points = append(points, kept...)
	}
	points = append(points, s.last)
	slices.SortStableFunc(points, func(a, b Point) int { return cmp.Compare(a.Step, b.Step) })
	return slices.CompactFunc(points, func(a, b Point) bool {
		return a.Step == b.Step && (a.Value == b.Value || a.Gap() && b.Gap())
	})
}
