package local

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A parent is a process that forks others: a Python that has imported a script, which is run in several versions. It has a
// socket on descriptor 5, as EnvFork says, where the guardian asks it and is answered, one message each:
//
//	fork ID\0NAME=VALUE\0...   standard output, standard error, commands and events come along
//	collect PID                that process has ended, and nothing is left of it: it may be waited for
//
//	forked ID PID
//	failed ID REASON
//	ended PID CODE SIGNAL      it is still there for waitpid, so that its number is no other's
//
// What it forks are its children, not the guardian's, unless it dies: then they come here, as all orphans do.
type parent struct {
	pid     int
	fd      int     // -1 when it has gone
	forked  bool    // it has been asked for something
	waiting []child // for an answer
}

// EnvFork names the descriptor of the socket in the environment of a process that is to fork others.
const EnvFork = "MLPIPELINE_FORK"

// parentEnded is why a process could not be forked from one that is gone.
const parentEnded = "the process that forks it has ended"

// maxFork is the longest message of a parent.
const maxFork = 4096

// parentPatience is how long a parent may take to answer, and to tell of the end of a process that was killed. One that
// takes longer is killed: nothing waits for it for ever.
var parentPatience = 30 * time.Second

// startParent starts a process that forks others.
func (g *guardian) startParent(r request, fds []int) (pid int, p *parent, err error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET, 0)
	if err != nil {
		closeAll(fds)
		return 0, nil, fmt.Errorf("socketpair: %w", err)
	}
	syscall.CloseOnExec(pair[0])
	syscall.CloseOnExec(pair[1])
	defer syscall.Close(pair[1])
	r.Env = append(r.Env, []byte(EnvFork+"=5"))
	if pid, err = g.start(r, fds, pair[1]); err != nil {
		syscall.Close(pair[0])
		return 0, nil, err
	}
	return pid, &parent{pid: pid, fd: pair[0]}, nil
}

// fork asks the parent that r names for a process. What it answers comes to listen.
func (g *guardian) fork(r request, fds []int) error {
	defer closeAll(fds)
	var p *parent
	for _, c := range g.children {
		if c.id == r.Of {
			p = c.parent
		}
	}
	if p == nil || p.fd < 0 {
		return errors.New(parentEnded)
	}
	message := fmt.Appendf(nil, "fork %d", r.ID)
	for _, e := range r.Env {
		message = append(append(message, 0), e...)
	}
	if err := syscall.Sendmsg(p.fd, message, syscall.UnixRights(fds...), nil, syscall.MSG_DONTWAIT); err != nil {
		return fmt.Errorf("ask the process that forks it: %w", err)
	}
	p.forked = true
	p.waiting = append(p.waiting, child{id: r.ID, runID: r.RunID, of: p})
	g.expect(p, func() bool { return slices.ContainsFunc(p.waiting, func(c child) bool { return c.id == r.ID }) })
	return nil
}

// expect kills p if something is still missing when its time is over.
func (g *guardian) expect(p *parent, missing func() bool) {
	time.AfterFunc(parentPatience, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if p.fd >= 0 && missing() {
			syscall.Kill(-p.pid, syscall.SIGKILL)
		}
	})
}

// listen takes in what p says, until it is gone.
func (g *guardian) listen(p *parent) {
	buf := make([]byte, maxFork)
	for {
		n, err := syscall.Read(p.fd, buf)
		if err == syscall.EINTR {
			continue
		}
		g.mu.Lock()
		if err != nil || n == 0 {
			break
		}
		g.heard(p, string(buf[:n]))
		g.mu.Unlock()
	}
	defer g.mu.Unlock()
	syscall.Close(p.fd)
	p.fd = -1
	for _, c := range p.waiting { // it may have been forked, without a word
		g.killLeftOver(c.runID)
		g.answers.Encode(answer{ID: c.id, Error: parentEnded})
	}
	p.waiting = nil
}

// heard takes in one message of p.
func (g *guardian) heard(p *parent, message string) {
	verb, rest, _ := strings.Cut(message, " ")
	first, rest, _ := strings.Cut(rest, " ")
	number, _ := strconv.Atoi(first)
	if verb == "ended" {
		var code, signal int
		fmt.Sscan(rest, &code, &signal)
		if c, ok := g.children[number]; ok && c.of == p {
			syscall.Kill(-number, syscall.SIGKILL)
			g.over(number, c, code, syscall.Signal(signal))
		}
		syscall.Sendmsg(p.fd, fmt.Appendf(nil, "collect %d", number), nil, nil, syscall.MSG_DONTWAIT)
		return
	}
	i := slices.IndexFunc(p.waiting, func(c child) bool { return c.id == number })
	if i < 0 {
		return
	}
	c := p.waiting[i]
	p.waiting = slices.Delete(p.waiting, i, i+1)
	a := answer{ID: c.id, Forked: true}
	switch pid, err := strconv.Atoi(rest); {
	case verb != "forked" || err != nil:
		a.Forked, a.Error = false, rest
	case parentOf(pid) != p.pid: // p has ended; what it has forked came here, and may have been collected before it was known
		g.killLeftOver(c.runID)
		a.Forked, a.Error = false, parentEnded
	default:
		g.children[pid] = c
	}
	g.answers.Encode(a)
}

// kill kills the process group of a child, and all of a parent that does not tell of its end then.
func (g *guardian) kill(pid int, c child) {
	err := syscall.Kill(-pid, syscall.SIGKILL)
	if c.of == nil {
		return
	}
	if err == syscall.ESRCH { // it has only just been forked, and has no group of its own yet
		syscall.Kill(pid, syscall.SIGKILL)
	}
	g.expect(c.of, func() bool { return g.children[pid] == c })
}
