//go:build linux

package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// pythonPeak is the memory in kB that the pipeline may take, whatever a script does: several times of what it does take.
const pythonPeak = 64 << 10

// A pythonFault is what testdata/misbehaves.py does in a hook, and what is recorded of it.
type pythonFault struct {
	what   string // HOOK WORD, the name of the version
	cause  string // a regular expression; the run finishes where it is empty
	phase  string
	exit   string // any where it is empty
	record string // a regular expression for what else is to be found in run.json or in the log
}

const early = "it exited with status 0 in %s before the run had ended"

// pythonDeaths end the process in the middle of a hook.
func pythonDeaths() (faults []pythonFault) {
	for _, hook := range []struct{ name, is, phase string }{
		{"clean", "clean_model_dir", "clean"},
		{"setup", "pre_execution_hook", "setup"},
		{"count", "get_train_sample_count", "setup"},
		{"trained", "get_trained_step_count", "setup"},
		{"input", "get_train_input", "train"},
		{"train", "train_model", "train"},
		{"evaluate", "evaluate_model", "evaluate_train"},
		{"test", "evaluate_model", "evaluate_test"},
		{"summary", "get_dataloader_summery", "evaluate_test"},
	} {
		in := strings.ReplaceAll(hook.phase, "_", " on ")
		words := []pythonFault{
			{"error", hook.is + ": ValueError: an error", hook.phase, "exit status 1", `in f\\n.*ValueError`},
			{"exit0", hook.is + `: sys\.exit\(0\)`, hook.phase, "exit status 1", ""},
			{"os_exit0", fmt.Sprintf(early, in), hook.phase, "exit status 0", ""},
			// The kernel counts whom it kills for want of memory for the whole machine.
			{"kill", `(killed by signal 9 \(killed\)|killed by the kernel: out of memory) in ` + in, hook.phase, "", ""},
			{"exit3", hook.is + `: sys\.exit\(3\)`, hook.phase, "exit status 1", ""},
			{"exits_text", hook.is + `: sys\.exit\('a text'\)`, hook.phase, "exit status 1", ""},
			{"keyboard", hook.is + ": KeyboardInterrupt", hook.phase, "exit status 1", ""},
			{"generator", hook.is + ": GeneratorExit", hook.phase, "exit status 1", ""},
			{"base", hook.is + `: m\.Own: not an Exception`, hook.phase, "exit status 1", ""},
			{"stop", hook.is + ": StopIteration", hook.phase, "exit status 1", ""},
			{"memory", hook.is + ": MemoryError", hook.phase, "exit status 1", ""},
			{"os_exit3", "exit status 3 in " + in, hook.phase, "exit status 3", ""},
			{"abort", `killed by signal 6 \(aborted\) in ` + in + ", Fatal Python error: Aborted", hook.phase, "killed by signal 6 (aborted)", ""},
			{"segfault", `killed by signal 11 \(segmentation fault\) in ` + in + ", Fatal Python error: Segmentation fault", hook.phase,
				"killed by signal 11 (segmentation fault)", `"  File .* in segfault"`},
			{"recursion", hook.is + ": RecursionError: maximum recursion depth exceeded", hook.phase, "exit status 1", ""},
			{"deep", hook.is + ": RecursionError.*|killed by signal 11 .*", hook.phase, "", ""},
			{"thread_exits", "exit status 3 in " + in, hook.phase, "exit status 3", ""},
			{"alarm", `killed by signal 14 \(alarm clock\) in ` + in, hook.phase, "killed by signal 14 (alarm clock)", ""},
		}
		if hook.name != "train" {
			words = words[:sized(4, len(words))]
		}
		for _, f := range words {
			f.what = hook.name + " " + f.what
			faults = append(faults, f)
		}
	}
	return faults
}

// pythonHarm is what a script does to itself, to Python and to its processes.
var pythonHarm = []pythonFault{
	// descriptors and the protocol
	{"train closes", "", "", "", ""},
	{"train closes_all", fmt.Sprintf(early, "train"), "train", "exit status 0", ""},
	{"train closes_stdout", "", "", "", ""},
	{"train few_files", "", "", "", ""},
	{"train few_files_fails", "train_model: ValueError: an error", "train", "exit status 1", ""},
	{"train garbage", "", "", "", "WARN - m.py/train garbage: bad message"},
	{"train half", fmt.Sprintf(early, "train"), "train", "exit status 0", "WARN - m.py/train half: bad message"},
	{"train half_goes_on", "", "", "", "WARN - m.py/train half_goes_on: bad message"},
	// processes and threads
	{"train child_holds", "", "", "", ""},
	{"train child_escapes", "", "", "", ""},
	{"train child_without_handlers", "", "", "", ""},
	{"train both_go_on", "", "", "", ""},
	{"train both_without_handlers", "", "", "", ""},
	{"train pool", "", "", "", ""},
	{"train forkserver", "", "", "", ""},
	{"train spawn", "", "", "", ""},
	{"train executor", "", "", "", ""},
	{"train execs", fmt.Sprintf(early, "train"), "train", "exit status 0", "INFO - m.py/train execs: something else"},
	{"train execs_long", "it ended the conversation in train before the run had ended, and lived on", "train", "", ""},
	{"train thread_raises", "", "", "", "INFO - m.py/train thread_raises: ValueError: in a thread"},
	{"train thread_stays", "", "", "", ""},
	{"train daemon_prints", "", "", "", ""},
	{"train no_threads", "", "", "", ""},
	{"train asyncs", "train_model: ValueError: in a coroutine", "train", "exit status 1", ""},
	// Python itself
	{"train replaces", "", "", "", ""},
	{"train patches", "", "", "", ""},
	{"train patches_and_fails", "train_model: ValueError: an error", "train", "exit status 1", ""},
	{"train mocks", "", "", "", ""},
	{"train clears", "", "", "", ""},
	{"train clears_and_fails", "train_model: ValueError: an error", "train", "exit status 1", ""},
	{"train low_recursion", "", "", "", ""},
	{"train low_recursion_fails", "train_model: ValueError: an error", "train", "exit status 1", ""},
	{"train traces", "train_model: RuntimeError: trace", "train", "exit status 1", ""},
	{"train limited", "train_model: MemoryError", "train", "exit status 1", ""},
	// files
	{"train chdir", "", "", "", ""},
	{"train deletes_dir", "", "", "", ""},
	{"train file_for_dir", "", "", "", ""},
	{"train fsize", "", "", "", ""},
	{"train frozen", "", "", "", ""},
	// the end
	{"train atexit_error", "", "", "", "INFO - m.py/train atexit_error: ValueError: in a thread"},
	{"train atexit_exits", "", "", "", ""},
	{"train atexit_os_exit3", "it said that it had finished, but then: exit status 3", "evaluate_test", "exit status 3", ""},
	{"train atexit_sleep", "", "", "", ""},
	{"train atexit_segfault", "it said that it had finished, but then: killed by signal 11 .*", "evaluate_test", "", ""},
	{"train excepthook", "", "", "", ""},
	{"train del_raises", "", "", "", "INFO - m.py/train del_raises: ValueError: in a thread"},
	{"train del_exits", "it said that it had finished, but then: exit status 3", "evaluate_test", "exit status 3", ""},
	{"train del_hangs", "", "", "", ""},
	{"train big", "", "", "", ""},
	// what it says
	{"train odd_text", "", "", "", `INFO - m.py/train odd_text: surrogate \\ud800 \\udcff`},
	{"train odd_error", `(?s)train_model: ValueError: surrogate .* nul \x00 escape \x1b\[31m\nsecond .*`, "train", "exit status 1", ""},
	{"train error_without_text", `train_model: .*Bad: \(its text cannot be told\)`, "train", "exit status 1", ""},
	{"train exit_without_text", `train_model: SystemExit: \(its text cannot be told\)`, "train", "exit status 1", ""},
	{"train chained", "train_model: ValueError: 4999", "train", "exit status 1", `"trace": ".*m\.py`},
	{"train long_error 4000000", "train_model: ValueError: e{500}e+", "train", "exit status 1", ""},
	{"test odd_metrics", "", "", "", "INFO - m.py/test odd_metrics: refused complex TypeError"},
	{"test returns_list", "", "", "", ""},
	{"train returns_nothing", "", "", "", "WARN - m.py/train returns_nothing: evaluate_model returned no results"},
	{"train returns_generator", "", "", "", "WARN - m.py/train returns_generator: evaluate_model returned no results"},
	{"train returns_empty", "", "", "", "WARN - m.py/train returns_empty: evaluate_model returned no results"},
}

// pythonHangs are for timeout. All that can be asked to stop says where it hung.
func pythonHangs() (faults []pythonFault) {
	const where = `"trace": "When it was asked to stop \(most recent call last\):\\n.* in `
	for _, hook := range []struct{ name, phase string }{
		{"clean", "clean"}, {"setup", "setup"}, {"count", "setup"}, {"trained", "setup"}, {"input", "train"},
		{"evaluate", "evaluate_train"}, {"test", "evaluate_test"}, {"summary", "evaluate_test"},
	} {
		faults = append(faults, pythonFault{hook.name + " sleep", "", hook.phase, "exit status 0", where + `sleep\\n"`})
		if *full {
			faults = append(faults, pythonFault{hook.name + " loop", "", hook.phase, "exit status 0", where + `loop\\n"`})
		}
	}
	for _, word := range []string{"sleep", "lock", "asyncs_hang"} {
		faults = append(faults, pythonFault{"train " + word, "", "train", "exit status 0", where})
	}
	for _, word := range []string{"call", "ignores", "handles", "blocks", "swallows"} {
		faults = append(faults, pythonFault{"train " + word, "", "train", "", `"exit": "killed by`})
	}
	for i := range faults {
		faults[i].cause = `timed out after 20s \(timeout in mlp\.config\)`
	}
	return faults
}

// misbehaves makes the model m.py, with a version for each fault and one more, and next.py after it.
func (p *project) misbehaves(faults []pythonFault) {
	p.Helper()
	source, err := os.ReadFile("testdata/misbehaves.py")
	p.check(err)
	var versions strings.Builder
	for _, f := range faults {
		fmt.Fprintln(&versions, f.what)
	}
	p.write("models/m.py", string(source))
	p.write("models/m.py.versions", versions.String()+"fine\n")
	p.write("models/next.py", string(source))
	p.write("models/next.py.versions", "fine\n")
	p.queue("m.py", "next.py")
}

// A pythonRun is what run.json says of a run.
type pythonRun struct {
	Model, Version, Status string
	Failure                struct{ Cause, Phase, Exit string }
	text                   string
}

func (p *project) pythonRuns() map[string]pythonRun {
	p.Helper()
	files, err := filepath.Glob(p.outputs("runs/*/run.json"))
	p.check(err)
	runs := map[string]pythonRun{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		p.check(err)
		r := pythonRun{text: string(text)}
		if err := json.Unmarshal(text, &r); err != nil {
			p.Errorf("%s: %v", file, err)
		}
		name := r.Model + "/" + r.Version
		if _, twice := runs[name]; twice {
			p.Errorf("%s ran twice", name)
		}
		runs[name] = r
	}
	return runs
}

// pythonOutcome checks what is recorded of each fault; that what came after it ran; and that the pipeline itself is well.
func (p *project) pythonOutcome(c *call, faults []pythonFault) {
	p.Helper()
	p.until("no process is left", func() bool { return len(p.processes()) == 0 })
	runs := p.pythonRuns()
	log := p.pythonLog()
	journal := map[string]event{}
	for _, e := range p.journal(p.host) {
		journal[e.Model+"/"+e.Version] = e
	}
	finished := -1 // the last version is no fault
	for _, f := range append(faults[:len(faults):len(faults)], pythonFault{what: "fine"}) {
		r, line := runs["m.py/"+f.what], journal["m.py/"+f.what]
		if f.cause == "" {
			finished++
			if r.Status != "finished" || line.Event != "finished" {
				p.Errorf("%s: %s, %q; the journal says %s", f.what, r.Status, r.Failure.Cause, line.Event)
			}
		} else if r.Status != "failed" || line.Event != "failed" || !regexp.MustCompile("^("+f.cause+")$").MatchString(r.Failure.Cause) ||
			r.Failure.Phase != f.phase || f.exit != "" && r.Failure.Exit != f.exit {
			p.Errorf("%s: %s, %+v; the journal says %s; it should have failed: %s, %s, %s", f.what, r.Status, r.Failure, line.Event, f.cause, f.phase, f.exit)
		}
		if f.record != "" && !regexp.MustCompile(f.record).MatchString(r.text+log) {
			p.Errorf("%s: neither run.json nor the log has %s\n%s", f.what, f.record, r.text)
		}
	}
	if next := runs["next.py/fine"]; next.Status != "finished" {
		p.Errorf("next.py: %s, %q", next.Status, next.Failure.Cause)
	}
	if n := len(p.blocks(p.host)); n != finished+2 {
		p.Errorf("%d blocks of %d finished runs", n, finished+2)
	}
	p.pythonWell(c)
	p.Logf("%d versions that misbehave, %d of them finished; peak %d kB", len(faults), finished, c.peak)
}

// pythonWell checks that what the pipeline has shown can be read, and that its memory stayed flat.
func (p *project) pythonWell(c *call) {
	p.Helper()
	for stream, text := range map[string]string{"stdout": c.stdout.String(), "stderr": c.stderr.String()} {
		p.pythonReadable(stream, text)
		if strings.Contains(text, "goroutine ") {
			p.Errorf("%s has a stack of the pipeline:\n%s", stream, text)
		}
	}
	if c.peak == 0 || c.peak > pythonPeak {
		p.Errorf("the pipeline took %d kB", c.peak)
	}
}

// pythonLog returns the log, each line of which has to be one.
func (p *project) pythonLog() string {
	p.Helper()
	text, err := os.ReadFile(p.outputs("log-" + p.host))
	p.check(err)
	p.pythonReadable("log", string(text))
	record := regexp.MustCompile(`^\[\d{4}-\d\d-\d\dT[^]]+\]::(DEBUG|INFO|WARN|ERROR) - `)
	for line := range strings.Lines(string(text)) {
		if !record.MatchString(line) || !strings.HasSuffix(line, "\n") {
			p.Errorf("the log has a line that is none: %.200q", line)
		}
	}
	return string(text)
}

// pythonReadable checks that there is nothing in text that a terminal would act upon.
func (p *project) pythonReadable(name, text string) {
	p.Helper()
	bad := strings.IndexFunc(text, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 })
	if bad >= 0 || !utf8.ValidString(text) {
		p.Errorf("%s cannot be read: %q", name, text[max(0, bad-100):min(len(text), max(0, bad)+100)])
	}
}

func TestPythonModelsThatDie(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	faults := pythonDeaths()
	p.misbehaves(faults)
	p.pythonOutcome(p.run(1, "-r", "-u"), faults)
}

func TestPythonModelsThatHarmThemselves(t *testing.T) {
	t.Parallel()
	p := newProject(t, "grace=5s") // it is waited for where a process lives on
	p.misbehaves(pythonHarm)
	p.pythonOutcome(p.run(1, "-r", "-u", "-j", "6"), pythonHarm)
	text, err := os.ReadFile(p.outputs("model_ckpts/m.py-train-frozen/text"))
	if err != nil || string(text) != "text" {
		t.Errorf("a file that was open at the end: %q, %v", text, err)
	}
	pid, err := os.ReadFile(p.outputs("model_ckpts/m.py-train-child-escapes/pid"))
	p.check(err)
	p.until("the child that escaped is gone", func() bool {
		line, err := os.ReadFile("/proc/" + string(pid) + "/cmdline")
		return err != nil || !strings.HasPrefix(string(line), "sleep")
	})
}

func TestPythonModelsThatHang(t *testing.T) {
	t.Parallel()
	p := newProject(t, "timeout=20s", "grace=1s")
	faults := pythonHangs()
	p.misbehaves(faults)
	c := p.run(1, "-r", "-u", "-j", fmt.Sprint(len(faults)))
	p.pythonOutcome(c, faults)
	shown := regexp.MustCompile(`m.py/train lock failed: timed out after 20s .*\n    When it was asked to stop \(most recent call last\):\n(      File .*\n)*      File ".*/m.py", line \d+, in lock\n`)
	if !shown.MatchString(c.stderr.String()) {
		t.Errorf("it is not shown where it hung:\n%s", c.stderr.String())
	}
}

// A script that changes itself goes on as it is now, which is said. One that is gone when the next version is to run fails
// that, and nothing else.
func TestPythonModelThatChangesItself(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	faults := []pythonFault{{"train changes_source", "", "", "", "models/m.py has changed since the versions were listed; this version runs it as it is now"}}
	p.misbehaves(faults)
	p.pythonOutcome(p.run(0, "-r", "-u"), faults)

	p = newProject(t)
	p.misbehaves([]pythonFault{{what: "train deletes_source"}})
	p.run(1, "-r", "-u")
	runs := p.pythonRuns()
	if r := runs["m.py/train deletes_source"]; r.Status != "finished" {
		t.Errorf("%+v", r)
	}
	if r := runs["m.py/fine"]; r.Status != "failed" || !regexp.MustCompile(`^import: FileNotFoundError: .*m\.py`).MatchString(r.Failure.Cause) {
		t.Errorf("%+v", r)
	}
	if r := runs["next.py/fine"]; r.Status != "finished" {
		t.Errorf("%+v", r)
	}
}

func TestPythonModelThatIsKilledForMemory(t *testing.T) {
	if !*full {
		t.Skip("the kernel counts whom it kills for want of memory for the whole machine, and tests of other packages look at that")
	}
	group := pythonMemoryGroup(t)
	p := newProject(t)
	faults := []pythonFault{{"train oom", "killed by the kernel: out of memory in train", "train", "killed by the kernel: out of memory", ""}}
	p.misbehaves(faults)
	p.write("models/m.py.cgroup", group)
	p.pythonOutcome(p.run(1, "-r", "-u"), faults)
}

// pythonMemoryGroup makes a cgroup with 64 MiB of memory below that of this process.
func pythonMemoryGroup(t *testing.T) string {
	cgroups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(cgroups)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		root, limit := "", ""
		switch {
		case fields[1] == "memory":
			root, limit = "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
		case fields[0] == "0":
			root, limit = "/sys/fs/cgroup", "memory.max"
		default:
			continue
		}
		for _, parent := range []string{fields[2], ""} {
			group, err := os.MkdirTemp(filepath.Join(root, parent), "mlpipeline-faults-")
			if err != nil {
				continue
			}
			t.Cleanup(func() { os.Remove(group) })
			if os.WriteFile(filepath.Join(group, limit), []byte("67108864"), 0o600) == nil {
				os.WriteFile(filepath.Join(group, "memory.swap.max"), []byte("0"), 0o600) // not there in every kernel
				return group
			}
		}
	}
	t.Skip("no memory cgroup can be made here")
	return ""
}

// Whatever a script floods, and wherever, the memory of the pipeline stays flat, and nothing of it is lost.
func TestPythonModelsThatFlood(t *testing.T) {
	t.Parallel()
	const MB = 1 << 20
	for _, flood := range []struct {
		what   string
		size   int
		file   string // of the record
		needle string // that is to be found in it
		each   int    // once in so many bytes
	}{
		{"train one_line", sized(4*MB, 1024*MB), "output.log", "x", 1},
		{"train lines", sized(4*MB, 1024*MB), "output.log", "a line of output that is as long as lines are, 64 bytes or so..\n", 64},
		{"train stderr_line", sized(4*MB, 256*MB), "output.log", "y", 1},
		{"train descriptor", sized(MB, 64*MB), "", "", 0},
		{"train subprocesses", sized(4*MB, 256*MB), "output.log", "z", 1},
		{"train threads", sized(MB, 64*MB), "output.log", " tttttttttttttt", 128},
		{"train logging", sized(MB, 64*MB), "output.log", "WARNING:root:w", 128},
		{"train logs", sized(4*MB, 256*MB), "output.log", "m", 1},
		{"train metrics", sized(8*MB, 1024*MB), "metrics.jsonl", `"flood"`, 100}, // 10 million
		{"train names", sized(8*MB, 1024*MB), "metrics.jsonl", `"name `, 1024},   // a million
		{"train long_message", sized(4*MB, 256*MB), "", "", 0},
		{"train long_summary", sized(4*MB, 256*MB), "", "", 0},
		{"test long_text", sized(4*MB, 256*MB), "", "", 0},
		{"test long_list", sized(4*MB, 128*MB), "", "", 0},
	} {
		t.Run(strings.ReplaceAll(flood.what, " ", "-"), func(t *testing.T) {
			p := newProject(t)
			p.misbehaves([]pythonFault{{what: fmt.Sprintf("%s %d", flood.what, flood.size)}})
			c := p.start("-r", "-u")
			<-c.ended // longer than patience
			if status := c.wait(); status != 0 || len(p.blocks(p.host)) != 3 {
				t.Errorf("exit status %d, %d blocks", status, len(p.blocks(p.host)))
			}
			if flood.each > 0 {
				if n := p.pythonCount(flood.file, flood.needle); n < flood.size/flood.each {
					t.Errorf("%s has %q %d times, not %d", flood.file, flood.needle, n, flood.size/flood.each)
				}
			}
			p.pythonWell(c)
			t.Logf("%d MB: peak %d kB", flood.size/MB, c.peak)
		})
	}
}

// pythonCount counts how often a file of the records has a text. It may be larger than the memory.
func (p *project) pythonCount(name, text string) (n int) {
	p.Helper()
	files, err := filepath.Glob(p.outputs("runs/*/" + name))
	p.check(err)
	buf := make([]byte, 1<<20)
	for _, path := range files {
		file, err := os.Open(path)
		p.check(err)
		kept := 0 // bytes at the start of buf that have been looked at, but may begin a text
		for err == nil {
			var got int
			got, err = io.ReadFull(file, buf[kept:])
			n += bytes.Count(buf[:kept+got], []byte(text))
			kept = copy(buf, buf[max(0, kept+got-len(text)+1):kept+got])
		}
		file.Close()
	}
	return n
}

const pythonGood = `from mlpipeline.helper import DataLoader, Model
from mlpipeline.utils import *


class Data(DataLoader):
    def get_train_input(self, mode=None): pass
    def get_test_input(self): pass
    def get_train_sample_count(self): return 1
    def get_test_sample_count(self): return 1


class M(Model):
    def pre_execution_hook(self, version, model_dir): pass
    def train_model(self, input_fn, steps): pass
    def evaluate_model(self, input_fn, steps): return {"x": 1}


v = Versions(0.1, Data(), 1, 1)
v.addV("v")
MODEL = M(v)
`

// Of versions that cannot be told each fails alone, and what is told of the others is the same at each start.
func TestPythonVersionsThatCannotBeTold(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.write("models/good.py", pythonGood)
	p.write("models/m.py", `
from good import *
class Silent:
    def __repr__(self): raise RuntimeError("no text")
cycle = []
cycle.append(cycle)
graph = [{} for _ in range(30)]
for node in graph: node.update(enumerate(graph))
for name, value in {
    "function": len, "lambda": lambda: 1, "object": object(), "silent": Silent(), "cycle": cycle, "set": {"c", "b", "a"},
    "bytes": b"\xff", "keys": {1: 2, None: 3, (1, 2): 4, 1.5: 1}, "nan": [float("nan"), float("-inf")], "class": Data,
    "surrogate": "\ud800 \0 \x1b", "huge": 10**5000, "complex": 1j, "generator": (x for x in "a"),
    "range": range(10**6), "list": [0] * 300000, "dict": dict.fromkeys(range(300000)), "graph": graph, "long": "x" * 10**6,
}.items():
    v.addV(name, custom_paramters={"p": value}, model_dir_suffix=name)
for i, name in enumerate(["", "line\nbreak", "\x1b[31m", "nul\0", "n" * 2000000, "\ud800", "\udcff", "../../x", ".", "-r", 1, 1.5]):
    v.addV(name, model_dir_suffix=str(i))
v.versions["number"] = 5
MODEL = M(v)
`)
	p.queue("m.py", "good.py")
	c := p.run(1, "-r", "-u")
	p.pythonWell(c)
	const tooLong, control = "its parameters are longer than 500000 bytes", "NAME has control characters in it"
	refused := map[string]string{
		"list": tooLong, "dict": tooLong, "graph": tooLong, "long": tooLong,
		"(no name)": "NAME is missing", "line\nbreak": control, "\x1b[31m": control, "nul\x00": control,
		strings.Repeat("n", 100): "it cannot be told: a version of 2000146 bytes; the protocol allows 1048576",
		"number":                 "its parameters cannot be told: AttributeError: 'int' object has no attribute 'get'",
	}
	runs := p.pythonRuns()
	for name, r := range runs {
		cause, ok := refused[r.Version]
		if ok != (r.Status == "failed") || r.Failure.Cause != cause {
			t.Errorf("%q: %s, %q", name, r.Status, r.Failure.Cause)
		}
	}
	t.Logf("%d versions; peak %d kB", len(runs), c.peak)
	c = p.run(0, "-r", "-u", "--dry-run")
	if strings.Contains(c.stdout.String(), "stale") {
		t.Errorf("not the same is told twice:\n%s", c.stdout.String())
	}
	p.pythonLog()
	p.pythonWell(c)
}

// A model that cannot be imported, or cannot tell its versions, fails with its cause, and the models after it run.
func TestPythonModelsThatCannotBeImported(t *testing.T) {
	t.Parallel()
	p := newProject(t, "grace=1s")
	const died = "it died before it told its versions: "
	models := []struct{ name, cause, source string }{
		{"os_exit0", died + "exit status 0", "import os; os._exit(0)"},
		{"exit0", `import: sys\.exit\(0\)`, "import sys; sys.exit(0)"},
		{"text", `import: sys\.exit\('text'\)`, "import sys; sys.exit('text')"},
		{"error", "import: ValueError: at import", "raise ValueError('at import')"},
		{"syntax", `import: SyntaxError: .* \(syntax\.py, line 2\)`, "x = 1\ndef f(:"},
		{"nul", "import: (Value|Syntax)Error: source code (string )?cannot contain null bytes.*", "x = 1\x00"},
		{"latin", "import: SyntaxError: .*", "MODEL = 'caf\xe9'"},
		{"recursion", "import: RecursionError: maximum recursion depth exceeded", "def f(): f()\nf()"},
		{"absent", "import: ModuleNotFoundError: No module named 'nonsuch'", "import nonsuch"},
		{"segfault", died + `killed by signal 11 \(segmentation fault\), Fatal Python error: Segmentation fault`, "import ctypes; ctypes.string_at(0)"},
		{"kill", died + `killed by .*`, "import os; os.kill(os.getpid(), 9)"},
		{"keyboard", "import: KeyboardInterrupt", "raise KeyboardInterrupt"},
		{"base", `import: base\.B: x`, "class B(BaseException): pass\nraise B('x')"},
		{"guard", "it has no MODEL: .*", "if __name__ == '__main__':\n    MODEL = 1"},
		{"execs", died + "exit status 0", "import os; os.execv('/bin/true', ['true'])"},
		{"closes", died + "exit status 1", "import os; os.closerange(0, 4096)"},
		{"thread", "import: ValueError: with a thread", "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()\nraise ValueError('with a thread')"},
		{"child", "import: ValueError: with a child", "import os, time\nif os.fork() == 0: time.sleep(600)\nraise ValueError('with a child')"},
		{"list", died + "exit status 0", "import os\nfrom good import *\nclass D(dict):\n    def items(self): os._exit(0)\nv.versions = D(v.versions)\nMODEL = M(v)"},
		{"parameter", died + "exit status 0", "import os\nfrom good import *\nclass R:\n    def __repr__(self): os._exit(0)\nv.addV('bad', custom_paramters={'r': R()})"},
		{"property", "import: RuntimeError: no versions", "from good import *\nclass P(M):\n    @property\n    def versions(self): raise RuntimeError('no versions')\n    @versions.setter\n    def versions(self, v): pass\nMODEL = P(v)"},
	}
	names := []string{}
	for _, m := range models {
		names = append(names, m.name+".py")
		p.write("models/"+m.name+".py", m.source)
	}
	p.write("models/good.py", pythonGood)
	p.queue(append(names, "good.py")...)
	c := p.run(1, "-r", "-u")
	p.until("no process is left", func() bool { return len(p.processes()) == 0 })
	runs := p.pythonRuns()
	for _, m := range models {
		if r := runs[m.name+".py/"]; r.Status != "failed" || !regexp.MustCompile("^("+m.cause+")$").MatchString(r.Failure.Cause) {
			t.Errorf("%s: %s, %q", m.name, r.Status, r.Failure.Cause)
		}
	}
	if r := runs["good.py/v"]; r.Status != "finished" || len(p.blocks(p.host)) != 1 {
		t.Errorf("%+v", r)
	}
	p.pythonLog()
	p.pythonWell(c)
	t.Logf("%d models that cannot be imported; peak %d kB", len(models), c.peak)
}
