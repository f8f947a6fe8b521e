package runs

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// MetricNames are the names of all Metrics of runs, sorted.
func MetricNames(runs []*Run) []string {
	// Very many runs are looked at by several goroutines.
	const some = 4000
	var parts []map[metricKey]bool
	var wg sync.WaitGroup
	for part := range slices.Chunk(runs, some) {
		seen := map[metricKey]bool{}
		parts = append(parts, seen)
		wg.Go(func() { metricKeys(part, seen) })
	}
	wg.Wait()
	names := map[string]bool{}
	for _, seen := range parts {
		for k := range seen {
			names[k.set+"."+k.name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

type metricKey struct{ set, name string }

func metricKeys(runs []*Run, seen map[metricKey]bool) {
	var last []metricKey // those of the last run: mostly the next one has the same
	for _, r := range runs {
		i := 0
		outputs.EachResult(r.results, func(set, name, _ string) bool {
			k := metricKey{set, name}
			if i >= len(last) || last[i] != k {
				seen[k] = true
				last = append(last[:min(i, len(last))], k)
			}
			i++
			return true
		})
	}
}

// ParamNames are the names of all Params of runs, sorted.
func ParamNames(runs []*Run) []string {
	seen := map[string]bool{}
	for _, r := range runs {
		outputs.EachField(r.rawParams(), func(name, _ string) {
			if !seen[name] {
				seen[name] = true
			}
		})
		if r.ordered {
			seen["order"] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

const test, train = wire.SetTest + ".", wire.SetTrain + "."

// Headline is the metric to judge a model by: test.accuracy when the runs have it; else the first by name that was measured on
// the test data and is not a loss; else the first measured on the test data; else on the training data; "" without any.
func Headline(runs []*Run) string { return HeadlineOf(MetricNames(runs)) }

// HeadlineOf is Headline for the names of all metrics, sorted.
func HeadlineOf(names []string) string {
	if slices.Contains(names, test+"accuracy") {
		return test + "accuracy"
	}
	for _, fits := range []func(name string) bool{
		func(name string) bool { return strings.HasPrefix(name, test) && !Goal(name) },
		func(name string) bool { return strings.HasPrefix(name, test) },
		func(name string) bool { return strings.HasPrefix(name, train) },
	} {
		if i := slices.IndexFunc(names, fits); i >= 0 {
			return names[i]
		}
	}
	return ""
}
