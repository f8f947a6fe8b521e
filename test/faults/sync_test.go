//go:build linux

package faults

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// filterEnv makes the program of the tests one that calls another, each fsync and fdatasync of which is decided by who listens
// on the socket that it names.
const filterEnv = "MLPIPELINE_FAULTS_FILTER"

// withFilter does so. It returns only when it fails.
func withFilter(line []string) error {
	runtime.LockOSThread() // the filter is that of the thread, which the new program goes on with
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: os.Getenv(filterEnv)})
	if err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	const number = 0 // offset of the system call's number in what the filter looks at
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: number},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_FDATASYNC, Jt: 2},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_FSYNC, Jt: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		conn.Write([]byte(errno.Error()))
		return errno
	}
	if _, _, err := conn.WriteMsgUnix([]byte{0}, unix.UnixRights(int(fd)), nil); err != nil {
		return fmt.Errorf("send the listener: %w", err)
	}
	unix.CloseOnExec(int(fd))
	os.Unsetenv(filterEnv)
	return unix.Exec(line[0], line, os.Environ())
}

// notification is struct seccomp_notif, response struct seccomp_notif_resp.
type (
	notification struct {
		id         uint64
		pid, flags uint32
		data       [64]byte
	}
	response struct {
		id    uint64
		value int64
		err   int32
		flags uint32
	}
)

const (
	notifReceive = 0xc0502100
	notifSend    = 0xc0182101
	goOn         = 1 // SECCOMP_USER_NOTIF_FLAG_CONTINUE
)

// startSyncing is start, with fail asked of each fsync and fdatasync, counted from 1, whether it is to fail with EIO.
func (p *project) startSyncing(fail func(n int) bool, args ...string) *call {
	p.Helper()
	// A path of its own: that of the project may be longer than a socket's may.
	dir, err := os.MkdirTemp("", "faults")
	p.check(err)
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "socket")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket})
	p.check(err)
	defer listener.Close()
	self, err := os.Executable()
	p.check(err)
	c := p.startIn([]string{"env", filterEnv + "=" + socket, self}, args...)
	conn, err := listener.AcceptUnix()
	p.check(err)
	defer conn.Close()
	text, rights := make([]byte, 100), make([]byte, unix.CmsgSpace(4))
	n, m, _, _, err := conn.ReadMsgUnix(text, rights)
	p.check(err)
	if m == 0 {
		p.Skipf("this kernel has no such filter: %s", text[:n])
	}
	messages, err := unix.ParseSocketControlMessage(rights[:m])
	p.check(err)
	fds, err := unix.ParseUnixRights(&messages[0])
	p.check(err)
	go decide(fds[0], fail)
	return c
}

// decide answers until nothing is left that could ask.
func decide(fd int, fail func(n int) bool) {
	defer unix.Close(fd)
	for n := 1; ; {
		ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(ready, -1); err == unix.EINTR {
			continue
		}
		if ready[0].Revents&unix.POLLIN == 0 {
			return
		}
		var asked notification
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), notifReceive, uintptr(unsafe.Pointer(&asked))); errno != 0 {
			continue // who asked was interrupted by a signal
		}
		answer := response{id: asked.id, flags: goOn}
		if fail(n) {
			answer = response{id: asked.id, err: -int32(unix.EIO)}
		}
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), notifSend, uintptr(unsafe.Pointer(&answer))); errno == 0 {
			n++
		}
	}
}

// From some sync on, or once, the disk says EIO: what could not be synced does not count, and nothing else starts.
func TestSyncFails(t *testing.T) {
	t.Parallel()
	const count = 4
	for first := 1; first <= sized(6, 12); first++ {
		for _, once := range []bool{false, true} {
			if !*full && once == (first%2 == 0) {
				continue
			}
			t.Run(fmt.Sprintf("%d,once=%v", first, once), func(t *testing.T) {
				t.Parallel()
				p := newProject(t)
				p.actor("a", versions(count))
				p.queue("a")
				c := p.startSyncing(func(n int) bool { return n == first || n > first && !once }, "-r", "-u")
				if first > 2+2*count { // one to make the history, one for its name; two a version
					if status := c.wait(); status != 0 {
						t.Errorf("exit status %d\n%s", status, c.stderr.String())
					}
					p.once(count)
					return
				}
				c.tells("input/output error", p.outputs(""))
				started, finished := 0, len(p.finished())
				for _, e := range p.journal(p.host) {
					if e.Event == "started" {
						started++
					}
				}
				if want := max(0, (first-2)/2); started != (first-2)/2 && first > 2 || finished != (first-3)/2 && first > 3 {
					t.Errorf("%d started, %d finished; want %d", started, finished, want)
				}
				if first > 3 && first%2 == 0 && !strings.Contains(c.stderr.String(), "it is finished, but that could not be recorded") {
					t.Errorf("nothing is said of the results:\n%s", c.stderr.String())
				}
				p.run(0, "-r", "-u")
				p.once(count)
			})
		}
	}
}
