package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// A mark is what was measured at a time.
type mark struct {
	at    time.Time
	value float64
}

// marks runs a process and looks again and again at the most memory that it has had. On Linux the resource usage of a child starts with the
// memory of its parent, so the kernel's own mark of the process is read while it lives.
func marks(cmd *exec.Cmd, every time.Duration) ([]mark, error) {
	var seen []mark
	stop, stopped := make(chan struct{}), make(chan struct{})
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			if bytes := highWater(cmd.Process.Pid); bytes > 0 {
				seen = append(seen, mark{time.Now(), bytes})
			}
			select {
			case <-stop:
				return
			case <-ticker.C:
			}
		}
	}()
	err := cmd.Wait()
	close(stop)
	<-stopped
	if err == nil && len(seen) == 0 {
		err = errNoMark
	}
	return seen, err
}

// peak runs a process and returns the most memory that it had.
func peak(cmd *exec.Cmd) (float64, error) {
	seen, err := marks(cmd, time.Millisecond)
	if err != nil {
		return 0, err
	}
	return seen[len(seen)-1].value, nil
}

var errNoMark = errors.New("the peak of a process's memory is not known here: /proc/<pid>/status has no VmHWM")

// highWater is the mark in bytes, 0 when there is none.
func highWater(pid int) float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(text), "\nVmHWM:")
	var kib float64
	fmt.Sscan(rest, &kib)
	return kib * 1024
}
