package chart

import (
	"maps"
	"math"
	"os"
	"runtime"
	"slices"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/runs"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// Metrics are those of a run by step.
type Metrics struct {
	Points map[string][]Point // by name
	Names  []string           // of all that it has, sorted: Points may have fewer
}

// maxMetrics is how many metrics of a run are looked at: a model may make up a new name for each point.
const maxMetrics = 200

// Read reads the metrics of a run by step, each thinned to about n points: that called only or, when it is empty, all. A run
// is one with those whose training it continues. A step that several of them have is taken from the last one: it was trained
// again from an older checkpoint.
func Read(folder outputs.Folder, index *runs.Index, run *runs.Run, only string, n int) (Metrics, error) {
	all := metrics{only: only, points: n, end: map[string]int64{}, of: map[string]*joined{}}
	for _, part := range slices.Backward(index.Chain(run)) {
		if part.ID == "" {
			continue // it failed before it became a run
		}
		if err := all.read(folder, part.ID); err != nil {
			return Metrics{}, err
		}
	}
	m := Metrics{Points: map[string][]Point{}, Names: slices.Sorted(maps.Keys(all.of))}
	for name, j := range all.of {
		if j.sampler != nil {
			m.Points[name] = j.sampler.Points()
		}
	}
	return m, nil
}

// metrics are those of several runs, of which the last one is read first.
type metrics struct {
	only   string
	points int
	end    map[string]int64 // by name: steps from here on are those of later runs
	of     map[string]*joined

	last     *joined
	lastName string
}

// A joined is one of metrics.
type joined struct {
	sampler *Sampler // nil: it is not wanted
	least   int64    // the lowest step so far
	end     int64    // as in metrics
}

// enough is how many bytes of metrics are worth a goroutine.
const enough = 4 << 20

// read adds the metrics of a run.
func (m *metrics) read(folder outputs.Folder, run string) error {
	parts := 1
	if info, err := os.Stat(folder.MetricsFile(run)); err == nil {
		parts = int(min(info.Size()/enough+1, int64(runtime.GOMAXPROCS(0))))
	}
	read := make([]*metrics, parts)
	err := folder.MetricsParts(run, parts, func(part int) func(*wire.Point) {
		read[part] = &metrics{only: m.only, points: m.points, end: m.end, of: map[string]*joined{}}
		return read[part].add
	})
	for _, part := range read {
		if part == nil {
			continue
		}
		for name, j := range part.of {
			have := m.of[name]
			if have == nil {
				m.of[name] = j
				continue
			}
			have.least = min(have.least, j.least)
			if j.sampler != nil {
				have.sampler.Merge(j.sampler)
			}
		}
	}
	for name, j := range m.of {
		if j.least < math.MaxInt64 {
			m.end[name] = j.least
		}
	}
	return err
}

func (m *metrics) add(p *wire.Point) {
	if name := p.Name; m.last == nil || name != m.lastName {
		j := m.of[name]
		if j == nil {
			if len(m.of) == maxMetrics && name != m.only {
				return
			}
			j = &joined{least: math.MaxInt64, end: math.MaxInt64}
			if end, ok := m.end[name]; ok {
				j.end = end
			}
			if m.only == "" || name == m.only {
				j.sampler = NewSampler(m.points)
			}
			m.of[name] = j
		}
		m.last, m.lastName = j, name
	}
	if j := m.last; j.sampler != nil && (p.Step < j.end || j.end == math.MaxInt64) {
		j.sampler.Add(p.Step, p.Value)
		j.least = min(j.least, p.Step)
	}
}
