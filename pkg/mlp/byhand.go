package mlp

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

const byHandUsage = `%[1]s is a model for mlpipeline, which trains and compares the versions of models.

Usage:
  %[1]s                     show this and the versions
  %[1]s test [VERSION...]   run these versions, or all, in test mode: one step each, nothing is recorded
  %[1]s -h, --help          show this

To have it trained name it in models.config and run: mlpipeline -r
`

// byHand does what args, those of the process, ask for and returns the exit status.
func (p *program) byHand(args []string, stdout, stderr io.Writer) int {
	name := "model"
	if len(args) > 0 {
		name = strings.TrimSuffix(filepath.Base(args[0]), ".exe")
		args = args[1:]
	}
	versions := p.versions.checked()
	isHelp := func(arg string) bool { return arg == "-h" || arg == "-help" || arg == "--help" }
	switch {
	case slices.ContainsFunc(args, isHelp):
		fmt.Fprintf(stdout, byHandUsage, name)
		return 0
	case len(args) == 0:
		fmt.Fprintf(stdout, byHandUsage, name)
		printVersions(stdout, versions)
		return 0
	case args[0] != "test":
		fmt.Fprintf(stderr, "%s: unknown argument %q\n\n", name, args[0])
		fmt.Fprintf(stderr, byHandUsage, name)
		return 2
	}
	for _, arg := range args[1:] {
		if !slices.ContainsFunc(versions, func(c candidate) bool { return c.Name == arg }) {
			fmt.Fprintf(stderr, "%s: version %q does not exist\n", name, arg)
			printVersions(stderr, versions)
			return 2
		}
	}
	return p.test(name, args[1:], stdout, stderr)
}

func printVersions(w io.Writer, versions []candidate) {
	fmt.Fprintf(w, "\nVersions, in the order in which they run:\n")
	for _, c := range versions {
		fmt.Fprintf(w, "  %s", harmless(c.Name))
		if c.problem != "" {
			fmt.Fprintf(w, "  refused: %s", c.problem)
		}
		fmt.Fprintln(w)
	}
	if len(versions) == 0 {
		fmt.Fprintln(w, "  none")
	}
}

// test executes the versions called names, or all, in test mode until one fails.
func (p *program) test(model string, names []string, stdout, stderr io.Writer) int {
	dir, err := os.MkdirTemp("", "mlp-"+model+"-")
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", model, err)
		return 1
	}
	defer os.RemoveAll(dir)
	for _, c := range p.versions.checked() {
		if len(names) > 0 && !slices.Contains(names, c.Name) {
			continue
		}
		cmd := wire.Command{Type: wire.Execute, Model: model, Version: c.Name, Mode: wire.ModeTest, Dir: filepath.Join(dir, "ckpt"), Clean: true}
		err := os.RemoveAll(cmd.Dir)
		if err == nil {
			err = os.Mkdir(cmd.Dir, 0o777)
		}
		if err != nil {
			fmt.Fprintf(stderr, "%s: %v\n", model, err)
			return 1
		}
		fmt.Fprintf(stdout, "%s/%s\n", model, harmless(c.Name))
		if p.execute(context.Background(), terminal{stdout}, cmd) != wire.Finished {
			return 1
		}
	}
	return 0
}

// A terminal shows the events of a run.
type terminal struct{ w io.Writer }

// Send implements sink.
func (t terminal) Send(message any) error {
	e := message.(wire.Event)
	switch e.Type {
	case wire.Phase:
		t.print("%s", strings.ReplaceAll(e.Phase, "_", " "))
	case wire.Log:
		t.print("  %s: %s", e.Level, e.Message)
	case wire.Summary:
		t.print("  summary of %s: %s", e.Source, e.Message)
	case wire.Result:
		names := make([]string, 0, len(e.Metrics))
		for name := range e.Metrics {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			t.print("  result on %s: %s = %v", e.Set, name, e.Metrics[name])
		}
	case wire.End:
		t.print("%s", e.Status)
		if e.Error != "" {
			t.print("%s", e.Error)
		}
		if e.Trace != "" {
			t.print("%s", e.Trace)
		}
	}
	return nil
}

// Put implements sink.
func (t terminal) Put(message any) error { return t.Send(message) }

// Metric implements sink.
func (t terminal) Metric(name string, step int64, value float64) error {
	t.print("  metric %s after step %d = %v", name, step, value)
	return nil
}

// print writes a line, without what would control a terminal, in one call: several goroutines may print.
func (t terminal) print(format string, args ...any) {
	fmt.Fprintln(t.w, strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return unicode.ReplacementChar
		}
		return r
	}, fmt.Sprintf(format, args...)))
}
