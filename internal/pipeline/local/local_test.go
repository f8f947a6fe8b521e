package local

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/pipeline"
)

func TestExit(t *testing.T) {
	l := open(t)
	for script, want := range map[string]pipeline.Exit{
		"exit 0":        {},
		"exit 3":        {Code: 3},
		"exit 255":      {Code: 255},
		"kill -TERM $$": {Signal: syscall.SIGTERM},
		"kill -KILL $$": {Signal: syscall.SIGKILL},
		"kill -INT $$":  {Signal: syscall.SIGINT},
		"exec 1>&- 2>&- 4>&-; read x <&3; exit 7": {Code: 7}, // its end is seen although it closed its streams long before
	} {
		p := shell(t, l, "run", script)
		if strings.Contains(script, "read") {
			io.Copy(io.Discard, p.Events())
			p.release()
		}
		if _, got := p.end(); got != want {
			t.Errorf("%s: %+v, want %+v", script, got, want)
		}
		select {
		case <-p.Done():
		default:
			t.Errorf("%s: Done is not closed", script)
		}
		p.Stop() // nothing is left to stop
		p.Kill()
	}
}

func TestStreams(t *testing.T) {
	l := open(t)
	p := shell(t, l, "run", `echo to stderr >&2; cat <&3 >&4; head -c 1000000 /dev/zero; echo end >&4`)
	big := bytes.Repeat([]byte("a command, and a long one\n"), 20_000)
	var wg sync.WaitGroup
	wg.Go(func() {
		p.Commands().Write(big)
		p.Commands().Close()
	})
	var events, errs []byte
	wg.Go(func() { events, _ = io.ReadAll(p.Events()) })
	wg.Go(func() { errs, _ = io.ReadAll(p.Stderr()) })
	out, exit := p.end()
	wg.Wait()
	if !exit.OK() || len(out) != 1_000_000 || string(errs) != "to stderr\n" || string(events) != string(big)+"end\n" {
		t.Errorf("%v; %d bytes of output, %d of events, stderr %q", exit, len(out), len(events), errs)
	}
}

func TestSurroundingsOfAProcess(t *testing.T) {
	t.Setenv("LOCAL_TEST_INHERITED", "from the pipeline")
	l := open(t)
	// Descriptors of the pipeline's own that must not travel along.
	file, err := os.Create(filepath.Join(t.TempDir(), "open"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	other := shell(t, l, "other", "read x <&3") // and of another process
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	odd := "\xff\"\\\n<é>" // bytes, not text
	p, err := l.Start(pipeline.Command{
		ID: "run-1", Path: os.Args[0], Args: []string{odd, ""}, Dir: dir,
		Env: []string{"LOCAL_TEST=look around", "LOCAL_TEST_OWN=" + odd},
	})
	if err != nil {
		t.Fatal(err)
	}
	var s surroundings
	text, _ := io.ReadAll(p.Stdout())
	if exit := p.Wait(); !exit.OK() {
		t.Fatal(exit)
	}
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	if got := without(s.Descriptors, inherited); len(without(got, []int{0, 1, 2, 3, 4})) > 0 {
		t.Errorf("descriptors %v; this process itself inherited %v", s.Descriptors, inherited)
	}
	if want := []int{0, 1, 2, 3, 4}; !slices.Equal(s.Descriptors[:5], want) {
		t.Errorf("descriptors %v", s.Descriptors)
	}
	if len(s.NonBlocking) > 0 {
		t.Errorf("descriptors %v do not block", s.NonBlocking)
	}
	if s.Stdin != "" {
		t.Errorf("standard input: %q", s.Stdin)
	}
	if s.Terminal || s.Session != s.PID || s.Group != s.PID {
		t.Errorf("terminal %t; process %d in session %d and group %d", s.Terminal, s.PID, s.Session, s.Group)
	}
	if s.Dir != dir {
		t.Errorf("folder %s, want %s", s.Dir, dir)
	}
	mended := strings.ToValidUTF8(odd, "\ufffd") // by the JSON of the answer, not on the way there
	if len(s.Args) != 3 || s.Args[0] != os.Args[0] || s.Args[1] != mended || s.Args[2] != "" {
		t.Errorf("arguments %q", s.Args)
	}
	if s.Env["LOCAL_TEST_OWN"] != mended || s.Env["LOCAL_TEST_INHERITED"] != "from the pipeline" || s.Env["MLPIPELINE_RUN"] != "run-1" {
		t.Errorf("environment %q", s.Env)
	}
	other.release()
	other.end()
}

func TestArgumentsAreBytes(t *testing.T) {
	l := open(t)
	p, err := l.Start(pipeline.Command{ID: "run", Path: "/bin/sh", Args: []string{"-c", `printf %s "$0$X"`, "\xff\x01\"é"}, Env: []string{"X=\xfe\\"}})
	if err != nil {
		t.Fatal(err)
	}
	got, _ := io.ReadAll(p.Stdout())
	if exit := p.Wait(); !exit.OK() || string(got) != "\xff\x01\"é\xfe\\" {
		t.Errorf("%q, %v", got, exit)
	}
}

// A command may be longer than what a socket takes at once.
func TestLongCommand(t *testing.T) {
	l := open(t)
	c := pipeline.Command{ID: "run", Path: "/bin/sh", Args: []string{"-c", `echo $# ${#X0} ${#X9}`, "sh"}}
	for i := range 10 {
		c.Env = append(c.Env, fmt.Sprintf("X%d=%s", i, strings.Repeat("x", 100_000)))
	}
	for range 5000 {
		c.Args = append(c.Args, "argument")
	}
	p, err := l.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := io.ReadAll(p.Stdout())
	if exit := p.Wait(); !exit.OK() || string(got) != "5000 100000 100000\n" {
		t.Errorf("%q, %v", got, exit)
	}
}

func TestStopIsForTheProcessAlone(t *testing.T) {
	p := shell(t, open(t), "run", `
		trap 'echo main is asked' TERM
		sh -c 'trap "echo child is asked" TERM; echo ready; read x <&3; echo child ends' &
		wait; wait; exit 5`)
	if got := p.line(); got != "ready" {
		t.Fatal(got)
	}
	p.Stop()
	if got := p.line(); got != "main is asked" {
		t.Error(got)
	}
	p.release()
	if rest, exit := p.end(); rest != "child ends\n" || exit.Code != 5 {
		t.Errorf("%q, %v", rest, exit)
	}
}

func TestStartThatFails(t *testing.T) {
	l := open(t)
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]pipeline.Command{
		"missing":             {Path: filepath.Join(dir, "none")},
		"a folder":            {Path: dir},
		"not executable":      {Path: write("data", "#!/bin/sh\n", 0o666)},
		"text":                {Path: write("text", "no program\n", 0o777)},
		"empty":               {Path: write("empty", "", 0o777)},
		"interpreter missing": {Path: write("script", "#!"+dir+"/none\n", 0o777)},
		"no such folder":      {Path: "/bin/sh", Dir: filepath.Join(dir, "none")},
		"NUL in the path":     {Path: "/bin/sh\x00"},
		"NUL in an argument":  {Path: "/bin/sh", Args: []string{"a\x00b"}},
		"no path":             {},
	} {
		c.ID = "run"
		p, err := l.Start(c)
		if err != nil {
			t.Fatal(err)
		}
		exit := p.Wait()
		var unstarted *pipeline.StartError
		if !errors.As(exit.Err, &unstarted) || !strings.Contains(exit.Err.Error(), "start "+c.Path+": ") {
			t.Errorf("%s: %v", name, exit)
		}
	}
	if len(l.running) > 0 {
		t.Errorf("%d are held to be running", len(l.running))
	}
	if _, exit := shell(t, l, "run", "exit 4").end(); exit.Code != 4 {
		t.Errorf("the next: %v", exit)
	}
}

// after is shell, after another process.
func after(t *testing.T, l *Local, other *started, script string) *started {
	p, err := l.Start(pipeline.Command{ID: "after", Path: "/bin/sh", Args: []string{"-c", script}, After: other.Process})
	if err != nil {
		t.Fatal(err)
	}
	return &started{Process: p, t: t, out: bufio.NewReader(p.Stdout())}
}

func TestAfter(t *testing.T) {
	l := open(t)
	file := filepath.Join(t.TempDir(), "file")
	look := "cat " + file
	first := shell(t, l, "first", "read x <&3; echo written > "+file)
	next := after(t, l, first, look)
	first.release()
	if got := next.line(); got != "written" {
		t.Errorf("it began before the other had ended: %q", got)
	}
	for _, p := range []*started{first, next} {
		if _, exit := p.end(); !exit.OK() {
			t.Error(exit)
		}
	}
	late := after(t, l, next, look)
	if got, exit := late.end(); got != "written\n" || !exit.OK() {
		t.Errorf("after what has ended long ago: %q, %v", got, exit)
	}
	broken, err := l.Start(pipeline.Command{ID: "after", Path: "/nowhere/none"})
	if err != nil {
		t.Fatal(err)
	}
	broken.Wait()
	if got, exit := after(t, l, &started{Process: broken}, look).end(); got != "written\n" || !exit.OK() {
		t.Errorf("after what could not be started: %q, %v", got, exit)
	}
}

func TestWhatWaitsForItsStartCanBeStopped(t *testing.T) {
	for _, kill := range []bool{false, true} {
		l := open(t)
		first := shell(t, l, "first", "read x <&3")
		next := after(t, l, first, "echo started")
		if kill {
			next.Kill()
		} else {
			next.Stop()
		}
		got, exit := next.end()
		var unstarted *pipeline.StartError
		if got != "" || !errors.As(exit.Err, &unstarted) {
			t.Errorf("%q, %v", got, exit)
		}
		first.release()
		if _, exit := first.end(); !exit.OK() {
			t.Error(exit)
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	l := open(t)
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for i := range 8 {
				id := fmt.Sprint(n, "-", i)
				p, err := l.Start(pipeline.Command{ID: id, Path: "/bin/sh", Args: []string{"-c", fmt.Sprintf("echo $MLPIPELINE_RUN; read x <&3; exit %d", n*8+i)}})
				if err != nil {
					t.Error(err)
					return
				}
				p.Commands().Close()
				out, _ := io.ReadAll(p.Stdout())
				if exit := p.Wait(); exit.Code != n*8+i || exit.Signal != 0 || string(out) != id+"\n" {
					t.Errorf("%s: %q, %+v", id, out, exit)
				}
			}
		})
	}
	wg.Wait()
}

func TestCloseEndsWhatIsRunning(t *testing.T) {
	l, err := Open(new(Slots))
	if err != nil {
		t.Fatal(err)
	}
	p := shell(t, l, "run", `trap "" TERM HUP INT; echo up; read x <&3`)
	p.line()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, exit := p.end(); exit.OK() {
		t.Errorf("%+v", exit)
	}
	if err := l.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

// On a busy machine the reader of a pipe may come to it long after its process has ended.
func TestWhatAPipeHoldsIsReadAfterItsDeadline(t *testing.T) {
	l := open(t)
	p, err := l.Start(pipeline.Command{ID: "run", Path: "/bin/sh", Args: []string{"-c", "seq 5000"}, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	p.(*process).stdout.SetReadDeadline(time.Now())
	text, _ := io.ReadAll(p.Stdout())
	p.Wait()
	if got := strings.Count(string(text), "\n"); got != 5000 {
		t.Errorf("%d of 5000 lines", got)
	}
}
