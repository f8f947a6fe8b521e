package main

import (
	"math"
	"testing"
	"time"
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

func TestSince(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.Local)
	for text, want := range map[string]time.Time{
		"30m": now.Add(-30 * time.Minute), "12h": now.Add(-12 * time.Hour), "2d": now.Add(-48 * time.Hour), "1w": now.Add(-168 * time.Hour), "1.5d": now.Add(-36 * time.Hour),
		"2026-11-22": time.Date(2026, 11, 22, 0, 0, 0, 0, time.Local), "2026-11-22 18:30": time.Date(2026, 11, 22, 18, 30, 0, 0, time.Local),
		"999999999999w": {},
	} {
		if got, err := parseSince(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "2", "d", "-2d", "2y", "2d ", "2026-13-01", "yesterday"} {
		if got, err := parseSince(text, now); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}
