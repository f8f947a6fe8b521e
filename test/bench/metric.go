package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

const points = 1_000_000

// metrics is a run that measures without doing anything in between. The ratio of a call is for a machine that writes
// to a pipe in 266 ns.
var metrics = group{
	rows: []row{
		{name: "metric", what: "a metric from model to record, of 1,000,000", against: "write(2) into a pipe", unit: seconds, ratio: 1},
		{name: "metric-call", what: "run.Metric, cost to the caller", against: "write(2) into a pipe", unit: seconds, ratio: 0.94, limit: 250e-9},
		{name: "metric-allocs", what: "run.Metric, allocations", unit: count, limit: 0},
	},
	prepare: func(b *bench) (func() ([]pair, error), error) {
		p, err := b.project("p", 1, false)
		if err != nil {
			return nil, err
		}
		if _, err := p.binary(); err != nil {
			return nil, err
		}
		var event bytes.Buffer
		if err := wire.NewWriter(&event).Metric("loss", points/2, 1/float64(points/2)); err != nil {
			return nil, err
		}
		return func() ([]pair, error) {
			report := filepath.Join(b.dir, "report")
			none, err := p.fresh(nil, "-r")
			if err != nil {
				return nil, err
			}
			all, err := p.fresh([]string{fmt.Sprint("BENCH_METRICS=", points), "BENCH_REPORT=" + report}, "-r")
			if err != nil {
				return nil, err
			}
			emptyPipe, err := b.pipe(event.String(), 0)
			if err != nil {
				return nil, err
			}
			fullPipe, err := b.pipe(event.String(), points)
			if err != nil {
				return nil, err
			}
			var ns, allocs float64
			text, err := os.ReadFile(report)
			if err == nil {
				_, err = fmt.Sscan(string(text), &ns, &allocs)
			}
			floor := (fullPipe - emptyPipe) / points
			return []pair{{(all - none) / points, floor}, {ns / 1e9, floor}, {ours: allocs}}, err
		}, nil
	},
}

// pipe times a process that writes event n times to another that reads.
func (b *bench) pipe(event string, n int) (float64, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	reader, writer := b.role("read"), b.role("write", "BENCH_EVENT="+event, "BENCH_TIMES="+strconv.Itoa(n))
	reader.Stdin, writer.Stdout, writer.Stderr = r, w, os.Stderr
	return clock(func() error {
		if err := reader.Start(); err != nil {
			return err
		}
		r.Close()
		err := writer.Run()
		w.Close()
		if rerr := reader.Wait(); err == nil {
			err = rerr
		}
		return err
	})
}
