//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// built holds what the scripts use: bin/mlpipeline, the real program; actor, the model in testdata/actor; cache, the user's
// cache folder of all scripts but those about the cache.
var built struct{ dir, goCache, goModCache string }

func TestMain(m *testing.M) {
	status, err := withPrograms(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

func withPrograms(do func() int) (status int, err error) {
	if built.dir, err = os.MkdirTemp("", "mlpipeline-scripts-"); err != nil {
		return 0, err
	}
	defer os.RemoveAll(built.dir)
	env, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE").Output()
	if err != nil {
		return 0, fmt.Errorf("go env: %w", err)
	}
	lines := strings.Split(string(env), "\n")
	built.goCache, built.goModCache = lines[0], lines[1]
	race := []string{"-race=false"}
	if withRace {
		race = []string{"-race"}
	}
	if err := build("bin/mlpipeline", ".", race...); err != nil {
		return 0, err
	}
	if err := build("actor", "./testdata/actor", "-ldflags=-s -w"); err != nil {
		return 0, err
	}
	return do(), nil
}

func build(program, pkg string, flags ...string) error {
	args := append([]string{"build", "-buildvcs=false", "-o", filepath.Join(built.dir, program)}, flags...)
	if out, err := exec.Command("go", append(args, pkg)...).CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", program, err, out)
	}
	return nil
}

// TestScript runs the scripts in testdata/script, one for each promise. What they can do beyond testscript's own commands is in
// commands_test.go.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		Setup:               setup,
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "root":
				return os.Getuid() == 0, nil
			case "namespaces": // a host name and file systems of its own can be given to a process
				return exec.Command("unshare", "-u", "-m", "true").Run() == nil, nil
			}
			return false, errors.New("unknown condition")
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"actor":    actor,
			"alive":    alive,
			"await":    await,
			"ends":     ends,
			"exits":    exits,
			"gone":     gone,
			"hangup":   hangup,
			"jsonl":    jsonl,
			"order":    order,
			"peak":     peak,
			"picture":  picture,
			"recode":   recode,
			"resize":   resize,
			"signal":   signalTo,
			"snapshot": snapshot,
			"start":    start,
			"repeat":   repeat,
			"type":     typeTo,
		},
	})
}

func setup(env *testscript.Env) error {
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	repository, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		return err
	}
	env.Setenv("REPOSITORY", repository)
	env.Setenv("HOST", host)
	env.Setenv("HOME", filepath.Join(env.WorkDir, ".home"))
	env.Setenv("PATH", filepath.Join(built.dir, "bin")+string(os.PathListSeparator)+env.Getenv("PATH"))
	env.Setenv("BIN", filepath.Join(built.dir, "bin"))
	env.Setenv("XDG_CACHE_HOME", filepath.Join(built.dir, "cache"))
	env.Setenv("GOCACHE", built.goCache)
	env.Setenv("GOMODCACHE", built.goModCache)
	env.Setenv("GOPROXY", "off")
	env.Setenv("GOFLAGS", "")
	env.Setenv("GOTRACEBACK", "")             // as users have it
	env.Setenv("GORACE", "atexit_sleep_ms=0") // else each end of the program takes a second more
	env.Values[background{}] = map[string]*job{}
	return os.MkdirAll(filepath.Join(env.WorkDir, ".home"), 0o777)
}
