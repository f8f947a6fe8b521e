//go:build !linux

package main

import (
	"errors"
	"syscall"
)

// holds reports whether the process pid may have file open: that it lives is all that can be found out here. The error is that
// it is another user's process.
func holds(pid int, _ string) (bool, error) {
	err := syscall.Kill(pid, 0)
	if errors.Is(err, syscall.ESRCH) {
		return false, nil
	}
	return err == nil, err
}
