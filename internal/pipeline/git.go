package pipeline

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
)

// gitState returns the commit of the repository that the model at path lies in, and whether it has other code than that, or
// nil when there is none, or no git. What lies in the outputs folder does not count.
func gitState(path, outputsDir string) *outputs.Git {
	root := filepath.Dir(path)
	for {
		if _, err := os.Stat(filepath.Join(root, ".git")); err == nil {
			break
		}
		if root == filepath.Dir(root) {
			return nil
		}
		root = filepath.Dir(root)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	run := func(args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, "git", args...)
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "GIT_OPTIONAL_LOCKS=0")
		out, err := cmd.Output()
		return string(out), err
	}
	args := []string{"status", "--porcelain=v2", "--branch", "--untracked-files=no", "--", "."}
	if rel, err := filepath.Rel(root, outputsDir); err == nil && filepath.IsLocal(rel) {
		args = append(args, ":(exclude,literal)"+filepath.ToSlash(rel))
	}
	out, err := run(args...)
	if err != nil {
		return nil
	}
	git := &outputs.Git{}
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if commit, ok := strings.CutPrefix(line, "# branch.oid "); ok {
			git.Commit = strings.TrimPrefix(commit, "(initial)") // there is none yet
		} else if branch, ok := strings.CutPrefix(line, "# branch.head "); ok {
			git.Branch = branch
		} else if !strings.HasPrefix(line, "#") {
			git.Dirty = true
		}
	}
	if out, err := run("ls-files", "--others", "--exclude-standard", "--", ":(literal)"+path); err == nil && out != "" {
		git.Dirty = true // the model itself is not in the commit
	}
	return git
}
