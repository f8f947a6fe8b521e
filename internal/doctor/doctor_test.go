package doctor

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestWithinLeavesBehindWhatTakesTooLong(t *testing.T) {
	never := make(chan []Finding)
	defer close(never)
	found := within(t.Context(), check{"disk", time.Nanosecond, func(context.Context) []Finding { return <-never }})
	if len(found) != 1 || found[0].Check != "disk" || found[0].Level != Problem {
		t.Errorf("found %v, want a problem of the check", found)
	}
}

func TestSpace(t *testing.T) {
	const GiB = 1 << 30
	for _, tt := range []struct {
		space space
		want  Level
	}{
		{space{free: 40 * GiB, size: 100 * GiB}, OK},
		{space{free: 40 * GiB, size: 1000 * GiB}, Warning},
		{space{free: GiB - 1, size: 2 * GiB}, Warning},
		{space{free: 99 << 20, size: 2 * GiB}, Problem},
		{space{free: 40 * GiB, size: 100 * GiB, nodes: 5000, files: 100_000}, OK},
		{space{free: 40 * GiB, size: 100 * GiB, nodes: 4999, files: 100_000}, Warning},
		{space{free: 40 * GiB, size: 100 * GiB, nodes: 999, files: 100_000}, Problem},
		{space{free: 40 * GiB, size: 100 * GiB, nodes: 500, files: 1000}, OK},
	} {
		if f := tt.space.judge(); f.Level != tt.want {
			t.Errorf("%+v: %s, want %s: %s", tt.space, f.Level, tt.want, f.Text)
		}
	}
}

func TestPower(t *testing.T) {
	dir := t.TempDir()
	supply := func(name, kind, scope, status string) {
		for file, text := range map[string]string{"type": kind, "scope": scope, "status": status, "capacity": "63"} {
			file = filepath.Join(dir, name, file)
			if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text+"\n"), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	check := func(want Level) {
		t.Helper()
		found := power(dir)
		if want == "" && found != nil || want != "" && (len(found) != 1 || found[0].Level != want) {
			t.Errorf("found %v, want %q", found, want)
		}
	}
	check("")
	supply("AC", "Mains", "", "")
	supply("mouse", "Battery", "Device", "Discharging")
	check("")
	supply("BAT0", "Battery", "System", "Charging")
	check(Info)
	supply("BAT0", "Battery", "System", "Discharging")
	check(Warning)
}
