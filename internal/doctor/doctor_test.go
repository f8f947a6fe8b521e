package doctor

import (
	"context"
	"io"
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

// What a command has started is not left behind: nvidia-smi, say, may be a script.
func TestCommandEndsWithItsChildren(t *testing.T) {
	lives, held, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer lives.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cmd := command(ctx, "sh", "-c", "sleep 1000 & echo started >&3; wait")
	cmd.ExtraFiles = []*os.File{held}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	held.Close()
	if _, err := io.ReadFull(lives, make([]byte, len("started\n"))); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := cmd.Wait(); err == nil {
		t.Error("it has ended well")
	}
	if err := lives.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := lives.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("%v: its child lives", err)
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
