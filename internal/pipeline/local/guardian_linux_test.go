package local

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mlpipeline/mlpipeline/internal/pipeline"
)

// hidden is a part of a script that leaves a process behind, in a session of its own, that is no child of the script any
// more. It prints its process id, lets go of its streams, and never ends. It is started through how: with "env -i" it does
// not carry the name of its run.
func hidden(how string) string {
	return fmt.Sprintf(`setsid %s /bin/sh -c '/bin/sh -c "echo \$\$; exec /bin/sleep 1000000 <&- >/dev/null 2>&1 3<&- 4>&-" &'; `, how)
}

// alive reports whether a process is there and no zombie.
func alive(t *testing.T, pid int) bool {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	_, state, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')'):]), " ")
	return state[0] != 'Z' && state[0] != 'X'
}

// waitGone returns when a process, which need not be a child, has ended.
func waitGone(t *testing.T, pid int) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 60_000)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			t.Errorf("process %d does not end: %v", pid, err)
			unix.Kill(pid, unix.SIGKILL)
		}
		return
	}
}

func TestKillEndsTheWholeGroup(t *testing.T) {
	p := shell(t, open(t), "run", `
		trap '' TERM
		sh -c 'echo $$; read x <&3' &
		echo $$; wait; wait`)
	pids := p.pids(2)
	p.Stop() // is not heard
	p.Kill()
	<-p.Done()
	for _, pid := range pids {
		if alive(t, pid) {
			t.Errorf("process %d is alive", pid)
		}
	}
	if _, exit := p.end(); exit.Signal != unix.SIGKILL || exit.OOM {
		t.Errorf("%+v", exit)
	}
}

func TestNothingIsLeftWhenAProcessHasEnded(t *testing.T) {
	l := open(t)
	for _, end := range []string{"exit 3", "kill -KILL $$"} {
		p := shell(t, l, "run", hidden("")+hidden("env -i")+hidden("nohup")+`sh -c 'echo $$; exec sleep 1000000' & read x <&3; `+end)
		pids := p.pids(4)
		for _, pid := range pids {
			if !alive(t, pid) {
				t.Errorf("process %d is gone too early", pid)
			}
		}
		p.release()
		<-p.Done()
		for _, pid := range pids {
			if alive(t, pid) {
				t.Errorf("process %d is left after %s", pid, end)
			}
		}
		p.end()
	}
}

func TestTheChildrenOfAnotherRunAreLeftAlone(t *testing.T) {
	l := open(t)
	stays := shell(t, l, "stays", hidden("")+hidden("env -i")+"read x <&3; exit 6")
	staying := stays.pids(2)
	for range 10 {
		ends := shell(t, l, "stays-not", hidden("")+"read x <&3; exit 5")
		left := ends.pids(1)[0]
		ends.release()
		if _, exit := ends.end(); exit.Code != 5 {
			t.Errorf("%+v", exit)
		}
		if alive(t, left) {
			t.Errorf("process %d is left", left)
		}
		for _, pid := range staying {
			if !alive(t, pid) {
				t.Fatalf("process %d of the run that goes on was killed", pid)
			}
		}
	}
	// Whose a process without a name is cannot be known while two run. It ends with the last of them at the latest.
	nameless := shell(t, l, "nameless", hidden("env -i")+"read x <&3")
	staying = append(staying, nameless.pids(1)...)
	nameless.release()
	nameless.end()
	stays.release()
	if _, exit := stays.end(); exit.Code != 6 {
		t.Errorf("%+v", exit)
	}
	for _, pid := range staying {
		if alive(t, pid) {
			t.Errorf("process %d is left", pid)
		}
	}
}

// Each of a chain of processes becomes an orphan when the one before it dies.
func TestAChainOfLeftOverProcessesIsFoundToItsEnd(t *testing.T) {
	l := open(t)
	stays := shell(t, l, "stays", "read x <&3")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.WriteFile(link, []byte("#!/bin/sh\necho $$\n[ $1 = 0 ] || setsid $0 $(($1-1)) &\nexec sleep 1000000 >/dev/null 2>&1 3<&- 4>&-\n"), 0o777); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		p := shell(t, l, "ends", "setsid "+link+" 20 & read x <&3")
		pids := p.pids(21)
		p.release()
		<-p.Done()
		for _, pid := range pids {
			if alive(t, pid) {
				t.Errorf("process %d is left", pid)
				unix.Kill(pid, unix.SIGKILL)
			}
		}
		p.end()
	}
	stays.release()
	stays.end()
}

func TestNothingOutlivesAPipelineThatIsKilled(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LOCAL_TEST=pipeline", "LOCAL_TEST_SCRIPT="+
		`echo $$; trap "" TERM HUP; `+hidden("")+hidden("env -i")+`sh -c 'echo $$; exec sleep 1000000' & sleep 1000000`)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	var pids []int
	for range 5 { // the guardian, the process, three of its children
		var pid int
		if _, err := fmt.Fscanln(lines, &pid); err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	for _, pid := range pids {
		if !alive(t, pid) {
			t.Errorf("process %d is gone too early", pid)
		}
	}
	cmd.Process.Kill()
	cmd.Wait()
	for _, pid := range pids {
		waitGone(t, pid)
	}
}

func killGuardian(l *Local) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.guardian.Process.Kill()
}

func TestTheLossOfTheGuardianIsSaid(t *testing.T) {
	l := open(t)
	for range 3 {
		p := shell(t, l, "run", "echo $$; exec sleep 1000000")
		q := shell(t, l, "another", "echo $$; exec sleep 1000000")
		pids := append(p.pids(1), q.pids(1)...)
		killGuardian(l)
		for _, s := range []*started{p, q} {
			if _, exit := s.end(); exit.Err == nil || exit.OK() || exit.String() != exit.Err.Error() {
				t.Errorf("%+v", exit)
			}
			s.Stop()
			s.Kill()
		}
		for _, pid := range pids {
			waitGone(t, pid)
		}
		if _, exit := shell(t, l, "run", "exit 3").end(); exit.Code != 3 || exit.Err != nil {
			t.Errorf("the next: %+v", exit)
		}
	}
}

// What is to start when the guardian has just been killed needs another one.
func TestStartsWhileTheGuardianIsLost(t *testing.T) {
	l := open(t)
	for i := range 100 {
		shell(t, l, "run", "exit 0").end() // it is up
		killGuardian(l)
		time.Sleep(time.Duration(i) * 20 * time.Microsecond)
		p := shell(t, l, "run", "exit 3")
		if _, exit := p.end(); exit.Code != 3 && (exit.Err == nil || !strings.Contains(exit.Err.Error(), "guardian")) {
			t.Errorf("%+v", exit)
		}
	}
}

func TestTheGuardianHasANameOfItsOwn(t *testing.T) {
	l := open(t)
	shell(t, l, "run", "exit 0").end() // it is up
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", l.guardian.Process.Pid))
	if err != nil || strings.TrimSpace(string(comm)) != GuardianName {
		t.Errorf("%q, %v", comm, err)
	}
}

// The guardian acts on none of the signals that a terminal or a cluster sends to all: the pipeline does.
func TestTheGuardianOutlivesSignalsAndModelsDoNotInheritThat(t *testing.T) {
	l := open(t)
	for _, signal := range []unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGTERM, unix.SIGQUIT, unix.SIGPIPE, unix.SIGTSTP} {
		shell(t, l, "run", "exit 0").end() // it is up
		if err := unix.Kill(l.guardian.Process.Pid, signal); err != nil {
			t.Fatal(err)
		}
		p := shell(t, l, "run", fmt.Sprintf("kill -%d $$; exit 9", signal))
		if signal == unix.SIGTSTP {
			p.Kill()
			p.end()
			continue
		}
		if _, exit := p.end(); exit.Err != nil || exit.Signal != signal {
			t.Errorf("%v: %+v", signal, exit)
		}
	}
}

func TestProcessesLeakNothing(t *testing.T) {
	l := open(t)
	cycle := func(i int) {
		script := fmt.Sprintf("exit %d", i%256)
		if i%20 == 0 {
			script = hidden("") + script
		}
		if _, exit := shell(t, l, "run", script).end(); exit.Code != i%256 {
			t.Fatalf("%d: %+v", i, exit)
		}
		p, err := l.Start(pipeline.Command{ID: "run", Path: "/nowhere/none"})
		if err != nil {
			t.Fatal(err)
		}
		if exit := p.Wait(); exit.Err == nil {
			t.Fatal("started what is not there")
		}
	}
	descriptors := func(pid int) int {
		list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	for i := range 3 {
		cycle(i)
	}
	guardian := l.guardian.Process.Pid
	ours, theirs, goroutines := descriptors(os.Getpid()), descriptors(guardian), runtime.NumGoroutine()
	for i := range 200 {
		cycle(i)
	}
	if n := descriptors(os.Getpid()); n > ours {
		t.Errorf("%d descriptors, %d before", n, ours)
	}
	if n := descriptors(guardian); n > theirs {
		t.Errorf("%d descriptors of the guardian, %d before", n, theirs)
	}
	if n := runtime.NumGoroutine(); n > goroutines {
		t.Errorf("%d goroutines, %d before", n, goroutines)
	}
	if len(l.running) > 0 || l.guardian.Process.Pid != guardian {
		t.Errorf("%d running, guardian %d, before %d", len(l.running), l.guardian.Process.Pid, guardian)
	}
}
