package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

const kills = 15 // 1 ms after a metric, 2 ms, and so on

// lost is what a model that is killed takes with it: the oldest of the metrics that are not in the record. About 10 ms are allowed.
var lost = group{
	rows: []row{{name: "metric-lost", what: "age of the oldest metric that a killed model takes with it", unit: seconds, limit: 11e-3}},
	prepare: func(b *bench) (func() ([]pair, error), error) {
		p, err := b.project("p", 1, false)
		if err != nil {
			return nil, err
		}
		if _, err := p.binary(); err != nil {
			return nil, err
		}
		report := filepath.Join(b.dir, "report")
		settings := []string{fmt.Sprint("BENCH_VERSIONS=", kills), "BENCH_KILL=1", "BENCH_REPORT=" + report}
		return func() ([]pair, error) {
			if err := os.RemoveAll(report); err != nil {
				return nil, err
			}
			var failed *exec.ExitError
			if _, err := p.fresh(settings, "-r"); !errors.As(err, &failed) || failed.ExitCode() != 1 {
				return nil, errors.Join(err, errors.New("versions that kill themselves should fail"))
			}
			ages, err := os.Open(report)
			if err != nil {
				return nil, err
			}
			defer ages.Close()
			runs, err := filepath.Glob(filepath.Join(p.outputs(), "runs", "*", "metrics.jsonl"))
			if err != nil || len(runs) != kills {
				return nil, errors.Join(err, fmt.Errorf("%d of %d runs have metrics", len(runs), kills))
			}
			var oldest float64
			for _, run := range runs { // by time, as they are named, and so as the ages are
				var age float64
				if _, err := fmt.Fscan(ages, &age); err != nil {
					return nil, err
				}
				points, err := os.ReadFile(run)
				if err != nil {
					return nil, err
				}
				if bytes.Count(points, []byte("\n")) < 2 {
					oldest = max(oldest, age)
				}
			}
			return []pair{{ours: oldest}}, nil
		}, nil
	},
}
