package main

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
)

// A row is one line of the table.
type row struct {
	name    string
	what    string
	against string  // what the floor is, empty when there is none
	unit    unit    // of ours and the floor
	ratio   float64 // ours to the floor, to reach; 0 when limit is what counts
	limit   float64 // ours, to reach
}

// A group is the rows that are measured together.
type group struct {
	rows   []row
	rounds int // at most; 0: as many as are asked for
	// prepare does what is not to be measured, in the folder b.dir, and returns what is called once a round.
	prepare func(b *bench) (round func() ([]pair, error), err error)
}

// A pair is what one round measured for one row. Floor is 0 when the row has none.
type pair struct{ ours, floor float64 }

// A unit writes a value.
type unit func(v float64) string

func seconds(v float64) string {
	for _, u := range []struct {
		name string
		size float64
	}{{"s", 1}, {"ms", 1e-3}, {"us", 1e-6}} {
		if v >= u.size {
			return fmt.Sprintf("%.3g %s", v/u.size, u.name)
		}
	}
	return fmt.Sprintf("%.3g ns", v*1e9)
}

func megabytes(v float64) string { return fmt.Sprintf("%.3g MB", v/1e6) }
func count(v float64) string     { return fmt.Sprintf("%.3g", v) }

// rounds returns the pairs of each row of g.
func (b *bench) rounds(g group, n int) ([][]pair, error) {
	if err := os.MkdirAll(b.dir, 0o777); err != nil {
		return nil, err
	}
	round, err := g.prepare(b)
	if err != nil {
		return nil, err
	}
	if g.rounds > 0 {
		n = min(n, g.rounds)
	}
	all := make([][]pair, len(g.rows))
	for i := range n {
		fmt.Fprintf(os.Stderr, "\r\033[K%s: round %d of %d", g.rows[0].name, i+1, n)
		pairs, err := round()
		if err != nil {
			fmt.Fprintln(os.Stderr)
			return nil, err
		}
		for j, p := range pairs {
			all[j] = append(all[j], p)
		}
	}
	fmt.Fprint(os.Stderr, "\r\033[K")
	return all, nil
}

const tableForm = "| %-15s | %-72s | %9s | %9s | %-27s | %9s | %-5s |\n"

// tableHead is Markdown, as the lines are.
func tableHead() string {
	dashes := func(n int) string { return strings.Repeat("-", n) }
	return fmt.Sprintf(tableForm, "row", "what / its floor", "ours", "floor", "median (min..max)", "to reach", "") +
		fmt.Sprintf(tableForm, dashes(15), dashes(72), dashes(8)+":", dashes(8)+":", dashes(27), dashes(8)+":", dashes(5))
}

// line is the line of the table.
func (r row) line(pairs []pair) string {
	what := r.what
	floor := "-"
	var ours, floors, judged []float64
	for _, p := range pairs {
		ours, floors = append(ours, p.ours), append(floors, p.floor)
		if r.ratio > 0 {
			judged = append(judged, p.ours/p.floor)
		} else {
			judged = append(judged, p.ours)
		}
	}
	if r.against != "" {
		what += " / " + r.against
		floor = r.unit(median(floors))
	}
	show, goal := r.unit, r.limit
	if r.ratio > 0 {
		show, goal = func(v float64) string { return fmt.Sprintf("%.2f", v) }, r.ratio
	}
	verdict := "short"
	if median(judged) <= goal {
		verdict = "ok"
	}
	spread := fmt.Sprintf("%s (%s..%s)", show(median(judged)), show(slices.Min(judged)), show(slices.Max(judged)))
	return fmt.Sprintf(tableForm, r.name, what, r.unit(median(ours)), floor, spread, "<= "+show(goal), verdict)
}

// median of an even number of values is the mean of the two in the middle.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(values))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}
