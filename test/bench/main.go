// Command bench measures what mlpipeline costs, beside what the same work costs without it. docs/performance.md says what
// each row is.
//
// The program and models are built as users build them and run as whole processes, timed from outside. A round measures
// ours, then the floor; rounds follow each other, so that both see the same machine. A row's figure is the median of the
// rounds' ratios. Everything lies in one temporary folder, which belongs on a real disk (TMPDIR): rows about durability
// mean nothing elsewhere.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	if role := os.Getenv(roleVariable); role != "" {
		if err := play(role); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", role+":", err)
			os.Exit(1)
		}
		return
	}
	rounds := flag.Int("rounds", 0, "how often each row is measured, 0: as often as the row wants")
	versions := flag.Int("scale", 0, fmt.Sprint("measure one very long run, of `N` versions, and not the rows; ", fullScale, " are kept"))
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: go run ./test/bench [-rounds N] [ROW...]")
		fmt.Fprintln(os.Stderr, "       go run ./test/bench -scale N")
		flag.PrintDefaults()
		fmt.Fprintln(os.Stderr, "rows:", strings.Join(rowNames(), " "))
	}
	flag.Parse()
	for _, name := range flag.Args() {
		if !slices.Contains(rowNames(), name) {
			fmt.Fprintf(os.Stderr, "bench: there is no row %s; there are: %s\n", name, strings.Join(rowNames(), " "))
			os.Exit(2)
		}
	}
	var err error
	if *versions > 0 {
		err = keeping("scale", *versions == fullScale, func(b *bench) (string, error) { return b.scale(*versions) })
	} else {
		err = keeping("figures", *rounds == 0 && flag.NArg() == 0, func(b *bench) (string, error) { return b.table(max(*rounds, 0), flag.Args()) })
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// groups is everything that can be measured, in the order of the table.
var groups = []group{
	cycle, whole, unchanged, edit, editAll, first, metrics, lost, journal, history, fewRuns, manyRuns, jobs, queue, plot, program,
	pythonVersion, pythonForked, pythonSklearn, pythonSklearnForked, pythonTorch, pythonMetric,
}

func rowNames() []string {
	var names []string
	for _, g := range groups {
		for _, r := range g.rows {
			names = append(names, r.name)
		}
	}
	return names
}

// keeping measures in a folder that is removed in any case. With keep the figures become a part of the document.
func keeping(part string, keep bool, measure func(b *bench) (figures string, err error)) error {
	if keep {
		if err := keepable(part); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp("", "mlpipeline-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-stop
		os.RemoveAll(dir)
		os.Exit(130)
	}()
	start, head := time.Now(), heading()
	fmt.Println(head)
	fmt.Fprint(os.Stderr, "build mlpipeline")
	b, err := newBench(dir)
	fmt.Fprint(os.Stderr, "\r\033[K")
	if err != nil {
		return err
	}
	figures, err := measure(b)
	took := fmt.Sprintf("All of it took %s.\n", time.Since(start).Round(time.Second))
	fmt.Print("\n", took)
	if keep && figures != "" {
		err = errors.Join(err, replace(part, head+"\n"+figures+"\n"+took))
	}
	return err
}

// table measures rows, or all. What it returns has been printed as it came.
func (b *bench) table(rounds int, only []string) (string, error) {
	var text strings.Builder
	out := io.MultiWriter(os.Stdout, &text)
	fmt.Fprint(out, tableHead())
	var results []result
	var failed error // one group does not stop the others
	dir := b.dir
	for i, g := range groups {
		wanted := func(r row) bool { return len(only) == 0 || slices.Contains(only, r.name) }
		if !slices.ContainsFunc(g.rows, wanted) {
			continue
		}
		b.dir = filepath.Join(dir, fmt.Sprint(i))
		pairs, err := b.rounds(g, rounds)
		if lacks := missing(""); err != nil && !errors.As(err, &lacks) {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", g.rows[0].name, err))
		}
		for j, r := range g.rows {
			if !wanted(r) {
				continue
			}
			result := result{row: r, err: err}
			if err == nil {
				result.pairs = pairs[j]
			}
			results = append(results, result)
			fmt.Fprint(out, result.line())
		}
	}
	fmt.Fprint(out, "\n", summary(results))
	for _, n := range b.notes {
		fmt.Fprint(out, "\n", n, "\n")
	}
	if len(only) == 0 {
		fmt.Fprint(out, "\n", peerTable(results))
	}
	return text.String(), failed
}
