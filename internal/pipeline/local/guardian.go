package local

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A request is what the pipeline sends to the guardian. Names of files are bytes: JSON would mend what is no UTF-8.
type request struct {
	Op    string   `json:"op"`
	ID    int      `json:"id"`
	RunID string   `json:"run,omitempty"`
	Path  []byte   `json:"path,omitempty"`
	Args  [][]byte `json:"args,omitempty"`
	Env   [][]byte `json:"env,omitempty"`
	Dir   []byte   `json:"dir,omitempty"`
	Cores []int    `json:"cores,omitempty"` // that it is pinned to
	After int      `json:"after,omitempty"` // it starts once this process has ended
	Forks bool     `json:"forks,omitempty"` // it is to fork others
	Of    int      `json:"of,omitempty"`    // the ID of the process that it is forked from
}

// Values of request.Op.
const (
	opStart = "start" // four descriptors come along: standard output, standard error, commands, events
	opFork  = "fork"  // the same, by a process that was started before
	opStop  = "stop"  // SIGTERM to the process itself, so that it can see to its children
	opKill  = "kill"  // SIGKILL to its process group
)

// An answer is what the guardian says of a process: that it has been forked from another, that it has ended, or why it could not
// be started.
type answer struct {
	ID     int    `json:"id"`
	Forked bool   `json:"forked,omitempty"`
	Code   int    `json:"code,omitempty"`
	Signal int    `json:"signal,omitempty"`
	OOM    bool   `json:"oom,omitempty"`
	Error  string `json:"error,omitempty"`
}

// guardian is the state of the guardian process.
type guardian struct {
	conn *net.UnixConn
	env  []string
	null *os.File
	ooms int // how often the kernel had run out of memory when the guardian started, or last told of it

	mu       sync.Mutex
	answers  *json.Encoder
	children map[int]child // by process id
	born     *sync.Cond    // a child was added
	waiting  []waiting
}

type child struct {
	id     int
	runID  string
	parent *parent // what it is if it forks others, or nil
	of     *parent // that has forked it, or nil
}

// A waiting is a process that is to start when another has ended.
type waiting struct {
	request
	fds []int
}

// Guard is the main program of the guardian. It returns its exit status.
func Guard() int {
	runtime.GOMAXPROCS(1) // it has little to do, and the models shall have the rest
	// The kernel sends a child its parent-death signal when the thread that started it ends: this one stays.
	runtime.LockOSThread()
	// Signals are for the pipeline to act on. They are caught, not ignored: models would inherit that.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGPIPE, syscall.SIGTSTP)
	becomeSubreaper()
	takeName()
	file := os.NewFile(3, "pipeline")
	conn, err := net.FileConn(file)
	if err != nil {
		return 1
	}
	file.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 1
	}
	g := &guardian{
		conn: conn.(*net.UnixConn), env: os.Environ(), null: null, ooms: oomKills(),
		answers: json.NewEncoder(conn), children: map[int]child{},
	}
	g.born = sync.NewCond(&g.mu)
	go g.reap()
	defer g.killAll() // whatever befalls serve
	g.serve()
	return 0
}

// serve does what the pipeline asks, until it is gone.
func (g *guardian) serve() {
	in := &fdReader{conn: g.conn}
	requests := json.NewDecoder(in)
	for {
		var r request
		if err := requests.Decode(&r); err != nil {
			return
		}
		g.handle(r, in)
	}
}

func (g *guardian) handle(r request, in *fdReader) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch r.Op {
	case opStart:
		w := waiting{r, in.take(4)}
		if g.runs(r.After) {
			g.waiting = append(g.waiting, w)
		} else {
			g.launch(w)
		}
	case opFork:
		if err := g.fork(r, in.take(4)); err != nil {
			g.answers.Encode(answer{ID: r.ID, Error: err.Error()})
		}
	case opStop, opKill:
		g.waiting = slices.DeleteFunc(g.waiting, func(w waiting) bool {
			if w.ID != r.ID {
				return false
			}
			closeAll(w.fds)
			g.answers.Encode(answer{ID: w.ID, Error: "it was stopped before it began"})
			return true
		})
		for pid, c := range g.children {
			if c.id != r.ID {
				continue
			}
			if r.Op == opStop {
				syscall.Kill(pid, syscall.SIGTERM)
			} else {
				g.kill(pid, c)
			}
		}
	}
}

// runs reports whether a process that it has started goes on.
func (g *guardian) runs(id int) bool {
	for _, c := range g.children {
		if c.id == id {
			return true
		}
	}
	return false
}

func (g *guardian) launch(w waiting) {
	var pid int
	var p *parent
	var err error
	if w.Forks {
		pid, p, err = g.startParent(w.request, w.fds)
	} else {
		pid, err = g.start(w.request, w.fds, -1)
	}
	if err != nil {
		g.answers.Encode(answer{ID: w.ID, Error: err.Error()})
		return
	}
	g.children[pid] = child{id: w.ID, runID: w.RunID, parent: p}
	g.born.Signal()
	if p != nil {
		go g.listen(p)
	}
}

// launchAfter starts what waits for a process that has ended.
func (g *guardian) launchAfter(id int) {
	g.waiting = slices.DeleteFunc(g.waiting, func(w waiting) bool {
		if w.After == id {
			g.launch(w)
		}
		return w.After == id
	})
}

// start starts a process with fds, which are closed here. It gets more as well, unless that is -1.
func (g *guardian) start(r request, fds []int, more int) (pid int, err error) {
	defer closeAll(fds)
	if len(fds) < 4 {
		return 0, syscall.EBADF
	}
	set := map[string]bool{}
	var env []string
	for _, e := range r.Env {
		name, _, _ := strings.Cut(string(e), "=")
		set[name] = true
		env = append(env, string(e))
	}
	for _, e := range g.env { // of a name that is there twice some programs take the first, others the last
		if name, _, _ := strings.Cut(e, "="); !set[name] {
			env = append(env, e)
		}
	}
	if len(r.Cores) > 0 {
		unpin, err := pin(r.Cores) // this thread, which is the one that forks
		if err != nil {
			return 0, fmt.Errorf("pin it to cores %v: %w", r.Cores, err)
		}
		defer unpin()
	}
	argv := []string{string(r.Path)}
	for _, a := range r.Args {
		argv = append(argv, string(a))
	}
	files := []uintptr{g.null.Fd(), uintptr(fds[0]), uintptr(fds[1]), uintptr(fds[2]), uintptr(fds[3])}
	if more >= 0 {
		files = append(files, uintptr(more))
	}
	return syscall.ForkExec(argv[0], argv, &syscall.ProcAttr{Dir: string(r.Dir), Env: env, Files: files, Sys: childAttr()})
}

func closeAll(fds []int) {
	for _, fd := range fds {
		syscall.Close(fd)
	}
}

// reap waits for children: those that it started, whose end it reports, and those that they have left behind.
func (g *guardian) reap() {
	runtime.LockOSThread() // as in Guard: it starts processes too
	for {
		pid, collect, err := ended()
		g.mu.Lock()
		switch {
		case err == syscall.ECHILD:
			for len(g.children) == 0 {
				g.born.Wait()
			}
		case err == nil:
			if c, ours := g.children[pid]; ours {
				syscall.Kill(-pid, syscall.SIGKILL) // while the number cannot be another's yet
				status := collect()
				if status.Signaled() {
					g.over(pid, c, 0, status.Signal())
				} else {
					g.over(pid, c, status.ExitStatus(), 0)
				}
			} else {
				collect()
			}
		}
		g.mu.Unlock()
	}
}

// over kills what a child that has ended has left behind, and reports its end.
func (g *guardian) over(pid int, c child, code int, signal syscall.Signal) {
	delete(g.children, pid)
	if c.parent != nil && c.parent.fd >= 0 {
		syscall.Shutdown(c.parent.fd, syscall.SHUT_RD) // something may hold the other end
	}
	g.killLeftOver(c.runID)
	a := answer{ID: c.id, Code: code, Signal: int(signal)}
	if signal == syscall.SIGKILL {
		ooms := oomKills()
		a.OOM, g.ooms = ooms > g.ooms, ooms
	}
	g.answers.Encode(a)
	g.launchAfter(c.id)
}

// killLeftOver kills what a run that has ended left behind: orphans that carry its name, and all of them when no other
// run could own them.
func (g *guardian) killLeftOver(runID string) {
	owners := 0
	for _, c := range g.children {
		if c.parent == nil || !c.parent.forked { // else it is in their name that it does something
			owners++
		}
	}
	killOrphans(g.children, func(run string) bool { return owners == 0 || run == runID })
}

// killOrphans kills the children of this process, other than known, of runs for which mine is true; those of none are of "". Each
// that dies may leave more.
func killOrphans(known map[int]child, mine func(run string) bool) {
	seen, killed := map[int]bool{}, map[int]bool{}
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		found := false
		for _, pid := range orphans(known) {
			run, sure := runOf(pid)
			sure = sure && seen[pid] // what one has left that has just died may not be in this list
			seen[pid] = true
			if mine(run) || killed[pid] {
				if syscall.Kill(pid, syscall.SIGKILL) == syscall.EPERM {
					continue // it is another user's, by sudo for instance
				}
				killed[pid] = true
			}
			// One that has died may have left others; of one that is dying or starting another program it is not known yet
			// whose it is, and it may be waited for elsewhere.
			if killed[pid] {
				syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
			}
			found = found || killed[pid] || !sure
		}
		if !found {
			return
		}
		time.Sleep(200 * time.Microsecond)
	}
}

// killAll kills every process that a model of this pipeline has started, in however many generations, but for those that have
// become another user's.
func (g *guardian) killAll() {
	g.mu.Lock() // for good: nothing is started or reported any more
	for pid := range g.children {
		syscall.Kill(-pid, syscall.SIGKILL)
	}
	for pause := 200 * time.Microsecond; ; pause = min(2*pause, 50*time.Millisecond) { // one that hangs in the kernel may take long
		others := 0
		children := orphans(nil)
		for _, pid := range children {
			if syscall.Kill(pid, syscall.SIGKILL) == syscall.EPERM {
				others++
			}
		}
		for {
			pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if err == syscall.ECHILD || err == nil && pid == 0 && others > 0 && others == len(children) {
				return
			}
			if pid <= 0 {
				break
			}
		}
		time.Sleep(pause)
	}
}

// An fdReader reads the stream of a socket and keeps the descriptors that come with it, in their order.
type fdReader struct {
	conn *net.UnixConn
	fds  []int
}

func (r *fdReader) Read(b []byte) (int, error) {
	oob := make([]byte, syscall.CmsgSpace(4*4))
	n, oobn, _, _, err := r.conn.ReadMsgUnix(b, oob)
	if err != nil { // ECONNRESET, when the pipeline has died with answers unread
		return 0, err
	}
	if messages, perr := syscall.ParseSocketControlMessage(oob[:oobn]); perr == nil {
		for _, m := range messages {
			if fds, perr := syscall.ParseUnixRights(&m); perr == nil {
				r.fds = append(r.fds, fds...)
			}
		}
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// take takes the n oldest descriptors, or all when there are fewer.
func (r *fdReader) take(n int) []int {
	n = min(n, len(r.fds))
	fds := r.fds[:n:n]
	r.fds = r.fds[n:]
	return fds
}
