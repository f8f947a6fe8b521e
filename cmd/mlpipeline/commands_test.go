//go:build linux

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// patience is how long something that has to come is waited for. It is never waited for in vain unless a test fails.
const patience = time.Minute

// until waits for ok.
func until(ts *testscript.TestScript, what string, ok func() bool) {
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			for name := range jobs(ts) {
				logOutput(ts, name)
			}
			ts.Fatalf("waited in vain: %s", what)
		}
	}
}

func usage(ts *testscript.TestScript, neg bool, ok bool, text string) {
	if neg || !ok {
		ts.Fatalf("usage: %s", text)
	}
}

// actor makes models that do what their plays say, see testdata/actor.
func actor(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) > 0, "actor FILE...")
	for _, file := range args {
		file = ts.MkAbs(file)
		ts.Check(os.MkdirAll(filepath.Dir(file), 0o777))
		if err := os.Link(filepath.Join(built.dir, "actor"), file); err != nil {
			program, err := os.ReadFile(filepath.Join(built.dir, "actor"))
			ts.Check(err)
			ts.Check(os.WriteFile(file, program, 0o777))
		}
	}
}

// recode makes the code of an actor another one that does the same.
func recode(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "recode FILE")
	file := ts.MkAbs(args[0])
	program, err := os.ReadFile(file)
	ts.Check(err)
	ts.Check(os.WriteFile(file+".new", append(program, 0), 0o777))
	ts.Check(os.Rename(file+".new", file))
}

// repeat writes a file that consists of many times the same.
func repeat(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 3, "repeat COUNT TEXT FILE")
	count, err := strconv.Atoi(args[0])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), bytes.Repeat([]byte(args[1]), count), 0o666))
}

// exits runs a command that has to end with this status.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) > 1, "exits STATUS COMMAND...")
	err := ts.Exec(args[1], args[2:]...)
	checkStatus(ts, err, args[0])
}

func checkStatus(ts *testscript.TestScript, err error, want string) {
	status := 0
	if err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		status = exit.ExitCode()
		if w, ok := exit.Sys().(syscall.WaitStatus); ok && w.Signaled() {
			ts.Logf("[%v]", w.Signal())
		}
	}
	if strconv.Itoa(status) != want {
		ts.Fatalf("exit status %d, not %s", status, want)
	}
}

// background is the key of the jobs that a script has started, by name.
type background struct{}

// A job is a process in the background.
type job struct {
	cmd      *exec.Cmd
	terminal *os.File // the other end of its terminal, if it has one
	copied   chan struct{}
	ended    chan struct{}
	err      error // of Wait, once ended is closed
}

func jobs(ts *testscript.TestScript) map[string]*job {
	return ts.Value(background{}).(map[string]*job)
}

func theJob(ts *testscript.TestScript, name string) *job {
	j := jobs(ts)[name]
	if j == nil {
		ts.Fatalf("nothing was started as %s", name)
	}
	return j
}

// start starts a command in the background. What it prints goes to NAME.out and NAME.err, with -pty to a terminal and from
// there to NAME.out; NAME.pid has its pid.
func start(ts *testscript.TestScript, neg bool, args []string) {
	onTerminal := len(args) > 0 && args[0] == "-pty"
	if onTerminal {
		args = args[1:]
	}
	usage(ts, neg, len(args) > 1, "start [-pty] NAME COMMAND...")
	name, args := args[0], args[1:]
	if !strings.Contains(args[0], "/") {
		for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
			if info, err := os.Stat(filepath.Join(dir, args[0])); err == nil && info.Mode()&0o111 != 0 {
				args[0] = filepath.Join(dir, args[0])
				break
			}
		}
	}
	out, err := os.Create(ts.MkAbs(name + ".out"))
	ts.Check(err)
	defer out.Close()
	j := &job{cmd: exec.Command(args[0], args[1:]...), ended: make(chan struct{}), copied: make(chan struct{})}
	j.cmd.Dir = ts.MkAbs(".")
	j.cmd.Env = environment(ts)
	if onTerminal {
		terminal, theirs, err := openPTY()
		ts.Check(err)
		defer theirs.Close()
		j.terminal = terminal
		j.cmd.Stdin, j.cmd.Stdout, j.cmd.Stderr = theirs, theirs, theirs
		j.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		copied, err := os.OpenFile(ts.MkAbs(name+".out"), os.O_WRONLY|os.O_APPEND, 0)
		ts.Check(err)
		go func() {
			defer close(j.copied)
			defer copied.Close()
			buf := make([]byte, 4096)
			for {
				n, err := terminal.Read(buf)
				copied.Write(buf[:n])
				if err != nil {
					return
				}
			}
		}()
	} else {
		close(j.copied)
		errs, err := os.Create(ts.MkAbs(name + ".err"))
		ts.Check(err)
		defer errs.Close()
		j.cmd.Stdout, j.cmd.Stderr = out, errs
		// A group of its own: what a script sends it is not for the tests.
		j.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	}
	ts.Check(j.cmd.Start())
	ts.Check(os.WriteFile(ts.MkAbs(name+".pid"), []byte(strconv.Itoa(j.cmd.Process.Pid)), 0o666))
	go func() {
		j.err = j.cmd.Wait()
		close(j.ended)
	}()
	jobs(ts)[name] = j
	ts.Defer(func() {
		select {
		case <-j.ended:
		default:
			j.cmd.Process.Kill()
			<-j.ended
		}
	})
}

// environment is that of the script. testscript tells its variables by name only.
func environment(ts *testscript.TestScript) []string {
	var env []string
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPROXY", "GORACE", "HOME", "NO_COLOR", "PATH", "TERM", "TMPDIR", "WORK", "XDG_CACHE_HOME"} {
		if value := ts.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// signalTo sends a signal to a job, or to the process whose pid a file holds.
func signalTo(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 2, "signal NAME JOB|FILE")
	sig := unix.SignalNum("SIG" + args[0])
	if sig == 0 {
		ts.Fatalf("unknown signal %s", args[0])
	}
	if j := jobs(ts)[args[1]]; j != nil {
		ts.Check(j.cmd.Process.Signal(sig))
		return
	}
	ts.Check(syscall.Kill(pidIn(ts, args[1]), sig))
}

// ends waits for the end of a job, which has to have this status; "killed" is death by SIGKILL.
func ends(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 2, "ends NAME STATUS")
	j := theJob(ts, args[0])
	until(ts, args[0]+" ends", func() bool {
		select {
		case <-j.ended:
			return true
		default:
			return false
		}
	})
	if j.terminal != nil {
		until(ts, "the terminal is read", func() bool {
			select {
			case <-j.copied:
				return true
			default:
				return false
			}
		})
	}
	logOutput(ts, args[0])
	want := args[1]
	if want == "killed" {
		want = "-1"
	}
	checkStatus(ts, j.err, want)
}

func logOutput(ts *testscript.TestScript, job string) {
	for _, stream := range []string{".out", ".err"} {
		if text, err := os.ReadFile(ts.MkAbs(job + stream)); err == nil && len(text) > 0 {
			ts.Logf("[%s%s]\n%s", job, stream, text[:min(len(text), 20000)])
		}
	}
}

// hangup takes the terminal of a job away.
func hangup(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "hangup NAME")
	j := theJob(ts, args[0])
	ts.Check(j.terminal.Close())
}

// typeTo types a text, with the escapes of a Go string, on the terminal of a job.
func typeTo(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 2, "type NAME TEXT")
	text, err := strconv.Unquote(`"` + args[1] + `"`)
	ts.Check(err)
	_, err = theJob(ts, args[0]).terminal.WriteString(text)
	ts.Check(err)
}

// resize gives the terminal of a job another size.
func resize(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 3, "resize NAME COLS ROWS")
	cols, err := strconv.ParseUint(args[1], 10, 16)
	ts.Check(err)
	rows, err := strconv.ParseUint(args[2], 10, 16)
	ts.Check(err)
	size := unix.Winsize{Col: uint16(cols), Row: uint16(rows)}
	ts.Check(unix.IoctlSetWinsize(int(theJob(ts, args[0]).terminal.Fd()), unix.TIOCSWINSZ, &size))
}

// await waits for a file, or for a file to match. FILE may be a pattern of names: any of them will do.
func await(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1 || len(args) == 2, "await FILE [REGEXP]")
	pattern := ""
	if len(args) == 2 {
		pattern = args[1]
	}
	re, err := regexp.Compile(`(?m)` + pattern)
	ts.Check(err)
	until(ts, strings.Join(args, " has "), func() bool {
		files, err := filepath.Glob(ts.MkAbs(args[0]))
		ts.Check(err)
		return slices.ContainsFunc(files, func(file string) bool {
			text, err := os.ReadFile(file)
			return err == nil && re.Match(text)
		})
	})
}

func pidIn(ts *testscript.TestScript, file string) int {
	var pid int
	until(ts, file+" has a pid", func() bool {
		text, _ := os.ReadFile(ts.MkAbs(file))
		pid, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		return pid > 0
	})
	return pid
}

func isAlive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

// gone waits for the processes whose pids are in files to be gone.
func gone(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) > 0, "gone FILE...")
	for _, file := range args {
		pid := pidIn(ts, file)
		until(ts, fmt.Sprintf("process %d of %s is gone", pid, file), func() bool { return !isAlive(pid) })
	}
}

// alive checks that the processes whose pids are in files live, or not.
func alive(ts *testscript.TestScript, neg bool, args []string) {
	for _, file := range args {
		if isAlive(pidIn(ts, file)) == neg {
			ts.Fatalf("the process of %s is alive: %v", file, neg)
		}
	}
}

// jsonl checks that a file consists of JSON values, one a line.
func jsonl(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "jsonl FILE")
	text := ts.ReadFile(args[0])
	if text == "" || !strings.HasSuffix(text, "\n") {
		ts.Fatalf("%s is no lines: %q", args[0], text)
	}
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if !json.Valid([]byte(line)) {
			ts.Fatalf("%s:%d: no JSON value: %q", args[0], i+1, line)
		}
	}
}

// order checks that patterns match a file, each after the one before it.
func order(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) > 1, "order FILE REGEXP...")
	text := ts.ReadFile(args[0])
	for _, pattern := range args[1:] {
		re, err := regexp.Compile(`(?m)` + pattern)
		ts.Check(err)
		at := re.FindStringIndex(text)
		if at == nil {
			ts.Fatalf("%s: no %s (after those before it)", args[0], pattern)
		}
		text = text[at[1]:]
	}
}

// peak checks the most memory that a job has used so far.
func peak(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 2, "peak NAME MEGABYTES")
	limit, err := strconv.Atoi(args[1])
	ts.Check(err)
	if withRace {
		limit *= 4 // its shadow of the memory
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", theJob(ts, args[0]).cmd.Process.Pid))
	ts.Check(err)
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kB int
	_, err = fmt.Sscan(rest, &kB)
	ts.Check(err)
	ts.Logf("peak: %d MB", kB>>10)
	if kB>>10 > limit {
		ts.Fatalf("%s has used %d MB, more than %d", args[0], kB>>10, limit)
	}
}

// snapshot writes what is in a folder, with the content of each file, into a file. Hidden folders are left out.
func snapshot(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 2, "snapshot DIR FILE")
	var list bytes.Buffer
	dir := ts.MkAbs(args[0])
	ts.Check(filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != dir {
			return fs.SkipDir // the script's own home and temporary folder
		}
		fmt.Fprint(&list, strings.TrimPrefix(path, dir))
		if d.Type().IsRegular() {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&list, " %x", sha256.Sum256(text))
		}
		fmt.Fprintln(&list)
		return nil
	}))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), list.Bytes(), 0o666))
}

// openPTY returns both ends of a new terminal.
func openPTY() (terminal, theirs *os.File, err error) {
	terminal, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	number, err := unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(terminal.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 100})
	}
	if err == nil {
		theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		terminal.Close()
		return nil, nil, fmt.Errorf("open terminal: %w", err)
	}
	return terminal, theirs, nil
}
