package python

import (
	"os/exec"
	"testing"
)

// The package has tests of its own, in Python.
func TestPackage(t *testing.T) {
	cmd := exec.Command("python3", "-W", "error", "-m", "unittest", "discover", "-s", "tests", "-t", "tests")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}
