//go:build linux

package faults

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// clockAhead is what the time package gets for the programs whose clock a test sets. The program itself has nothing of it.
const clockAhead = `package time

import (
	"syscall"
	"unsafe"
)

var clock = func() *int64 {
	path, _ := syscall.Getenv("FAULTS_CLOCK")
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if path == "" || err != nil {
		return new(int64)
	}
	defer syscall.Close(fd)
	mapped, err := syscall.Mmap(fd, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return new(int64)
	}
	return (*int64)(unsafe.Pointer(&mapped[0]))
}()

// ahead is how many seconds the clock is off: what the file says now that FAULTS_CLOCK names. Timers ask too, where no system
// call can be made.
func ahead() int64 {
	if clock == nil {
		return 0
	}
	return *clock
}
`

// buildClocked builds a program on a time package whose wall clock is off by what a file says; the monotonic one goes on.
func buildClocked(t *testing.T, program, pkg string) {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	std := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	dir := t.TempDir()
	source, err := os.ReadFile(filepath.Join(std, "time.go"))
	if err != nil {
		t.Fatal(err)
	}
	const now = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	if !bytes.Contains(source, []byte(now)) {
		t.Fatal("time.Now of this Go is written otherwise")
	}
	files := map[string]string{"time.go": strings.Replace(string(source), now, now+"\tsec += ahead()\n", 1), "ahead.go": clockAhead}
	overlay := map[string]map[string]string{"Replace": {}}
	for name, text := range files {
		overlay["Replace"][filepath.Join(std, name)] = filepath.Join(dir, name)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	text, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), text, 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-trimpath", "-ldflags=-s -w", "-o", program, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, out)
	}
}

// A clock that is set in mid-run, back or forward, changes no duration, no timeout, no decision of -u and no order of runs.
func TestTheClockIsSet(t *testing.T) {
	if !*full {
		t.Skip("it builds Go's own packages anew; internal/runs and the script clock have the order and the decisions")
	}
	t.Parallel()
	dir := t.TempDir()
	program, model := filepath.Join(dir, "mlpipeline"), filepath.Join(dir, "actor")
	buildClocked(t, program, "../../cmd/mlpipeline")
	buildClocked(t, model, "../../cmd/mlpipeline/testdata/actor")
	const day = 24 * 3600
	for _, jump := range []int{-day, -600, 600, day, 400 * day} {
		t.Run(fmt.Sprint(jump), func(t *testing.T) {
			p := newProject(t, "timeout=1h")
			text, err := os.ReadFile(model)
			p.check(err)
			p.write("models/a", string(text))
			p.write("models/a.play", "version v1 suffix=1\nsaved:2: touch training\nsaved:2: wait go\nversion v2 suffix=2\nsaved:2: touch training2\nsaved:2: wait go2\n")
			p.queue("a")
			clock := p.path("clock")
			set := func(seconds int) {
				file, err := os.OpenFile(clock, os.O_CREATE|os.O_WRONLY, 0o666) // it is mapped by those that run
				p.check(err)
				p.check(binary.Write(file, binary.NativeEndian, int64(seconds)))
				p.check(file.Close())
			}
			start := func(args ...string) *call {
				return p.startIn([]string{"env", "FAULTS_CLOCK=" + clock, "PROGRAM=" + program, "sh", "-c", `exec "$PROGRAM" "$@"`}, args...)
			}
			run := func(args ...string) string {
				p.Helper()
				c := start(args...)
				if got := c.wait(); got != 0 {
					p.Fatalf("%v: exit status %d\n%s", args, got, c.stderr.String())
				}
				return c.stdout.String()
			}
			soon := func(what string, seconds any) {
				p.Helper()
				if s, ok := seconds.(float64); !ok || s < 0 || s > 300 {
					p.Errorf("%s: %v seconds", what, seconds)
				}
			}
			set(0)
			c := start("-r", "-u")
			p.Cleanup(func() { c.cmd.Process.Kill() })
			p.until("it trains", func() bool { return p.exists("training") })
			set(jump)
			p.write("go", "")
			p.until("the next one trains", func() bool { return p.exists("training2") })
			var status struct {
				Updated string
				Age     any `json:"age_seconds"`
				Seconds any
				State   string
				Running []struct {
					Version string
					Seconds any
				}
			}
			p.until("the status is of now", func() bool {
				p.check(json.Unmarshal([]byte(run("status", "--json")), &status))
				return len(status.Running) == 1 && status.Running[0].Version == "v2"
			})
			if status.State != "running" {
				t.Errorf("%+v", status)
			}
			soon("age", status.Age)
			soon("execution", status.Seconds)
			soon("v2", status.Running[0].Seconds)
			for line := range strings.Lines(run("status")) {
				_, started, _ := strings.Cut(line, "since ")
				if started, _, _ = strings.Cut(started, ","); strings.ContainsAny(started, "hd") || strings.Contains(started, "in ") {
					t.Error(line)
				}
			}
			for _, args := range [][]string{{"ls"}, {"show", "a/v2"}, {"compare"}, {"report", "-o", p.path("night.html")}} {
				run(args...)
			}
			set(2 * jump)
			p.write("go2", "")
			if got := c.wait(); got != 0 {
				t.Fatalf("exit status %d\n%s", got, c.stderr.String())
			}
			journal, err := os.ReadFile(p.outputs("history-" + p.host))
			p.check(err)
			finished := 0
			for line := range strings.Lines(string(journal)) {
				var e map[string]any
				p.check(json.Unmarshal([]byte(line), &e))
				switch e["event"] {
				case "finished":
					finished++
					soon("finished", e["seconds"])
				case "end":
					soon("end", e["seconds"])
				}
			}
			if finished != 2 {
				t.Errorf("%d have finished\n%s", finished, journal)
			}
			if n := len(p.blocks(p.host)); n != 2 {
				t.Errorf("%d blocks", n)
			}
			if out := run("-r", "-u"); !strings.Contains(out, "nothing was left to do") {
				t.Error(out)
			}
			p.write("models/a.play", "version v1 suffix=1 epochs=2\nversion v2 suffix=2\n")
			run("-r", "-u")
			var runs []string
			for line := range strings.Lines(run("ls", "--json")) {
				var r struct{ Version string }
				p.check(json.Unmarshal([]byte(line), &r))
				runs = append(runs, r.Version)
			}
			if got := strings.Join(runs, " "); got != "v1 v2 v1" {
				t.Errorf("ls: %s", got)
			}
			if out := run("show", "a/v1"); !strings.Contains(out, "epochs") || !strings.Contains(out, "steps        8 of 8") {
				t.Error(out)
			}
			if out := run("status"); !strings.Contains(out, ": ended ") {
				t.Error(out)
			}
			if out := run("-r", "-u"); !strings.Contains(out, "nothing was left to do") {
				t.Error(out)
			}
		})
	}
}
