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
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

func main() {
	if role := os.Getenv(roleVariable); role != "" {
		if err := play(role); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", role+":", err)
			os.Exit(1)
		}
		return
	}
	rounds := flag.Int("rounds", 7, "how often each row is measured")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: go run ./test/bench [-rounds N] [ROW...]")
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
	if err := measure(max(*rounds, 1), flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// groups is everything that can be measured, in the order of the table.
var groups = []group{
	cycle, whole, unchanged, edit, editAll, first, metrics, journal, history, fewRuns, manyRuns, jobs, queue, plot, program,
	pythonVersion, pythonForked, pythonImports, pythonMetric,
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

func measure(rounds int, only []string) error {
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
	fmt.Fprintln(os.Stderr, "build mlpipeline")
	b, err := newBench(dir)
	if err != nil {
		return err
	}
	fmt.Print(tableHead())
	var notes []string
	var failed error // one group does not stop the others
	for i, g := range groups {
		wanted := func(r row) bool { return len(only) == 0 || slices.Contains(only, r.name) }
		if !slices.ContainsFunc(g.rows, wanted) {
			continue
		}
		b.dir = filepath.Join(dir, fmt.Sprint(i))
		pairs, err := b.rounds(g, rounds)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", g.rows[0].name, err))
			continue
		}
		for j, r := range g.rows {
			if wanted(r) {
				fmt.Print(r.line(pairs[j]))
			}
		}
		notes, b.notes = append(notes, b.notes...), nil
	}
	for _, n := range notes {
		fmt.Println("\n" + n)
	}
	return failed
}
