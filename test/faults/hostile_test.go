//go:build linux

package faults

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// modest fails the test when a call has used more memory than so many MB, or died of an error of its own.
func (c *call) modest(megabytes int) {
	c.p.Helper()
	c.p.Logf("%v: peak %d MB", c.cmd.Args[1:], c.peak>>10)
	if c.peak>>10 > megabytes {
		c.p.Errorf("%v has used %d MB, more than %d", c.cmd.Args[1:], c.peak>>10, megabytes)
	}
	if out := c.stdout.String() + c.stderr.String(); strings.Contains(out, "goroutine ") || strings.Count(out, "\n") > 500 {
		c.p.Errorf("%v says\n%.5000s", c.cmd.Args[1:], out)
	}
}

// sparse makes a file of so many MB that are all zeros.
func (p *project) sparse(path string, megabytes int) {
	p.Helper()
	os.Remove(path)
	p.check(os.WriteFile(path, nil, 0o666))
	p.check(os.Truncate(path, int64(megabytes)<<20))
}

// Other machines, or whoever else can write to a shared outputs folder, may leave anything in it.
func TestAHostileOutputsFolder(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.actor("a", "version v1\n")
	p.queue("a")
	p.run(0, "-r", "-u")
	run := p.journal(p.host)[2].Run

	event := func(version, cause string) string {
		return fmt.Sprintf(`{"event":"failed","model":"m","version":%q,"run":"r-%[1]s","time":"2026-11-26T22:41:35.241Z","parameters":"","code":"","cause":%q}`+"\n", version, cause)
	}
	put := func(name string, parts ...string) {
		p.check(os.WriteFile(p.outputs(name), []byte(strings.Join(parts, "")), 0o666))
	}
	long := sized(40, 200)
	put("history-long", event("before", "no"), event("long", strings.Repeat("x", long<<20)), event("after", "no"))
	garbage := make([]byte, sized(4, 100)<<20)
	rand.Read(garbage)
	put("history-garbage", string(garbage))
	for i := range sized(500, 20_000) {
		put(fmt.Sprintf("history-h%d", i), event(fmt.Sprint("v", i), "no"))
	}
	put("status-text", strings.Repeat("[", 10<<20))
	for _, name := range []string{"history-zeros", "status-zeros", ".lock-zeros", "runs/" + run + "/metrics.jsonl", "runs/" + run + "/run.json"} {
		p.sparse(p.outputs(name), sized(100, 1000))
	}
	for _, name := range []string{"history-pipe", "status-pipe", ".lock-pipe"} {
		p.check(syscall.Mkfifo(p.outputs(name), 0o666))
	}
	p.check(os.Mkdir(p.outputs("history-folder"), 0o777))
	p.check(os.Symlink("history-link", p.outputs("history-link")))
	p.check(os.Symlink("/dev/zero", p.outputs("status-device")))

	for _, args := range [][]string{
		{"-r", "-u"}, {"-r", "-u", "--dry-run"}, {"ls", "-n", "20"}, {"ls", "--json", "-n", "20"}, {"status"}, {"status", "--json"}, {"compare", "a"}, {"show", "a"}, {"logs", "a"},
		{"report"}, {"plot", "loss"}, {"__complete", "show", "a"},
	} {
		status := 0
		if args[0] == "plot" {
			status = 2 // nothing of the only run is left
		}
		p.run(status, args...).modest(sized(300, 500))
	}
	// What runs here has not been taken for finished, nor for to be done again.
	finished := 0
	for _, e := range p.journal(p.host) {
		if e.Event == "finished" {
			finished++
		}
	}
	if finished != 1 {
		t.Errorf("%d runs have finished", finished)
	}
}

// A queue that becomes anything at all while it is in use stays as it was.
func TestAQueueThatBecomesSomethingElse(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	replace := []struct {
		what string
		make func(path string) error
		says string
	}{
		{"100 MB in one line", func(path string) error { return os.WriteFile(path, bytes.Repeat([]byte("x"), 100<<20), 0o666) }, "is larger than 1 MiB"},
		{"a pipe", func(path string) error { return syscall.Mkfifo(path, 0o666) }, "is not an ordinary file"},
		{"a folder", func(path string) error { return os.Mkdir(path, 0o777) }, "is a folder"},
		{"a device", func(path string) error { return os.Symlink("/dev/zero", path) }, "is not an ordinary file"},
		{"a circle", func(path string) error { return os.Symlink("models.config", path) }, "cannot be read"},
		{"zeros", func(path string) error {
			return os.WriteFile(path, make([]byte, 1000), 0o666)
		}, "control character"},
		{"UTF-16", func(path string) error { return os.WriteFile(path, []byte("\xff\xfe[\x00M\x00"), 0o666) }, "UTF-16"},
	}
	play := ""
	for i := range replace {
		play += fmt.Sprintf("version v%d suffix=%[1]d\nsetup: touch started%[1]d\nsetup: wait go%[1]d\n", i)
	}
	p.actor("a", play+"version last\n")
	p.actor("b", "version v1\n")
	p.queue("a", "b")
	c := p.start("-r")
	for i, r := range replace {
		p.until("v is started", func() bool { return p.exists(fmt.Sprint("started", i)) })
		p.check(os.RemoveAll(p.path("models.config")))
		p.check(r.make(p.path("models.config")))
		p.write(fmt.Sprint("go", i), "")
	}
	if status := c.wait(); status != 0 {
		t.Fatalf("exit status %d\n%s", status, c.stderr.String())
	}
	c.modest(60)
	for _, r := range replace {
		if !strings.Contains(c.stderr.String(), r.says) {
			t.Errorf("nothing is said of %s: %q is not in\n%s", r.what, r.says, c.stderr.String())
		}
	}
	if want := fmt.Sprintf("%d finished, 0 failed", len(replace)+2); !strings.Contains(c.stdout.String(), want) {
		t.Errorf("%s is not in\n%s", want, c.stdout.String())
	}
}

// Files among the models may be of any size. Nothing is executed to find out that they are none.
func TestVeryLargeFilesAmongTheModels(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.actor("a", "version v1\n")
	p.write("models.config", "[MLP]\nuse_blacklist=True\n[BLACKLISTED_MODELS]\n")
	size := sized(20, 100)
	p.sparse(p.path("models/zeros.py"), size)
	p.sparse(p.path("models/zeros.go"), size)
	p.sparse(p.path("models/zeros"), size)
	p.check(os.Chmod(p.path("models/zeros"), 0o777))
	line := "x = [1, 2, 3, 4]; y = 'a text that has no MODEL in it'\n"
	p.write("models/text.py", strings.Repeat(line, size<<20/len(line)))
	p.write("models/generated/data.go", "package main\n\nvar data = []int{\n"+strings.Repeat("\t1, 2, 3, 4, 5, 6, 7, 8, 9, 10,\n", size<<20/32)+"}\n")
	p.write("models/one/line.py", strings.Repeat("(", size<<20))
	for i := range sized(1000, 50_000) {
		p.write(fmt.Sprintf("models/data/d%d.csv", i), "")
	}
	deep := p.path("models")
	for range 300 {
		deep = filepath.Join(deep, "deep")
	}
	p.check(os.MkdirAll(deep, 0o777))
	c := p.run(0, "-r")
	c.modest(100)
	if !strings.Contains(c.stdout.String(), "1 finished, 0 failed") {
		t.Errorf("%s%s", c.stdout.String(), c.stderr.String())
	}
}
