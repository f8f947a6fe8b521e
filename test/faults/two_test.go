//go:build linux

package faults

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// lock is the lock file of a host.
func (p *project) lock(host string) string { return p.outputs(".lock-" + host) }

// held starts a call whose model waits for the file go, and returns when it does.
func (p *project) held(args ...string) *call {
	p.Helper()
	c := p.start(args...)
	p.Cleanup(func() { c.cmd.Process.Kill() })
	p.until("it trains", func() bool { return p.exists("training") })
	return c
}

const waiting = "option reset-steps\nversion v1\ntrain: touch training\ntrain: wait go\n"

// end lets a held call end.
func (p *project) end(c *call, status int) {
	p.Helper()
	p.write("go", "")
	if got := c.wait(); got != status {
		p.Fatalf("exit status %d, not %d\n%s\n%s", got, status, c.stdout.String(), c.stderr.String())
	}
	os.Remove(p.path("go"))
	os.Remove(p.path("training"))
}

// refused checks that a call was, because of the one that runs.
func (p *project) refused(c, by *call) {
	p.Helper()
	want := regexp.MustCompile(fmt.Sprintf(`^mlpipeline: this project is being executed already by pid %d of \S+ on %s, since [0-9-]{10} [0-9:]{8} [+-][0-9:]{5}: \S*mlpipeline -r\b.*\nhint: .*mlpipeline status`,
		by.cmd.Process.Pid, regexp.QuoteMeta(p.host)))
	if got := c.wait(); got != 2 || !want.MatchString(c.stderr.String()) {
		p.Errorf("%v: exit status %d\n%s", c.cmd.Args[1:], got, c.stderr.String())
	}
}

// Of many that are started at the same moment, by whatever way to the project, one runs.
func TestOneOfTwenty(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.actor("a", waiting)
	p.queue("a")
	beside := t.TempDir() // another project with the same outputs folder
	p.check(os.Symlink(p.path("models/a"), filepath.Join(beside, "a")))
	p.check(os.WriteFile(filepath.Join(beside, "mlp.config"), []byte("[MLP]\nmodels_dir="+p.path("models")+"\noutputs_dir="+p.outputs("")+"\n"), 0o666))
	p.check(os.WriteFile(filepath.Join(beside, "models.config"), []byte("[MLP]\nuse_blacklist=False\n[WHITELISTED_MODELS]\na\n"), 0o666))
	link := filepath.Join(t.TempDir(), "link")
	p.check(os.Symlink(p.dir, link))
	ways := [][]string{{"-r"}, {"-r", "-u"}, {"-r", "-n"}, {"-r", "-C", link}, {"-r", "-C", p.path("models/..")}, {"-r", "-u", "-C", beside}}
	const many = 20
	for round := range sized(1, 20) {
		p.check(os.RemoveAll(p.outputs(""))) // so that there is something to do with -u
		p.check(os.MkdirAll(p.outputs(""), 0o777))
		p.check(os.WriteFile(p.lock(p.host), []byte("pid 1 of a stranger, since 2001-01-01 00:00:00: mlpipeline -r\n"), 0o666))
		var calls []*call
		for i := range many {
			calls = append(calls, p.start(ways[i%len(ways)]...))
		}
		running := func() (live []*call) {
			for _, c := range calls {
				select {
				case <-c.ended:
				default:
					live = append(live, c)
				}
			}
			return live
		}
		p.until("all but one are refused", func() bool { return len(running()) <= 1 })
		live := running()
		if len(live) != 1 {
			t.Fatalf("round %d: none runs", round)
		}
		for _, c := range calls {
			if c != live[0] {
				p.refused(c, live[0])
			}
		}
		p.until("it trains, or waits for what is beside it", func() bool {
			return p.exists("training") || exists(filepath.Join(beside, "training"))
		})
		for _, dir := range []string{p.dir, beside} {
			p.check(os.WriteFile(filepath.Join(dir, "go"), nil, 0o666))
		}
		if got := live[0].wait(); got != 0 {
			t.Fatalf("the one that runs: exit status %d\n%s", got, live[0].stderr.String())
		}
		for _, dir := range []string{p.dir, beside} {
			os.Remove(filepath.Join(dir, "go"))
			os.Remove(filepath.Join(dir, "training"))
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d times one of %d runs", sized(1, 20), many)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// Whatever a dead execution has left of its lock, the next one starts. What is no lock is told of, and not touched.
func TestADeadHolderBlocksNobody(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.actor("a", waiting)
	p.queue("a")
	c := p.held("-r")
	p.check(c.cmd.Process.Kill())
	c.wait()
	p.write("go", "")
	text, err := os.ReadFile(p.lock(p.host))
	p.check(err)
	if !strings.HasPrefix(string(text), fmt.Sprintf("pid %d ", c.cmd.Process.Pid)) {
		t.Errorf("the lock says %q", text)
	}
	p.run(0, "-r", "-u")
	stranger := fmt.Sprintf("pid %d of root on %s, since 2026-11-22 22:22:56 +00:00: mlpipeline -r\n", os.Getpid(), p.host)
	for _, text := range []string{stranger, "", "pid 12", "\x00\x00\x00", strings.Repeat("x", 1<<20), "pid 99999999999999999999 of nobody\n"} {
		p.check(os.WriteFile(p.lock(p.host), []byte(text), 0o444))
		p.run(0, "-r", "-u")
		for _, args := range [][]string{{"status"}, {"ls"}, {"logs"}, {"stop"}} {
			p.run(0, args...)
		}
	}
	target := p.path("target")
	p.write("target", "a file of the user's")
	for kind, plant := range map[string]func(path string) error{
		"directory":     func(path string) error { return os.Mkdir(path, 0o777) },
		"symbolic link": func(path string) error { return os.Symlink(target, path) },
		"dangling link": func(path string) error { return os.Symlink(target+"-none", path) },
		"named pipe":    func(path string) error { return syscall.Mkfifo(path, 0o666) },
	} {
		p.check(os.Remove(p.lock(p.host)))
		p.check(plant(p.lock(p.host)))
		c := p.run(1, "-r", "-u")
		if want := "mlpipeline: lock: open " + p.lock(p.host) + ": "; !strings.HasPrefix(c.stderr.String(), want) {
			t.Errorf("%s: %s", kind, c.stderr.String())
		}
		for _, args := range [][]string{{"status"}, {"ls"}, {"logs"}, {"stop"}} {
			p.run(0, args...)
		}
	}
	if text, _ := os.ReadFile(target); string(text) != "a file of the user's" || exists(target+"-none") {
		t.Errorf("what the lock is linked to was written to: %q", text)
	}
}

// What befalls the lock file while it is held is mended within a second or two. One that is frozen holds its lock.
func TestTheLockIsKept(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.actor("a", waiting)
	p.queue("a")
	c := p.held("-r")
	says := fmt.Sprintf("pid %d of ", c.cmd.Process.Pid)
	whole := func() bool {
		text, err := os.ReadFile(p.lock(p.host))
		return err == nil && strings.HasPrefix(string(text), says) && strings.HasSuffix(string(text), ": "+filepath.Join(built, "bin", "mlpipeline")+" -r\n")
	}
	for what, spoil := range map[string]func() error{
		"emptied":  func() error { return os.Truncate(p.lock(p.host), 0) },
		"torn":     func() error { return os.Truncate(p.lock(p.host), 6) },
		"deleted":  func() error { return os.Remove(p.lock(p.host)) },
		"replaced": func() error { return os.Rename(p.path("mlp.config.copy"), p.lock(p.host)) },
	} {
		p.write("mlp.config.copy", "[MLP]\n")
		p.check(spoil())
		p.until("the lock is mended once it was "+what, whole)
		p.refused(p.start("-r", "-u"), c)
		if out := p.run(0, "status").stdout.String(); !strings.Contains(out, "running since") {
			t.Errorf("%s: %s", what, out)
		}
	}
	p.check(c.cmd.Process.Signal(syscall.SIGSTOP))
	p.refused(p.start("-r", "-u"), c)
	if out := p.run(0, "status").stdout.String(); !strings.Contains(out, "running since") {
		t.Errorf("frozen: %s", out)
	}
	p.check(c.cmd.Process.Signal(syscall.SIGCONT))

	// Another one takes the lock before it is mended: the first starts nothing more, and says why.
	p.check(c.cmd.Process.Signal(syscall.SIGSTOP))
	p.check(os.Remove(p.lock(p.host)))
	second := p.start("-r", "--model", "none")
	second.wait()
	thief := exec.Command("flock", "-x", p.lock(p.host), "sh", "-c", "touch taken; exec sleep 1000")
	thief.Dir, thief.SysProcAttr = p.dir, &syscall.SysProcAttr{Setpgid: true}
	p.check(thief.Start())
	release := sync.OnceFunc(func() {
		syscall.Kill(-thief.Process.Pid, syscall.SIGKILL)
		thief.Wait()
	})
	defer release()
	p.until("the lock is taken", func() bool { return p.exists("taken") })
	p.check(c.cmd.Process.Signal(syscall.SIGCONT))
	said := "lock " + p.lock(p.host) + ": it was deleted, and another execution has begun: pid " + strconv.Itoa(second.cmd.Process.Pid)
	p.until("it is said", func() bool {
		log, _ := os.ReadFile(p.outputs("log-" + p.host))
		return strings.Contains(string(log), "ERROR - results cannot be recorded any more, nothing else starts: "+said)
	})
	p.end(c, 1)
	if !strings.Contains(c.stderr.String(), "mlpipeline: "+said) {
		t.Error(c.stderr.String())
	}
	release()
	p.run(0, "-r", "-u", "--dry-run")
}

// Nothing but the pipeline itself has the lock open: not its guardian, a model, a child of one, a compiler, or a hook, which
// may all live longer.
func TestNothingElseHoldsTheLock(t *testing.T) {
	t.Parallel()
	p := newProject(t, "on_failure=echo $$ > hook; exec sleep 1000")
	p.actor("bad", "version v1\ntrain: error no\n")
	p.actor("a", waiting+"setup: daemon daemon\nsetup: spawn child\n")
	p.queue("bad", "a")
	c := p.held("-r")
	p.until("the hook runs", func() bool { text, _ := os.ReadFile(p.path("hook")); return len(text) > 1 })
	text, err := os.ReadFile(p.path("hook"))
	p.check(err)
	hook, err := strconv.Atoi(strings.TrimSpace(string(text)))
	p.check(err)
	defer syscall.Kill(-hook, syscall.SIGKILL)
	pids := append(p.processes(), strconv.Itoa(hook)) // hooks have nothing of the pipeline's in their environment
	if len(pids) < 6 {                                // the pipeline, its guardian, the model, its two children, and the hook
		t.Errorf("processes: %v", pids)
	}
	var holders []string
	for _, pid := range pids {
		fds, _ := filepath.Glob("/proc/" + pid + "/fd/*")
		for _, fd := range fds {
			if to, err := os.Readlink(fd); err == nil && to == p.lock(p.host) {
				holders = append(holders, pid)
			}
		}
	}
	if want := []string{strconv.Itoa(c.cmd.Process.Pid)}; !slices.Equal(holders, want) {
		t.Errorf("the lock is open in %v, not only in %v", holders, want)
	}
	p.check(c.cmd.Process.Kill())
	c.wait()
	p.write("go", "")
	p.write("mlp.config", "[MLP]\n")
	p.run(1, "-r", "-u")
}

// Readers that ask all the time keep no execution from starting, nor do they wait for one.
func TestReadersAreNotInTheWay(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.actor("a", "version v1\n")
	p.queue("a")
	done := make(chan struct{})
	var readers sync.WaitGroup
	defer func() {
		close(done)
		readers.Wait()
	}()
	for _, reader := range []string{"status", "ls", "stop", "logs"} {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				cmd := exec.Command(filepath.Join(built, "bin", "mlpipeline"), reader)
				cmd.Dir = p.dir
				if reader != "stop" {
					cmd.Run()
				} else { // which would end it: a reader that only holds the lock for as long
					exec.Command("flock", "-s", "-n", p.lock(p.host), "true").Run()
				}
			}
		})
	}
	for range sized(10, 200) {
		p.run(0, "-r", "-u")
	}
	t.Logf("%d executions started while four readers were reading all the time", sized(10, 200))
}

// onHost is what makes startIn call the program on a machine of another name, which shares the disk.
func onHost(name string, more ...string) []string {
	return append(append([]string{"unshare", "-u"}, more...), "sh", "-c", `hostname "$0" && exec "$@"`, name)
}

func needNamespaces(t *testing.T) {
	if out, err := exec.Command("unshare", "-u", "-m", "true").CombinedOutput(); err != nil {
		t.Skipf("the kernel gives no host name to a process: %v: %s", err, out)
	}
}

// state has the size and the time of each file in the outputs folder.
func (p *project) state() map[string]string {
	all := map[string]string{}
	p.check(filepath.WalkDir(p.outputs(""), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		all[strings.TrimPrefix(path, p.outputs("")+"/")] = fmt.Sprint(info.Size(), info.ModTime().UnixNano())
		return nil
	}))
	return all
}

// Machines that share a folder write their own files only, and all read those of all.
func TestTwoHostsShareAFolder(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	p := newProject(t)
	for _, m := range []string{"a", "b"} {
		var play strings.Builder
		for i := range 10 {
			fmt.Fprintf(&play, "version v%d suffix=s%d\ntrain: print of %s\n", i, i, m)
		}
		p.actor(m, play.String())
	}
	p.queue("a", "b")
	of := map[string]string{"alpha": "a", "beta": "b"}
	var calls []*call
	for host, model := range of {
		calls = append(calls, p.startIn(onHost(host), "-r", "-u", "--model", model))
	}
	for _, c := range calls {
		if c.wait() != 0 {
			t.Fatal(c.stderr.String())
		}
	}
	for host, model := range of {
		finished := 0
		for _, e := range p.journal(host) {
			if e.Model != "" && e.Model != model {
				t.Errorf("history-%s has a line of %s", host, e.Model)
			}
			if e.Event == "finished" {
				finished++
				run, err := os.ReadFile(p.outputs("runs/" + e.Run + "/run.json"))
				if err != nil || !bytes.Contains(run, []byte(`"host": "`+host+`"`)) {
					t.Errorf("run.json of %s on %s: %s, %v", e.Run, host, run, err)
				}
			}
		}
		if finished != 10 || len(p.blocks(host)) != 10 {
			t.Errorf("%s: %d finished, %d blocks", host, finished, len(p.blocks(host)))
		}
	}

	// Each reads what all have done, and touches nothing of the others.
	before := p.state()
	c := p.startIn(onHost("beta"), "-r", "-u")
	if c.wait() != 0 || !strings.Contains(c.stdout.String(), "0 finished, 0 failed, 20 skipped") {
		t.Errorf("beta: %s%s", c.stdout.String(), c.stderr.String())
	}
	after := p.state()
	for file := range after {
		if after[file] != before[file] && !strings.HasSuffix(file, "-beta") {
			t.Errorf("beta has written %s", file)
		}
	}
	for file := range before {
		if after[file] == "" {
			t.Errorf("%s is gone", file)
		}
	}
	for _, args := range [][]string{{"ls", "--json"}, {"compare", "--json"}} {
		if out := p.run(0, args...).stdout.String(); strings.Count(out, `"host":"alpha"`) != 10 || strings.Count(out, `"host":"beta"`) != 10 {
			t.Errorf("%v: %s", args, out)
		}
	}
	if out := p.run(0, "status").stdout.String(); !strings.Contains(out, "alpha: ended") || !strings.Contains(out, "beta: ended") {
		t.Error(out)
	}
	for model, host := range map[string]string{"a": "alpha", "b": "beta"} {
		if out := p.run(0, "show", model+"/v3").stdout.String(); !strings.Contains(out, " on "+host) {
			t.Error(out)
		}
		if out := p.run(0, "logs", model+"/v3").stdout.String(); !strings.Contains(out, "of "+model) {
			t.Error(out)
		}
	}
	p.run(0, "plot", "loss", "-o", p.path("loss.svg"))
	p.run(0, "report", "-o", p.path("night.html"))
	after = p.state()
	for file, state := range p.state() {
		if after[file] != state {
			t.Errorf("a reader has written %s", file)
		}
	}
}

// Machines that run the same queue take from each other's hands: what runs or has finished on one is skipped on the other.
func TestTwoHostsDivideAQueue(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	p := newProject(t)
	var play strings.Builder
	versions := sized(30, 300)
	for i := range versions {
		fmt.Fprintf(&play, "version v%d suffix=s%d\n", i, i)
		if i == 0 {
			play.WriteString("setup: touch training\nsetup: wait go\n")
		}
	}
	p.actor("a", play.String())
	p.queue("a")
	alpha := p.startIn(onHost("alpha"), "-r", "-u")
	p.until("alpha trains", func() bool { return p.exists("training") })
	beta, gamma := p.startIn(onHost("beta"), "-r", "-u"), p.startIn(onHost("gamma"), "-r", "-u", "-j", "2")
	p.until("the others run what alpha does not", func() bool {
		for _, host := range []string{"beta", "gamma"} {
			if text, _ := os.ReadFile(p.outputs("history-" + host)); !strings.Contains(string(text), `"started"`) {
				return false
			}
		}
		return true
	})
	p.write("go", "")
	for _, c := range []*call{alpha, beta, gamma} {
		if c.wait() != 0 {
			t.Error(c.stderr.String())
		}
	}
	if !strings.Contains(beta.stdout.String(), "a/v0: running on alpha\n") {
		t.Errorf("beta: %s", beta.stdout.String())
	}
	times := map[string]int{}
	for _, host := range []string{"alpha", "beta", "gamma"} {
		n := 0
		for _, e := range p.journal(host) {
			if e.Event == "finished" {
				times[e.Version]++
				n++
			}
		}
		if n == 0 {
			t.Errorf("%s has run nothing", host)
		}
	}
	for v, n := range times {
		if n != 1 {
			t.Errorf("%s has run %d times", v, n)
		}
	}
	if len(times) != versions {
		t.Errorf("%d versions have finished", len(times))
	}
	p.run(0, "-r", "-u", "--dry-run")
	if out := p.run(0, "-r", "-u").stdout.String(); !strings.Contains(out, "nothing was left to do") {
		t.Error(out)
	}
}

// Two machines of one name, two containers for instance, in which both pipelines may have the same process id, are kept apart
// by the lock.
func TestTwoHostsOfOneName(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	p := newProject(t)
	p.host = "twin"
	p.actor("a", waiting)
	p.queue("a")
	contained := onHost("twin", "-p", "-f", "-m", "--mount-proc")
	first := p.startIn(contained, "-r")
	p.until("it trains", func() bool { return p.exists("training") })
	second := p.startIn(contained, "-r", "-u")
	if got := second.wait(); got != 2 || !strings.Contains(second.stderr.String(), "already by pid 1 of root on twin, since ") {
		t.Errorf("exit status %d\n%s", got, second.stderr.String())
	}
	// Process 1 of a container is not that of this one.
	for _, wrapper := range [][]string{contained, onHost("twin")} {
		c := p.startIn(wrapper, "stop", "--now")
		if got := c.wait(); got == 0 || !strings.Contains(c.stderr.String(), "by no process that can be seen here") {
			t.Errorf("stop: exit status %d\n%s%s", got, c.stdout.String(), c.stderr.String())
		}
	}
	if out := p.startIn(contained, "status"); out.wait() != 0 || !strings.Contains(out.stdout.String(), "twin: running since") {
		t.Errorf("%s%s", out.stdout.String(), out.stderr.String())
	}
	p.end(first, 0)
	third := p.startIn(contained, "-r", "-u")
	if third.wait() != 0 {
		t.Error(third.stderr.String())
	}
}

// Whatever a machine is called, and though nothing resolves its name, it runs, and its runs are found again.
func TestNamesOfHosts(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	p := newProject(t)
	p.actor("a", "version v1\n")
	p.queue("a")
	nothing := p.path("hosts")
	p.write("hosts", "")
	for name, file := range map[string]string{
		"(none)": "(none)", "localhost": "localhost", "a.b.example": "a.b.example", strings.Repeat("x", 64): strings.Repeat("x", 64), "a b": "a b",
		"../up": ".._up", "..": "..", "a\x1b[31m\x7fb": "a_[31m_b", "a\u202eb": "a_b", "b\u00fcro": "b\u00fcro", "\xff\xfe": "\ufffd\ufffd",
	} {
		wrapper := []string{"unshare", "-u", "-m", "sh", "-c", `mount --bind "$1" /etc/hosts && printf %s "$0" > /proc/sys/kernel/hostname && shift && exec "$@"`, name, nothing}
		p.check(os.RemoveAll(p.outputs("")))
		for _, args := range [][]string{{"-r"}, {"-r", "-u"}, {"ls"}, {"status"}, {"show", "a"}, {"stop"}} {
			c := p.startIn(wrapper, args...)
			if got := c.wait(); got != 0 {
				t.Fatalf("%q: %v: exit status %d\n%s", name, args, got, c.stderr.String())
			}
			out := c.stdout.String()
			if args[0] == "-r" && len(args) == 2 && !strings.Contains(out, "nothing was left to do") || args[0] == "ls" && !strings.Contains(out, "finished") {
				t.Errorf("%q: %v\n%s%s", name, args, out, c.stderr.String())
			}
		}
		if !exists(p.outputs("history-" + file)) {
			t.Errorf("%q: there is no history-%s", name, file)
		}
	}
}
