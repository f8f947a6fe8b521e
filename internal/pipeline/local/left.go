package local

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// A LeftProcess is one that a run has started, and whose pipeline is gone.
type LeftProcess struct {
	PID     int
	Run     string
	Dir     string // of the project: models start there, and PWD says so
	Command string
}

// Of reports whether it is of the project in a folder.
func (p LeftProcess) Of(project string) bool {
	one, err := os.Stat(p.Dir)
	if err != nil {
		return false
	}
	other, err := os.Stat(project)
	return err == nil && os.SameFile(one, other)
}

// Left returns the processes that carry the name of a run and have no guardian above them. That ends with its pipeline. It
// finds none where the environment of a process cannot be read: elsewhere than on Linux.
func Left() []LeftProcess {
	left, _ := scan()
	return left
}

// EndLeft ends what runs of a project have left whose pipeline was killed, so that it does not go on in a model directory that
// another run is about to use: what the guardian of that pipeline is about to end is waited for, and where that was killed too,
// it is done here. It returns what cannot be ended within patience. The caller holds the lock of the outputs folder.
func EndLeft(project string, patience time.Duration) []LeftProcess {
	before := true // there was something; what starts another and ends while it is looked for is found the next time
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		left, ending := scan()
		left = slices.DeleteFunc(left, func(p LeftProcess) bool { return !p.Of(project) })
		now := len(left) > 0 || ending
		if !now && !before || time.Now().After(deadline) {
			return left
		}
		before = now
		for _, p := range left {
			syscall.Kill(p.PID, syscall.SIGKILL)
		}
	}
}

// scan returns the processes that are left, and whether there is a guardian that is ending those of a pipeline that was killed.
// This process and its ancestors are never among them.
func scan() (found []LeftProcess, ending bool) {
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
		parents[pid], guardians[pid] = parent, name == GuardianName
		if state != "Z" && state != "X" {
			pids = append(pids, pid)
		}
	}
	own := map[int]bool{}
	for pid := os.Getpid(); pid > 0 && !own[pid]; pid = parents[pid] {
		own[pid] = true
	}
	for _, pid := range pids {
		if own[pid] {
			continue
		}
		if guardians[pid] && (guardians[parents[pid]] || !sameProgram(pid, parents[pid])) {
			ending = true
		}
		env, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)) // those of other users cannot be read
		run, dir := variable(env, wire.EnvRun), variable(env, "PWD")
		if run == "" || guarded(pid, parents, guardians) {
			continue
		}
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		command := strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))
		found = append(found, LeftProcess{pid, run, dir, command[:min(len(command), 200)]})
	}
	return found, ending
}

// sameProgram reports whether two processes run the same file, as a guardian and its pipeline do.
func sameProgram(a, b int) bool {
	one, err := os.Stat(fmt.Sprintf("/proc/%d/exe", a))
	if err != nil {
		return true // of another user, or it has ended
	}
	other, err := os.Stat(fmt.Sprintf("/proc/%d/exe", b))
	return err == nil && os.SameFile(one, other)
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

// parentOf returns the parent of a process, or 0 when there is no such process.
func parentOf(pid int) int {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, parent, _ := parseStat(stat)
	return parent
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
