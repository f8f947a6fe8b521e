package doctor

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/pipeline/local"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// locks says which hosts execute this project now. The lock file of one that does not is nothing: the kernel has given the
// lock back.
func (d *Doctor) locks(context.Context) []Finding {
	var findings []Finding
	executing := d.executing()
	for _, host := range slices.Sorted(maps.Keys(executing)) {
		who := executing[host]
		if host == d.folder.Host {
			findings = append(findings, say(Info, "lock", "a second execution here is refused until that has ended",
				"this project is being executed by %s", who))
		} else {
			findings = append(findings, say(Info, "lock", "", "this project is being executed on %s by %s", host, who))
		}
	}
	if findings == nil {
		return []Finding{say(OK, "lock", "", "nobody is executing this project")}
	}
	return findings
}

// executing returns who holds the lock of each host that executes this project.
func (d *Doctor) executing() map[string]string {
	files, _ := filepath.Glob(filepath.Join(escaped(d.folder.Dir), ".lock-*"))
	holders := map[string]string{}
	for _, file := range files {
		host := strings.TrimPrefix(filepath.Base(file), ".lock-")
		if d.folder.Executing(host) {
			holders[host] = d.folder.Holder(host)
		}
	}
	return holders
}

// escaped is dir in a pattern that means dir alone.
func escaped(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

// leftFiles looks for files that were to replace another when their writer was killed.
func (d *Doctor) leftFiles(context.Context) []Finding {
	dir := escaped(d.folder.Dir)
	files, _ := filepath.Glob(filepath.Join(dir, "status-*.new"))
	more, _ := filepath.Glob(filepath.Join(dir, "runs", "*", "run.json.new"))
	files = append(files, more...)
	if len(files) > 0 && len(d.executing()) > 0 {
		return nil // that is writing them
	}
	if len(files) == 0 {
		return []Finding{say(OK, "leftovers", "", "no half-written files")}
	}
	text := "1 file was half written"
	if len(files) > 1 {
		text = fmt.Sprintf("%d files were half written", len(files))
	}
	return []Finding{say(Info, "leftovers", "", "%s when an execution was killed; nothing reads them: rm %s", text, strings.Join(files[:min(len(files), 3)], " "))}
}

// A process is one that a run has started.
type process struct {
	pid     int
	run     string
	dir     string // of the project: models start there, and PWD says so
	command string
}

// leftProcesses looks for processes of runs whose pipeline is gone. It can on Linux only: elsewhere the environment of a
// process cannot be read.
func (d *Doctor) leftProcesses(ctx context.Context) []Finding {
	if _, err := os.Stat("/proc/self/environ"); err != nil {
		return nil
	}
	left := orphans()
	if len(left) > 0 { // those of a pipeline that has just been killed are about to be killed, too
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
		}
		still := orphans()
		left = slices.DeleteFunc(left, func(p process) bool { return !slices.Contains(still, p) })
	}
	if len(left) == 0 {
		return []Finding{say(OK, "processes", "", "none is left of earlier runs")}
	}
	var findings []Finding
	const most = 10
	for _, p := range left[:min(len(left), most)] {
		level, of := Warning, "a run in "+p.dir
		if d.Dir != "" && sameFolder(p.dir, d.Dir) {
			level, of = Problem, "a run of this project"
		}
		findings = append(findings, say(level, "processes", fmt.Sprintf("kill %d; if it stays, kill -9 %d", p.pid, p.pid),
			"pid %d of %s has outlived its pipeline: %s", p.pid, of, p.command))
	}
	if more := len(left) - most; more > 0 {
		findings = append(findings, say(Warning, "processes", "", "and %d more", more))
	}
	return findings
}

func sameFolder(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}

// orphans returns the processes that carry the name of a run and have no guardian above them. That ends with its pipeline.
func orphans() []process {
	entries, _ := os.ReadDir("/proc")
	parents, guardians := map[int]int{}, map[int]bool{}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue
		}
		name, parent, state := parseStat(stat)
		parents[pid], guardians[pid] = parent, name == local.GuardianName
		if state != "Z" && state != "X" {
			pids = append(pids, pid)
		}
	}
	var found []process
	for _, pid := range pids {
		env, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)) // those of other users cannot be read
		run, dir := variable(env, wire.EnvRun), variable(env, "PWD")
		if run == "" || guarded(pid, parents, guardians) {
			continue
		}
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		command := strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))
		found = append(found, process{pid, run, dir, command[:min(len(command), 200)]})
	}
	return found
}

// variable returns the value of a variable in an environment as the kernel shows it.
func variable(env []byte, name string) string {
	for v := range bytes.SplitSeq(env, []byte{0}) {
		if value, ok := bytes.CutPrefix(v, []byte(name+"=")); ok {
			return string(value)
		}
	}
	return ""
}

func guarded(pid int, parents map[int]int, guardians map[int]bool) bool {
	for range parents { // a process that takes the number of a dead one may close a circle
		if guardians[pid] {
			return true
		}
		if pid = parents[pid]; pid == 0 {
			break
		}
	}
	return false
}

// parseStat takes name, parent and state from a /proc/<pid>/stat. The name stands in brackets and may hold some.
func parseStat(stat []byte) (name string, parent int, state string) {
	open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 0 || end < open {
		return "", 0, ""
	}
	fields := strings.Fields(string(stat[end+1:]))
	if len(fields) < 2 {
		return "", 0, ""
	}
	parent, _ = strconv.Atoi(fields[1])
	return string(stat[open+1 : end]), parent, fields[0]
}
