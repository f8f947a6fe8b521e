package outputs

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
)

// TestMain makes the test program also the other processes that tests need.
func TestMain(m *testing.M) {
	if os.Getenv("GORACE") == "" {
		os.Setenv("GORACE", "atexit_sleep_ms=0") // for the processes that tests start: by default each waits a second at its end
	}
	var err error
	switch verb := os.Getenv("OUTPUTS_TEST"); verb {
	case "":
		os.Exit(m.Run())
	case "full disk":
		signal.Ignore(syscall.SIGXFSZ)
		err = fillDisk()
	case "hold the lock":
		err = holdLock()
	default:
		err = fmt.Errorf("unknown verb %q", verb)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// liftFileSizeLimit makes room again for a process that had little.
func liftFileSizeLimit() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit)
}
