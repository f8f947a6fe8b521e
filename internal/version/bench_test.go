package version

import (
	"fmt"
	"testing"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

const many = 100_000

// manyTold are versions as a grid of a model tells them.
func manyTold() []wire.Event {
	events := make([]wire.Event, many)
	for i := range events {
		events[i] = withParams(fmt.Sprintf("grid-hidden=%d-seed=%d", 8<<(i%6), i), fmt.Sprintf(`{"hidden":%d,"layers":3,"optimizer":"sgd","seed":%d}`, 8<<(i%6), i))
	}
	return events
}

// BenchmarkList takes what a model tells of 100,000 versions.
func BenchmarkList(b *testing.B) {
	told := manyTold()
	b.ReportAllocs()
	for b.Loop() {
		if n := len(list(told)); n != many {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/many, "ns/version")
}

// BenchmarkDecide holds 100,000 versions against a history: of eight, four have nothing to do, two have finished under other code,
// one has failed and one was interrupted.
func BenchmarkDecide(b *testing.B) {
	versions := list(manyTold())
	history := map[string]Past{}
	for i, v := range versions {
		past := Past{Status: Finished, Parameters: v.Hash, Code: 1}
		switch i % 8 {
		case 4, 5:
			past.Code = 2
		case 6:
			past.Status = Failed
		case 7:
			past.Status = Interrupted
		}
		history[v.Name] = past
	}
	b.ReportAllocs()
	for b.Loop() {
		due := 0
		for _, v := range versions {
			if Decide(v, history[v.Name], 1, false).Due() {
				due++
			}
		}
		if due != many/2 {
			b.Fatal(due)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/many, "ns/version")
}
