//go:build real

package real

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "mlpipeline-real-")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "mlpipeline")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/mlpipeline").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// project makes a project of files, with all models in its queue, and returns its folder.
func project(t *testing.T, models map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	queue := "[MLP]\nuse_blacklist=False\n[WHITELISTED_MODELS]\n"
	for name, text := range models {
		write(t, filepath.Join(dir, "models", name), text)
		queue += name + "\n"
	}
	write(t, filepath.Join(dir, "mlp.config"), "")
	write(t, filepath.Join(dir, "models.config"), queue)
	write(t, filepath.Join(dir, "models_test.config"), queue)
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// run runs a program in dir and returns what it prints; it must succeed.
func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// A record is what these tests look at in a run.json.
type record struct {
	Version string
	Status  string
	Steps   struct{ Before int64 }
	Results map[string]map[string]float64
	Code    struct {
		Git *struct {
			Commit string
			Dirty  bool
		}
	}
}

// records reads the records of all runs in the project.
func records(t *testing.T, dir string) []record {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(dir, "models/outputs/runs/*/run.json"))
	all := make([]record, len(files))
	for i, file := range files {
		if err := json.Unmarshal([]byte(read(t, file)), &all[i]); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// A forest of scikit-learn, as an executable that speaks the protocol.
func TestScikitLearn(t *testing.T) {
	dir := project(t, map[string]string{"forest": read(t, "testdata/forest.py")})
	write(t, filepath.Join(dir, "datasets/digits.csv.gz"), read(t, "../../examples/sample-project/datasets/digits.csv.gz"))
	run(t, dir, binary)
	out := run(t, dir, binary, "-r", "-u")
	runs := records(t, dir)
	if len(runs) != 2 {
		t.Fatalf("%d runs are recorded, want 2\n%s", len(runs), out)
	}
	for _, r := range runs {
		if accuracy := r.Results["test"]["accuracy"]; accuracy < 0.9 || accuracy > 1 {
			t.Errorf("%s: accuracy on the test set is %v", r.Version, accuracy)
		}
	}
	if again := run(t, dir, binary, "-r", "-u"); !strings.Contains(again, "0 finished, 0 failed, 2 skipped") {
		t.Errorf("the second execution has something to do:\n%s", again)
	}
}

// A network of scikit-learn as a Python model: trained for real under Debian's interpreter, stopped in the middle, resumed, and
// not trained again.
func TestScikitLearnByThePythonPackage(t *testing.T) {
	dir := project(t, map[string]string{"digits.py": read(t, "testdata/digits.py")})
	write(t, filepath.Join(dir, "mlp.config"), "[MLP]\npython=/usr/bin/python3\n")
	write(t, filepath.Join(dir, "datasets/digits.csv.gz"), read(t, "../../examples/sample-project/datasets/digits.csv.gz"))
	run(t, dir, binary)

	write(t, filepath.Join(dir, "pause"), "")
	stopped := exec.Command(binary, "-C", dir, "-r", "-u")
	if err := stopped.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(dir, "paused")); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it does not come to step 100")
		}
	}
	stopped.Process.Signal(syscall.SIGTERM)
	stopped.Wait()
	os.Remove(filepath.Join(dir, "pause"))

	if plan := run(t, dir, binary, "-r", "-u", "--dry-run"); !strings.Contains(plan, "resume  digits.py/hidden=16: resumes at step") {
		t.Errorf("the version that was stopped is not resumed:\n%s", plan)
	}
	out := run(t, dir, binary, "-r", "-u")
	finished := 0
	for _, r := range records(t, dir) {
		if r.Status != "finished" {
			continue
		}
		finished++
		if accuracy := r.Results["test"]["accuracy"]; accuracy < 0.9 || accuracy > 1 {
			t.Errorf("%s: accuracy on the test set is %v", r.Version, accuracy)
		}
		if r.Version == "hidden=16" && r.Steps.Before != 100 {
			t.Errorf("%s goes on at step %d, want 100", r.Version, r.Steps.Before)
		}
	}
	if finished != 3 {
		t.Fatalf("%d runs have finished, want 3\n%s", finished, out)
	}
	if again := run(t, dir, binary, "-r", "-u"); !strings.Contains(again, "0 finished, 0 failed, 3 skipped") {
		t.Errorf("the second execution has something to do:\n%s", again)
	}
}

// Versions that are forked from a process that has imported scikit-learn learn what fresh ones do, to the last digit, where the
// script seeds, and each something else where it does not.
func TestScikitLearnForked(t *testing.T) {
	for _, seed := range []string{"import", "hook", "none", "generator"} {
		t.Setenv("SEED", seed)
		var learned []map[string]float64
		for _, start := range []string{"fork", "fresh"} {
			dir := project(t, map[string]string{"seeded.py": read(t, "testdata/seeded.py")})
			write(t, filepath.Join(dir, "mlp.config"), "[MLP]\npython=/usr/bin/python3\npython_start="+start+"\n")
			out := run(t, dir, binary, "-r")
			if refused := strings.Contains(out, "a generator of numpy.random without a seed"); refused != (seed == "generator" && start == "fork") ||
				!refused && strings.Contains(out, "start fresh") {
				t.Errorf("%s, %s:\n%s", seed, start, out)
			}
			for _, r := range records(t, dir) {
				learned = append(learned, r.Results["test"])
			}
		}
		if len(learned) != 4 {
			t.Fatalf("%d runs are recorded, want 4", len(learned))
		}
		for i, one := range learned {
			for _, other := range learned[:i] {
				for _, name := range []string{"random", "sgd", "logistic", "forest"} {
					seeded := seed == "import" || seed == "hook"
					if same := one[name] == other[name]; seeded && !same || !seeded && same && name != "forest" {
						t.Errorf("%s: %s is %v and %v", seed, name, one[name], other[name])
					}
				}
			}
		}
	}
}

// The commit of a real repository, and whether its files differ from it; a model that git does not know is not in it, and
// what the pipeline writes makes no difference.
func TestGit(t *testing.T) {
	dir := project(t, map[string]string{"quick": read(t, "testdata/quick.sh")})
	git := func(args ...string) string {
		return run(t, dir, "git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.org"}, args...)...)
	}
	git("init", "-q")
	git("add", "models/quick")
	git("commit", "-q", "-m", "first")
	commit := strings.TrimSpace(git("rev-parse", "HEAD"))
	check := func(when string, dirty bool) {
		t.Helper()
		before := len(records(t, dir))
		run(t, dir, binary, "-r")
		for _, r := range records(t, dir)[before:] {
			if r.Code.Git == nil || r.Code.Git.Commit != commit || r.Code.Git.Dirty != dirty {
				t.Errorf("%s: git is %+v, want commit %s, dirty %v", when, r.Code.Git, commit, dirty)
			}
		}
	}
	check("as committed", false)
	git("add", "-f", "models/outputs")
	git("commit", "-q", "-m", "second")
	commit = strings.TrimSpace(git("rev-parse", "HEAD"))
	check("outputs committed", false)
	write(t, filepath.Join(dir, "models/quick"), read(t, "testdata/quick.sh")+"# changed\n")
	check("changed", true)
	git("checkout", "-q", "models/quick")
	write(t, filepath.Join(dir, "models/new"), read(t, "testdata/quick.sh"))
	write(t, filepath.Join(dir, "models.config"), "[MLP]\nuse_blacklist=False\n[WHITELISTED_MODELS]\nnew\n")
	check("untracked", true)
}

// A terminal is a window of tmux with a shell in it.
type terminal struct {
	t           *testing.T
	dir, socket string
}

func newTerminal(t *testing.T, dir string) *terminal {
	term := &terminal{t, dir, filepath.Join(t.TempDir(), "tmux")}
	term.tmux("-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "30", "env TERM=xterm PS1=prompt: sh")
	t.Cleanup(func() { exec.Command("tmux", "-S", term.socket, "kill-server").Run() })
	return term
}

func (term *terminal) tmux(args ...string) string {
	return run(term.t, term.dir, "tmux", append([]string{"-S", term.socket}, args...)...)
}

func (term *terminal) keys(keys ...string) { term.tmux(append([]string{"send-keys"}, keys...)...) }

// all is what the terminal shows and what has scrolled out of it.
func (term *terminal) all() string { return term.tmux("capture-pane", "-p", "-S", "-") }

// until waits until all that the terminal shows is right.
func (term *terminal) until(what string, right func(all string) bool) string {
	term.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		all := term.all()
		if right(all) {
			return all
		}
		if time.Now().After(deadline) {
			term.t.Fatalf("the terminal never has %s:\n%s", what, all)
		}
	}
}

// seen waits until the terminal shows pattern.
func (term *terminal) seen(pattern string) string {
	term.t.Helper()
	return term.until(pattern, regexp.MustCompile(pattern).MatchString)
}

// Ctrl-C on a terminal: each step says what it does, and nothing is left behind.
func TestTerminalStop(t *testing.T) {
	dir := project(t, map[string]string{"slow": read(t, "testdata/slow.sh")})
	term := newTerminal(t, dir)
	term.keys(binary+" -r; echo status $?", "Enter")
	term.seen(`(?m)^slow/one  train epoch \d+/100000 .* left .*it/s\n0 of 4 done, 1 running`)
	term.keys("C-c")
	term.seen(`will finish, nothing else starts. Ctrl-C again`)
	term.seen(`(?m)^finishing what runs \(Ctrl-C: stop it now\); 0 of 4 done, 1 running`)
	term.keys("C-c")
	screen := term.seen(`status 130`)
	if !strings.Contains(screen, "slow/one: interrupted at step") {
		t.Errorf("the run is not interrupted:\n%s", screen)
	}
	nothingLeft(t, dir, screen)
}

// nothingLeft checks that nothing of an execution is left, on the terminal or as a process.
func nothingLeft(t *testing.T, dir, screen string) {
	t.Helper()
	if left := regexp.MustCompile(`(?m)^.*(train epoch|of 4 done|\^C).*$`).FindString(screen); left != "" {
		t.Errorf("this is left behind: %q on\n%s", left, screen)
	}
	if left, _ := exec.Command("pgrep", "-f", filepath.Join(dir, "models/slow")).Output(); len(left) > 0 {
		t.Errorf("the model is still there: %s", left)
	}
}

// Live lines of four versions in a window that becomes smaller and larger, is stopped by Ctrl-Z, and goes on: they are there
// once, nothing of them gets among the lines above, and each of those is there once.
func TestTerminalLiveLines(t *testing.T) {
	dir := project(t, map[string]string{"slow": read(t, "testdata/slow.sh")})
	term := newTerminal(t, dir)
	term.keys(binary+" -r -j 4", "Enter")
	live := regexp.MustCompile(`(?m)^slow/(?:one|two|three|four) +train epoch (\d+)/`)
	queue := regexp.MustCompile(`(?m)^0 of 4 done, 4 running`)
	before := 0
	inOrder := func(all string) bool { // and later than before
		lines := live.FindAllStringSubmatch(all, -1)
		if len(lines) != 4 || len(queue.FindAllString(all, -1)) != 1 {
			return false
		}
		epoch, _ := strconv.Atoi(lines[0][1])
		if epoch <= before+10 {
			return false
		}
		before = epoch
		return true
	}
	term.until("four versions", inOrder)
	for _, size := range [][2]string{{"60", "30"}, {"41", "30"}, {"120", "30"}, {"50", "12"}, {"200", "40"}, {"41", "20"}, {"80", "30"}, {"43", "10"}, {"100", "30"}} {
		term.tmux("resize-window", "-x", size[0], "-y", size[1])
		term.until("the lines at "+strings.Join(size[:], "x"), inOrder)
	}
	// Faster than they are drawn.
	for width := 100; width > 50; width -= 3 {
		term.tmux("resize-window", "-x", strconv.Itoa(width), "-y", "30")
	}
	term.until("the lines after many sizes", inOrder)
	term.tmux("resize-window", "-x", "100", "-y", "4")
	term.seen(`2 not shown`)
	term.tmux("resize-window", "-x", "100", "-y", "30")
	term.until("four versions", inOrder)

	term.keys("C-z")
	if screen := term.seen(`Stopped`); live.MatchString(screen) || queue.MatchString(screen) {
		t.Errorf("Ctrl-Z leaves something behind:\n%s", screen)
	}
	term.keys("fg", "Enter")
	term.until("four versions", inOrder)

	term.keys("C-c")
	term.seen(`nothing else starts`)
	term.keys("C-c")
	term.seen(`to save and stop`)
	screen := term.seen(`stopped before all was done\n(.*\n)*prompt:`)
	nothingLeft(t, dir, screen)
	for _, version := range []string{"one", "two", "three", "four"} {
		if n := strings.Count(screen, "slow/"+version+": started"); n != 1 {
			t.Errorf("slow/%s: started is there %d times:\n%s", version, n, screen)
		}
	}
}
