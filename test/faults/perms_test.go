//go:build linux

package faults

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// A user is another who works on the machine.
type user struct{ uid, gid int }

// Two who share a group, and one whom nobody has asked.
var (
	ann      = user{54321, 54320}
	bob      = user{54322, 54320}
	stranger = user{54323, 54323}
)

// users prepares a project in which several users work. It takes root to be them all.
func (p *project) users() {
	p.Helper()
	if os.Getuid() != 0 {
		p.Skip("it takes root to be several users")
	}
	if _, err := exec.LookPath("setpriv"); err != nil {
		p.Skip("there is no setpriv to be another user with")
	}
	for _, dir := range []string{built, filepath.Join(built, "bin"), filepath.Dir(p.dir)} {
		p.check(os.Chmod(dir, 0o755))
	}
}

// as calls the program as a user, with a umask, and requires a status.
func (p *project) as(u user, umask string, status int, args ...string) *call {
	p.Helper()
	home := filepath.Join(filepath.Dir(p.dir), fmt.Sprint("home-", u.uid))
	p.check(os.MkdirAll(home, 0o755))
	p.check(os.Chown(home, u.uid, u.gid))
	uid, gid := strconv.Itoa(u.uid), strconv.Itoa(u.gid)
	c := p.startIn([]string{
		"setpriv", "--reuid=" + uid, "--regid=" + gid, "--clear-groups",
		"env", "HOME=" + home, "XDG_CACHE_HOME=" + filepath.Join(home, ".cache"),
		"sh", "-c", "umask " + umask + ` && exec "$0" "$@"`,
	}, args...)
	if got := c.wait(); got != status {
		p.Fatalf("mlpipeline %v: exit status %d, not %d\n%s\n%s", args, got, status, c.stdout.String(), c.stderr.String())
	}
	return c
}

// give gives what is in the project to a user, with the permissions that a umask leaves.
func (p *project) give(u user, umask fs.FileMode) {
	p.Helper()
	p.check(filepath.WalkDir(p.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := os.Chown(path, u.uid, u.gid); err != nil {
			return err
		}
		return os.Chmod(path, 0o777&^umask)
	}))
}

// says requires that a call has said something.
func (c *call) says(what string) {
	c.p.Helper()
	if !strings.Contains(c.stderr.String(), what) {
		c.p.Errorf("%v: %q is not in\n%s", c.cmd.Args, what, c.stderr.String())
	}
}

// Two users of a group share a project, on the same machine.
func TestAGroupSharesAProject(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.users()
	p.actor("a", "version v1\nversion v2 suffix=b\n")
	p.actor("b", "version v1\ntrain: metric loss 1 0.5\n")
	p.queue("a", "b")
	p.give(ann, 0o002)

	// With a umask that leaves files to the group each goes on with what the other has done.
	p.as(ann, "002", 0, "-r", "-u", "--model", "a")
	c := p.as(bob, "002", 0, "-r", "-u")
	if !strings.Contains(c.stdout.String(), "1 finished, 0 failed, 2 skipped") {
		t.Errorf("bob does not go on with what ann has done:\n%s", c.stdout.String())
	}
	c = p.as(ann, "002", 0, "-r", "-u")
	if !strings.Contains(c.stdout.String(), "0 finished, 0 failed, 3 skipped") {
		t.Errorf("ann does not know what bob has done:\n%s", c.stdout.String())
	}
	if n := len(p.blocks(p.host)); n != 3 {
		t.Errorf("%d blocks", n)
	}

	// With one that does not, he is told which file it is that is not his.
	for _, file := range []string{".lock-", "log-", "history-", "output-"} {
		path := p.outputs(file + p.host)
		p.check(os.Chown(path, ann.uid, ann.gid))
		p.check(os.Chmod(path, 0o644))
		c := p.as(bob, "022", 1, "-r")
		c.says(path + ": permission denied")
		p.check(os.Chmod(path, 0o664))
	}
	p.as(bob, "002", 0, "-r", "-u")
}

// What a colleague has run can be read by one who may write nothing of it, his home included.
func TestOnlyReading(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.users()
	p.actor("a", "version v1\ntrain: metric loss 1 0.5\ntrain: print hello\nversion v2 suffix=b\ntrain: error no luck\n")
	p.queue("a")
	p.run(1, "-r")
	p.give(ann, 0o022)
	before := p.tree()
	for _, args := range [][]string{
		{"ls"}, {"show", "a/v1"}, {"status"}, {"status", "--json"}, {"report", "-o", "-"}, {"plot", "loss"}, {"plot", "loss", "-o", "/dev/null.svg"},
		{"logs"}, {"logs", "a/v1"}, {"compare"}, {"stop"}, {"-r", "-u", "--dry-run"},
	} {
		status := 0
		if slices.Contains(args, "/dev/null.svg") {
			status = 1
		}
		c := p.as(stranger, "022", status, args...)
		if status == 0 && (c.stdout.Len() == 0 || strings.Contains(c.stderr.String(), "denied")) {
			t.Errorf("%v says\n%s\n%s", args, c.stdout.String(), c.stderr.String())
		}
	}
	if after := p.tree(); after != before {
		t.Errorf("something has changed:\n%s\n%s", before, after)
	}
	p.as(stranger, "022", 1, "-r").says("permission denied")
}

// tree lists the files of the project with their sizes, owners and times.
func (p *project) tree() string {
	p.Helper()
	out, err := exec.Command("find", p.dir, "-printf", `%p %m %U %s %T@\n`).CombinedOutput()
	p.check(err)
	return string(out)
}

// goModel is a model that is built. It does nothing well.
const goModel = `package main

import (
	"context"

	"github.com/mlpipeline/mlpipeline/pkg/mlp"
)

type model struct{}

func (model) Setup(context.Context, *mlp.Run) error                             { return nil }
func (model) Train(context.Context, *mlp.Run, any, int) (mlp.Metrics, error)    { return nil, nil }
func (model) Evaluate(context.Context, *mlp.Run, any, int) (mlp.Metrics, error) { return nil, nil }
func (model) TrainInput(context.Context, mlp.Phase) (any, error)                { return nil, nil }
func (model) TestInput(context.Context) (any, error)                            { return nil, nil }
func (model) TrainSampleCount() int                                             { return 3 }
func (model) TestSampleCount() int                                              { return 2 }

func main() {
	vs := mlp.NewVersions(mlp.Version{DataLoader: model{}, BatchSize: 2, Epochs: 1})
	vs.Add(mlp.Version{Name: "v1"})
	mlp.Main(model{}, vs)
}
`

const pythonModel = `from mlpipeline.helper import DataLoader, Model
from mlpipeline.utils import Versions


class Data(DataLoader):
    def get_train_input(self, mode=None):
        return None

    def get_test_input(self):
        return None

    def get_train_sample_count(self):
        return 3

    def get_test_sample_count(self):
        return 2


class Nothing(Model):
    def pre_execution_hook(self, version, model_dir, exec_mode):
        pass

    def train_model(self, input_fn, steps):
        return {}

    def evaluate_model(self, input_fn, steps):
        return {}


versions = Versions(learning_rate=0.1, batch_size=1, epoc_count=1, dataloader=Data())
versions.addV("v1")
MODEL = Nothing(versions)
`

// goCache is where the go command keeps what it has compiled, wherever the user's cache is said to be: from nothing it takes long.
func (p *project) goCache() string {
	p.Helper()
	out, err := exec.Command("go", "env", "GOCACHE").Output()
	p.check(err)
	return strings.TrimSpace(string(out))
}

// What another user has put into the cache, or could have, is never executed.
func TestThePlantedCache(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.users()
	p.write("models/m.go", goModel)
	p.write("models/p.py", pythonModel)
	p.queue("m.go", "p.py")
	goCache := p.goCache()
	marker := p.path("planted")
	script := "#!/bin/sh\ntouch " + marker + "\n"

	// A cache that was filled, and then something has happened to it.
	home := p.path("home")
	cache := filepath.Join(home, "mlpipeline")
	in := func(name string) string { return filepath.Join(cache, name) }
	all := func(pattern string) []string {
		files, _ := filepath.Glob(in(pattern))
		if len(files) == 0 {
			t.Fatal("there is no " + pattern)
		}
		return files
	}
	theirs := func(paths ...string) {
		for _, path := range paths {
			p.check(os.Lchown(path, stranger.uid, stranger.gid))
		}
	}
	open := func(mode fs.FileMode, paths ...string) {
		for _, path := range paths {
			p.check(os.Chmod(path, mode))
		}
	}
	plant := func(text []byte, paths ...string) {
		for _, path := range paths {
			p.check(os.WriteFile(path, text, 0o755))
		}
		theirs(paths...)
	}
	run := func(status int) *call {
		c := p.startIn([]string{"env", "XDG_CACHE_HOME=" + home, "GOCACHE=" + goCache})
		if got := c.wait(); got != status {
			t.Fatalf("exit status %d, not %d\n%s\n%s", got, status, c.stdout.String(), c.stderr.String())
		}
		if p.exists("planted") {
			t.Fatal("what was planted was executed")
		}
		return c
	}
	code, err := exec.Command("python3", "-c", "import marshal, sys; sys.stdout.buffer.write(marshal.dumps(compile('open("+strconv.Quote(marker)+", \"w\")', 'x', 'exec')))").Output()
	p.check(err)

	run(0)
	if info, err := os.Stat(cache); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the cache is %v", info.Mode())
	}
	open(0o755, cache)
	run(0)
	if info, err := os.Stat(cache); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("a cache that others could read is %v", info.Mode())
	}

	good := p.path("good")
	restore := func() {
		p.check(os.RemoveAll(home))
		p.check(os.RemoveAll(p.path("elsewhere")))
		out, err := exec.Command("cp", "-a", good, home).CombinedOutput()
		if err != nil {
			t.Fatalf("cp: %v\n%s", err, out)
		}
	}
	p.check(os.Rename(home, good))

	refused := 0
	for _, c := range []struct {
		what string
		do   func()
		says string
	}{
		{"it belongs to another", func() { theirs(cache) }, "belongs to user 54323, not to root"},
		{"it is another's link to a folder of this user", func() {
			p.check(os.Rename(cache, p.path("elsewhere")))
			p.check(os.Symlink(p.path("elsewhere"), cache))
			theirs(cache)
		}, "is a link that user 54323 has made"},
		{"its group can write", func() { open(0o770, cache) }, "can be written to by others (drwxrwx---)"},
		{"everybody can write", func() { open(0o777, cache) }, "can be written to by others (drwxrwxrwx)"},
		{"everybody can exchange it", func() { open(0o777, home) }, "lets everybody exchange what is in it"},
		{"binaries: another's folder", func() { theirs(in("bin")) }, "bin belongs to"},
		{"manifests: an open folder", func() { open(0o777, in("models")) }, "models can be written to"},
		{"code: another's folder", func() { theirs(in("code")) }, "code belongs to"},
		{"passports: an open folder", func() { open(0o777, in("tested")) }, "tested can be written to"},
		{"the package: an open folder", func() { open(0o777, all("python/*/mlpipeline")...) }, "mlpipeline can be written to"},
		{"the package, compiled: another's folder", func() { theirs(all("python/*/mlpipeline/__pycache__")...) }, "__pycache__ belongs to"},
	} {
		restore()
		plant([]byte(script), all("bin/*")...)
		c.do()
		status := 2
		if strings.HasPrefix(c.what, "the package") {
			status = 1 // Python models alone fail
		}
		call := run(status)
		call.says(c.says)
		call.says("set XDG_CACHE_HOME to a folder of your own")
		refused++
	}

	// A file that another has written counts as none, also from a time when its folder was open.
	anew := 0
	for _, c := range []struct {
		what string
		do   func()
	}{
		{"compiled code of another", func() { plant(code, all("code/*")...) }},
		{"the package, another's", func() { theirs(all("python/*/mlpipeline/*.py")...) }},
		{"a binary of another", func() { plant([]byte(script), all("bin/*")...) }},
		{"a binary that others could write", func() { open(0o777, all("bin/*")...) }},
		{"a link in the place of a binary", func() {
			plant([]byte(script), p.path("evil"))
			for _, file := range all("bin/*") {
				p.check(os.Remove(file))
				p.check(os.Symlink(p.path("evil"), file))
				theirs(file)
			}
		}},
		{"a manifest of another", func() {
			plant([]byte(script), in("bin/evil"))
			open(0o755, in("bin/evil"))
			for _, file := range all("models/*") {
				text, err := os.ReadFile(file)
				p.check(err)
				for _, binary := range all("bin/*") {
					text = bytes.ReplaceAll(text, []byte(filepath.Base(binary)), []byte("evil"))
				}
				plant(text, file)
			}
		}},
		{"the SDK, another's", func() {
			theirs(all("sdk/*/pkg/mlp/*.go")...)
			p.check(os.RemoveAll(in("bin")))
		}},
	}[:sized(3, 7)] { // the others take a build each
		restore()
		c.do()
		run(0)
		for _, kind := range []string{"bin", "python", "sdk"} {
			p.check(filepath.WalkDir(in(kind), func(path string, d fs.DirEntry, err error) error {
				if info, err := d.Info(); err == nil && d.Name() != "evil" && (info.Mode()&0o022 != 0 || int(info.Sys().(*syscall.Stat_t).Uid) != os.Getuid()) {
					t.Errorf("%s: %s is still there as it was (%v)", c.what, path, info.Mode())
				}
				return err
			}))
		}
		anew++
	}
	t.Logf("%d caches refused, %d planted files made anew, none executed", refused, anew)

	// A folder that everybody can write to is a place for a cache if each can only rename what is his, as in /tmp.
	restore()
	p.check(os.Chmod(home, 0o777|fs.ModeSticky))
	run(0)
}
