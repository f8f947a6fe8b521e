package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mlpipeline/mlpipeline/internal/config"
	"github.com/mlpipeline/mlpipeline/internal/pipeline/plugin"
)

func newDoctor(app *app) *cobra.Command {
	var project string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "say what models are built and run with, and what is missing",
		Long: `doctor looks for what Go and Python models need on this machine, and says where it is or what to do.

It also prints the folder that the Python package mlpipeline is in, for model scripts that are run by hand. Its exit status
is 0 whatever it finds; with --json each line says whether it is ok.`,
		Example: "  mlpipeline doctor\n  mlpipeline doctor -C ~/experiments",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDoctor(cmd.Context(), app, project, asJSON)
		},
	}
	cmd.Flags().StringVarP(&project, "project", "C", "", "look at the project of `DIR` (default: the current folder or one above it, if it is a project)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON value a line")
	return cmd
}

// A finding is what the doctor says of one thing.
type finding struct {
	Check string `json:"check"`
	OK    bool   `json:"ok"`
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"` // what to do
}

func runDoctor(ctx context.Context, app *app, project string, asJSON bool) error {
	cache, err := plugin.DefaultCacheDir()
	if err != nil {
		return err
	}
	builder := &plugin.Builder{CacheDir: cache}
	if dir, err := findProject(project); err == nil {
		p, err := config.Load(dir)
		if err != nil {
			return err
		}
		builder.Python, builder.Dir = p.Python, p.Dir
	} else if project != "" {
		return err
	}
	for _, f := range examine(ctx, builder) {
		if asJSON {
			line, _ := json.Marshal(f)
			_, err = fmt.Fprintln(app.stdout, string(line))
		} else {
			_, err = fmt.Fprintf(app.stdout, "%-8s %s\n", f.Check, f.line())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (f finding) line() string {
	if f.OK {
		return f.Text
	}
	return strings.TrimSuffix("problem: "+f.Text+"; "+f.Hint, "; ")
}

func examine(ctx context.Context, builder *plugin.Builder) []finding {
	setup := builder.Setup(ctx)
	findings := []finding{
		found("go", setup.Go, setup.GoErr),
		found("python", setup.Python, setup.PythonErr),
		found("package", "to run a model script by hand: export PYTHONPATH="+setup.PythonPackage, setup.PackageErr),
	}
	if setup.PythonErr == nil {
		findings[1] = interpreter(ctx, builder.Dir, setup.Python)
	}
	return findings
}

func found(check, text string, err error) finding {
	if err == nil {
		return finding{Check: check, OK: true, Text: text}
	}
	f := finding{Check: check, Text: err.Error()}
	var adviser interface{ Hint() string }
	if errors.As(err, &adviser) {
		f.Hint = adviser.Hint()
	}
	return f
}

// interpreter asks a Python what it is.
func interpreter(ctx context.Context, dir, path string) finding {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "-c", "import sys; print('%d.%d.%d %d' % (sys.version_info[:3] + (sys.version_info >= (3, 8),)))")
	cmd.Dir = dir
	out, err := cmd.Output()
	version, fits, ok := strings.Cut(strings.TrimSpace(string(out)), " ")
	hint := (&plugin.PythonError{}).Hint()
	switch {
	case err != nil || !ok:
		return finding{Check: "python", Text: path + " does not tell its version", Hint: hint}
	case fits != "1":
		return finding{Check: "python", Text: fmt.Sprintf("%s is Python %s, and models need 3.8 or later", path, version), Hint: hint}
	}
	return finding{Check: "python", OK: true, Text: fmt.Sprintf("Python %s, %s", version, path)}
}
