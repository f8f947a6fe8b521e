package python

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The package has tests of its own, in Python.
func TestPackage(t *testing.T) {
	// What is opened here is looked at before a result is taken from Go's cache.
	for _, pattern := range []string{"tests/*.py", "mlpipeline/*.py", "run_model.py"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			if _, err := os.ReadFile(file); err != nil {
				t.Fatal(err)
			}
		}
	}
	cmd := exec.Command("python3", "-W", "error", "-m", "unittest", "discover", "-s", "tests", "-t", "tests")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}
