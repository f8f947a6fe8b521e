package local

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mlpipeline/mlpipeline/internal/pipeline"
)

// inherited are the descriptors that this process has from its parent.
var inherited []int

// verbs are the processes that only tests of this system need.
var verbs = map[string]func() error{}

// TestMain makes the test program also its own guardian, and the other processes that tests need.
func TestMain(m *testing.M) {
	if IsGuardian() {
		if patience, err := time.ParseDuration(os.Getenv("LOCAL_TEST_PATIENCE")); err == nil {
			parentPatience = patience
		}
		os.Exit(Guard())
	}
	if os.Getenv("GORACE") == "" {
		os.Setenv("GORACE", "atexit_sleep_ms=0") // for the guardians: by default each waits a second at its end
	}
	inherited = inheritedDescriptors()
	var err error
	switch verb := os.Getenv("LOCAL_TEST"); verb {
	case "":
		os.Exit(m.Run())
	case "look around":
		err = json.NewEncoder(os.Stdout).Encode(lookAround())
	case "pipeline":
		err = bePipeline()
	default:
		do := verbs[verb]
		if do == nil {
			do = func() error { return fmt.Errorf("unknown verb %q", verb) }
		}
		err = do()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// inheritedDescriptors lists the descriptors that came with exec: those that it would not have closed.
func inheritedDescriptors() (fds []int) {
	for fd := range 1024 {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			fds = append(fds, fd)
		}
	}
	return fds
}

// surroundings are what a process finds when it starts.
type surroundings struct {
	Args        []string
	Descriptors []int
	NonBlocking []int // of the first five
	Stdin       string
	Terminal    bool
	PID         int
	Session     int
	Group       int
	Dir         string
	Env         map[string]string
}

func lookAround() surroundings {
	s := surroundings{Args: os.Args, Descriptors: inherited, PID: os.Getpid(), Group: unix.Getpgrp(), Env: map[string]string{}}
	for fd := range 5 {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
			s.NonBlocking = append(s.NonBlocking, fd)
		}
	}
	if in, err := io.ReadAll(os.Stdin); err != nil {
		s.Stdin = err.Error()
	} else {
		s.Stdin = string(in)
	}
	if tty, err := os.Open("/dev/tty"); err == nil {
		tty.Close()
		s.Terminal = true
	}
	s.Session, _ = unix.Getsid(0)
	s.Dir, _ = os.Getwd()
	for _, name := range []string{"LOCAL_TEST_OWN", "LOCAL_TEST_INHERITED", "MLPIPELINE_RUN"} {
		s.Env[name] = os.Getenv(name)
	}
	return s
}

// bePipeline starts a process of the script in the environment, hands on what it prints, and waits for its own end.
func bePipeline() error {
	l, err := Open(new(Slots))
	if err != nil {
		return err
	}
	p, err := l.Start(pipeline.Command{ID: "run", Path: "/bin/sh", Args: []string{"-c", os.Getenv("LOCAL_TEST_SCRIPT")}})
	if err != nil {
		return err
	}
	fmt.Println(l.guardian.Process.Pid)
	io.Copy(os.Stdout, p.Stdout())
	return nil
}

// A started is a process with what a test has read of it so far.
type started struct {
	pipeline.Process
	t   *testing.T
	out *bufio.Reader
}

func open(t *testing.T) *Local {
	t.Helper()
	l, err := Open(new(Slots))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// shell starts a shell that runs script.
func shell(t *testing.T, l *Local, id, script string) *started {
	t.Helper()
	p, err := l.Start(pipeline.Command{ID: id, Path: "/bin/sh", Args: []string{"-c", script}})
	if err != nil {
		t.Fatal(err)
	}
	return &started{p, t, bufio.NewReader(p.Stdout())}
}

// line returns the next line on standard output.
func (s *started) line() string {
	s.t.Helper()
	line, err := s.out.ReadString('\n')
	if err != nil {
		s.t.Fatalf("%q, %v", line, err)
	}
	return line[:len(line)-1]
}

// pids returns the process ids that come next on standard output, one a line.
func (s *started) pids(n int) (pids []int) {
	s.t.Helper()
	for range n {
		var pid int
		if _, err := fmt.Sscan(s.line(), &pid); err != nil {
			s.t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// release gives the script the line that it reads from the commands.
func (s *started) release() {
	s.t.Helper()
	if _, err := s.Commands().Write([]byte("\n")); err != nil {
		s.t.Fatal(err)
	}
}

// end reads what is left and waits for the end.
func (s *started) end() (rest string, exit pipeline.Exit) {
	s.t.Helper()
	out, err := io.ReadAll(s.out)
	if err != nil {
		s.t.Error(err)
	}
	return string(out), s.Wait()
}

func without(all, some []int) []int {
	return slices.DeleteFunc(slices.Clone(all), func(x int) bool { return slices.Contains(some, x) })
}
