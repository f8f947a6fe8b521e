package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// holds reports whether the process pid has file open. The error is that this may not be asked of another user's process.
func holds(pid int, file string) (bool, error) {
	wanted, err := os.Stat(file)
	if err != nil {
		return false, err
	}
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	fds, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, fd := range fds {
		if info, err := os.Stat(filepath.Join(dir, fd.Name())); err == nil && os.SameFile(info, wanted) {
			return true, nil
		}
	}
	return false, nil
}
