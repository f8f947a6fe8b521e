package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// peak runs a process and returns the most memory that it had. On Linux the resource usage of a child starts with the
// memory of its parent, so the kernel's own mark of the process is read while it lives.
func peak(cmd *exec.Cmd) (float64, error) {
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	var most float64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		for {
			most = max(most, highWater(cmd.Process.Pid))
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
	if err == nil && most == 0 {
		err = errNoMark
	}
	return most, err
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
