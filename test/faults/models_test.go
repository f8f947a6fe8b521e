//go:build linux

package faults

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// rogue makes a model that does what its name, and the names of its versions, say: see testdata/rogue. Its last version is fine.
func (p *project) rogue(name string, versions ...string) {
	p.Helper()
	p.write("models/"+name+".versions", strings.Join(append(versions[:len(versions):len(versions)], "fine"), "\n")+"\n")
	program, err := os.ReadFile(filepath.Join(built, "rogue"))
	p.check(err)
	p.check(os.WriteFile(p.path("models/"+name), program, 0o777))
}

// A record is what run.json says, as far as the tests look at it.
type record struct {
	Run, Model, Version, Status string
	Code                        struct{ Fingerprint string }
	Steps                       struct{ Before, Done, Total int64 }
	Failure                     struct{ Cause, Phase, Exit, Trace string }
	Summary                     struct{ Model string }
}

// records reads what is recorded of each version, by model/version, or by model if that could not be run at all.
func (p *project) records() map[string]record {
	p.Helper()
	records := map[string]record{}
	files, _ := filepath.Glob(p.outputs("runs/*/run.json"))
	for _, file := range files {
		var r record
		text, err := os.ReadFile(file)
		p.check(err)
		if err := json.Unmarshal(text, &r); err != nil {
			p.Fatalf("%s: %v", file, err)
		}
		records[strings.TrimSuffix(r.Model+"/"+r.Version, "/")] = r
	}
	return records
}

// logLine is a line of log-<host>: plain text, whatever a model said.
var logLine = regexp.MustCompile(`^\[\d{4}-\d\d-\d\dT[^]]+\]::(DEBUG|INFO|WARN|ERROR) - [\t\x{20}-\x{7e}\x{a0}-\x{10ffff}]*$`)

// survived checks what holds whatever models did: that records, journal and log are whole and say the same, that no process is
// left, that the pipeline has not crashed and has not needed more than so many MB. It returns the records.
func (p *project) survived(c *call, limit int) map[string]record {
	p.Helper()
	p.until("no process is left", func() bool { return len(p.processes()) == 0 })
	records := p.records()
	ends := map[string]event{}
	for _, e := range p.journal(p.host) {
		if e.Event == "finished" || e.Event == "failed" || e.Event == "interrupted" {
			ends[e.Run] = e
		}
	}
	for name, r := range records {
		if ends[r.Run].Event != r.Status {
			p.Errorf("%s: %s in its record, %q in the journal", name, r.Status, ends[r.Run].Event)
		}
	}
	p.blocks(p.host)
	log, err := os.ReadFile(p.outputs("log-" + p.host))
	p.check(err)
	bad := 0
	for line := range strings.Lines(string(log)) {
		if !logLine.MatchString(strings.TrimSuffix(line, "\n")) {
			if bad++; bad < 5 {
				p.Errorf("a line of the log: %.200q", line)
			}
		}
	}
	if text := c.stdout.String() + c.stderr.String(); strings.Contains(text, "mlpipeline/internal/") {
		p.Errorf("a stack trace of the pipeline itself:\n%s", text)
	}
	if c.peak > limit<<10 {
		p.Errorf("peak %.1f MB, more than %d", float64(c.peak)/1024, limit)
	}
	return records
}

// An outcome is what has to be recorded of a version: finished, or why it failed; exit may be left out.
type outcome struct{ word, cause, phase, exit string }

func (p *project) compare(records map[string]record, model string, outcomes []outcome) {
	p.Helper()
	for _, o := range append(outcomes, outcome{word: "fine"}) {
		name := strings.TrimSuffix(model+"/"+o.word, "/")
		r, ok := records[name]
		switch {
		case !ok:
			p.Errorf("%s: there is no record", name)
		case o.cause == "":
			if r.Status != "finished" {
				p.Errorf("%s: %s: %+v", name, r.Status, r.Failure)
			}
		case r.Status != "failed" || !regexp.MustCompile(o.cause).MatchString(r.Failure.Cause) || r.Failure.Phase != o.phase || o.exit != "" && r.Failure.Exit != o.exit:
			p.Errorf("%s: %s: %+v, want %+v", name, r.Status, r.Failure, o)
		}
	}
}

// idle is how much memory, in MB, an execution may take that has nothing large to take in. It takes about 14.
const idle = 32

func TestVersionsThatMisbehave(t *testing.T) {
	t.Parallel()
	const exit0, exit1, exit2, exit3, killed = "exit status 0", "exit status 1", "exit status 2", "exit status 3", "killed by signal 9 (killed)"
	outcomes := []outcome{
		// They die.
		{"exit:3@run", "^exit status 3$", "", exit3},
		{"exit:0@run", "^it exited with status 0 before the run had ended$", "", exit0},
		{"exit:3@clean", "^exit status 3 in clean$", "clean", exit3},
		{"exit:0@setup", "^it exited with status 0 in setup before the run had ended$", "setup", exit0},
		{"exit:3@train", "^exit status 3 in train$", "train", exit3},
		{"exit:0@train", "^it exited with status 0 in train before the run had ended$", "train", exit0},
		{"exit:0@evaluate-train", "^it exited with status 0 in evaluate on train before", "evaluate_train", exit0},
		{"exit:3@evaluate-test", "^exit status 3 in evaluate on test$", "evaluate_test", exit3},
		{"exit:0@finish", "^it exited with status 0 in finish before", "finish", exit0},
		{"exit:3@end", "^it said that it had finished, but then: exit status 3$", "finish", exit3},
		{"exit:0@end", "", "", ""},
		{"signal:9@end", "^it said that it had finished, but then: killed by signal 9", "finish", killed},
		{"panic", "^exit status 2 in train, panic: in a goroutine$", "train", exit2},
		{"panic@clean", "^exit status 2 in clean, panic: in a goroutine$", "clean", exit2},
		{"segfault", `^killed by signal 11 \(segmentation fault\) in train$`, "train", "killed by signal 11 (segmentation fault)"},
		{"signal:9", `^killed by signal 9 \(killed\) in train$`, "train", killed},
		{"signal:15", `^killed by signal 15 \(terminated\) in train$`, "train", "killed by signal 15 (terminated)"},
		{"signal:6", "^exit status 2 in train, SIGABRT: abort$", "train", exit2},
		{"group:9", `^killed by signal 9 \(killed\) in train$`, "train", killed},
		{"address-space:600", "^exit status 2 in train, fatal error: .*memory", "train", exit2},
		{"daemon", "^it exited with status 0 in train before", "train", exit0},

		// They say what nobody should say.
		{"half", "^it exited with status 0 in train before", "train", exit0},
		{"whole", "", "", ""},
		{"utf8", "^cause \ufffd\ufffd?$", "train", exit1},
		{"escapes", "cause\nof two lines", "train", exit1},
		{"say:reason", "^it gave no reason$", "train", exit0},
		{"nul", "", "", ""}, {"numbers", "", "", ""}, {"nested:9000", "", "", ""}, {"nested:100000", "", "", ""},
		{"end-twice", "", "", ""}, {"go-on:20000@end", "", "", ""},
	}
	for _, message := range strings.Fields("list string no-type type end status no-status total-0 overdone undone negative backwards no-phase new-phase other listed hello code no-version") {
		outcomes = append(outcomes, outcome{word: "say:" + message})
	}
	for _, word := range strings.Fields(`close:0 close:1 close:2 close:3 write-3 read-stdin tty limits threads:1000 children:100 child:0 child:1
		parent:15 parent:19@finish rm-dir rm-all dir-file dir-link chmod chdir`) {
		outcomes = append(outcomes, outcome{word: word})
	}
	outcomes = append(outcomes,
		outcome{"child:3", "^exit status 3 in train$", "train", exit3},
		outcome{"close:4", "^it exited with status 0 in train before", "train", exit0},
		outcome{"close:-1", "^it exited with status 0 in train before", "train", exit0})
	var words []string
	for _, o := range outcomes {
		words = append(words, o.word)
	}
	p := newProject(t, "grace=1s")
	p.rogue("rogue", words...)
	p.rogue("good")
	p.queue("rogue", "good")
	c := p.run(1, "-r")
	records := p.survived(c, idle)
	p.compare(records, "rogue", outcomes)
	p.compare(records, "good", nil)
	if r := records["rogue/say:negative"]; r.Steps.Before != 0 || r.Steps.Total != 0 {
		t.Errorf("negative counts are recorded: %+v", r.Steps)
	}
	metrics, err := os.ReadFile(p.outputs("runs/" + records["rogue/numbers"].Run + "/metrics.jsonl"))
	p.check(err)
	for _, value := range []string{`"NaN"`, `"Infinity"`, `"-Infinity"`, "-0", "1e+308", "-1e+308", "5e-324"} {
		if !strings.Contains(string(metrics), `"value":`+value+",") {
			t.Errorf("the metric of %s is lost", value)
		}
	}
	for line := range strings.Lines(string(metrics)) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
	t.Logf("%d words, peak %.1f MB", len(words), float64(c.peak)/1024)

	// Where their model directories should be there is something else now.
	c = p.run(1, "-r", "--version", "dir-file", "--version", "dir-link", "--version", "fine")
	p.compare(p.survived(c, idle), "rogue", []outcome{
		{"dir-file", "mkdir .*: not a directory$", "", ""},
		{"dir-link", "the model directory .* is a link, which is not followed: ", "", ""},
	})
}

func TestModelsThatCannotBeAsked(t *testing.T) {
	t.Parallel()
	models := []outcome{
		{"exit:3@start", "^it died before its first word: exit status 3$", "", "exit status 3"},
		{"exit:0@start", "^it is no model: it ended without a word", "", "exit status 0"},
		{"message:20@start", "^it is no model: its first message is longer", "", ""},
		{"close:4@start", "^it is no model: it ended without a word", "", "exit status 0"},
		{"exit:3@hello", "^it died before it told its versions: exit status 3$", "", "exit status 3"},
		{"exit:0@list", "^it died before it told its versions: exit status 0$", "", "exit status 0"},
		{"segfault@list", "^it died before it told its versions: killed by signal 11", "", "killed by signal 11 (segmentation fault)"},
		{"panic@versions", "^it died before it told its versions: exit status 2, panic: in a goroutine$", "", "exit status 2"},
		{"message:20@list", "^its list of versions cannot be read: a message is longer than 1048576 bytes$", "", ""},
		{"garbage:1000@list", "^its list of versions cannot be read: bad message: ", "", ""},
		{fmt.Sprintf("versions:%d@list", sized(260_000, 5_000_000)), "^its list of versions is too long: more than 250000, or than 64 MiB$", "", ""},
		{"wide-versions:100@list", "^its list of versions is too long: more than 250000, or than 64 MiB$", "", ""},
	}
	p := newProject(t, "grace=1s")
	var queue []string
	for _, o := range models {
		p.rogue(o.word)
		queue = append(queue, o.word, "good")
	}
	p.rogue("good")
	p.rogue("exit:3@listed")
	p.rogue("metrics:2000@list")
	p.rogue("log:2@list")
	p.rogue("close:3@listed")
	p.queue(append(queue, "close:3@listed", "exit:3@listed", "metrics:2000@list", "log:2@list")...)
	c := p.run(1, "-r")
	records := p.survived(c, 256)
	for _, o := range models {
		r := records[o.word]
		if r.Status != "failed" || !regexp.MustCompile(o.cause).MatchString(r.Failure.Cause) || o.exit != "" && r.Failure.Exit != o.exit {
			t.Errorf("%s: %s %+v, want %+v", o.word, r.Status, r.Failure, o)
		}
	}
	for _, name := range []string{"good/fine", "metrics:2000@list/fine", "log:2@list/fine"} {
		if records[name].Status != "finished" {
			t.Errorf("%s: %+v", name, records[name])
		}
	}
	if r := records["exit:3@listed/fine"]; r.Status != "failed" || r.Failure.Cause != "exit status 3" {
		t.Errorf("exit:3@listed/fine: %+v", r)
	}
	if r := records["close:3@listed/fine"]; r.Status != "failed" || !strings.HasPrefix(r.Failure.Cause, "it exited with status 0 before the run") {
		t.Errorf("close:3@listed/fine: %+v", r)
	}
	t.Logf("%d models, peak %.1f MB (a list of 250,000 versions)", len(models)+5, float64(c.peak)/1024)
}

// Whoever hangs is ended by timeout, or by stall, wherever it hangs.
func TestHangs(t *testing.T) {
	for _, limit := range []struct{ setting, cause, list string }{
		{"timeout=3s", `^timed out after 3s \(timeout in mlp.config\)$`, `within 3s`},
		{"stall=3s", `^stalled: no sign of life for 3s \(stall in mlp.config\)`, `^stalled: no sign of life for 3s \(stall in mlp.config\) before`},
	} {
		t.Run(limit.setting, func(t *testing.T) {
			t.Parallel()
			const terminated, killed = "killed by signal 15 (terminated)", "killed by signal 9 (killed)"
			outcomes := []outcome{
				{"hang@run", limit.cause, "", terminated}, {"hang@clean", limit.cause, "clean", terminated},
				{"hang@setup", limit.cause, "setup", terminated}, {"hang", limit.cause, "train", terminated},
				{"hang@evaluate-train", limit.cause, "evaluate_train", terminated}, {"hang@evaluate-test", limit.cause, "evaluate_test", terminated},
				{"hang@finish", limit.cause, "finish", terminated},
				{"deaf", limit.cause, "train", killed}, {"stop", limit.cause, "train", killed},
				{"hang@end", "", "", ""}, {"half-hang", limit.cause, "train", terminated},
			}
			var words []string
			for _, o := range outcomes {
				words = append(words, o.word)
			}
			p := newProject(t, limit.setting, "grace=500ms", "jobs=20")
			p.rogue("rogue", words...)
			asked := []string{"hang@start", "hang@hello", "deaf@list", "stop@versions"}
			for _, name := range asked {
				p.rogue(name)
			}
			p.rogue("hang@listed")
			p.rogue("good")
			p.queue(append(append([]string{"rogue", "hang@listed"}, asked...), "good")...)
			c := p.run(1, "-r")
			records := p.survived(c, idle)
			p.compare(records, "rogue", outcomes)
			p.compare(records, "good", nil)
			for _, name := range asked {
				if r := records[name]; r.Status != "failed" || !regexp.MustCompile(limit.list).MatchString(r.Failure.Cause) {
					t.Errorf("%s: %+v", name, r)
				}
			}
			if r := records["hang@listed/fine"]; r.Status != "failed" || !regexp.MustCompile(limit.cause).MatchString(r.Failure.Cause) {
				t.Errorf("hang@listed/fine: %+v", r)
			}
			t.Logf("%s: %d hangs, peak %.1f MB", limit.setting, len(outcomes)+len(asked)+1, float64(c.peak)/1024)
		})
	}
}

// A pipeline that was stopped for longer than a version may take, or may be silent, takes up where it was.
func TestStoppedPipeline(t *testing.T) {
	if !*full {
		t.Skip("it takes half a minute of waiting: make faults")
	}
	t.Parallel()
	p := newProject(t, "timeout=20s", "stall=10s")
	p.actor("works", "version v1\ntrain: touch training\ntrain: wait go\n")
	p.queue("works")
	c := p.start("-r")
	p.until("it trains", func() bool { return p.exists("training") })
	p.check(c.cmd.Process.Signal(syscall.SIGSTOP))
	time.Sleep(25 * time.Second) // longer than both limits
	p.check(c.cmd.Process.Signal(syscall.SIGCONT))
	time.Sleep(2 * time.Second)
	p.write("go", "")
	if status := c.wait(); status != 0 {
		t.Errorf("exit status %d\n%s", status, c.stdout.String())
	}
	p.survived(c, idle)
}

// What models say and print, be it ever so much, goes through the pipeline and does not stay in it.
func TestFloods(t *testing.T) {
	t.Parallel()
	mb, many := sized(8, 1024), sized(20_000, 1_000_000)
	var words []string
	for _, word := range []string{"print-line", "eprint-line", "print-lines", "eprint-lines", "print-both"} {
		words = append(words, fmt.Sprintf("%s:%d", word, mb))
	}
	for _, word := range []string{"names", "progress", "phases", "summaries", "codes", "versions", "garbage", "unknown", "sets"} {
		words = append(words, fmt.Sprintf("%s:%d", word, many))
	}
	words = append(words, fmt.Sprintf("metrics:%d", sized(200_000, 10_000_000)), fmt.Sprintf("log:%d", mb), fmt.Sprintf("long-names:%d", sized(40, 1000)),
		fmt.Sprintf("results:%d@finish", sized(4, 200)), "message:200", "unfinished:200", "long-cause", fmt.Sprintf("go-on:%d@end", many))
	night := func(t *testing.T, words ...string) {
		p := newProject(t, "grace=2m")
		p.rogue("rogue", words...)
		p.queue("rogue")
		c := p.start("-r")
		<-c.ended // a gigabyte of short lines takes minutes
		records := p.records()
		for _, word := range append(words, "fine") {
			switch r := records["rogue/"+word]; {
			case word == "unfinished:200":
				if r.Failure.Cause != "exit status 3 in train" {
					t.Errorf("%s: %+v", word, r.Failure)
				}
			case word == "long-cause":
				if n := len(r.Failure.Cause); r.Status != "failed" || n < 30_000 || n > 40_000 {
					t.Errorf("%s: %s, a cause of %d bytes", word, r.Status, n)
				}
			case r.Status != "finished":
				t.Errorf("%s: %s %+v", word, r.Status, r.Failure)
			}
			if len(records["rogue/"+word].Summary.Model) > 1_100_000 {
				t.Errorf("%s: a summary of %d bytes", word, len(records["rogue/"+word].Summary.Model))
			}
		}
		if out, err := c.stdout.Len(), c.stderr.Len(); out+err > 1<<20 {
			t.Errorf("%d bytes on stdout, %d on stderr", out, err)
		}
		if c.peak > 64<<10 {
			t.Errorf("peak %d kB", c.peak)
		}
		p.until("no process is left", func() bool { return len(p.processes()) == 0 })
		t.Logf("peak %.1f MB: %s", float64(c.peak)/1024, strings.Join(words, " "))
	}
	if !*full {
		night(t, words...)
		return
	}
	for _, word := range words { // one after the other: each has gigabytes on disk
		t.Run(word, func(t *testing.T) { night(t, word) })
	}
}

// A version that the kernel kills for want of memory is told apart from one that somebody kills.
func TestOutOfMemory(t *testing.T) {
	if !*full {
		t.Skip("the kernel counts for the whole machine, and other tests kill their models at the same time: make faults")
	}
	group := memoryGroup(t, 48<<20)
	oom := "cgroup:" + strings.ReplaceAll(group, "/", "+")
	p := newProject(t)
	p.rogue("rogue", oom, "signal:9", oom+"@setup")
	p.queue("rogue")
	c := p.run(1, "-r")
	p.compare(p.survived(c, idle), "rogue", []outcome{
		{oom, "^killed by the kernel: out of memory in train$", "train", "killed by the kernel: out of memory"},
		{"signal:9", `^killed by signal 9 \(killed\) in train$`, "train", "killed by signal 9 (killed)"},
		{oom + "@setup", "^killed by the kernel: out of memory in setup$", "setup", "killed by the kernel: out of memory"},
	})
}

// memoryGroup makes a control group whose processes may take so many bytes.
func memoryGroup(t *testing.T, limit int) string {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Skip(err)
	}
	for line := range strings.Lines(string(own)) {
		id, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, path, _ := strings.Cut(rest, ":")
		root, file := "/sys/fs/cgroup", "memory.max"
		switch {
		case controllers == "memory":
			root, file = "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
		case id != "0":
			continue
		}
		group, err := os.MkdirTemp(filepath.Join(root, path), "mlpipeline-faults-")
		if err != nil {
			continue
		}
		t.Cleanup(func() { syscall.Rmdir(group) })
		if os.WriteFile(filepath.Join(group, file), fmt.Append(nil, limit), 0) == nil {
			return group
		}
	}
	t.Skip("no control group with a limit of memory can be made here")
	return ""
}

// A program that changes its own file is recorded as what ran: the versions after that are another program's.
func TestModelThatChangesItself(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.rogue("rogue", "edit-self")
	p.rogue("gone", "rm-self")
	p.rogue("good")
	p.queue("rogue", "gone", "good")
	c := p.run(1, "-r")
	records := p.survived(c, idle)
	p.compare(records, "rogue", []outcome{{word: "edit-self"}})
	p.compare(records, "good", nil)
	if a, b := records["rogue/edit-self"].Code, records["rogue/fine"].Code; a == b || b == records["good/fine"].Code {
		t.Errorf("code %+v, then %+v", a, b)
	}
	if !strings.Contains(c.stderr.String(), "rogue has changed since its versions were listed; fine runs it as it is now") {
		t.Error(c.stderr.String())
	}
	if r := records["gone/fine"]; r.Status != "failed" || !strings.HasSuffix(r.Failure.Cause, "no such file or directory") {
		t.Errorf("gone/fine: %+v", r)
	}
	plan := p.run(0, "-r", "-u", "--dry-run", "--model", "rogue").stdout.String()
	if !regexp.MustCompile(`run +rogue/edit-self: stale: models/rogue changed`).MatchString(plan) || !regexp.MustCompile(`skip +rogue/fine: done`).MatchString(plan) {
		t.Error(plan)
	}
}
