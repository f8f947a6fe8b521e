//go:build linux

package faults

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// load makes a model that has as much of everything as its environment says, see testdata/load.
func (p *project) load(name string) {
	p.Helper()
	program, err := os.ReadFile(filepath.Join(built, "load"))
	p.check(err)
	p.write("models/"+name, string(program))
}

// with is a wrapper of startIn that sets variables.
func with(settings ...string) []string {
	line := []string{"env"}
	for _, s := range settings {
		line = append(line, "LOAD_"+s)
	}
	return line
}

// measured waits for a call, which has to end with a status, and logs what it took.
func (p *project) measured(what string, status int, c *call) *call {
	p.Helper()
	begun := time.Now()
	if got := c.wait(); got != status {
		p.Fatalf("%s: exit status %d, not %d\n%.2000s\n%.2000s", what, got, status, c.stdout.String(), c.stderr.String())
	}
	p.Logf("%-44s %7.2fs, peak %4d MB", what, time.Since(begun).Seconds(), c.peak>>10)
	return c
}

// flat fails when memory has grown by more than margin, all in kB.
func (p *project) flat(what string, less, more, margin int) {
	p.Helper()
	const least = 24 << 10 // of a process that is soon over not all is seen
	if more > max(less, least)+margin {
		p.Errorf("%s: %d kB of memory grow to %d kB", what, less, more)
	}
}

// script is a model in sh with one version, which does nothing.
const script = `#!/bin/sh
# MLPIPELINE_PROTOCOL
echo '{"type":"hello","protocol":1}' >&4
while read -r line <&3; do
	case $line in
	*'"type":"list"'*) printf '{"type":"version","version":{"name":"v","batch_size":1,"epochs":1,"dataloader":"none"}}\n{"type":"listed"}\n' >&4 ;;
	*'"type":"run"'*)
		printf '{"type":"phase","phase":"train","total":1}\n{"type":"phase","phase":"evaluate_test","total":1}\n{"type":"result","set":"test","metrics":{"loss":0.5}}\n{"type":"end","status":"finished"}\n' >&4
		exit 0
		;;
	esac
done
# `

// Very many models: in test mode, run for real, and with nothing left to do. Each takes its share of memory, and no more than
// that.
func TestLoadModels(t *testing.T) {
	t.Parallel()
	peaks := map[string][2]int{}
	less, more := sized(60, 5000), sized(120, 10000)
	for i, n := range [2]int{less, more} {
		p := newProject(t)
		var names []string
		for m := range n {
			names = append(names, fmt.Sprintf("m-%05d", m))
			p.write("models/"+names[m], script+names[m])
		}
		p.queue(names...)
		for _, args := range [][]string{{"-q"}, {"-u", "-q"}, {"-r", "-q"}, {"-r", "-u", "-q"}, {"-r", "-u", "--dry-run"}, {"doctor"}} {
			what := strings.Join(args, " ")
			c := p.measured(fmt.Sprintf("%d models, %s", n, what), 0, p.start(args...))
			of := peaks[what]
			of[i] = c.peak
			peaks[what] = of
		}
		finished := 0
		for _, e := range p.journal(p.host) {
			if e.Event == "finished" {
				finished++
			}
		}
		if finished != n {
			t.Errorf("%d of %d finished", finished, n)
		}
		// The other form of the queue: all but one of those that there are.
		p.write("models.config", "[MLP]\nuse_blacklist=True\n[BLACKLISTED_MODELS]\n"+strings.Join(names[1:], "\n")+"\n")
		p.measured(fmt.Sprintf("%d of %d models on a blacklist, -r", n-1, n), 0, p.start("-r", "-q"))
		// And names of nothing, which could be wrong spellings of any.
		p.write("models.config", "[MLP]\nuse_blacklist=False\n[WHITELISTED_MODELS]\nx"+strings.Join(names, "\nx")+"\n"+names[0]+"\n")
		c := p.measured(fmt.Sprintf("%d names of nothing, -r", n), 0, p.start("-r", "-q"))
		if warnings := strings.Count(c.stderr.String(), "warning: "); warnings > 30 {
			t.Errorf("%d names of nothing get %d warnings", n, warnings)
		}
	}
	for what, peak := range peaks {
		p := &project{T: t}
		p.flat(what, peak[0], peak[1], 8<<10+(more-less)*5)
	}
}

// What models with very many versions told is not kept once they are over.
func TestLoadVersionsOfModels(t *testing.T) {
	t.Parallel()
	var peaks []int
	for _, n := range []int{2, 10} {
		p := newProject(t)
		var names []string
		for m := range n {
			names = append(names, fmt.Sprint("m", m))
			p.load(names[m])
		}
		p.queue(names...)
		versions := sized(5000, 50000)
		c := p.measured(fmt.Sprintf("%d models with %d versions each, --dry-run", n, versions), 0,
			p.startIn(with(fmt.Sprint("VERSIONS=", versions)), "-r", "--dry-run"))
		if lines := bytes.Count(c.stdout.Bytes(), []byte("\n")); lines != n*versions {
			t.Errorf("%d lines", lines)
		}
		peaks = append(peaks, c.peak)
	}
	p := &project{T: t}
	p.flat("the versions of 8 models more", peaks[0], peaks[1], 10<<10+peaks[0]/4)
}

// A sample is what two processes have when so many lines have been written to the journal.
type sample struct{ lines, pipeline, guardian, files int }

// night follows a call until it ends.
func (p *project) night(c *call) (samples []sample) {
	p.Helper()
	var file *os.File
	lines := 0
	rss := func(pid string) (kB int) {
		status, _ := os.ReadFile("/proc/" + pid + "/status")
		_, rest, _ := strings.Cut(string(status), "VmRSS:")
		fmt.Sscan(rest, &kB)
		return kB
	}
	pid := strconv.Itoa(c.cmd.Process.Pid)
	guardian := ""
	for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
		select {
		case <-c.ended:
			tick.Stop()
			return samples
		default:
		}
		if file == nil {
			if file, _ = os.Open(p.outputs("history-" + p.host)); file == nil {
				continue
			}
			defer file.Close()
		}
		buf := make([]byte, 1<<20)
		for {
			n, _ := file.Read(buf)
			if n == 0 {
				break
			}
			lines += bytes.Count(buf[:n], []byte("\n"))
		}
		if guardian == "" {
			for _, other := range p.processes() {
				if name, _ := os.ReadFile("/proc/" + other + "/comm"); strings.HasPrefix(string(name), "mlp-guardian") {
					guardian = other
				}
			}
		}
		files, _ := os.ReadDir("/proc/" + pid + "/fd")
		if s := (sample{lines, rss(pid), rss(guardian), len(files)}); s.pipeline > 0 && s.guardian > 0 {
			samples = append(samples, s)
		}
	}
}

// level fails when the last quarter of a night has more of anything than the second. What comes after the last version, the
// summary, is not looked at.
func (p *project) level(what string, samples []sample) {
	p.Helper()
	if len(samples) == 0 {
		p.Fatal("nothing was seen of it")
	}
	all := samples[len(samples)-1].lines - 1
	most := func(from, to int) (m sample) {
		for _, s := range samples {
			if s.lines >= from && s.lines <= to {
				m.lines++
				m.pipeline, m.guardian, m.files = max(m.pipeline, s.pipeline), max(m.guardian, s.guardian), max(m.files, s.files)
			}
		}
		return m
	}
	for q := range 4 {
		m := most(all*q/4, all*(q+1)/4)
		p.Logf("%s, quarter %d: pipeline %d kB, guardian %d kB, %d files", what, q+1, m.pipeline, m.guardian, m.files)
	}
	second, last := most(all/4, all/2), most(all*3/4, all)
	if second.lines == 0 || last.lines == 0 {
		p.Fatal("too little was seen of it")
	}
	if last.pipeline > second.pipeline+(6<<10) || last.guardian > second.guardian+(5<<10) || last.files > second.files+16 {
		p.Errorf("%s: the last quarter has %+v, the second had %+v", what, last, second)
	}
}

// A night of very many versions: the last ones find the pipeline as the first ones did.
func TestLoadNight(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.load("m")
	p.queue("m")
	n := sized(600, 100_000)
	begun := time.Now()
	c := p.startIn(with(fmt.Sprint("VERSIONS=", n), "POINTS=3", "LINES=3"), "-r", "-q")
	p.level("finished", p.night(c))
	p.measured(fmt.Sprintf("%d versions (%v in all)", n, time.Since(begun).Round(time.Second)), 0, c)
	p.flat("the whole night", 0, c.peak, 100<<10)
	finished := map[string]int{}
	for _, e := range p.journal(p.host) {
		if e.Event == "finished" {
			finished[e.Version]++
		}
	}
	if len(finished) != n || len(p.blocks(p.host)) != n {
		t.Errorf("%d of %d finished, %d blocks", len(finished), n, len(p.blocks(p.host)))
	}
}

// A night in which all fails is short at its end, and says how much there is.
func TestLoadFailures(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.load("m")
	p.queue("m")
	n := sized(300, 20_000)
	c := p.startIn(with(fmt.Sprint("VERSIONS=", n), "CAUSE=5000"), "-r", "--json")
	p.level("failed", p.night(c))
	p.measured(fmt.Sprintf("%d failures", n), 1, c)
	var end struct {
		Event   string
		Summary struct {
			Failed   int
			Failures []struct{ Cause string }
		}
	}
	lines := strings.Split(strings.TrimSpace(c.stdout.String()), "\n")
	p.check(json.Unmarshal([]byte(lines[len(lines)-1]), &end))
	if s := end.Summary; s.Failed != n || len(s.Failures) != min(n, 1000) || len(s.Failures[0].Cause) > 2100 {
		t.Errorf("%d failed, %d are named", s.Failed, len(s.Failures))
	}
	c = p.measured("status", 0, p.start("status"))
	if got := strings.Count(c.stdout.String(), "m/v"); got != 20 || !strings.Contains(c.stdout.String(), fmt.Sprintf("%d more, see mlpipeline ls --status failed", n-20)) {
		t.Errorf("status names %d:\n%s", got, c.stdout.String())
	}
	c = p.measured("again, -q", 1, p.startIn(with("VERSIONS=100", "CAUSE=50"), "-r", "-q"))
	_, summary, _ := strings.Cut(c.stdout.String(), "\n0 finished, 100 failed")
	if lines := strings.Count(summary, "\n"); lines > 50 || !strings.Contains(summary, "and 80 more: mlpipeline ls --status failed") {
		t.Errorf("the summary has %d lines:\n%s", lines, summary)
	}
}

// history writes a journal of n runs, each of a version of its own, that have finished.
func (p *project) history(n int) {
	p.Helper()
	p.write("models/outputs/history-"+p.host, "")
	file, err := os.Create(p.outputs("history-" + p.host))
	p.check(err)
	defer file.Close()
	w := bufio.NewWriterSize(file, 1<<20)
	fmt.Fprintf(w, `{"event":"journal","model":"","version":"","run":"","time":"2026-11-01T00:00:00.000Z","parameters":"","code":"","format":1,"host":%q}`+"\n", p.host)
	fmt.Fprintln(w, `{"event":"begin","model":"","version":"","run":"","time":"2026-11-01T00:00:00.000Z","parameters":"","code":"","pid":1,"command":"mlpipeline -r"}`)
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for i := range n {
		at := start.Add(time.Duration(i) * time.Millisecond).Format("2006-01-02T15:04:05.000Z")
		head := fmt.Sprintf(`"model":"m%d","version":"w%d","run":"%s","time":"%s","parameters":"a3942a491243f90a","code":"047d3ca0b10cc738"`, i%10, i/10, historyRun(i), at)
		fmt.Fprintf(w, `{"event":"started",%s,"params":{"batch_size":1,"dataloader":"none","epochs":1,"hidden":%d},"dir":"model_ckpts/m%d"}`+"\n", head, i, i%10)
		fmt.Fprintf(w, `{"event":"finished",%s,"step":30,"seconds":0.004,"results":{"test":{"loss":%g},"train":{"loss":2.5}}}`+"\n", head, float64(i)/1000)
	}
	fmt.Fprintln(w, `{"event":"end","model":"","version":"","run":"","time":"2026-11-02T00:00:00.000Z","parameters":"","code":"","seconds":1,"tally":{"finished":1,"failed":0,"interrupted":0,"skipped":0,"running":0,"waiting":0,"unknown":0}}`)
	p.check(w.Flush())
}

func historyRun(i int) string { return fmt.Sprintf("20261101-%09d-aaaaaaaa", i) }

// A history of very many lines: all that reads it works, within what its runs take in memory.
func TestLoadHistory(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.load("m0")
	p.queue("m0")
	n := sized(10_000, 500_000)
	p.history(n)
	first, last := historyRun(0), historyRun(n-1)
	p.write("models/outputs/runs/"+last+"/metrics.jsonl", `{"name":"loss","step":1,"value":1,"time":1}`+"\n"+`{"name":"loss","step":2,"value":0.5,"time":1}`+"\n")
	const bytesOfVersion, bytesOfRun = 400, 1500
	if c := p.start("plot", "score"); c.wait() != 2 || n > 1<<14 && !strings.Contains(c.stderr.String(), "versions that ran earlier were not looked at") {
		t.Errorf("of a metric that there is nowhere: %s", c.stderr.String())
	}
	for _, args := range [][]string{
		{"-r", "-u", "-q"}, {"-r", "-u", "-q"}, {"ls"}, {"ls", "-n", "30"}, {"ls", "--sort", "test.loss", "-n", "5"}, {"status"}, {"compare", first, last},
		{"show", first}, {"logs", "m0/v0"}, {"plot", "loss", last}, {"plot", "loss"}, {"report", "-o", filepath.Join(t.TempDir(), "r.html")}, {"doctor"},
		{"__complete", "show", "m1/w"},
	} {
		what := strings.Join(args, " ")
		c := p.measured(fmt.Sprintf("%d lines, %.30s", 2*n, what), 0, p.startIn(with("VERSIONS=2"), args...))
		of := bytesOfRun
		if args[0] == "-r" {
			of = bytesOfVersion
		}
		p.flat(what, 48<<10, c.peak, n*of>>10)
	}
}

// A run of very many metric points: neither the pipeline nor who reads them has more memory than for half of them.
func TestLoadPoints(t *testing.T) {
	t.Parallel()
	peaks := map[string][]int{}
	for _, n := range []int{sized(100_000, 5_000_000), sized(200_000, 10_000_000)} {
		for _, names := range []int{1, 1000} {
			p := newProject(t)
			p.load("m")
			p.queue("m")
			note := func(key string, c *call) { peaks[key] = append(peaks[key], c.peak) }
			note(fmt.Sprint("-r, names: ", names), p.measured(fmt.Sprintf("%d points of %d names, -r", n, names), 0,
				p.startIn(with("VERSIONS=1", fmt.Sprint("POINTS=", n), fmt.Sprint("NAMES=", names)), "-r", "-q")))
			run := p.journal(p.host)[2].Run
			for _, args := range [][]string{{"plot", "m0"}, {"show", run}, {"compare", run, run}, {"report", "-o", filepath.Join(t.TempDir(), "r.html")}} {
				note(fmt.Sprint(args[0], ", names: ", names), p.measured(fmt.Sprintf("%d points of %d names, %s", n, names, args[0]), 0, p.start(args...)))
			}
			file, err := os.Open(p.outputs("runs/" + run + "/metrics.jsonl"))
			p.check(err)
			points := 0
			for lines := bufio.NewScanner(file); lines.Scan(); {
				points++
			}
			file.Close()
			if points != n {
				t.Errorf("%d of %d points are recorded", points, n)
			}
			p.check(os.RemoveAll(p.dir))
		}
	}
	for what, peak := range peaks {
		p := &project{T: t}
		p.flat(what, peak[0], peak[1], 10<<10)
	}
}

// Very many versions at once: no two in one model directory, and no line of what they print is lost.
func TestLoadJobs(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.load("m")
	p.queue("m")
	jobs, n, lines := sized(12, 64), sized(60, 1000), sized(100, 10_000)
	c := p.measured(fmt.Sprintf("-j %d, %d versions in %d directories", jobs, n, jobs/2), 0,
		p.startIn(with(fmt.Sprint("VERSIONS=", n), fmt.Sprint("DIRS=", jobs/2), fmt.Sprint("LINES=", lines)), "-r", "-q", "-j", strconv.Itoa(jobs)))
	if c.peak > 150<<10 {
		t.Errorf("peak %d kB", c.peak)
	}
	finished := 0
	for _, e := range p.journal(p.host) {
		if e.Event != "finished" {
			continue
		}
		finished++
		text, err := os.ReadFile(p.outputs("runs/" + e.Run + "/output.log"))
		p.check(err)
		if got := bytes.Count(text, []byte(" of "+e.Version+"\n")); got != lines || bytes.Count(text, []byte("\n")) != lines {
			t.Fatalf("%s: %d of its %d lines are kept", e.Version, got, lines)
		}
	}
	if finished != n {
		t.Errorf("%d of %d have finished", finished, n)
	}
}

// As many at once are stopped in three steps, and killed with their pipeline.
func TestLoadJobsStop(t *testing.T) {
	t.Parallel()
	jobs := sized(12, 64)
	start := func(stop string) (*project, *call) {
		p := newProject(t)
		p.load("m")
		p.queue("m")
		c := p.startIn(with("VERSIONS=1000", "DIRS=1000", "UNTIL="+p.path("until"), "STOP="+stop), "-r", "-q", "-j", strconv.Itoa(jobs))
		p.until("all run", func() bool { return p.count("started") == jobs })
		return p, c
	}
	stop := func(p *project, c *call, level string) {
		p.Helper()
		p.check(c.cmd.Process.Signal(syscall.SIGINT))
		if level != "" {
			p.until(level, func() bool {
				text, _ := os.ReadFile(p.outputs("status-" + p.host))
				return bytes.Contains(text, []byte(`"stopping": "`+level))
			})
		}
	}
	end := func(p *project, c *call, status int, finished, interrupted int) {
		p.Helper()
		p.measured(fmt.Sprintf("-j %d, %d finished, %d interrupted", jobs, finished, interrupted), status, c)
		if f, i := p.count("finished"), p.count("interrupted"); f != finished || i != interrupted {
			p.Errorf("%d finished, %d interrupted", f, i)
		}
		p.until("no process is left", func() bool { return len(p.processes()) == 0 })
	}

	p, c := start("ignored")
	stop(p, c, "finishing")
	p.write("until", "")
	end(p, c, 130, jobs, 0)

	p, c = start("heeded")
	stop(p, c, "finishing")
	stop(p, c, "")
	end(p, c, 130, 0, jobs)

	p, c = start("ignored")
	stop(p, c, "finishing")
	stop(p, c, "stopping")
	stop(p, c, "")
	end(p, c, 130, 0, jobs)

	p, c = start("ignored")
	p.check(c.cmd.Process.Kill())
	end(p, c, -9, 0, 0)
	p.write("until", "")
	p.measured("again, -u", 0, p.startIn(with("VERSIONS=1000", "DIRS=1000", "UNTIL="+p.path("until")), "-r", "-u", "-q", "-j", strconv.Itoa(jobs), "--version", "v?"))
	if f := p.count("finished"); f != 10 {
		t.Errorf("%d finished", f)
	}
}

// count is how many such events the journal has.
func (p *project) count(event string) int {
	text, _ := os.ReadFile(p.outputs("history-" + p.host))
	return bytes.Count(text, []byte(`{"event":"`+event+`"`))
}

// The queue is saved very many times while one version runs, a long list each time.
func TestLoadEdits(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.load("m")
	var names []string
	for i := range sized(200, 10_000) {
		names = append(names, fmt.Sprintf("m-%05d", i))
		p.check(os.WriteFile(p.path("models/"+names[i]), []byte(script), 0o777))
	}
	p.queue("m")
	c := p.startIn(with("VERSIONS=1", "UNTIL="+p.path("until")), "-r", "-q")
	p.until("it runs", func() bool { return p.count("started") == 1 })
	var samples []int
	edits := sized(60, 10_000)
	for i := range edits {
		list := slices.Clone(names)
		slices.Reverse(list[:i%len(list)])
		p.write("models.config.new", "[MLP]\nuse_blacklist=False\n[WHITELISTED_MODELS]\nm\n"+strings.Join(list, "\n")+"\n")
		p.check(os.Rename(p.path("models.config.new"), p.path("models.config")))
		time.Sleep(5 * time.Millisecond) // as fast as a script in a loop
		if i%(edits/4) == 0 {
			status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
			_, rest, _ := strings.Cut(string(status), "VmHWM:")
			kB := 0
			fmt.Sscan(rest, &kB)
			samples = append(samples, kB)
		}
	}
	t.Logf("%d names, %d edits: %d kB", len(names), edits, samples)
	p.queue("m", names[3])
	p.until("the last edit is taken", func() bool {
		text, _ := os.ReadFile(p.outputs("status-" + p.host))
		return bytes.Contains(text, []byte(names[3])) && !bytes.Contains(text, []byte(names[4]))
	})
	p.write("until", "")
	p.measured("the run that was under way, and the one that is left", 0, c)
	if got := p.count("finished"); got != 2 {
		t.Errorf("%d finished", got)
	}
	p.flat("edits", samples[1], c.peak, 24<<10)
}

// A version with very many parameters, and with a long one.
func TestLoadParameters(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.load("m")
	p.queue("m")
	settings := with("VERSIONS=3", "PARAMS=10000", "TEXT=500000")
	p.measured("10,000 parameters, -r", 0, p.startIn(settings, "-r", "-q"))
	run := p.journal(p.host)[2].Run
	for _, args := range [][]string{{"-r", "-u", "-q"}, {"ls"}, {"show", run}, {"compare", "m/v0", "m/v1"}, {"status"}, {"report", "-o", filepath.Join(t.TempDir(), "r.html")}} {
		if c := p.measured("10,000 parameters, "+args[0], 0, p.startIn(settings, args...)); c.peak > 150<<10 {
			t.Errorf("%v: peak %d kB", args, c.peak)
		}
	}
	if got := p.count("finished"); got != 3 {
		t.Errorf("%d finished", got)
	}
}

// What a run has printed, and a log, of any length are read without taking them into memory.
func TestLoadLogs(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.load("m")
	p.queue("m")
	p.measured("-r", 0, p.startIn(with("VERSIONS=1", "LINES=1"), "-r", "-q"))
	run := p.journal(p.host)[2].Run
	file, err := os.OpenFile(p.outputs("runs/"+run+"/output.log"), os.O_WRONLY|os.O_APPEND, 0)
	p.check(err)
	block := bytes.Repeat([]byte(strings.Repeat("x", 79)+"\n"), 1<<20/80)
	size := sized(64, 2048)
	for range size {
		_, err := file.Write(block)
		p.check(err)
	}
	p.check(file.Close())
	p.check(os.Truncate(p.outputs("log-"+p.host), 10<<30)) // sparse
	sh := func(line string) []string { return []string{"sh", "-c", line} }
	for _, c := range []struct {
		what string
		call *call
	}{
		{"logs", p.startIn(sh(`exec "$0" "$@" >/dev/null`), "logs", run)},
		{"logs -n 20", p.start("logs", "-n", "20", run)},
		{"logs -f", p.startIn(sh(`exec "$0" "$@" >/dev/null`), "logs", "-f", run)},
		{"show", p.start("show", run)},
		{"status", p.start("status")},
		{"-r -u", p.startIn(with("VERSIONS=2"), "-r", "-u", "-q")},
	} {
		p.measured(fmt.Sprintf("%d MB printed, %s", size, c.what), 0, c.call)
		p.flat(c.what, 0, c.call.peak, 40<<10)
	}
}
