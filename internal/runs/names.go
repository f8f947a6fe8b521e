package runs

import (
	"maps"
	"slices"
	"strings"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// MetricNames are the names of all Metrics of runs, sorted.
func MetricNames(runs []*Run) []string {
	names := map[string]bool{}
	seen := map[*string]bool{} // runs share their names
	for _, r := range runs {
		if len(r.metrics) == 0 || seen[&r.metrics[0]] {
			continue
		}
		seen[&r.metrics[0]] = true
		for _, name := range r.metrics {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// ParamNames are the names of all Params of runs, sorted.
func ParamNames(runs []*Run) []string {
	seen := map[string]bool{}
	for _, r := range runs {
		outputs.EachField(r.rawParams(), func(name, _ []byte) {
			if !seen[string(name)] {
				seen[string(name)] = true
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
