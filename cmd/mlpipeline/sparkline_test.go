package main

import (
	"math"
	"testing"
)

func drawn(width int, values ...float64) string {
	var s sparkline
	for _, v := range values {
		s.add(v)
	}
	return s.draw(width)
}

func TestSparkline(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for want, got := range map[string]string{
		"▁█":    drawn(32, 1, 2),
		"▁▂▃▅█": drawn(32, 0, 1, 2, 4, 7),
		"▄▄▄":   drawn(32, 5, 5, 5),
		"×▁█×":  drawn(32, nan, 1, 2, inf),
		"×":     drawn(32, nan),
		"":      drawn(32),
		"▄▄":    drawn(32, -math.MaxFloat64, math.MaxFloat64), // too far apart
		"▁▅█":   drawn(3, 0, 0, 1, 1, 2, 2),
	} {
		if got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
}

// Of very many values the line has the same form, and the ends are kept.
func TestSparklineOfVeryManyValues(t *testing.T) {
	var s sparkline
	const n = 1_000_000
	for i := range n {
		s.add(float64(i))
	}
	if got := s.draw(8); got != "▁▂▃▄▅▆▇█" {
		t.Errorf("%s", got)
	}
	if s.first != 0 || s.last != n-1 || s.min != 0 || s.max != n-1 || s.points != n || len(s.parts) > maxParts {
		t.Errorf("%+v", s)
	}
}
