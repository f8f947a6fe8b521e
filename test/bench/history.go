package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// event is a line of the history as one of n versions that have finished leaves it.
func event(kind string, n int) outputs.Event {
	e := outputs.Event{
		Event: kind, Model: fmt.Sprintf("model_%d", n%10), Version: fmt.Sprintf("version-%d", n), Run: outputs.NewRunID(time.Now()),
		Time: outputs.Time{Time: time.Now()}, Parameters: "0123456789abcdef", Code: "fedcba9876543210",
	}
	if kind == outputs.Started {
		e.Dir, e.Order = "model_ckpts/softmax", n
		e.Params = json.RawMessage(`{"batch_size":32,"dataloader":"*digits.Loader","epochs":20,"hidden":32,"learning_rate":0.05,"seed":1}`)
	} else {
		e.Step, e.Seconds = 1000, 1.5
		e.Git = &outputs.Git{Commit: "22180d1f1f5f0df774b09f87d6d8e85ee627a23f", Branch: "main"}
		e.Results = outputs.Results{
			wire.SetTrain: {"accuracy": 0.987, "loss": 0.0625}, wire.SetTest: {"accuracy": 0.971, "loss": 0.0931},
		}
	}
	return e
}

const appends = 300

// journal is what the end of a version waits for.
var journal = group{
	rows: []row{{name: "journal", what: "one event made durable", against: "append + fdatasync", unit: seconds, ratio: 1.5}},
	prepare: func(b *bench) (func() ([]pair, error), error) {
		j, _, err := outputs.NewFolder(b.dir, "bench").OpenJournal()
		if err != nil {
			return nil, err
		}
		floor, err := os.OpenFile(filepath.Join(b.dir, "floor"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666)
		if err != nil {
			return nil, err
		}
		e := event(outputs.Finished, 0)
		line, err := json.Marshal(e)
		line = append(line, '\n')
		return func() ([]pair, error) {
			// In turn, each: what the disk does in between hits both.
			var p pair
			for range appends {
				took, err := clock(func() error { return j.Append(e) })
				if err != nil {
					return nil, err
				}
				p.ours += took / appends
				took, err = clock(func() error {
					if _, err := floor.Write(line); err != nil {
						return err
					}
					return syncData(floor)
				})
				if err != nil {
					return nil, err
				}
				p.floor += took / appends
			}
			return []pair{p}, nil
		}, err
	},
}

const historyLines = 1_000_000

// history is the start of a call that uses a very long one. The ratios are for a machine that splits the file in 14 ms.
var history = group{
	rows: []row{
		{name: "history", what: "history of 1,000,000 lines read, 500,000 versions", against: "split into lines", unit: seconds, ratio: 36, limit: 0.5},
		{name: "history-u", what: "-r -u with it, nothing to do", against: "split into lines", unit: seconds, ratio: 50, limit: 0.7},
		{name: "history-memory", what: "-r -u with it, memory of the process", unit: megabytes, limit: 300e6},
	},
	prepare: func(b *bench) (func() ([]pair, error), error) {
		p, err := b.project("p", 1, false)
		if err != nil {
			return nil, err
		}
		if _, err := timed(p.pipeline(nil, "-r")); err != nil {
			return nil, err
		}
		folder := outputs.NewFolder(p.outputs(), "another") // host: its files are merged
		if err := writeHistory(folder.HistoryFile(), historyLines); err != nil {
			return nil, err
		}
		return func() ([]pair, error) {
			alone, err := timed(b.role("history", "BENCH_FILE="+folder.Dir))
			if err != nil {
				return nil, err
			}
			split, err := timed(b.role("split", "BENCH_FILE="+folder.HistoryFile()))
			if err != nil {
				return nil, err
			}
			with, err := timed(p.pipeline(nil, "-r", "-u"))
			if err != nil {
				return nil, err
			}
			// Watching its memory costs time: it is another call.
			memory, err := peak(p.pipeline(nil, "-r", "-u"))
			return []pair{{alone, split}, {with, split}, {ours: memory}}, err
		}, nil
	},
}

func writeHistory(path string, n int) error {
	return create(path, func(w *bufio.Writer) error {
		lines := json.NewEncoder(w)
		lines.SetEscapeHTML(false)
		for n := range n / 2 {
			for _, kind := range []string{outputs.Started, outputs.Finished} {
				if err := lines.Encode(event(kind, n)); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func split(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	r := bufio.NewReaderSize(file, 1<<20)
	for {
		if _, err := r.ReadSlice('\n'); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}
