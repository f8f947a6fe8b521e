package local

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mlpipeline/mlpipeline/internal/pipeline"
)

func init() {
	verbs["parent"] = beParent
	if os.Getenv("LOCAL_TEST") == "parent" {
		// On a busy machine it goes on for a moment when its guardian has died. Here it does until it is killed.
		unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0)
	}
}

// beParent is a parent whose children are shells, with the script that LOCAL_TEST_SCRIPT holds. Where that is "refuse" it forks
// none, where it is "die" it ends when it is asked, and where it is "fork and die" once it has forked a process that has ended.
// Its guardian is stopped then.
func beParent() error {
	fmt.Println(os.Getpid())
	children := map[int]*exec.Cmd{}
	var mu sync.Mutex
	for {
		message, oob := make([]byte, maxFork), make([]byte, unix.CmsgSpace(4*4))
		n, oobn, _, _, err := unix.Recvmsg(5, message, oob, unix.MSG_CMSG_CLOEXEC)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		if n == 0 {
			select {}
		}
		verb, rest, _ := strings.Cut(string(message[:n]), " ")
		if verb == "collect" {
			mu.Lock()
			var pid int
			fmt.Sscan(rest, &pid)
			children[pid].Wait()
			mu.Unlock()
			continue
		}
		fields := strings.Split(rest, "\x00")
		var files []*os.File
		messages, err := unix.ParseSocketControlMessage(oob[:oobn])
		if err != nil {
			return err
		}
		fds, err := unix.ParseUnixRights(&messages[0])
		if err != nil {
			return err
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "given"))
		}
		script := ""
		for _, variable := range fields[1:] {
			if value, ok := strings.CutPrefix(variable, "LOCAL_TEST_SCRIPT="); ok {
				script = value
			}
		}
		switch script {
		case "die":
			return nil
		case "fork and die":
			unix.Kill(os.Getppid(), unix.SIGSTOP)
			cmd := exec.Command("/bin/true")
			if err := cmd.Start(); err != nil {
				return err
			}
			awaitEnd(cmd)
			unix.Send(5, fmt.Appendf(nil, "forked %s %d", fields[0], cmd.Process.Pid), 0)
			return nil
		case "refuse":
			unix.Send(5, []byte("failed "+fields[0]+" no more of it"), 0)
		default:
			cmd := exec.Command("/bin/sh", "-c", script)
			cmd.Env = append(os.Environ(), fields[1:]...)
			cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = files[0], files[1], files[2:]
			cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
			if err := cmd.Start(); err != nil {
				return err
			}
			mu.Lock()
			children[cmd.Process.Pid] = cmd
			mu.Unlock()
			unix.Send(5, fmt.Appendf(nil, "forked %s %d", fields[0], cmd.Process.Pid), 0)
			go func() {
				awaitEnd(cmd)
				stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
				fields := strings.Fields(string(stat))
				var status int
				fmt.Sscan(fields[len(fields)-1], &status)
				unix.Send(5, fmt.Appendf(nil, "ended %d %d %d", cmd.Process.Pid, status>>8, status&0x7f), 0)
			}()
		}
		for _, f := range files {
			f.Close()
		}
	}
}

// awaitEnd waits until cmd has ended, and does not collect it.
func awaitEnd(cmd *exec.Cmd) {
	var info unix.Siginfo
	for unix.Waitid(unix.P_PID, cmd.Process.Pid, &info, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
}

// startParent starts a parent, and returns it with its pid.
func startParent(t *testing.T, l *Local) (*started, int) {
	t.Helper()
	p, err := l.Start(pipeline.Command{ID: "parent", Path: os.Args[0], Env: []string{"LOCAL_TEST=parent"}, Forks: true})
	if err != nil {
		t.Fatal(err)
	}
	s := &started{p, t, bufio.NewReader(p.Stdout())}
	return s, s.pids(1)[0]
}

func fork(t *testing.T, l *Local, of *started, id, script string) *started {
	t.Helper()
	p, err := l.Start(pipeline.Command{ID: id, Of: of.Process, Env: []string{"LOCAL_TEST_SCRIPT=" + script}})
	if err != nil {
		t.Fatal(err)
	}
	return &started{p, t, bufio.NewReader(p.Stdout())}
}

func TestForkedProcesses(t *testing.T) {
	l := open(t)
	parent, _ := startParent(t, l)
	for script, want := range map[string]pipeline.Exit{
		"exit 0":        {},
		"exit 3":        {Code: 3},
		"kill -TERM $$": {Signal: unix.SIGTERM},
		"kill -KILL $$": {Signal: unix.SIGKILL},
		"exec 1>&- 2>&- 4>&-; read x <&3; exit 7": {Code: 7},
	} {
		p := fork(t, l, parent, "run", script)
		if strings.Contains(script, "read") {
			io.Copy(io.Discard, p.Events())
			p.release()
		}
		if _, got := p.end(); got != want {
			t.Errorf("%s: %+v, want %+v", script, got, want)
		}
	}
	p := fork(t, l, parent, "run", "echo $MLPIPELINE_RUN; echo to stderr >&2; cat <&3 >&4")
	p.release()
	p.Commands().Close()
	events, _ := io.ReadAll(p.Events())
	errs, _ := io.ReadAll(p.Stderr())
	if out, exit := p.end(); !exit.OK() || out != "run\n" || string(errs) != "to stderr\n" || string(events) != "\n" {
		t.Errorf("%v; %q, %q, %q", exit, out, errs, events)
	}
	_, err := l.Start(pipeline.Command{ID: "run", Of: parent.Process, Env: []string{"LOCAL_TEST_SCRIPT=refuse"}})
	if err == nil || err.Error() != "no more of it" {
		t.Errorf("%v", err)
	}
}

func TestForkedProcessesAreStoppedAndKilled(t *testing.T) {
	l := open(t)
	parent, _ := startParent(t, l)
	p := fork(t, l, parent, "asked", `trap 'echo asked; exit 5' TERM; echo up; while :; do read x <&3; done`)
	p.line()
	p.Stop()
	if got := p.line(); got != "asked" {
		t.Error(got)
	}
	if _, exit := p.end(); exit.Code != 5 {
		t.Errorf("%+v", exit)
	}
	stays := fork(t, l, parent, "stays", hidden("")+"read x <&3; exit 6")
	staying := stays.pids(1)[0]
	p = fork(t, l, parent, "killed", `trap '' TERM; `+hidden("")+`sh -c 'echo $$; read x <&3' & wait; wait`)
	pids := p.pids(2)
	p.Kill()
	<-p.Done()
	for _, pid := range pids {
		if alive(t, pid) {
			t.Errorf("process %d is alive", pid)
		}
	}
	if _, exit := p.end(); exit.Signal != unix.SIGKILL {
		t.Errorf("%+v", exit)
	}
	if !alive(t, staying) {
		t.Errorf("process %d of the run that goes on was killed", staying)
	}
	stays.release()
	if _, exit := stays.end(); exit.Code != 6 {
		t.Errorf("%+v", exit)
	}
	if alive(t, staying) {
		t.Errorf("process %d is left", staying)
	}
	nameless := fork(t, l, parent, "nameless", hidden("env -i")+"read x <&3")
	left := nameless.pids(1)[0]
	nameless.release()
	nameless.end()
	if alive(t, left) {
		t.Errorf("process %d is left, although nothing runs", left)
	}
}

func TestManyForkedAtOnce(t *testing.T) {
	l := open(t)
	parent, _ := startParent(t, l)
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for i := range 20 {
				id := fmt.Sprint(n, "-", i)
				p, err := l.Start(pipeline.Command{ID: id, Of: parent.Process, Env: []string{fmt.Sprintf("LOCAL_TEST_SCRIPT=echo $MLPIPELINE_RUN; exit %d", n*20+i)}})
				if err != nil {
					t.Error(err)
					return
				}
				out, _ := io.ReadAll(p.Stdout())
				if exit := p.Wait(); exit.Code != n*20+i || exit.Signal != 0 || string(out) != id+"\n" {
					t.Errorf("%s: %q, %+v", id, out, exit)
				}
			}
		})
	}
	wg.Wait()
}

// What a parent that dies has forked comes to the guardian, which knows it.
func TestAParentThatDies(t *testing.T) {
	l := open(t)
	for _, how := range []string{"killed", "asked"} {
		parent, pid := startParent(t, l)
		p := fork(t, l, parent, "run", hidden("")+"read x <&3; exit 4")
		left := p.pids(1)[0]
		if how == "killed" {
			unix.Kill(pid, unix.SIGKILL)
		} else if _, err := l.Start(pipeline.Command{ID: "next", Of: parent.Process, Env: []string{"LOCAL_TEST_SCRIPT=die"}}); err == nil {
			t.Error("started")
		}
		parent.end()
		_, err := l.Start(pipeline.Command{ID: "next", Of: parent.Process})
		if err == nil || err.Error() != parentEnded {
			t.Errorf("%v", err)
		}
		p.release()
		if _, exit := p.end(); exit.Code != 4 || exit.Signal != 0 {
			t.Errorf("%s: %+v", how, exit)
		}
		if alive(t, left) {
			t.Errorf("process %d is left", left)
		}
	}
	if len(l.running) > 0 {
		t.Errorf("%d are held to be running", len(l.running))
	}
}

// The guardian may have collected a process before it hears that its parent has forked it.
func TestAParentThatDiesTogetherWithItsChild(t *testing.T) {
	l := open(t)
	for range 20 {
		parent, pid := startParent(t, l)
		go func() {
			for alive(t, pid) {
				time.Sleep(time.Millisecond)
			}
			l.guardian.Process.Signal(unix.SIGCONT)
		}()
		p, err := l.Start(pipeline.Command{ID: "run", Of: parent.Process, Env: []string{"LOCAL_TEST_SCRIPT=fork and die"}})
		if err == nil {
			select {
			case <-p.Done():
			case <-time.After(time.Minute):
				t.Fatal("its end is waited for in vain")
			}
		} else if err.Error() != parentEnded {
			t.Error(err)
		}
		parent.end()
	}
}

// Neither a start nor an end waits for a parent that hangs for longer than its patience.
func TestAParentThatHangs(t *testing.T) {
	t.Setenv("LOCAL_TEST_PATIENCE", "2s")
	l := open(t)
	parent, pid := startParent(t, l)
	p := fork(t, l, parent, "run", "trap '' TERM; echo up; read x <&3")
	p.line()
	unix.Kill(pid, unix.SIGSTOP)
	p.Kill()
	if _, exit := p.end(); exit.Signal != unix.SIGKILL {
		t.Errorf("%+v", exit)
	}
	if _, exit := parent.end(); exit.Signal != unix.SIGKILL {
		t.Errorf("%+v", exit)
	}
	parent, pid = startParent(t, l)
	unix.Kill(pid, unix.SIGSTOP)
	_, err := l.Start(pipeline.Command{ID: "run", Of: parent.Process, Env: []string{"LOCAL_TEST_SCRIPT=exit 3"}})
	if err == nil || err.Error() != parentEnded {
		t.Errorf("%v", err)
	}
	parent.end()
}

func TestForkedProcessesLeakNothing(t *testing.T) {
	l := open(t)
	descriptors := func() int {
		list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", l.guardian.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	cycle := func() {
		parent, _ := startParent(t, l)
		for range 10 {
			fork(t, l, parent, "run", "exit 0").end()
		}
		parent.Kill()
		parent.end()
	}
	cycle()
	before := descriptors()
	for range 10 {
		cycle()
	}
	// The socket of the last may be about to be closed.
	for deadline := time.Now().Add(10 * time.Second); descriptors() > before && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if n := descriptors(); n > before {
		t.Errorf("%d descriptors of the guardian, %d before", n, before)
	}
}

// What was forked comes to the pipeline only when its parent has died too.
func TestNothingForkedOutlivesTheGuardian(t *testing.T) {
	l := open(t)
	for range 5 {
		parent, pid := startParent(t, l)
		pids := []int{pid}
		all := []*started{parent}
		for i := range 8 {
			p := fork(t, l, parent, fmt.Sprint("run-", i), "echo $$; "+hidden("")+"read x <&3")
			pids = append(pids, p.pids(2)...)
			all = append(all, p)
		}
		killGuardian(l)
		for _, p := range all {
			<-p.Done()
		}
		for _, pid := range pids {
			if alive(t, pid) {
				t.Errorf("process %d is left", pid)
				unix.Kill(pid, unix.SIGKILL)
			}
		}
		for _, p := range all {
			if _, exit := p.end(); exit.Err == nil {
				t.Errorf("%+v", exit)
			}
		}
	}
}
