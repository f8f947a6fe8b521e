package main

import (
	"testing"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
)

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

func TestGitText(t *testing.T) {
	dirty := &outputs.Git{Commit: "b041c7d9fb0c0693", Dirty: true}
	if long, short := gitText(dirty, false), gitText(dirty, true); long != "b041c7d9fb0c0693-dirty" || short != "b041c7d9-dirty" {
		t.Errorf("%s and %s", long, short)
	}
	if got := gitText(nil, true) + gitText(&outputs.Git{}, true); got != "" {
		t.Errorf("%q of no commit", got)
	}
}
