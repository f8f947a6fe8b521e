package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/pipeline"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// GuardianName is the name that the guardian, which ends with its pipeline, goes by. It is none that a `killall mlpipeline` takes
// along.
const GuardianName = "mlp-guardian"

// Local is the executor of this machine. It is safe for use by several goroutines.
type Local struct {
	*Slots
	mu        sync.Mutex
	guardian  *exec.Cmd // nil before the first process and after the guardian was lost
	conn      *net.UnixConn
	nextID    int
	running   map[int]*process
	ended     chan struct{}      // closed when the goroutine that reads from conn has ended
	cancel    context.CancelFunc // ends the goroutine that collects orphans,
	collected chan struct{}      // which closes this
}

var _ pipeline.Executor = (*Local)(nil)

// Open returns the executor, with these places for versions, and starts its guardian, to be ready when the first process is
// wanted.
func Open(slots *Slots) (*Local, error) {
	becomeSubreaper() // should the guardian be killed, its orphans come here
	l := &Local{Slots: slots, running: map[int]*process{}, collected: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.startGuardian(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	go func() {
		defer close(l.collected)
		collectOrphans(ctx)
	}()
	return l, nil
}

// Close ends everything that is still running, and waits for the guardian.
func (l *Local) Close() error {
	l.cancel()
	<-l.collected
	l.mu.Lock()
	guardian, conn, ended := l.guardian, l.conn, l.ended
	l.mu.Unlock()
	defer killRuns() // a last time
	if guardian == nil {
		return nil
	}
	guardian.Process.Signal(syscall.SIGCONT)
	if err := conn.CloseWrite(); err != nil {
		conn.Close()
	}
	<-ended
	return nil
}

func (l *Local) startGuardian() error {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return fmt.Errorf("start guardian: socketpair: %w", err)
	}
	syscall.CloseOnExec(fds[0])
	syscall.CloseOnExec(fds[1])
	ours, theirs := os.NewFile(uintptr(fds[0]), "guardian"), os.NewFile(uintptr(fds[1]), "pipeline")
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	ours.Close()
	if err != nil {
		return fmt.Errorf("start guardian: %w", err)
	}
	path, err := ownProgram()
	if err != nil {
		conn.Close()
		return fmt.Errorf("start guardian: %w", err)
	}
	cmd := &exec.Cmd{
		Path:        path,
		Args:        []string{GuardianName},
		ExtraFiles:  []*os.File{theirs},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if err := cmd.Start(); err != nil {
		conn.Close()
		return fmt.Errorf("start guardian: %w", err)
	}
	l.guardian, l.conn, l.ended = cmd, conn.(*net.UnixConn), make(chan struct{})
	go l.read(cmd, l.conn, l.ended)
	return nil
}

// read hands the guardian's answers to the processes they are about, until the guardian ends.
func (l *Local) read(guardian *exec.Cmd, conn *net.UnixConn, ended chan struct{}) {
	defer close(ended)
	answers := json.NewDecoder(conn)
	for {
		var a answer
		if err := answers.Decode(&a); err != nil {
			break
		}
		l.mu.Lock()
		p := l.running[a.ID]
		if !a.Forked {
			delete(l.running, a.ID)
		}
		l.mu.Unlock()
		if p == nil {
			continue
		}
		if a.Forked {
			close(p.forked)
			continue
		}
		exit := pipeline.Exit{Code: a.Code, Signal: syscall.Signal(a.Signal), OOM: a.OOM}
		if a.Error != "" {
			exit.Err = &pipeline.StartError{Err: errors.New(p.start + a.Error)}
		}
		p.end(exit)
	}
	conn.Close()
	guardian.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.guardian = nil
	killRuns()
	for id, p := range l.running {
		delete(l.running, id)
		p.end(pipeline.Exit{Err: errors.New("the guardian process that watches over it has been killed")})
	}
}

// killRuns kills what a guardian that was killed has left: all that runs have started comes to this process then, what was
// forked only when the process that has forked it is dead.
func killRuns() {
	own := os.Getenv(wire.EnvRun) // if a model has called this program
	killOrphans(nil, func(run string) bool { return run != "" && run != own })
}

// Start implements pipeline.Executor.
func (l *Local) Start(c pipeline.Command) (pipeline.Process, error) {
	p := &process{local: l, runID: c.ID, forked: make(chan struct{}), done: make(chan struct{})}
	var theirs []int // as the guardian takes them: stdout, stderr, commands, events
	var err error
	pipe := func(theyWrite bool) (ours *os.File) {
		var fds [2]int
		if err == nil {
			err = newPipe(&fds)
		}
		if err != nil {
			return nil
		}
		if theyWrite { // what is read can be given up
			syscall.SetNonblock(fds[0], true)
			theirs = append(theirs, fds[1])
			return os.NewFile(uintptr(fds[0]), "|0")
		}
		theirs = append(theirs, fds[0])
		return os.NewFile(uintptr(fds[1]), "|1")
	}
	p.stdout, p.stderr, p.commands, p.events = pipe(true), pipe(true), pipe(false), pipe(true)
	if err == nil {
		r := request{
			Op: opStart, RunID: c.ID, Env: asBytes(slices.Concat(c.Env, c.Place.Env, []string{wire.EnvRun + "=" + c.ID})), Forks: c.Forks,
		}
		if c.Of != nil {
			r.Op, r.Of = opFork, c.Of.(*process).id
		} else {
			p.start = "start " + c.Path + ": "
			r.Path, r.Dir, r.Args, r.Cores = []byte(c.Path), []byte(c.Dir), asBytes(c.Args), c.Place.Cores
		}
		if after, ok := c.After.(*process); ok {
			r.After = after.id
		}
		err = l.launch(p, r, theirs)
	}
	closeAll(theirs)
	if err == nil && c.Of != nil {
		select {
		case <-p.forked:
		case <-p.done:
			err = p.exit.Err
		}
	}
	if err != nil {
		p.close()
		if c.Of != nil {
			return nil, err
		}
		return nil, fmt.Errorf("start %s: %w", c.Path, err)
	}
	return p, nil
}

// launch has p started as r says. A guardian that has just been killed is replaced.
func (l *Local) launch(p *process, r request, fds []int) error {
	ended, err := l.ask(p, r, fds)
	if ended != nil && (errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, net.ErrClosed)) {
		<-ended
		_, err = l.ask(p, r, fds)
	}
	return err
}

// ask asks the guardian to start p, and starts a guardian if there is none. It returns what is closed when that has ended, or
// nil if none could be started.
func (l *Local) ask(p *process, r request, fds []int) (ended chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.guardian == nil {
		if err := l.startGuardian(); err != nil {
			return nil, err
		}
	}
	l.nextID++
	p.id = l.nextID
	l.running[p.id] = p
	if err = l.send(p, r, fds); err != nil {
		delete(l.running, p.id)
	}
	return l.ended, err
}

// tell tells the guardian to do something to p, unless that has ended.
func (l *Local) tell(p *process, op string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running[p.id] == p {
		l.send(p, request{Op: op}, nil) // an error is the loss of the guardian, which ends p
	}
}

// send sends r to the guardian, with the number of p in it. The caller holds l.mu.
func (l *Local) send(p *process, r request, fds []int) error {
	r.ID = p.id
	message, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if r.Op != opStart {
		l.wake()
	}
	// The descriptors travel with the first part of the message; a long one may need several.
	n, _, err := l.conn.WriteMsgUnix(message, syscall.UnixRights(fds...), nil)
	if err == nil && n < len(message) {
		_, err = l.conn.Write(message[n:])
	}
	return err
}

// wake sees to it that the guardian goes on: a model may have stopped its parent. The caller holds l.mu.
func (l *Local) wake() {
	if l.guardian != nil {
		l.guardian.Process.Signal(syscall.SIGCONT)
	}
}

func asBytes(list []string) [][]byte {
	out := make([][]byte, len(list))
	for i, s := range list {
		out[i] = []byte(s)
	}
	return out
}

// A process is one that the guardian started.
type process struct {
	local    *Local
	id       int
	start    string // what the reason begins with why it could not be started
	runID    string
	forked   chan struct{} // closed when it has been forked from another process
	done     chan struct{}
	exit     pipeline.Exit // set before done is closed
	commands *os.File
	events   *os.File
	stdout   *os.File
	stderr   *os.File
}

func (p *process) Commands() io.WriteCloser { return p.commands }
func (p *process) Events() io.Reader        { return &pipe{p.events, maxPipe} }
func (p *process) Stdout() io.Reader        { return &pipe{p.stdout, maxPipe} }
func (p *process) Stderr() io.Reader        { return &pipe{p.stderr, maxPipe} }
func (p *process) Done() <-chan struct{}    { return p.done }

func (p *process) Stop() { p.local.tell(p, opStop) }
func (p *process) Kill() { p.local.tell(p, opKill) }

func (p *process) Wait() pipeline.Exit {
	wake := time.NewTicker(time.Second)
	defer wake.Stop()
	for {
		select {
		case <-p.done:
			p.close()
			return p.exit
		case <-wake.C:
			p.local.mu.Lock()
			p.local.wake()
			p.local.mu.Unlock()
		}
	}
}

func (p *process) end(exit pipeline.Exit) {
	p.exit = exit
	// All that it started is gone, and its pipes are at their end; but for one that could not be found and holds them open.
	for _, f := range []*os.File{p.events, p.stdout, p.stderr} {
		f.SetReadDeadline(time.Now().Add(2 * time.Second))
	}
	close(p.done)
}

func (p *process) close() {
	for _, f := range []*os.File{p.commands, p.events, p.stdout, p.stderr} {
		f.Close()
	}
}

// maxPipe is the most that a pipe holds: pipe-max-size of pipe(7), unless root has raised it.
const maxPipe = 1 << 20

// A pipe is read to its end or, when its deadline is over because something holds it open, as far as it may have been filled by
// then: on a busy machine its reader may come late.
type pipe struct {
	*os.File
	left int
}

func (p *pipe) Read(b []byte) (int, error) {
	n, err := p.File.Read(b)
	if !errors.Is(err, os.ErrDeadlineExceeded) || p.left <= 0 {
		return n, err
	}
	conn, cerr := p.SyscallConn()
	if cerr != nil {
		return 0, err
	}
	rerr := cerr
	cerr = conn.Control(func(fd uintptr) { n, rerr = syscall.Read(int(fd), b[:min(len(b), p.left)]) })
	if cerr != nil || rerr != nil || n <= 0 {
		return 0, err
	}
	p.left -= n
	return n, nil
}

// IsGuardian reports whether this process was started as the guardian. Then main calls Guard and nothing else.
func IsGuardian() bool { return strings.HasPrefix(os.Args[0], GuardianName) }
