package main

import (
	"fmt"
	"slices"
	"strings"
)

// A result is what was measured for a row, or why nothing was.
type result struct {
	row
	pairs []pair
	err   error
}

const (
	reached    = "reached"
	notReached = "not reached"
)

const tableForm = "| %-15s | %-76s | %-2s | %-28s | %-9s | %-11s | %-7s | %-20s | %-8s | %-11s |\n"

// tableHead is Markdown, as the lines are.
func tableHead() string {
	columns := []any{"row", "what / its floor", "n", "ours", "to reach", "", "floor", "ours / floor", "to reach", ""}
	return fmt.Sprintf(tableForm, columns...) + fmt.Sprintf(tableForm, slices.Repeat([]any{"---"}, len(columns))...)
}

// line is the line of the table.
func (r result) line() string {
	what := r.what
	if r.against != "" {
		what += " / " + r.against
	}
	if r.err != nil {
		why, _, _ := strings.Cut(r.err.Error(), "\n")
		return fmt.Sprintf(tableForm, r.name, what, "0", "not measured: "+why, "", "", "", "", "", "")
	}
	ours, floors, ratios := r.values()
	limitVerdict, ratioVerdict := r.verdicts()
	shown, limit := r.unit(median(ours)), ""
	if r.limited() {
		shown, limit = spread(ours, r.unit), "<= "+r.unit(r.limit)
	}
	floor, ratio, goal := "", "", ""
	if r.ratio > 0 {
		floor, ratio, goal = r.unit(median(floors)), spread(ratios, factor), "<= "+factor(r.ratio)
	}
	return fmt.Sprintf(tableForm, r.name, what, fmt.Sprint(len(r.pairs)), shown, limit, limitVerdict, floor, ratio, goal, ratioVerdict)
}

// verdicts are the words for the limit and for the ratio, empty where the row has none.
func (r result) verdicts() (limit, ratio string) {
	ours, _, ratios := r.values()
	word := func(values []float64, goal float64) string {
		if median(values) <= goal {
			return reached
		}
		return notReached
	}
	if r.limited() {
		limit = word(ours, r.limit)
	}
	if r.ratio > 0 {
		ratio = word(ratios, r.ratio)
	}
	return limit, ratio
}

func (r result) values() (ours, floors, ratios []float64) {
	for _, p := range r.pairs {
		ours, floors, ratios = append(ours, p.ours), append(floors, p.floor), append(ratios, p.ours/p.floor)
	}
	return ours, floors, ratios
}

// spread is the median, and the smallest and the largest where they differ from it.
func spread(values []float64, show unit) string {
	middle, from, to := show(median(values)), show(slices.Min(values)), show(slices.Max(values))
	if from == to {
		return middle
	}
	return fmt.Sprintf("%s (%s..%s)", middle, from, to)
}

func factor(v float64) string { return fmt.Sprintf("%.2f", v) }

// summary counts the rows. One is reached when all that it is to reach is.
func summary(results []result) string {
	var good int
	var short, not []string
	for _, r := range results {
		limit, ratio := r.verdicts()
		switch {
		case r.err != nil:
			not = append(not, r.name)
		case limit != notReached && ratio != notReached:
			good++
		case limit == reached:
			short = append(short, r.name+" (as a ratio)")
		case ratio == reached:
			short = append(short, r.name+" (as a time)")
		default:
			short = append(short, r.name)
		}
	}
	text := fmt.Sprintf("%d of %d rows reached.", good, len(results))
	for _, list := range []struct {
		what string
		rows []string
	}{{"Not reached", short}, {"Not measured", not}} {
		if len(list.rows) > 0 {
			text += fmt.Sprintf(" %s: %s.", list.what, strings.Join(list.rows, ", "))
		}
	}
	return text + "\n"
}
