//go:build !linux

package local

import (
	"context"
	"os"
	"syscall"
)

func ownProgram() (string, error) { return os.Executable() }

func newPipe(fds *[2]int) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	err := syscall.Pipe(fds[:])
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	return err
}

func becomeSubreaper() {}

func collectOrphans(ctx context.Context) { <-ctx.Done() }

func takeName() {}

func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// Orphans go to init here, and the kernel does not tell of those that it kills.

func orphans(map[int]child) []int        { return nil }
func runOf(int) (run string, known bool) { return "", true }
func oomKills() int                      { return 0 }

// ended waits until a child has ended, and returns it, with its status.
func ended() (pid int, collect func() syscall.WaitStatus, err error) {
	var status syscall.WaitStatus
	pid, err = syscall.Wait4(-1, &status, 0, nil)
	return pid, func() syscall.WaitStatus { return status }, err
}
