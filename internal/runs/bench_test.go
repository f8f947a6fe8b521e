package runs

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// many writes the journal of n runs with ten parameters and six metrics each.
func many(b testing.TB, n int) outputs.Folder {
	f := outputs.NewFolder(b.TempDir(), "a")
	file, err := os.Create(f.HistoryFile())
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	w := bufio.NewWriter(file)
	e := json.NewEncoder(w)
	e.Encode(outputs.Event{Event: outputs.Opened, Time: at(0), Format: 1, Host: "a"})
	e.Encode(begin(0, 7))
	for i := range n {
		ms := int64(i * 1000)
		model, v := fmt.Sprintf("model_%d", i%10), fmt.Sprintf("version-%d", i)
		start := started(ms, model, v)
		start.Parameters, start.Code = "0123456789abcdef", "fedcba9876543210"
		start.Params = fmt.Appendf(nil, `{"batch_size":%d,"dataloader":"*digits.Loader","dropout":%.2f,"epochs":20,"hidden":%d,"layers":3,"learning_rate":%g,"momentum":0.9,"optimizer":"sgd","seed":%d,"weight_decay":0.0001}`,
			16<<(i%4), rand.Float64(), 8<<(i%6), rand.Float64(), i)
		finish := ended(outputs.Finished, ms, ms+900, model, v)
		finish.Parameters, finish.Code, finish.Step = start.Parameters, start.Code, 860
		finish.Results = outputs.Results{"training": {"accuracy": 0.99, "loss": 0.1}}
		for _, set := range []string{"train", "test"} {
			finish.Results[set] = map[string]wire.Float{}
			finish.Results[set]["accuracy"] = shuffled(i)
			finish.Results[set]["loss"] = wire.Float(rand.Float64())
		}
		finish.Git = &outputs.Git{Commit: fmt.Sprintf("%040x", i/1000), Branch: "main"}
		e.Encode(start)
		e.Encode(finish)
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	return f
}

// shuffled are the accuracies of many.
func shuffled(i int) wire.Float { return wire.Float(i*7919%10_007) / 10_007 }

func BenchmarkRead(b *testing.B) {
	f := many(b, 100_000)
	info, _ := os.Stat(f.HistoryFile())
	b.SetBytes(info.Size())
	b.ReportAllocs()
	for b.Loop() {
		x, err := Read(f)
		if err != nil || len(x.Runs) != 100_000 {
			b.Fatal(err)
		}
	}
}

// BenchmarkSort sorts 100,000 runs as ls does.
func BenchmarkSort(b *testing.B) {
	x, err := Read(many(b, 100_000))
	if err != nil {
		b.Fatal(err)
	}
	for _, by := range []string{"test.accuracy", "learning_rate", "took", "version"} {
		b.Run(by, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := Sort(slices.Clone(x.Runs), by, Measure{}, false); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkBest finds the best versions of ten models: among 100,000 runs that have been read, and in the journal as -r does at
// its end.
func BenchmarkBest(b *testing.B) {
	f := many(b, 100_000)
	x, err := Read(f)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if bests := Best(Measure{}, x.Runs, nil); len(bests) != 10 {
				b.Fatal(len(bests))
			}
		}
	})
	b.Run("journal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if bests, err := BestOf(f, Measure{}, 7); err != nil || len(bests) != 10 {
				b.Fatal(len(bests), err)
			}
		}
	})
}
