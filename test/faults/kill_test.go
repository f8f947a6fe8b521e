//go:build linux

package faults

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

var seed = flag.Int64("seed", 0, "repeat the kills of a test that has logged this seed; as far as they can be: the machine has its part in them")

// TestKilledAtAnyMoment kills the pipeline again and again, damages the journal as a power cut would, and starts it with -r -u,
// until the queue ends by itself. Then every version has finished exactly once, and nothing else is left of the kills.
func TestKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	for _, night := range []struct {
		name   string
		jobs   int
		kills  int
		models func(*project)
	}{
		{"one at a time", 1, sized(20, 200), quickModels},
		{"three at a time", 3, sized(20, 200), quickModels},
		{"models in Python and sh, with workers", 2, sized(10, 150), slowModels},
		{"versions that are forked, with workers", 3, sized(10, 150), forkedModels},
	} {
		t.Run(night.name, func(t *testing.T) {
			t.Parallel()
			k := newKiller(t, night.jobs)
			for rounds := 0; k.kills < night.kills || rounds == 0; rounds++ {
				k.night(night.models)
			}
			t.Logf("%s: survived %s", night.name, k.tally())
		})
	}
}

// A killer kills the executions of projects.
type killer struct {
	*testing.T
	random *rand.Rand
	jobs   string
	lasts  time.Duration // how long an execution lasts that is not killed
	p      *project
	loose  string // an argument that the workers have whose environment is empty
	// unguarded: a guardian was killed in this project, and such workers may have outlived it. No other call has any.
	unguarded bool
	// haunted: a pipeline was killed together with its guardian. What they left is ended by the next call before it starts.
	haunted bool

	kills, guardians, both, stopped, torn, calls, missed int
}

func newKiller(t *testing.T, jobs int) *killer {
	n := *seed
	if n == 0 {
		n = time.Now().UnixNano()
	}
	t.Logf("-seed %d", n)
	return &killer{T: t, random: rand.New(rand.NewPCG(uint64(n), uint64(jobs))), jobs: strconv.Itoa(jobs)}
}

func (k *killer) tally() string {
	return fmt.Sprintf("%d kills in %d calls (%d of a stopped pipeline, %d of the guardian alone, %d of both) and %d torn journals; %d processes with an emptied environment have outlived their guardian",
		k.kills, k.calls, k.stopped, k.guardians, k.both, k.torn, k.missed)
}

// workers numbers the projects, so that each has an argument of its own for its workers.
var workers atomic.Int64

// night brings one queue to its end.
func (k *killer) night(models func(*project)) {
	k.Helper()
	if k.lasts == 0 { // once in vain, for the cache and to know how long it lasts
		for range 2 {
			k.p = k.project(models)
			began := time.Now()
			k.p.run(0, "-r", "-u", "-j", k.jobs)
			k.lasts = time.Since(began)
		}
		k.check()
	}
	k.p = k.project(models)
	for {
		k.calls++
		c := k.p.start("-r", "-u", "-j", k.jobs)
		if k.strike(c) {
			break
		}
		if !k.haunted {
			k.gone()
		}
		if k.random.IntN(4) == 0 {
			k.tear()
		}
	}
	k.check()
	// It is found out what was done when only the journal does not say so.
	k.tear()
	k.calls++
	if c := k.p.run(0, "-r", "-u", "-j", k.jobs); !strings.Contains(c.stdout.String(), "nothing was left to do") {
		k.Errorf("something has run again when the journal had been torn:\n%s", c.stdout.String())
	}
	k.check()
}

// project makes the project of a night.
func (k *killer) project(models func(*project)) *project {
	p := newProject(k.T, "grace=2s")
	k.unguarded, k.haunted = false, false
	k.loose = fmt.Sprintf("864%06d", os.Getpid()%1000*1000+int(workers.Add(1)))
	p.write("loose", k.loose)
	models(p)
	return p
}

// strike kills what a call has started at some moment. It reports whether the call has ended by itself.
func (k *killer) strike(c *call) (ended bool) {
	k.Helper()
	if k.haunted {
		k.p.until("the call has ended what was left", func() bool {
			select {
			case <-c.ended:
				return true
			default:
			}
			log, _ := os.ReadFile(k.p.outputs("log-" + k.p.host))
			return bytes.Contains(log, fmt.Appendf(nil, "starts, pid %d\n", c.cmd.Process.Pid))
		})
		k.haunted = false
	}
	k.moment(c)
	how := k.random.IntN(20)
	select {
	case <-c.ended:
		return k.itself(c)
	default:
	}
	guardian := 0
	if how < 4 {
		if guardian = child(c.cmd.Process.Pid, "mlp-guardian"); guardian == 0 {
			how = 19
		}
	}
	switch {
	case how < 2:
		syscall.Kill(guardian, syscall.SIGKILL)
		k.guardians++
		k.kills++
		k.unguarded = true
		return k.itself(c)
	case how < 4:
		pids := []int{guardian, c.cmd.Process.Pid}
		if how == 2 {
			slices.Reverse(pids)
		}
		for _, pid := range pids {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		c.wait()
		k.both++
		k.kills++
		k.unguarded, k.haunted = true, true
		return false
	case how < 7:
		syscall.Kill(c.cmd.Process.Pid, syscall.SIGSTOP)
		k.stopped++
		time.Sleep(time.Duration(k.random.Int64N(int64(20 * time.Millisecond)))) // models go on meanwhile
	}
	syscall.Kill(c.cmd.Process.Pid, syscall.SIGKILL)
	if c.wait() == -int(syscall.SIGKILL) {
		k.kills++
		return false
	}
	return k.itself(c)
}

// itself waits for the end of a call that nothing more is done to, and reports whether that is the end of the queue.
func (k *killer) itself(c *call) bool {
	k.Helper()
	status := c.wait()
	if status != 0 && status != 1 { // 1: a version has failed, because its guardian was killed
		k.Fatalf("exit status %d\n%s\n%s", status, c.stdout.String(), c.stderr.String())
	}
	if status == 1 && k.guardians == 0 {
		k.Fatalf("a version has failed\n%s\n%s", c.stdout.String(), c.stderr.String())
	}
	return status == 0
}

// moment waits for the moment to strike: after a time, or as soon as a file has appeared or grown.
func (k *killer) moment(c *call) {
	uniform := time.Duration(k.random.Float64() * float64(k.lasts))
	switch k.random.IntN(5) {
	case 0, 1:
		time.Sleep(uniform)
	case 2:
		lowest := math.Log(float64(200 * time.Microsecond))
		time.Sleep(time.Duration(math.Exp(lowest + k.random.Float64()*(math.Log(float64(k.lasts))-lowest))))
	default:
		files := []string{"history-" + k.p.host, "output-" + k.p.host, "status-" + k.p.host, "status-" + k.p.host + ".new", "log-" + k.p.host, ".lock-" + k.p.host, "runs", "model_ckpts"}
		file := k.p.outputs(files[k.random.IntN(len(files))])
		changes := k.random.IntN(6)
		before := stamp(file)
		for deadline := time.Now().Add(2 * k.lasts); changes >= 0 && time.Now().Before(deadline); {
			select {
			case <-c.ended:
				return
			default:
			}
			if now := stamp(file); now != before {
				before = now
				changes--
			}
			time.Sleep(50 * time.Microsecond)
		}
		time.Sleep(time.Duration(k.random.Int64N(int64(2*time.Millisecond))) * time.Duration(k.random.IntN(2)))
	}
}

// stamp is something of a file that changes when it is written to.
func stamp(file string) string {
	info, err := os.Stat(file)
	if err != nil {
		return ""
	}
	return fmt.Sprint(info.Size(), info.ModTime())
}

// tear takes the last bytes off the journal: never its first line.
func (k *killer) tear() {
	path := k.p.outputs("history-" + k.p.host)
	text, err := os.ReadFile(path)
	if err != nil {
		return // it has not come to that
	}
	first := bytes.IndexByte(text, '\n') + 1
	if cut := min(1+k.random.IntN(700), len(text)-first); cut > 0 {
		k.p.check(os.Truncate(path, int64(len(text)-cut)))
		k.torn++
	}
}

// left returns the processes that are left of calls: those that carry the marker, and the workers with an empty environment.
func (k *killer) left() []string {
	return append(k.p.processes(), k.looseWorkers()...)
}

// gone waits until none is left, but for those that nobody can find when the guardian was killed.
func (k *killer) gone() {
	k.Helper()
	for deadline := time.Now().Add(patience); len(k.left()) > 0; time.Sleep(time.Millisecond) {
		if k.unguarded {
			k.endLoose()
		}
		if time.Now().After(deadline) {
			for _, pid := range k.left() {
				line, _ := os.ReadFile("/proc/" + pid + "/cmdline")
				stat, _ := os.ReadFile("/proc/" + pid + "/stat")
				env, _ := os.ReadFile("/proc/" + pid + "/environ")
				_, run, _ := bytes.Cut(env, []byte("\x00MLPIPELINE_RUN="))
				k.Errorf("process %s of run %.28s is left: %q %.100s", pid, run, line, stat)
			}
			k.keep()
		}
	}
}

func (k *killer) looseWorkers() (pids []string) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		if text, _ := os.ReadFile(file); bytes.Contains(text, []byte("\x00"+k.loose+"\x00")) {
			pids = append(pids, filepath.Base(filepath.Dir(file)))
		}
	}
	return pids
}

// endLoose ends the workers with an empty environment.
func (k *killer) endLoose() {
	for _, pid := range k.looseWorkers() {
		if n, err := strconv.Atoi(pid); err == nil {
			syscall.Kill(n, syscall.SIGKILL)
			k.missed++
		}
	}
}

// child returns the child of a process that has a name, or 0.
func child(pid int, name string) int {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for _, field := range strings.Fields(string(text)) {
			comm, _ := os.ReadFile("/proc/" + field + "/comm")
			if strings.TrimSpace(string(comm)) == name {
				n, _ := strconv.Atoi(field)
				return n
			}
		}
	}
	return 0
}

// check holds what is on disk against what it has to be when the queue has ended.
func (k *killer) check() {
	k.Helper()
	p := k.p
	k.gone()
	var versions []string
	plan := p.run(0, "-r", "-u", "--dry-run", "--json")
	for line := range strings.Lines(plan.stdout.String()) {
		var v struct{ Model, Version, Action string }
		p.check(json.Unmarshal([]byte(line), &v))
		versions = append(versions, v.Model+"/"+v.Version)
		if v.Action != "skip" {
			k.Errorf("the plan is not done: %s", line)
		}
	}
	finished, last := map[string]int{}, map[string]string{}
	for _, e := range p.journal(p.host) {
		if e.Event == "finished" {
			finished[e.Model+"/"+e.Version]++
			if e.Results["test"] == nil {
				k.Errorf("finished without results: %+v", e)
			}
		}
		if e.Run != "" {
			last[e.Run] = e.Event
		}
	}
	blocks := map[string]int{}
	for _, b := range p.blocks(p.host) {
		blocks[b["model"]+"/"+b["version"]]++
		if last[b["run"]] != "finished" || b["test set"] == "" {
			k.Errorf("a block of a run that is %s: %v", last[b["run"]], b)
		}
	}
	for _, v := range versions {
		if finished[v] != 1 || blocks[v] != 1 {
			k.Errorf("%s has finished %d times and has %d blocks", v, finished[v], blocks[v])
		}
	}
	if len(versions) == 0 || len(finished) != len(versions) || len(blocks) != len(versions) {
		k.Errorf("%d versions, %d have finished, %d have blocks", len(versions), len(finished), len(blocks))
	}
	// The records agree with the journal, and so does the list of runs.
	for run, event := range last {
		if event == "started" {
			k.Errorf("run %s has started, and that is all", run)
		}
		if record := k.record(run); record != event {
			k.Errorf("run %s: %s in the journal, %s in its record", run, event, record)
		}
	}
	folders, err := os.ReadDir(p.outputs("runs"))
	p.check(err)
	for _, f := range folders {
		if status := k.record(f.Name()); status != "finished" && status != "failed" && status != "interrupted" {
			k.Errorf("run %s: its record says %q", f.Name(), status)
		}
	}
	for line := range strings.Lines(p.run(0, "ls", "--json").stdout.String()) {
		var r struct{ ID, Status string }
		p.check(json.Unmarshal([]byte(line), &r))
		if r.Status != last[r.ID] {
			k.Errorf("run %s: %s in the journal, %s in the list", r.ID, last[r.ID], r.Status)
		}
		delete(last, r.ID)
	}
	if len(last) > 0 {
		k.Errorf("not in the list of runs: %v", last)
	}
	status := p.run(0, "status", "--json").stdout.String()
	if !strings.Contains(status, `"state":"ended"`) {
		k.Errorf("status: %s", status)
	}
	k.leftovers(p.outputs("."), "runs", ".lock-"+p.host)
	k.leftovers(p.tmp)
	if k.Failed() {
		k.keep()
	}
}

// record returns the status in the record of a run.
func (k *killer) record(run string) string {
	text, err := os.ReadFile(k.p.outputs("runs/" + run + "/run.json"))
	if err != nil {
		return err.Error()
	}
	var r struct{ Run, Status string }
	if err := json.Unmarshal(text, &r); err != nil || r.Run != run {
		return fmt.Sprintf("%q (%v)", text, err)
	}
	return r.Status
}

// leftovers looks for files that nobody will look at again.
func (k *killer) leftovers(dir string, known ...string) {
	k.p.check(filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		name := d.Name()
		if err == nil && path != dir && !slices.Contains(known, name) && (name[0] == '.' || strings.HasSuffix(name, ".new") || strings.HasPrefix(name, "mlpipeline-")) {
			k.Errorf("left over: %s", path)
		}
		return err
	}))
}

// keep saves what a failed test is about.
func (k *killer) keep() {
	if dir := os.Getenv("MLPIPELINE_FAULTS_KEEP"); dir != "" {
		out, err := exec.Command("cp", "-r", k.p.dir, filepath.Join(dir, filepath.Base(k.p.dir))).CombinedOutput()
		k.Logf("kept: %s %v", out, err)
	}
	k.FailNow()
}

// quickModels are done in a moment, so that the kills come in between them.
func quickModels(p *project) {
	p.actor("clean", `option allow-delete
clean: print cleaned
version v1 epochs=3 batch=1 suffix=1
version v2 epochs=3 batch=1 suffix=2
step:5: print half
version v3 epochs=3 batch=1 suffix=2
summary: none
version v4 epochs=1 batch=1
`)
	p.actor("keep", `version v1 epochs=5 batch=1 suffix=1
version v2 epochs=5 batch=1 suffix=2
setup: print set up
setup: summary one line of many
version v3 epochs=5 batch=1 suffix=3
version v4 epochs=5 batch=1 suffix=4
step:3: metric other 3 0.5
`)
	p.write("models/halve.sh", halve)
	p.queue("clean", "halve.sh", "keep")
}

// slowModels take their time, and leave processes behind in every way there is.
func slowModels(p *project) {
	p.write("models/slow.py", slow)
	p.write("models/workers.sh", strings.Replace(halve, "# workers", forks, 1))
	p.actor("clean", "option allow-delete\nversion v1 epochs=3 batch=1 suffix=1\ntrain: spawn spawned\nversion v2 epochs=3 batch=1 suffix=1\ntrain: daemon daemon\n")
	p.queue("workers.sh", "slow.py", "clean")
}

// forkedModels has several versions in a row and at once that are forked from one process.
func forkedModels(p *project) {
	p.write("mlp.config", "[MLP]\ngrace=2s\npython_start=fork\n")
	p.write("models/slow.py", strings.Replace(slow, `v.addV("two")`, `for name in "two", "three", "four", "five":
    v.addV(name, model_dir_suffix=name)`, 1))
	p.write("models/quick.py", strings.Replace(slow, "time.sleep(0.005)", "pass", 1))
	p.queue("slow.py", "quick.py")
}

const forks = `
	sleep 86400 &
	setsid sleep 86400 &
	(setsid sh -c 'sleep 86400 & sleep 86400' &)
	env -i sleep "$(cat loose)" &
	(env -i setsid sleep "$(cat loose)" &)
	sleep 0.05
`

const halve = `#!/bin/sh
send() { printf '%s\n' "$1" >&4; }
text() {
	value=${line#*"\"$1\":\""}
	value=${value%%\"*}
}
trap 'send "{\"type\":\"end\",\"status\":\"interrupted\"}"; exit 0' TERM
run() {
	text dir
	state=$value/state
	case $line in *'"clean":true'*) send '{"type":"phase","phase":"clean"}'; rm -f "$state" ;; esac
	send '{"type":"phase","phase":"setup"}'
	step=0
	if [ -f "$state" ]; then read -r step <"$state"; fi
	send "{\"type\":\"phase\",\"phase\":\"train\",\"step\":$step,\"total\":6,\"train_samples\":4,\"test_samples\":1}"
	# workers
	while [ "$step" -lt 6 ]; do
		step=$((step + 1))
		echo "$step" >"$state.new" && mv "$state.new" "$state"
		send "{\"type\":\"metric\",\"name\":\"distance\",\"step\":$step,\"value\":$((100 / step))}"
	done
	send "{\"type\":\"result\",\"set\":\"test\",\"metrics\":{\"steps\":$step}}"
	send '{"type":"end","status":"finished"}'
	exit 0
}
send '{"type":"hello","protocol":1}'
while read -r line <&3; do
	case $line in
	*'"type":"list"'*)
		send '{"type":"version","version":{"name":"one","batch_size":2,"epochs":3,"dataloader":"none","model_dir_suffix":"one"}}'
		send '{"type":"version","version":{"name":"two","batch_size":2,"epochs":3,"dataloader":"none"}}'
		send '{"type":"listed","allow_delete_model_dir":true}'
		;;
	*'"type":"trained"'*)
		step=0
		text dir
		if [ -f "$value/state" ]; then read -r step <"$value/state"; fi
		send "{\"type\":\"trained\",\"step\":$step}"
		;;
	*'"type":"run"'*) run ;;
	esac
done
# MLPIPELINE_PROTOCOL
`

const slow = `import os
import time

from mlpipeline.helper import DataLoader, Model
from mlpipeline.utils import Versions, log_metric


class Data(DataLoader):
    def get_train_input(self, mode=None): pass
    def get_test_input(self): pass
    def get_train_sample_count(self): return 10
    def get_test_sample_count(self): return 1


class M(Model):
    def pre_execution_hook(self, version, model_dir):
        self.file = os.path.join(model_dir, "step")
        self.step = int(open(self.file).read()) if os.path.exists(self.file) else 0

    def get_trained_step_count(self):
        return self.step

    def clean_model_dir(self, model_dir):
        if os.path.exists(os.path.join(model_dir, "step")):
            os.remove(os.path.join(model_dir, "step"))

    def train_model(self, input_fn, steps):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(86400)
            os._exit(0)
        for _ in range(steps):
            self.step += 1
            log_metric("loss", 1 / self.step, self.step)
            with open(self.file + ".part", "w") as file:
                file.write(str(self.step))
            os.replace(self.file + ".part", self.file)
            time.sleep(0.005)

    def evaluate_model(self, input_fn, steps):
        return {"steps": self.step}


v = Versions(0.1, Data(), 1, 1)
v.addV("one", model_dir_suffix="one")
v.addV("two")
MODEL = M(v, allow_delete_model_dir=True)
`
