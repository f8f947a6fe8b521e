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

// gitState returns the commit of the repository that path lies in, or nil when there is none, or no git.
func gitState(path string) *outputs.Git {
	dir := filepath.Dir(path)
	for root := dir; ; root = filepath.Dir(root) {
		if _, err := os.Stat(filepath.Join(root, ".git")); err == nil {
			break
		}
		if root == filepath.Dir(root) {
			return nil
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", "status", "--porcelain=v2", "--branch", "--untracked-files=no")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_OPTIONAL_LOCKS=0")
	out, err := cmd.Output()
	if err != nil {
		return nil
	}
	git := &outputs.Git{}
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		if commit, ok := strings.CutPrefix(line, "# branch.oid "); ok {
			git.Commit = strings.TrimPrefix(commit, "(initial)") // there is none yet
		} else if branch, ok := strings.CutPrefix(line, "# branch.head "); ok {
			git.Branch = branch
		} else if !strings.HasPrefix(line, "#") {
			git.Dirty = true
		}
	}
	return git
}
