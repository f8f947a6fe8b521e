package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// ownProgram is this program, even when its file has been replaced since it was started.
func ownProgram() (string, error) { return "/proc/self/exe", nil }

// newPipe makes a pipe that is not passed on to other programs.
func newPipe(fds *[2]int) error { return syscall.Pipe2(fds[:], syscall.O_CLOEXEC) }

// becomeSubreaper makes this process the parent of all orphans among its descendants.
func becomeSubreaper() { unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// takeName gives the guardian its name, by which a `killall mlpipeline` does not find it.
func takeName() { os.WriteFile("/proc/self/comm", []byte(GuardianName), 0) }

// childAttr puts a model into a session of its own, and ends it should the guardian itself be killed.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}

// ended waits until a child has ended, and returns it. It keeps its number until collect is called.
func ended() (pid int, collect func() syscall.WaitStatus, err error) {
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		return 0, nil, err
	}
	// si_pid is the first of the fields that unix.Siginfo has no names for, and lies where a pointer could.
	at := (unsafe.Offsetof(info.Code) + 4 + unsafe.Sizeof(uintptr(0)) - 1) &^ (unsafe.Sizeof(uintptr(0)) - 1)
	pid = int(*(*int32)(unsafe.Add(unsafe.Pointer(&info), at)))
	return pid, func() (status syscall.WaitStatus) {
		syscall.Wait4(pid, &status, syscall.WNOHANG, nil)
		return status
	}, nil
}

// orphans returns the children of this process other than known. The kernel gives orphans to the first thread of their
// new parent; those that were started by another thread are known.
func orphans(known map[int]child) []int {
	var pids []int
	for _, field := range strings.Fields(readProc(ownChildren())) {
		pid, err := strconv.Atoi(field)
		if _, ok := known[pid]; err == nil && !ok {
			pids = append(pids, pid)
		}
	}
	return pids
}

var ownChildren = sync.OnceValue(func() int {
	fd, err := syscall.Open(fmt.Sprintf("/proc/self/task/%d/children", os.Getpid()), syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
})

// collectPace is how long a child that has ended may stay before it is taken for one that nobody waits for.
const collectPace = 5 * time.Second

// collectOrphans waits, until ctx ends, for the children of this process that it has not started itself: those that a
// command of the user has left in the background come to a subreaper. Who starts a child waits for it at once.
func collectOrphans(ctx context.Context) {
	tick := time.NewTicker(collectPace)
	defer tick.Stop()
	for ended := map[int]string{}; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := map[int]string{}
		for _, pid := range orphans(nil) {
			stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			switch _, state, _ := strings.Cut(string(stat), ") "); {
			case !strings.HasPrefix(state, "Z"):
			case ended[pid] == string(stat):
				syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
			default:
				now[pid] = string(stat)
			}
		}
		ended = now
	}
}

// readProc reads all of a file of /proc that is open.
func readProc(fd int) string {
	var text []byte
	buf := make([]byte, 4096)
	for {
		n, err := syscall.Pread(fd, buf, int64(len(text)))
		if err != nil || n <= 0 {
			return string(text)
		}
		text = append(text, buf[:n]...)
	}
}

// runOf returns the run that has started a process, and whether it is known what has: a process that is dying, or is about to
// run another program, has no environment for a moment. One that has died has left all that it will leave.
func runOf(pid int) (run string, known bool) {
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if errors.Is(err, fs.ErrPermission) {
		return "", true // as that of a process that has more rights than this one; it never will be
	}
	whole := env[:bytes.LastIndexByte(env, 0)+1] // what is dying may be read in part
	if run := variable(whole, wire.EnvRun); run != "" {
		return run, true
	}
	// Was that all of it? env_start and env_end of proc_pid_stat(5) say; the first field here is its third.
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 49 {
		return "", false
	}
	if fields[0] == "Z" && fields[17] == "1" { // its only thread
		return "", true
	}
	start, _ := strconv.ParseUint(fields[47], 10, 64)
	end, _ := strconv.ParseUint(fields[48], 10, 64)
	return "", end > 0 && uint64(len(env)) == end-start
}

// oomKills counts the processes that the kernel has killed for want of memory since it started.
func oomKills() int {
	stat, _ := os.ReadFile("/proc/vmstat")
	_, rest, _ := strings.Cut(string(stat), "\noom_kill ")
	count, _, _ := strings.Cut(rest, "\n")
	n, _ := strconv.Atoi(count)
	return n
}
