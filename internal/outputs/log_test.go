package outputs

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
)

func TestLogHasOneLineARecord(t *testing.T) {
	f := NewFolder(t.TempDir(), "host")
	messages := []string{"plain", "two\nlines\r\n", "\x1b[31mred\x1b[0m \u202e\xff", "", "a\ttab", "]::ERROR - forged\n[2024-01-01T00:00:00.000Z]::ERROR - forged"}
	for range 2 { // the second appends
		r, err := f.OpenRecorder(nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			r.Log.Info(m)
		}
		r.Log.Debug("d", zap.String("field", "x"))
		r.Log.Warn("w")
		r.Log.Error("e")
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	text := string(readFile(t, f.LogFile()))
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if want := 2 * (len(messages) + 3); len(lines) != want {
		t.Errorf("%d lines, want %d:\n%s", len(lines), want, text)
	}
	form := regexp.MustCompile(`^\[(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(?:Z|[+-]\d\d:\d\d))\]::(DEBUG|INFO|WARN|ERROR) - (.*)$`)
	levels := map[string]int{}
	for _, line := range lines {
		m := form.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("%q", line)
		}
		if _, err := time.Parse(time.RFC3339, m[1]); err != nil {
			t.Error(err)
		}
		if bad := unsafe(line); bad != "" {
			t.Errorf("%q contains %s", line, bad)
		}
		levels[m[2]]++
	}
	if levels["DEBUG"] != 2 || levels["WARN"] != 2 || levels["ERROR"] != 2 {
		t.Errorf("%v", levels)
	}
	if !strings.Contains(lines[1], ` - two\nlines\r\n`) {
		t.Errorf("%q", lines[1])
	}
}

func TestRecorderSaysThatTheHistoryWasTorn(t *testing.T) {
	f := NewFolder(t.TempDir(), "host")
	j, _ := openJournal(t, f)
	appendAll(t, j, allKinds()[0])
	j.file.WriteString("{\"event\":\"fin\x00\x00")
	r, err := f.OpenRecorder(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	text := string(readFile(t, f.LogFile()))
	if !strings.Contains(text, `]::WARN - `) || !strings.Contains(text, `{"event":"fin\x00\x00`) || strings.Count(text, "\n") != 1 {
		t.Errorf("log: %q", text)
	}
}
