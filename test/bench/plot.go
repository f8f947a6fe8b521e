package main

import (
	"bufio"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

const curve = 10_000_000

// plot is a curve of a long training drawn.
var plot = group{
	rows: []row{
		{name: "plot", what: "a curve of 10,000,000 points drawn", against: "a process that reads its file", unit: seconds, ratio: 3},
		{name: "plot-memory", what: "the same, memory of the process", unit: megabytes, limit: 50e6},
	},
	rounds: 15,
	prepare: func(b *bench) (func() ([]pair, error), error) {
		p, err := b.project("p", 1, false)
		if err != nil {
			return nil, err
		}
		if _, err := timed(p.pipeline(nil, "-r")); err != nil {
			return nil, err
		}
		runs, err := filepath.Glob(filepath.Join(p.outputs(), "runs", "*"))
		if err != nil || len(runs) != 1 {
			return nil, errors.Join(err, errors.New("one run was expected"))
		}
		file := filepath.Join(runs[0], "metrics.jsonl")
		if err := writeCurve(file); err != nil {
			return nil, err
		}
		return func() ([]pair, error) {
			drawn, err := timed(p.pipeline(nil, "plot", "loss"))
			if err != nil {
				return nil, err
			}
			floor, err := timed(b.role("slurp", "BENCH_FILE="+file))
			if err != nil {
				return nil, err
			}
			memory, err := peak(p.pipeline(nil, "plot", "loss"))
			return []pair{{drawn, floor}, {ours: memory}}, err
		}, nil
	},
}

func writeCurve(path string) error {
	return create(path, func(w *bufio.Writer) error {
		var line []byte
		for step := range int64(curve) {
			value := math.Exp(-float64(step)/2e6) + math.Sin(float64(step))/100
			line = wire.AppendPoint(line[:0], wire.Point{Name: "loss", Step: step + 1, Value: value, Time: 1_795_385_931_228 + step/10})
			w.Write(append(line, '\n'))
		}
		return nil
	})
}

func slurp(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	block := make([]byte, 256<<10)
	for {
		if _, err := file.Read(block); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}
