//go:build linux

package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// mounts has a test go on in a process with mounts of its own, which end with it. It reports false where the test is to
// return: it has been done there.
func mounts(t *testing.T) bool {
	t.Helper()
	if os.Getenv(builtEnv) != "" {
		if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
			t.Fatal(err)
		}
		return true
	}
	args := []string{"-test.run=^" + t.Name() + "$", "-test.v"}
	if *full {
		args = append(args, "-full")
	}
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), builtEnv+"="+built)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if _, ended := err.(*exec.ExitError); err != nil && !ended {
		t.Skipf("this kernel gives no mounts of its own: %v", err)
	}
	t.Logf("in a mount namespace:\n%s", out)
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Fail()
	}
	return false
}

// A disk is a file system of a project's own for its outputs folder.
type disk struct{ *project }

// newDisk makes a project whose outputs folder is a file system with options of tmpfs.
func newDisk(t *testing.T, options string, settings ...string) *disk {
	t.Helper()
	d := &disk{newProject(t, settings...)}
	d.check(os.MkdirAll(d.outputs(""), 0o777))
	d.check(syscall.Mount("tmpfs", d.outputs(""), "tmpfs", 0, options))
	t.Cleanup(func() { syscall.Unmount(d.outputs(""), syscall.MNT_DETACH) })
	return d
}

// remount changes the file system.
func (d *disk) remount(options string) {
	d.Helper()
	d.check(syscall.Mount("tmpfs", d.outputs(""), "tmpfs", syscall.MS_REMOUNT, options))
}

// room is for everything.
const room = "size=64m,nr_inodes=100000"

// fill takes all room that is left.
func (d *disk) fill() {
	d.Helper()
	file, err := os.Create(d.outputs("filler"))
	d.check(err)
	defer file.Close()
	for block := make([]byte, 1<<20); len(block) > 0; {
		if _, err := file.Write(block); err != nil {
			block = block[:len(block)/2]
		}
	}
}

// versions is a play of so many versions; each says hello, and has 4 metrics.
func versions(count int, acts ...string) string {
	var play strings.Builder
	for i := range count {
		fmt.Fprintf(&play, "version v%d suffix=s%d\nsetup: print hello\n%s\n", i, i, strings.Join(acts, "\n"))
	}
	return play.String()
}

// finished counts how often the history says of each version that it has finished, and checks that all that was recorded of
// it is there.
func (p *project) finished() map[string]int {
	p.Helper()
	blocks := map[string]int{}
	for _, b := range p.blocks(p.host) {
		blocks[b["run"]]++
	}
	count := map[string]int{}
	for _, e := range p.journal(p.host) {
		if e.Event != "finished" {
			continue
		}
		count[e.Version]++
		if blocks[e.Run] != 1 {
			p.Errorf("%s has finished as %s and has %d blocks", e.Version, e.Run, blocks[e.Run])
		}
		delete(blocks, e.Run)
		var record struct{ Status string }
		text, err := os.ReadFile(p.outputs("runs/" + e.Run + "/run.json"))
		if err == nil {
			err = json.Unmarshal(text, &record)
		}
		if err != nil || record.Status != "finished" {
			p.Errorf("%s has finished, and its record says %q: %v", e.Version, record.Status, err)
		}
	}
	for run := range blocks {
		p.Errorf("%s has a block and has not finished", run)
	}
	return count
}

// whole checks that metrics and printed lines of all runs that have finished are whole.
func (p *project) whole() {
	p.Helper()
	for _, e := range p.journal(p.host) {
		if e.Event != "finished" {
			continue
		}
		metrics, _ := os.ReadFile(p.outputs("runs/" + e.Run + "/metrics.jsonl"))
		printed, _ := os.ReadFile(p.outputs("runs/" + e.Run + "/output.log"))
		if n := bytes.Count(metrics, []byte(`{"name":"loss","step":`)); n < 4 || !bytes.HasSuffix(metrics, []byte("}\n")) {
			p.Errorf("%s has finished with %d metrics:\n%s", e.Version, n, metrics)
		}
		if !bytes.Contains(printed, []byte("hello\n")) || bytes.Count(printed, []byte("evaluate 2 steps on test\n")) != 1 {
			p.Errorf("%s has finished and has printed:\n%s", e.Version, printed)
		}
	}
}

// once checks that each of count versions has finished exactly once.
func (p *project) once(count int) {
	p.Helper()
	finished := p.finished()
	for i := range count {
		if v := fmt.Sprintf("v%d", i); finished[v] != 1 {
			p.Errorf("%s has finished %d times", v, finished[v])
		}
	}
}

// tells checks that a call has ended with status 1, and said why, of which file, and what to do.
func (c *call) tells(why, file string) {
	c.p.Helper()
	if status := c.wait(); status != 1 {
		c.p.Errorf("exit status %d, not 1\n%s\n%s", status, c.stdout.String(), c.stderr.String())
	}
	stderr := strings.TrimSuffix(c.stderr.String(), "\n")
	lines := strings.Split(stderr, "\n")
	last := lines[max(0, len(lines)-2):]
	if !strings.HasPrefix(last[0], "mlpipeline: ") || !strings.Contains(last[0], why) || !strings.Contains(last[0], file) ||
		!strings.HasPrefix(last[len(last)-1], "hint: ") || !strings.HasSuffix(stderr, "mlpipeline -r -u runs what is left") {
		c.p.Errorf("it does not say %q of %q:\n%s", why, file, stderr)
	}
	for _, bad := range []string{"goroutine ", "panic", "write error", "SIG"} {
		if strings.Contains(stderr, bad) {
			c.p.Errorf("%q in what it says:\n%s", bad, stderr)
		}
	}
	if n := strings.Count(stderr, why); n > 20 {
		c.p.Errorf("it says %q %d times:\n%s", why, n, stderr)
	}
}

// On disks of all sizes: some versions finish, then it is said that there is no room; when some has been made, the rest.
func TestAFullDisk(t *testing.T) {
	if !mounts(t) {
		return
	}
	options := []string{"size=96k", "size=256k", "size=1m,nr_inodes=45", "size=4m,nr_inodes=3"}
	if *full {
		for size := 36; size < 400; size += 12 {
			options = append(options, fmt.Sprintf("size=%dk", size))
		}
		for inodes := 2; inodes < 80; inodes += 3 {
			options = append(options, fmt.Sprintf("size=4m,nr_inodes=%d", inodes))
		}
	}
	const count = 40
	for i, o := range options {
		for jobs := 1; jobs <= 3; jobs += 2 {
			if !*full && i%2 == jobs/2 {
				continue
			}
			t.Run(fmt.Sprintf("%s,jobs=%d", o, jobs), func(t *testing.T) {
				d := newDisk(t, o, fmt.Sprintf("jobs=%d", jobs))
				d.actor("a", versions(count))
				d.queue("a")
				d.start("-r", "-u").tells("no space left on device", d.outputs(""))
				before := 0
				if _, err := os.Stat(d.outputs("history-" + d.host)); err == nil {
					before = len(d.finished())
					d.whole()
				}
				d.remount(room)
				d.run(0, "-r", "-u")
				d.once(count)
				d.whole()
				t.Logf("%d of %d versions had finished when it was full", before, count)
			})
		}
	}
}

// The disk is full while versions run: they finish and are recorded, nothing else starts. Where there is room again by then, all
// goes on.
func TestADiskFullMeanwhile(t *testing.T) {
	if !mounts(t) {
		return
	}
	for _, how := range []string{"full", "full for a while", "no inodes", "a model's flood"} {
		t.Run(how, func(t *testing.T) {
			d := newDisk(t, "size=2m,nr_inodes=10000", "jobs=2")
			acts := "evaluate-test: touch training%d\nevaluate-test: insist go\nevaluate-test: print done\nevaluate-test: metric late 1 2\n"
			if how == "a model's flood" {
				acts += "evaluate-test: flood 1\n"
			}
			play := ""
			for i := range 9 {
				play += fmt.Sprintf("version v%d suffix=%d\nsetup: print hello\n", i, i)
				if i < 2 {
					play += fmt.Sprintf(acts, i)
				}
			}
			d.actor("a", play)
			d.queue("a")
			c := d.startIn([]string{"sh", "-c", `exec "$0" "$@" 2> stderr`}, "-r", "-u", "--json")
			said := func() string {
				text, err := os.ReadFile(d.path("stderr"))
				d.check(err)
				return string(text)
			}
			d.until("two versions run", func() bool { return d.exists("training0") && d.exists("training1") })
			if how == "no inodes" {
				var stat syscall.Statfs_t
				d.check(syscall.Statfs(d.outputs(""), &stat))
				d.remount(fmt.Sprintf("nr_inodes=%d", stat.Files-stat.Ffree))
			} else {
				d.fill()
			}
			if how == "full for a while" {
				d.until("it is noticed", func() bool { return strings.Contains(said(), "no space left") })
				d.check(os.Remove(d.outputs("filler")))
				d.write("go", "")
				if status := c.wait(); status != 0 {
					t.Errorf("exit status %d\n%s", status, said())
				}
				d.once(9)
				d.whole()
				return
			}
			d.write("go", "")
			c.wait()
			c.stderr.WriteString(said())
			c.tells("no space left on device", d.outputs(""))
			if how != "a model's flood" {
				d.whole()
			} else if !strings.Contains(said(), "lines are missing") { // it is more than waits for room
				t.Errorf("nothing is said of what is lost:\n%s", said())
			}
			if got := d.finished(); len(got) != 2 || got["v0"] != 1 || got["v1"] != 1 {
				t.Errorf("finished: %v\n%s", got, said())
			}
			if n := strings.Count(c.stdout.String(), `{"event":"unrecorded"`); n != 1 {
				t.Errorf("%d events tell of it:\n%s", n, c.stdout.String())
			}
			if n := strings.Count(c.stdout.String(), `{"event":"started"`); n != 2 {
				t.Errorf("%d versions have been started:\n%s", n, c.stdout.String())
			}
			d.remount(room)
			d.run(0, "-r", "-u")
			d.once(9)
		})
	}
}

// What vanishes while versions run is noticed, by name, before another is started; what has run is told.
func TestOutputsVanish(t *testing.T) {
	if !mounts(t) {
		return
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	history := "history-" + host
	for _, c := range []struct {
		name string
		do   func(d *disk) error
		why  string // it cannot be recorded any more
		file string
		back func(d *disk) error // makes it as it was
	}{
		// What is open stays as it was: only the kernel itself makes a file system read-only under who writes to it.
		{"read-only", func(d *disk) error {
			d.check(syscall.Mount(d.outputs(""), d.outputs(""), "", syscall.MS_BIND, ""))
			return syscall.Mount("", d.outputs(""), "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
		}, "read-only file system", "/outputs/", func(d *disk) error { return syscall.Unmount(d.outputs(""), syscall.MNT_DETACH) }},
		{"unmounted", func(d *disk) error { return syscall.Unmount(d.outputs(""), syscall.MNT_DETACH) },
			"deleted, replaced", history, nil},
		{"outputs deleted", func(d *disk) error { return os.RemoveAll(d.outputs("")) }, "deleted, replaced", history, nil},
		{"outputs moved and back", func(d *disk) error { return os.Rename(d.outputs(""), d.path("away")) },
			"deleted, replaced", history, func(d *disk) error {
				d.check(os.RemoveAll(d.outputs(""))) // the models may have made their own
				return os.Rename(d.path("away"), d.outputs(""))
			}},
		{"history deleted", func(d *disk) error { return os.Remove(d.outputs(history)) }, "deleted, replaced", history, nil},
		{"history moved and back", func(d *disk) error { return os.Rename(d.outputs(history), d.outputs("moved")) },
			"deleted, replaced", history, func(d *disk) error { return os.Rename(d.outputs("moved"), d.outputs(history)) }},
		{"history replaced", func(d *disk) error {
			text, err := os.ReadFile(d.outputs(history))
			d.check(err)
			d.check(os.WriteFile(d.outputs("copy"), text, 0o666))
			return os.Rename(d.outputs("copy"), d.outputs(history))
		}, "deleted, replaced", history, func(d *disk) error { return nil }},
		{"history emptied", func(d *disk) error { return os.Truncate(d.outputs(history), 0) }, "cut short", history, nil},
		{"a folder in place of the output", func(d *disk) error {
			d.check(os.Rename(d.outputs("output-"+host), d.outputs("away")))
			return os.Mkdir(d.outputs("output-"+host), 0o777)
		}, "is a directory", "output-" + host, func(d *disk) error {
			d.check(os.Remove(d.outputs("output-" + host)))
			return os.Rename(d.outputs("away"), d.outputs("output-"+host))
		}},
		{"a file in place of the runs", func(d *disk) error {
			d.check(os.Rename(d.outputs("runs"), d.outputs("away")))
			return os.WriteFile(d.outputs("runs"), nil, 0o666)
		}, "not a directory", "/outputs/runs", func(d *disk) error {
			d.check(os.Remove(d.outputs("runs")))
			return os.Rename(d.outputs("away"), d.outputs("runs"))
		}},
		{"lock deleted", func(d *disk) error { return os.Remove(d.outputs(".lock-" + host)) }, "", "", nil},
		{"log deleted", func(d *disk) error { return os.Remove(d.outputs("log-" + host)) }, "", "", nil},
		{"status in the way", func(d *disk) error { return os.MkdirAll(d.outputs("status-"+host+".new/x"), 0o777) }, "", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &disk{newProject(t)}
			if c.name == "unmounted" {
				d = newDisk(t, room)
			}
			d.actor("a", "version v0 suffix=0\nsetup: print hello\n"+
				"version v1 suffix=1\nsetup: print hello\nevaluate-test: touch training\nevaluate-test: insist go\n"+
				"version v2 suffix=2\nsetup: print hello\n")
			d.queue("a")
			run := d.start("-r", "-u", "--json")
			d.until("the second runs", func() bool { return d.exists("training") })
			d.check(c.do(d))
			d.write("go", "")
			if c.why == "" {
				if status := run.wait(); status != 0 {
					t.Errorf("exit status %d\n%s", status, run.stderr.String())
				}
				d.once(3)
				d.whole()
				return
			}
			run.tells(c.why, c.file)
			if n := strings.Count(run.stdout.String(), `{"event":"unrecorded"`); n != 1 {
				t.Errorf("%d events tell of it:\n%s", n, run.stdout.String())
			}
			if strings.Contains(run.stdout.String(), `{"event":"started","time":"`) && strings.Contains(run.stdout.String(), `"version":"v2"`) {
				t.Errorf("v2 has been started:\n%s", run.stdout.String())
			}
			if text := run.stderr.String(); !strings.Contains(text, "it is finished, but that could not be recorded") || !strings.Contains(text, "test accuracy=0.5") {
				t.Errorf("nothing is said of the results of v1:\n%s", text)
			}
			if strings.HasPrefix(c.name, "history") { // the record can still tell
				records, _ := filepath.Glob(d.outputs("runs/*/run.json"))
				for _, name := range records {
					text, err := os.ReadFile(name)
					if d.check(err); !strings.Contains(string(text), `"status": "finished"`) || !strings.Contains(string(text), `"accuracy": 0.5`) {
						t.Errorf("%s tells of no end:\n%s", name, text)
					}
				}
				if len(records) != 2 {
					t.Errorf("records: %v", records)
				}
			}
			if c.name == "unmounted" {
				entries, err := os.ReadDir(d.outputs(""))
				if d.check(err); len(entries) > 0 {
					t.Errorf("%v has been written where it was mounted", entries)
				}
			}
			if c.back != nil {
				d.check(c.back(d))
			}
			d.run(0, "-r", "-u")
			if c.back != nil {
				d.once(3)
				return
			}
			got := map[string]int{}
			for _, e := range d.journal(host) {
				if e.Event == "finished" {
					got[e.Version]++
				}
			}
			if got["v1"] != 1 || got["v2"] != 1 {
				t.Errorf("finished: %v", got)
			}
		})
	}
}

// A second execution that has come in because the lock was deleted ends the first one's queue.
func TestALockIsLost(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.actor("a", "version v0 suffix=0\nsetup: touch one\nsetup: insist go\nversion v1 suffix=1\n")
	p.actor("b", "version v0\nsetup: touch other\nsetup: insist end\n")
	p.queue("a", "b")
	first := p.start("-r", "-u", "--model", "a")
	p.until("one runs", func() bool { return p.exists("one") })
	p.check(os.Remove(p.outputs(".lock-" + p.host)))
	second := p.start("-r", "-u", "--model", "b")
	p.until("the other runs", func() bool { return p.exists("other") })
	p.write("go", "")
	first.tells("it was deleted, and another execution has begun: pid", ".lock-"+p.host)
	p.write("end", "")
	if status := second.wait(); status != 0 {
		t.Errorf("exit status %d\n%s", status, second.stderr.String())
	}
}

// The folder of a run is deleted while it runs: its results count, and what is lost is told.
func TestTheFolderOfARunIsDeleted(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.actor("a", "version v0 suffix=0\nstep:2: touch training\nstep:2: insist go\nversion v1 suffix=1\n")
	p.queue("a")
	c := p.start("-r", "-u")
	p.until("it runs", func() bool { return p.exists("training") })
	p.check(os.RemoveAll(p.outputs("runs")))
	p.write("go", "")
	if status := c.wait(); status != 1 {
		t.Errorf("exit status %d", status)
	}
	if text := c.stderr.String(); strings.Count(text, "deleted while the run went on") != 2 || !strings.Contains(text, "\nmlpipeline: results are recorded, but not all else: ") {
		t.Errorf("it says:\n%s", text)
	}
	p.once(2)
}

// A limit on the size of files ends the queue before a version whose result would not fit, and not the models.
func TestALimitOnTheSizeOfFiles(t *testing.T) {
	t.Parallel()
	const count = 60
	for _, limit := range []int{0, 3, 8, 16} { // KiB
		t.Run(fmt.Sprint(limit, " KiB"), func(t *testing.T) {
			t.Parallel()
			p := newProject(t)
			p.actor("a", versions(count))
			p.queue("a")
			c := p.startIn([]string{"sh", "-c", fmt.Sprintf(`ulimit -f %d; exec "$0" "$@"`, limit*2)}, "-r", "-u")
			c.tells("file too large", p.outputs(""))
			finished := 0
			if _, err := os.Stat(p.outputs("history-" + p.host)); err == nil {
				finished = len(p.finished())
				started := 0
				for _, e := range p.journal(p.host) {
					if e.Event == "started" {
						started++
					}
				}
				if started != finished {
					t.Errorf("%d have been started, %d have finished", started, finished)
				}
			}
			p.run(0, "-r", "-u")
			p.once(count)
			t.Logf("%d had finished", finished)
		})
	}
	t.Run("signals", func(t *testing.T) {
		t.Parallel()
		p := newProject(t)
		p.actor("a", "version v0\nsetup: touch training\nsetup: insist go\n")
		p.queue("a")
		c := p.startIn([]string{"sh", "-c", `ulimit -f 100000; exec "$0" "$@"`}, "-r")
		p.until("it runs", func() bool { return p.exists("training") })
		pid, err := os.ReadFile(p.path("training"))
		p.check(err)
		status, err := os.ReadFile(filepath.Join("/proc", string(pid), "status"))
		p.check(err)
		_, ignored, _ := strings.Cut(string(status), "SigIgn:")
		var mask uint64
		fmt.Sscanf(ignored, "%x", &mask)
		if mask&(1<<(syscall.SIGXFSZ-1)) != 0 {
			t.Error("the model does not hear of SIGXFSZ")
		}
		p.write("go", "")
		if got := c.wait(); got != 0 {
			t.Errorf("exit status %d", got)
		}
	})
}
