package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// The ratios are for a machine that splits the journals in 1.5 ms and 25 ms.
var (
	fewRuns = group{
		rows: []row{
			{name: "ls-1000", what: "ls of 1,000 runs", against: "journal split into lines", unit: seconds, ratio: 13, limit: 20e-3},
			{name: "compare", what: "compare of 1,000 runs, 10 metrics each", against: "journal split into lines", unit: seconds, ratio: 33, limit: 50e-3},
		},
		prepare: func(b *bench) (func() ([]pair, error), error) {
			return b.readers(1000, []string{"ls"}, []string{"compare"})
		},
	}
	manyRuns = group{
		rows: []row{
			{name: "ls", what: "ls -n 30 of 100,000 runs: what a terminal shows", against: "journal split into lines", unit: seconds, ratio: 12, limit: 300e-3},
			{name: "ls-all", what: "ls of all of them, into a pipe", against: "journal split into lines", unit: seconds, ratio: 12, limit: 300e-3},
		},
		prepare: func(b *bench) (func() ([]pair, error), error) {
			return b.readers(100_000, []string{"ls", "-n", "30"}, []string{"ls"})
		},
	}
)

// readers measures calls in a project of n runs.
func (b *bench) readers(n int, calls ...[]string) (func() ([]pair, error), error) {
	p, err := b.project("p", 1, false)
	if err != nil {
		return nil, err
	}
	folder := outputs.NewFolder(p.outputs(), "another")
	if err := os.MkdirAll(folder.Dir, 0o777); err != nil {
		return nil, err
	}
	if err := writeRuns(folder, n); err != nil {
		return nil, err
	}
	return func() ([]pair, error) {
		var pairs []pair
		for _, args := range calls {
			both, err := b.beside(
				func() (float64, error) { return times(3, func() *exec.Cmd { return p.pipeline(nil, args...) }) },
				func() (float64, error) {
					return times(3, func() *exec.Cmd { return b.role("split", "BENCH_FILE="+folder.HistoryFile()) })
				},
			)
			if err != nil {
				return nil, err
			}
			pairs = append(pairs, pair{both.ours / 3, both.floor / 3})
		}
		return pairs, nil
	}, nil
}

// writeRuns writes the journal of n runs that have finished, with ten parameters and ten metrics each.
func writeRuns(folder outputs.Folder, n int) error {
	return create(folder.HistoryFile(), func(w *bufio.Writer) error {
		lines := json.NewEncoder(w)
		lines.SetEscapeHTML(false)
		start := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
		at := func(n int) outputs.Time { return outputs.Time{Time: start.Add(time.Duration(n) * time.Second)} }
		events := []outputs.Event{
			{Event: outputs.Opened, Time: at(0), Format: outputs.JournalFormat, Host: folder.Host},
			{Event: outputs.Begin, Time: at(0), PID: 1, Command: "mlpipeline -r -u"},
		}
		for n := range n {
			started, finished := event(outputs.Started, n), event(outputs.Finished, n)
			started.Time, finished.Time = at(n), at(n+1)
			started.Run = outputs.NewRunID(started.Time.Time)
			finished.Run = started.Run
			started.Order = n
			started.Params = fmt.Appendf(nil, `{"batch_size":%d,"dataloader":"*digits.Loader","dropout":0.%d,"epochs":20,"hidden":%d,"layers":3,"learning_rate":%g,"momentum":0.9,"optimizer":"sgd","seed":%d}`,
				16<<(n%4), n%7, 8<<(n%6), 1/float64(n+1), n)
			finished.Git = &outputs.Git{Commit: "b041c7d9fb0c0693b041c7d9fb0c0693b041c7d9", Branch: "main"}
			finished.Results = outputs.Results{}
			for i, set := range []string{wire.SetTraining, wire.SetTrain, wire.SetTest} {
				v := wire.Float(n%9973) / 9973
				finished.Results[set] = map[string]wire.Float{"accuracy": v, "loss": 1 - v}
				if i > 0 {
					finished.Results[set]["f1"], finished.Results[set]["recall"] = v/3, v/7
				}
			}
			events = append(events, started, finished)
			for _, e := range events {
				if err := lines.Encode(e); err != nil {
					return err
				}
			}
			events = events[:0]
		}
		return nil
	})
}
