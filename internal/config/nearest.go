package config

import "strings"

// Nearest is the known name that was probably meant by name, or "" when none is near. Names are near when they differ
// in case only, when a third of their characters or fewer have to change (swapped neighbours count as one change), or
// when name is the beginning, three characters or more, of the known one. The nearest wins; of equals the first.
func Nearest(name string, known []string) string {
	want := []rune(strings.ToLower(name))
	best, bestChanges := "", -1
	for _, k := range known {
		have := []rune(strings.ToLower(k))
		limit := max(len(want), len(have)) / 3
		begins := len(want) >= 3 && strings.HasPrefix(string(have), string(want))
		if !begins && max(len(want)-len(have), len(have)-len(want)) > limit {
			continue // spares comparing a very long name
		}
		n := changes(want, have)
		if (begins || n <= limit) && (best == "" || n < bestChanges) {
			best, bestChanges = k, n
		}
	}
	return best
}

// changes counts the characters to insert, delete, replace or swap with their neighbour to get from a to b.
func changes(a, b []rune) int {
	var before, last []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i + 1
		for j := range b {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}
