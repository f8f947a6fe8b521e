package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mlpipeline/mlpipeline/internal/config"
	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/starter"
)

func newInit(app *app) *cobra.Command {
	var language string
	cmd := &cobra.Command{
		Use:   "init [DIR]",
		Short: "make a project that runs at once",
		Long: `init makes a project in DIR, the current folder by default: settings, queues, a small data set, and a model with three
versions that trains for a second each. It runs at once, without a network and with nothing to install, and comments in its
files say what to change. What exists is never written over: then nothing is made, and the exit status is 2.

The model is in Go where there is a go command on PATH, to build it with, and in Python where there is none; --lang decides
otherwise. Below a go.mod of yours it is built as a part of that module, whose go.mod stays as it is.`,
		Example: "  mlpipeline init night\n  mlpipeline init --lang python",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return runInit(app, append(args, ".")[0], language)
		},
	}
	cmd.Flags().StringVar(&language, "lang", "", "write the model in `LANGUAGE`: go or python")
	cmd.ValidArgsFunction = cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs)
	cmd.RegisterFlagCompletionFunc("lang", cobra.FixedCompletions(starter.Languages, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func runInit(app *app, dir, language string) error {
	if language == "" {
		language = "python"
		if _, err := exec.LookPath("go"); err == nil {
			language = "go"
		}
	}
	if !slices.Contains(starter.Languages, language) {
		hint := "write --lang go or --lang python"
		if near := config.Nearest(language, starter.Languages); near != "" {
			hint = "did you mean --lang " + near + "?"
		}
		return usageError{&hintError{fmt.Errorf("--lang %s: there is no such project", language), hint}}
	}
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return usageError{&hintError{fmt.Errorf("%s is not a folder", dir), "name one; it is made when it does not exist"}}
	}
	around, err := config.Find(dir)
	if err != nil {
		around = ""
	}
	files := starter.Files(language)
	if err := starter.Create(dir, files); err != nil {
		var exist *starter.ExistError
		if errors.As(err, &exist) {
			return usageError{&hintError{err, "name a folder of its own: mlpipeline init DIR"}}
		}
		return fmt.Errorf("make a project: %w", err)
	}

	if around != "" {
		fmt.Fprintf(app.stderr, "mlpipeline: %s is inside the project %s, and another one: it has queues and results of its own\n", outputs.Clean(dir), outputs.Clean(around))
	}
	if module := findModule(dir); module != "" && language == "go" {
		fmt.Fprintf(app.stderr, "mlpipeline: the model is built as a part of the module in %s; its go.mod stays as it is\n", outputs.Clean(module))
	}
	_, err = fmt.Fprint(app.stdout, made(dir, files))
	return err
}

// made says what was made, and what to type next.
func made(dir string, files []starter.File) string {
	var b strings.Builder
	fmt.Fprintf(&b, "made a project in %s:\n", outputs.Clean(dir))
	for _, f := range files {
		fmt.Fprintf(&b, "  %-19s %s\n", f.Name, f.What)
	}
	b.WriteString("next:\n")
	if filepath.Clean(dir) != "." {
		fmt.Fprintf(&b, "  cd %s\n", quoted(dir))
	}
	fmt.Fprintf(&b, "  %-19s %s\n", "mlpipeline", "try one step of every version")
	fmt.Fprintf(&b, "  %-19s %s\n", "mlpipeline -r -u", "train and record what is not done yet")
	fmt.Fprintf(&b, "  %-19s %s\n", "mlpipeline doctor", "see what a whole night needs")
	return b.String()
}

// quoted is dir as a shell takes it.
func quoted(dir string) string {
	if strings.HasPrefix(dir, "-") {
		dir = "./" + dir
	}
	if strings.ContainsFunc(dir, func(r rune) bool {
		return !strings.ContainsRune("/._-+,=@%", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r < 0x80
	}) {
		return "'" + strings.ReplaceAll(outputs.Clean(dir), "'", `'\''`) + "'"
	}
	return outputs.Clean(dir)
}

// findModule is the nearest folder, dir or one above it, that holds a go.mod.
func findModule(dir string) string {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	for ; ; dir = filepath.Dir(dir) {
		if info, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil && info.Mode().IsRegular() {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}
