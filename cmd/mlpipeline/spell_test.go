package main

import (
	"testing"
	"time"
)

func TestMoment(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.Local)
	for want, when := range map[string]time.Time{
		"an unknown time": {}, "12:00:00": now, "12:00:30 (in 30s)": now.Add(30 * time.Second), "11:59:48 (12s ago)": now.Add(-12 * time.Second), "15:02:00 (by a clock that is or was ahead)": now.Add(182 * time.Minute),
		"2026-11-22 10:00:00 (2d02h ago)": now.Add(-50 * time.Hour), "2025-11-24 12:00:00 (365d ago)": now.AddDate(-1, 0, 0),
	} {
		if got := moment(when, now); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

func TestSpell(t *testing.T) {
	for seconds, want := range map[float64]string{
		0: "0s", 0.2: "1s", 12: "12s", 59.5: "1m00s", 200: "3m20s", 3599.1: "1h00m", 3720: "1h02m", 86400 * 2.125: "2d03h", -1: "0s", 86400 * 45.5: "45d", 1e300: "11574d",
	} {
		if got := spell(seconds); got != want {
			t.Errorf("spell(%v) = %q, want %q", seconds, got, want)
		}
	}
}

func TestPerSecond(t *testing.T) {
	for rate, want := range map[float64]string{
		1: "1.00 it/s", 18.24: "18.2 it/s", 9.996: "10.0 it/s", 456.7: "457 it/s", 999.9: "1.00k it/s", 12345: "12.3k it/s", 2.5e6: "2.50M it/s", 1e13: "10T it/s",
		0.5: "2.00 s/it", 0.99: "1.01 s/it", 1 / 3600.0: "3.60k s/it",
	} {
		if got := perSecond(rate); got != want {
			t.Errorf("perSecond(%v) = %q, want %q", rate, got, want)
		}
	}
}
