package chart

import (
	"math"
	"testing"
)

func drawn(width int, values ...float64) string {
	var s Sparkline
	for _, v := range values {
		s.Add(v)
	}
	return s.Draw(width)
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
	var s Sparkline
	const n = 1_000_000
	for i := range n {
		s.Add(float64(i))
	}
	if got := s.Draw(8); got != "▁▂▃▄▅▆▇█" {
		t.Errorf("%s", got)
	}
	if s.First != 0 || s.Last != n-1 || s.Min != 0 || s.Max != n-1 || s.Points != n || len(s.parts) > maxParts {
		t.Errorf("%+v", s)
	}
}
