//go:build real

package real

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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

// A terminal: bars while it runs, and the steps of Ctrl-C.
func TestTerminal(t *testing.T) {
	dir := project(t, map[string]string{"slow": read(t, "testdata/slow.sh")})
	socket := filepath.Join(t.TempDir(), "tmux")
	tmux := func(args ...string) string { return run(t, dir, "tmux", append([]string{"-S", socket}, args...)...) }
	tmux("-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "30", "env TERM=xterm sh")
	t.Cleanup(func() { exec.Command("tmux", "-S", socket, "kill-server").Run() })
	// seen waits until the screen shows pattern.
	seen := func(pattern string) string {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
			screen := tmux("capture-pane", "-p")
			if regexp.MustCompile(pattern).MatchString(screen) {
				return screen
			}
			if time.Now().After(deadline) {
				t.Fatalf("the terminal does not show %q:\n%s", pattern, screen)
			}
		}
	}
	tmux("send-keys", binary+" -r; echo status $?", "Enter")
	seen(`slow/only\s+\[[=>-]+\] \d+/100000`)
	tmux("send-keys", "C-c")
	seen(`will finish, nothing else starts. Ctrl-C again`)
	tmux("send-keys", "C-c")
	screen := seen(`status 130`)
	if !strings.Contains(screen, "slow/only: interrupted at step") {
		t.Errorf("the run is not interrupted:\n%s", screen)
	}
	if left, _ := exec.Command("pgrep", "-f", filepath.Join(dir, "models/slow")).Output(); len(left) > 0 {
		t.Errorf("the model is still there: %s", left)
	}
}
