//go:build linux

package faults

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

var full = flag.Bool("full", false, "do all of it, as make faults does; some of it needs gigabytes of disk and many minutes")

// sized is how much of something is done: a part, or all of it.
func sized(part, all int) int {
	if *full {
		return all
	}
	return part
}

// builtEnv names built for a test that runs in another process.
const builtEnv = "MLPIPELINE_FAULTS_BUILT"

// built holds the program as bin/mlpipeline, the models of cmd/mlpipeline/testdata/actor, testdata/rogue and testdata/load as
// actor, rogue and load, and the user's cache of all tests.
var built string

func TestMain(m *testing.M) {
	if os.Getenv(filterEnv) != "" {
		fmt.Fprintln(os.Stderr, withFilter(os.Args[1:]))
		os.Exit(1)
	}
	flag.Parse()
	if *full {
		patience *= 10
	}
	status, err := withPrograms(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

func withPrograms(do func() int) (status int, err error) {
	if built = os.Getenv(builtEnv); built != "" { // a test in a namespace of its own
		return do(), nil
	}
	if built, err = os.MkdirTemp("", "mlpipeline-faults-"); err != nil {
		return 0, err
	}
	defer os.RemoveAll(built)
	for program, pkg := range map[string]string{"bin/mlpipeline": "../../cmd/mlpipeline", "actor": "../../cmd/mlpipeline/testdata/actor", "rogue": "./testdata/rogue", "load": "./testdata/load"} {
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(built, program), pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("build %s: %w\n%s", program, err, out)
		}
	}
	return do(), nil
}
