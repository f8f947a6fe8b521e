//go:build linux

package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long something that has to come is waited for. It is never waited for in vain unless a test fails.
var patience = 2 * time.Minute

// A project is a folder with models, its queue in the order in which they were added.
type project struct {
	*testing.T
	dir  string
	host string
	tmp  string // TMPDIR of its calls
}

// newProject makes a project; settings are lines below [MLP] in mlp.config.
func newProject(t *testing.T, settings ...string) *project {
	t.Helper()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	p := &project{t, t.TempDir(), host, t.TempDir()}
	p.write("mlp.config", "[MLP]\n"+strings.Join(settings, "\n")+"\n")
	p.queue()
	return p
}

func (p *project) path(name string) string { return filepath.Join(p.dir, name) }

// outputs is the path of a file in the outputs folder.
func (p *project) outputs(name string) string { return filepath.Join(p.dir, "models", "outputs", name) }

func (p *project) write(name, text string) {
	p.Helper()
	p.check(os.MkdirAll(filepath.Dir(p.path(name)), 0o777))
	p.check(os.WriteFile(p.path(name), []byte(text), 0o777))
}

func (p *project) check(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// actor makes a model that does what its play says, see cmd/mlpipeline/testdata/actor.
func (p *project) actor(name, play string) {
	p.Helper()
	p.write("models/"+name+".play", play)
	program, err := os.ReadFile(filepath.Join(built, "actor"))
	p.check(err)
	p.check(os.WriteFile(p.path("models/"+name), program, 0o777))
}

// queue makes the two lists of models.
func (p *project) queue(models ...string) {
	p.Helper()
	text := "[MLP]\nuse_blacklist=False\n[WHITELISTED_MODELS]\n" + strings.Join(models, "\n") + "\n"
	p.write("models.config", text)
	p.write("models_test.config", text)
}

// marker is the variable by which the processes of a project are found.
const marker = "MLPIPELINE_FAULTS="

// A call is a process of the program that has been started.
type call struct {
	p              *project
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
	ended          chan struct{}
	peak           int // kB of memory, once ended is closed
}

// start calls the program in the project. Wait tells how it ended.
func (p *project) start(args ...string) *call {
	p.Helper()
	return p.startIn(nil, args...)
}

// startIn is start below another program, sh -c '... exec "$0" "$@"' for instance.
func (p *project) startIn(wrapper []string, args ...string) *call {
	p.Helper()
	line := append(append(wrapper[:len(wrapper):len(wrapper)], filepath.Join(built, "bin", "mlpipeline")), args...)
	c := &call{p: p, cmd: exec.Command(line[0], line[1:]...), ended: make(chan struct{})}
	c.cmd.Dir = p.dir
	c.cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+filepath.Join(built, "cache"), "TMPDIR="+p.tmp, marker+p.dir)
	c.cmd.Stdout, c.cmd.Stderr = &c.stdout, &c.stderr
	p.check(c.cmd.Start())
	go c.watch()
	p.Cleanup(func() { // of a test that has failed
		c.cmd.Process.Kill()
		<-c.ended
	})
	return c
}

// watch notes the peak until the process has ended: VmHWM, which unlike ru_maxrss is never that of who started it.
func (c *call) watch() {
	done := make(chan struct{})
	go func() {
		c.cmd.Wait()
		close(done)
	}()
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid)); err == nil {
			_, rest, _ := strings.Cut(string(status), "VmHWM:")
			var kB int
			fmt.Sscan(rest, &kB)
			c.peak = max(c.peak, kB)
		}
		select {
		case <-tick.C:
		case <-done:
			tick.Stop()
			close(c.ended)
			return
		}
	}
}

// wait waits for the end of the process and returns its exit status, or minus the signal that has ended it.
func (c *call) wait() int {
	c.p.Helper()
	select {
	case <-c.ended:
	case <-time.After(patience):
		c.cmd.Process.Signal(syscall.SIGQUIT)
		<-c.ended
		c.p.Fatalf("%v does not end\n%s\n%s", c.cmd.Args, c.stdout.String(), c.stderr.String())
	}
	if s := c.cmd.ProcessState.Sys().(syscall.WaitStatus); s.Signaled() {
		return -int(s.Signal())
	}
	return c.cmd.ProcessState.ExitCode()
}

// run calls the program, which has to end with a status.
func (p *project) run(status int, args ...string) *call {
	p.Helper()
	c := p.start(args...)
	if got := c.wait(); got != status {
		p.Fatalf("mlpipeline %v: exit status %d, not %d\n%s\n%s", args, got, status, c.stdout.String(), c.stderr.String())
	}
	return c
}

// processes lists the processes that were started by a call in the project and are no zombies.
func (p *project) processes() (pids []string) {
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range environs {
		env, err := os.ReadFile(file)
		if err == nil && bytes.Contains(append([]byte{0}, env...), []byte("\x00"+marker+p.dir+"\x00")) {
			pids = append(pids, filepath.Base(filepath.Dir(file)))
		}
	}
	return pids
}

// until waits for ok.
func (p *project) until(what string, ok func() bool) {
	p.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			p.Fatal("waited in vain: " + what)
		}
	}
}

// exists reports whether there is a file in the project.
func (p *project) exists(name string) bool {
	_, err := os.Stat(p.path(name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		p.Fatal(err)
	}
	return err == nil
}

// An event is a line of the journal, as far as the tests look at it.
type event struct {
	Event, Model, Version, Run, Cause string
	Step                              int
	Results                           map[string]map[string]any
}

// journal reads the history of a host, each line of which has to be whole.
func (p *project) journal(host string) (events []event) {
	p.Helper()
	text, err := os.ReadFile(p.outputs("history-" + host))
	p.check(err)
	for i, line := range strings.SplitAfter(string(text), "\n") {
		if line == "" {
			break
		}
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil || !strings.HasSuffix(line, "\n") {
			p.Fatalf("history-%s:%d: %q: %v", host, i+1, line, err)
		}
		events = append(events, e)
	}
	return events
}

// ruler is the first line of a block of output-<host>.
var ruler = strings.Repeat("-", 80) + "\n"

// keyWidth is where the values of a block begin.
const keyWidth = 13

// blocks reads the blocks of output-<host> as maps of their fields. A file that is not all blocks fails the test.
func (p *project) blocks(host string) (blocks []map[string]string) {
	p.Helper()
	text, err := os.ReadFile(p.outputs("output-" + host))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	p.check(err)
	parts := strings.Split(string(text), ruler)
	if parts[0] != "" || !strings.HasSuffix(string(text), "\n") {
		p.Fatalf("output-%s: not all of it is blocks:\n%s", host, text)
	}
	for _, part := range parts[1:] {
		block := map[string]string{}
		for line := range strings.Lines(part) {
			if len(line) <= keyWidth || line[keyWidth-1] != ' ' {
				p.Fatalf("output-%s: no line of a block: %q", host, line)
			}
			if key := strings.TrimSpace(line[:keyWidth]); key != "" {
				block[key] = strings.TrimSpace(line[keyWidth:])
			}
		}
		for _, key := range []string{"model", "version", "run", "started", "steps"} {
			if block[key] == "" {
				p.Fatalf("output-%s: a block without %s:\n%s", host, key, part)
			}
		}
		blocks = append(blocks, block)
	}
	return blocks
}
