package main

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"slices"
)

// A row is one line of the table. What it is to reach is a ratio or a limit. It has both when the goal is a plain time: the ratio is
// then what that time is to the floor of the machine on which it was set.
type row struct {
	name    string
	what    string
	against string  // what the floor is, empty when there is none
	unit    unit    // of ours and the floor
	ratio   float64 // ours to the floor, 0 for none
	limit   float64 // ours; without a ratio 0 is a limit as well
}

func (r row) limited() bool { return r.limit > 0 || r.ratio == 0 }

// A group is the rows that are measured together.
type group struct {
	rows   []row
	rounds int // usual is meant by 0
	// prepare does what is not to be measured, in the folder b.dir, and returns what is called once a round.
	prepare func(b *bench) (round func() ([]pair, error), err error)
}

const usual = 7 // rounds

// missing is what a group cannot be measured without.
type missing string

func (m missing) Error() string { return string(m) }

// A pair is what one round measured for one row. Floor is 0 when the row has none.
type pair struct{ ours, floor float64 }

// A unit writes a value.
type unit func(v float64) string

func seconds(v float64) string {
	if v != v {
		return "-"
	}
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

// rounds returns the pairs of each row of g, of n rounds or, for 0, as many as g wants.
func (b *bench) rounds(g group, n int) ([][]pair, error) {
	if err := os.MkdirAll(b.dir, 0o777); err != nil {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "\r\033[K%s: prepare", g.rows[0].name)
	defer fmt.Fprint(os.Stderr, "\r\033[K")
	round, err := g.prepare(b)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		n = cmp.Or(g.rounds, usual)
	}
	all := make([][]pair, len(g.rows))
	for i := range n {
		fmt.Fprintf(os.Stderr, "\r\033[K%s: round %d of %d", g.rows[0].name, i+1, n)
		b.swap = i%2 == 1
		pairs, err := round()
		if err != nil {
			return nil, err
		}
		for j, p := range pairs {
			all[j] = append(all[j], p)
		}
	}
	return all, nil
}

// beside measures a row's two sides: ours, then the floor, and in the next round the other way round. What slows the machine down
// or up from one to the next is then as often on one side as on the other.
func (b *bench) beside(ours, floor func() (float64, error)) (pair, error) {
	var p pair
	sides := []func() error{
		func() (err error) { p.ours, err = ours(); return },
		func() (err error) { p.floor, err = floor(); return },
	}
	if b.swap {
		slices.Reverse(sides)
	}
	err := sides[0]()
	if err == nil {
		err = sides[1]()
	}
	return p, err
}

// median of an even number of values is the mean of the two in the middle.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(values))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}
