//go:build linux

package faults

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// twoModels makes a project with a model of two versions and one that leaves processes behind.
func twoModels(t *testing.T) *project {
	p := newProject(t, "on_failure=echo hook >> hooks.txt", "on_finish=echo hook >> hooks.txt")
	p.actor("a", "version v1\ntrain: print hello\ntrain: metric loss 1 0.5\nversion v2 suffix=b\ntrain: daemon daemon.pid\ntrain: error no luck\n")
	p.queue("a")
	return p
}

// whole requires that twoModels has run, that all of it is recorded and that nothing else is in its files.
func (c *call) whole() {
	p := c.p
	p.Helper()
	if status := c.wait(); status != 1 {
		p.Fatalf("exit status %d\n%s\n%s", status, c.stdout.String(), c.stderr.String())
	}
	var events []string
	for _, e := range p.journal(p.host) {
		events = append(events, e.Event)
	}
	if got := strings.Join(events, " "); got != "journal begin started finished started failed end" {
		p.Errorf("the journal has %s", got)
	}
	if blocks := p.blocks(p.host); len(blocks) != 1 {
		p.Errorf("%d blocks", len(blocks))
	}
	log, err := os.ReadFile(p.outputs("log-" + p.host))
	p.check(err)
	for line := range strings.Lines(string(log)) {
		if !strings.HasPrefix(line, "[20") || !strings.Contains(line, "]::") {
			p.Errorf("the log has %q", line)
		}
	}
	lock, err := os.ReadFile(p.outputs(".lock-" + p.host))
	p.check(err)
	if !bytes.HasPrefix(lock, []byte("pid ")) || bytes.Count(lock, []byte("\n")) != 1 {
		p.Errorf("the lock has %q", lock)
	}
	if hooks, err := os.ReadFile(p.path("hooks.txt")); err != nil || string(hooks) != "hook\nhook\n" {
		p.Errorf("hooks: %q, %v", hooks, err)
	}
	p.until("no process is left", func() bool { return len(p.processes()) == 0 })
}

// What starts a night is not always a shell on a terminal.
func TestOddSurroundings(t *testing.T) {
	t.Parallel()
	sh := func(script string) []string { return []string{"sh", "-c", script} }
	python := func(script string) []string {
		return []string{"python3", "-c", "import os, resource, signal, sys\n" + script + "\nos.execv(sys.argv[1], sys.argv[1:])"}
	}
	for name, wrapper := range map[string][]string{
		"no standard input":  sh(`exec "$0" "$@" <&-`),
		"no standard output": sh(`exec "$0" "$@" >&-`),
		"no standard error":  sh(`exec "$0" "$@" 2>&-`),
		"no streams":         sh(`exec "$0" "$@" <&- >&- 2>&-`),
		"full streams":       sh(`exec "$0" "$@" >/dev/full 2>/dev/full`),
		"nohup":              {"nohup"},
		"setsid":             {"setsid", "-w"},
		"signals ignored":    python("for s in set(range(1, 32)) - {9, 19}: signal.signal(s, signal.SIG_IGN)"),
		"signals blocked":    python("signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))"),
		"32 files":           sh(`ulimit -n 32 && exec "$0" "$@"`),
		"a huge environment": python("for i in range(15): os.environ['X%d' % i] = 'x' * 120000"),
		"pid 1":              {"unshare", "-p", "-f", "--mount-proc"},
		"no terminal, no home, no path": {"env", "-u", "HOME", "-u", "TERM", "-u", "LANG", "-u", "USER", "-u", "LOGNAME", "PATH=/bin:/usr/bin",
			"setsid", "-w"},
		"an empty environment": {"env", "-i", "XDG_CACHE_HOME=" + filepath.Join(built, "cache")},
		"below a reaper that reaps nothing": python("import ctypes; ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\nif os.fork():\n" +
			"    os._exit(os.waitstatus_to_exitcode(os.wait()[1]))"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if wrapper[0] == "unshare" && exec.Command("unshare", "-p", "-f", "--mount-proc", "true").Run() != nil {
				t.Skip("the kernel gives no namespace of processes here")
			}
			p := twoModels(t)
			p.startIn(wrapper, "-r", "-C", p.dir).whole()
		})
	}
}

// Where nothing can be started it is said why.
func TestTooTightSurroundings(t *testing.T) {
	t.Parallel()
	p := twoModels(t)
	for _, c := range []struct {
		what, says string
		wrapper    []string
	}{
		{"10 files", "too many open files", []string{"sh", "-c", `ulimit -n 10 && exec "$0" "$@"`}},
		{"no home", "hint: set HOME, or XDG_CACHE_HOME to a folder that can be written to", []string{"env", "-u", "HOME", "-u", "XDG_CACHE_HOME"}},
		{"no /proc", "/proc/self/exe", []string{"unshare", "-m", "sh", "-c", `mount -t tmpfs none /proc && exec "$0" "$@"`}},
	} {
		if c.wrapper[0] == "unshare" && exec.Command("unshare", "-m", "true").Run() != nil {
			continue
		}
		call := p.startIn(c.wrapper, "-r")
		if status := call.wait(); status != 1 && status != 2 {
			t.Errorf("%s: exit status %d", c.what, status)
		}
		call.says(c.says)
		if strings.Contains(call.stderr.String(), "goroutine ") {
			t.Errorf("%s:\n%s", c.what, call.stderr.String())
		}
	}
}

// A model that has a process run with more rights, by sudo, leaves one that the pipeline may not kill. It is not waited for.
func TestAProcessThatCannotBeKilled(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.users()
	setpriv, err := exec.LookPath("setpriv")
	p.check(err)
	text, err := os.ReadFile(setpriv)
	p.check(err)
	p.write("models/leaves", "#!/bin/sh\n./sudo --reuid=0 --regid=0 --clear-groups setsid sh -c 'echo $$ > sudo.pid; exec sleep 100000' </dev/null >/dev/null 2>&1 3>&- 4>&- &\n"+
		"until [ -s sudo.pid ]; do sleep 0.01; done\nexit 3\n")
	p.actor("a", "version v1\nversion v2\n")
	p.queue("leaves", "a")
	p.give(ann, 0o022)
	p.check(os.WriteFile(p.path("sudo"), text, 0o755))
	p.check(os.Chmod(p.path("sudo"), 0o755|os.ModeSetuid))
	p.check(os.Chmod(p.dir, 0o777))

	left := func() (pid int) {
		text, _ := os.ReadFile(p.path("sudo.pid"))
		pid, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		return pid
	}
	t.Cleanup(func() {
		if pid := left(); pid > 0 {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	c := p.as(ann, "022", 1, "-r")
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", left()))
	if err != nil || !bytes.Contains(status, []byte("\nUid:\t0\t0")) {
		t.Fatalf("the process that was to stay is not root's any more: %v\n%s", err, status)
	}
	if !strings.Contains(c.stdout.String(), "2 finished, 1 failed, 0 skipped") {
		t.Error(c.stdout.String())
	}
}

// What a command of mlp.config leaves in the background is collected when it ends, however many there are: dead processes count as
// processes.
func TestHooksLeaveNoDeadProcesses(t *testing.T) {
	t.Parallel()
	p := newProject(t, "on_failure=touch hook; true &")
	var play strings.Builder
	for i := range 30 {
		fmt.Fprintf(&play, "version v%d\ntrain: error no\n", i)
	}
	play.WriteString("version last\ntrain: wait go\n")
	p.actor("a", play.String())
	p.queue("a")
	c := p.start("-r", "-q")
	children := func() int {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", c.cmd.Process.Pid, c.cmd.Process.Pid))
		p.check(err)
		return len(strings.Fields(string(text)))
	}
	most := 0
	p.until("a hook has run", func() bool { most = max(most, children()); return p.exists("hook") && most > 3 })
	p.until("only the guardian is left", func() bool { return children() <= 1 })
	p.write("go", "")
	c.wait()
}

// However many versions have run, the pipeline and its guardian have no more files, threads and children than after the first.
func TestNothingLeaksPerVersion(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	versions := sized(200, 2000)
	var play strings.Builder
	for i := range versions {
		fmt.Fprintf(&play, "version v%d\n", i)
		if i == 20 || i == versions-2 {
			fmt.Fprintf(&play, "setup: touch at-%d\nsetup: insist go-%d\n", i, i)
		}
	}
	p.actor("a", play.String())
	p.queue("a")
	c := p.start("-r", "-q")
	look := func(i int) (found [4]int) {
		p.until("a version waits", func() bool { return p.exists(fmt.Sprint("at-", i)) })
		guardian := 0
		for _, pid := range p.processes() {
			if name, _ := os.ReadFile("/proc/" + pid + "/comm"); strings.HasPrefix(string(name), "mlp-guardian") {
				guardian, _ = strconv.Atoi(pid)
			}
		}
		if guardian == 0 {
			t.Fatal("there is no guardian")
		}
		for j, pid := range []int{c.cmd.Process.Pid, guardian} {
			files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
			p.check(err)
			found[j] = len(files)
		}
		threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", c.cmd.Process.Pid))
		p.check(err)
		found[2] = len(threads)
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", guardian, guardian))
		p.check(err)
		found[3] = len(strings.Fields(string(children)))
		p.write(fmt.Sprint("go-", i), "")
		return found
	}
	first, last := look(20), look(versions-2)
	if status := c.wait(); status != 0 {
		t.Fatalf("exit status %d\n%s", status, c.stderr.String())
	}
	for i, what := range []string{"files of the pipeline", "files of the guardian", "threads", "children of the guardian"} {
		if last[i] > first[i]+8 {
			t.Errorf("%s: %d after 20 versions, %d after %d", what, first[i], last[i], versions)
		}
	}
	t.Logf("after 20 versions and after %d: files %d and %d, of the guardian %d and %d, threads %d and %d, children of the guardian %d and %d; peak %d kB",
		versions, first[0], last[0], first[1], last[1], first[2], last[2], first[3], last[3], c.peak)
}
