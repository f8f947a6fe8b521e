package outputs

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// appendBlock appends the block of a finished run to the output file of this host, whole or not at all. undo takes it off
// again, as long as no other has been appended. size is what the file has with it.
func (f Folder) appendBlock(run Run) (undo func() error, size int64, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write output: %w", err)
		}
	}()
	file, err := openOwn(f.OutputFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	text := []byte(block(run))
	undo = func() error {
		if info.Size() == 0 {
			return os.Remove(f.OutputFile())
		}
		return os.Truncate(f.OutputFile(), info.Size())
	}
	_, err = file.Write(text)
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		err = errors.Join(err, undo())
	}
	return undo, info.Size() + int64(len(text)), err
}

// ruler is the first line of a block, and blockRun begins the line that names its run. No other line begins so.
var (
	ruler    = strings.Repeat("-", 80) + "\n"
	blockRun = fmt.Sprintf("%-12s ", "run")
)

func block(run Run) string {
	var b strings.Builder
	b.WriteString(ruler)
	line := func(key, value string) {
		if value == "" {
			return
		}
		for i, l := range CleanLines(value) {
			if i > 0 {
				key = ""
			}
			fmt.Fprintf(&b, "%-12s %s\n", key, l)
		}
	}
	line("model", run.Model)
	line("version", run.Version)
	line("run", run.ID)
	when := run.Started.Local().Format("2006-01-02 15:04:05")
	line("started", fmt.Sprintf("%s on %s, took %s", when, run.Host, Duration(run.Seconds)))
	steps := fmt.Sprintf("%d of %d", run.Steps.Done, run.Steps.Total)
	if run.Steps.Before > 0 {
		steps += fmt.Sprintf(", %d of them trained before", run.Steps.Before)
	}
	line("steps", steps)
	all := func(m map[string]wire.Float) string { return formatMetrics(m, slices.Sorted(maps.Keys(m))) }
	line("training", all(run.Results[wire.SetTraining]))
	line("train set", all(run.Results[wire.SetTrain]))
	line("test set", all(run.Results[wire.SetTest]))
	line("parameters", string(run.Parameters))
	line("data", run.Data.Loader+fmt.Sprintf(", %d train samples, %d test samples", run.Data.TrainSamples, run.Data.TestSamples))
	line("model dir", run.Dir)
	summaries := []string{run.Summary.Model, run.Summary.Data, run.Summary.Run}
	line("summary", strings.Join(slices.DeleteFunc(summaries, func(s string) bool { return s == "" }), "\n"))
	return b.String()
}

// FormatMetrics writes metrics as "accuracy=0.9712 loss=0.0931", by name: the first hundred, which is what a line can show.
func FormatMetrics(metrics map[string]wire.Float) string {
	const most = 100
	if len(metrics) <= most {
		return formatMetrics(metrics, slices.Sorted(maps.Keys(metrics)))
	}
	return formatMetrics(metrics, slices.Sorted(maps.Keys(metrics))[:most]) + fmt.Sprintf(" and %d more", len(metrics)-most)
}

func formatMetrics(metrics map[string]wire.Float, names []string) string {
	var parts []string
	for _, name := range names {
		parts = append(parts, fmt.Sprintf("%s=%.4g", Clean(name), float64(metrics[name])))
	}
	return strings.Join(parts, " ")
}

// Span is how long seconds are, or as long as a time.Duration can be.
func Span(seconds float64) time.Duration {
	const most = math.MaxInt64 / int64(time.Second)
	return time.Duration(max(-float64(most), min(seconds, float64(most))) * float64(time.Second))
}

// Duration writes seconds as a person reads them.
func Duration(seconds float64) string {
	d := Span(seconds)
	switch {
	case d < 10*time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
