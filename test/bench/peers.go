package main

import (
	"fmt"
	"strings"
)

// A peer is another tool's figure for the work of a row. It was measured once, on another day and machine than ours.
type peer struct {
	name, version string
	figure        string
	row           string
	of            float64 // how many times the work is in the row
	work          string
}

const (
	notRecorded = "not recorded"
	pipeline19  = "the Python tool of 2019"
	mlflow      = notRecorded + " (formats were checked with 2.17.2)"
	dvc         = notRecorded + " (formats were checked with 3.64)"
)

var peers = []peer{
	{pipeline19, notRecorded, "36 ms", "whole", 100, "one version that does nothing"},
	{"Hydra", notRecorded, "63 ms", "whole", 100, ""},
	{"sacred", notRecorded, "420 ms", "whole", 100, ""},
	{"DVC", dvc, "910 ms", "whole", 100, ""},
	{pipeline19, notRecorded, "436 ms", "unchanged", 1, "nothing to do"},
	{"`dvc repro`", dvc, "470 ms", "unchanged", 1, ""},
	{"gRPC", notRecorded, "824 ns", "metric", 1, "a metric"},
	{"sacred", notRecorded, "4,000 ns", "metric", 1, ""},
	{"MLflow, file store", mlflow, "330,000 ns", "metric", 1, ""},
	{"encoding/json", "Go 1.26.8", "2.2 s", "history", 1, "a history of 1,000,000 lines"},
	{"MLflow, file store", mlflow, "390..530 ms", "ls-1000", 1, "the list of 1,000 runs"},
	{"DVC", dvc, "730 ms, the first time 14 s", "ls-1000", 1, ""},
	{"MLflow, sqlite", mlflow, "750 ms", "compare", 1, "1,000 runs compared"},
}

// peerTable has the peers beside what was measured now.
func peerTable(results []result) string {
	const form = "| %s | %s | %s | %s | %s |\n"
	var b strings.Builder
	fmt.Fprintf(&b, form, "work", "tool", "version", "its figure", "ours, now")
	b.WriteString(strings.Repeat("| --- ", 5) + "|\n")
	for _, p := range peers {
		for _, r := range results {
			if r.name == p.row && r.err == nil {
				ours, _, _ := r.values()
				fmt.Fprintf(&b, form, p.work, p.name, p.version, p.figure, fmt.Sprintf("%s (%s)", r.unit(median(ours)/p.of), p.row))
			}
		}
	}
	return b.String()
}
