package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
)

// roleVariable says that this process is one of those that are measured.
const roleVariable = "BENCH_ROLE"

func play(role string) error {
	switch role {
	case "write":
		event := []byte(os.Getenv("BENCH_EVENT"))
		n, err := strconv.Atoi(os.Getenv("BENCH_TIMES"))
		for ; n > 0 && err == nil; n-- {
			_, err = syscall.Write(1, event)
		}
		return err
	case "read":
		buf := make([]byte, 64<<10)
		for {
			if n, err := syscall.Read(0, buf); n <= 0 {
				return err
			}
		}
	case "split":
		return split(os.Getenv("BENCH_FILE"))
	case "slurp":
		return slurp(os.Getenv("BENCH_FILE"))
	case "history":
		_, err := outputs.NewFolder(os.Getenv("BENCH_FILE"), "bench").ReadHistory()
		return err
	}
	return fmt.Errorf("there is no such role")
}

// role is this program in a role.
func (b *bench) role(role string, settings ...string) *exec.Cmd {
	self, err := os.Executable()
	cmd := b.command(self)
	cmd.Err = err
	cmd.Env = append(append(cmd.Env, roleVariable+"="+role), settings...)
	return cmd
}

func clock(f func() error) (float64, error) {
	start := time.Now()
	err := f()
	return time.Since(start).Seconds(), err
}
