package mlp

import (
	"math"
	"slices"
	"sync"
)

// A MetricSet averages metrics: over everything since the last Reset, over the epoch since the last EndEpoch, and over a
// window of the last epochs. It is safe for use by several goroutines.
//
// A NaN or an infinity that is put in comes out of each average that it is part of, and leaves with it: an epoch's at
// EndEpoch, the window's when that epoch has left it, the whole one's at Reset. What was never updated is 0.
type MetricSet struct {
	mu     sync.Mutex
	window int
	names  []string // in the order in which they came
	by     map[string]*average
}

// An average is one metric.
type average struct {
	sum, epochSum     float64
	count, epochCount int
	tracked           []float64 // averages of the last epochs, the newest at the end
}

// NewMetricSet returns a MetricSet that tracks window epochs, at least 1. A metric that is not among names comes into
// being when it is first updated.
func NewMetricSet(window int, names ...string) *MetricSet {
	s := &MetricSet{window: max(window, 1), by: map[string]*average{}}
	for _, name := range names {
		s.metric(name)
	}
	return s
}

func (s *MetricSet) metric(name string) *average {
	m := s.by[name]
	if m == nil {
		m = &average{}
		s.by[name] = m
		s.names = append(s.names, name)
	}
	return m
}

// Update adds sum, the total of name over count samples. The average of a batch is put in as Update(name, avg*n, n), a
// single value as Update(name, value, 1). A count that is not greater than 0 adds nothing.
func (s *MetricSet) Update(name string, sum float64, count int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.metric(name)
	if count <= 0 {
		return
	}
	m.sum += sum
	m.count += count
	m.epochSum += sum
	m.epochCount += count
}

// Average returns the average of name since the last Reset.
func (s *MetricSet) Average(name string) float64 {
	return s.read(name, func(m *average) float64 { return ratio(m.sum, m.count) })
}

// EpochAverage returns the average of name since the last EndEpoch.
func (s *MetricSet) EpochAverage(name string) float64 {
	return s.read(name, func(m *average) float64 { return ratio(m.epochSum, m.epochCount) })
}

// EndEpoch puts the epoch's average of each metric that was updated in it into the window, and starts the next epoch.
func (s *MetricSet) EndEpoch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.by {
		if m.epochCount == 0 {
			continue
		}
		m.tracked = append(m.tracked, ratio(m.epochSum, m.epochCount))
		if len(m.tracked) > s.window {
			m.tracked = slices.Delete(m.tracked, 0, 1)
		}
		m.epochSum, m.epochCount = 0, 0
	}
}

// TrackedAverage returns the average of the epochs in the window, 0 until it is half full.
func (s *MetricSet) TrackedAverage(name string) float64 {
	return s.read(name, func(m *average) float64 {
		if 2*len(m.tracked) < s.window {
			return 0
		}
		return mean(m.tracked)
	})
}

// TrackedDelta returns the change from the epoch before the newest one in the window to the newest: negative when the
// metric falls, 0 while the window holds one epoch only.
func (s *MetricSet) TrackedDelta(name string) float64 {
	return s.read(name, func(m *average) float64 {
		n := len(m.tracked)
		if n < 2 {
			return 0
		}
		return m.tracked[n-1] - m.tracked[n-2]
	})
}

// TrackedStdDev returns the standard deviation of the epochs in the window as a whole population, 0 for less than two.
func (s *MetricSet) TrackedStdDev(name string) float64 {
	return s.read(name, func(m *average) float64 {
		if len(m.tracked) < 2 {
			return 0
		}
		avg, sum := mean(m.tracked), 0.0
		for _, v := range m.tracked {
			sum += (v - avg) * (v - avg)
		}
		return math.Sqrt(sum / float64(len(m.tracked)))
	})
}

// Reset forgets every value, those of the window too, and keeps the names.
func (s *MetricSet) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.by {
		*m = average{}
	}
}

// Metrics returns the Average of each metric that has been updated: what Train and Evaluate return.
func (s *MetricSet) Metrics() Metrics {
	s.mu.Lock()
	defer s.mu.Unlock()
	metrics := Metrics{}
	for name, m := range s.by {
		if m.count > 0 {
			metrics[name] = ratio(m.sum, m.count)
		}
	}
	return metrics
}

// Record records the EpochAverage that each metric has after step, in the order of their names in the set. A metric that
// was not updated in the epoch is left out.
func (s *MetricSet) Record(run *Run, step int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range s.names {
		if m := s.by[name]; m.epochCount > 0 {
			run.Metric(name, step, ratio(m.epochSum, m.epochCount))
		}
	}
}

func (s *MetricSet) read(name string, f func(*average) float64) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.by[name]
	if m == nil {
		return 0
	}
	return f(m)
}

func ratio(sum float64, count int) float64 {
	if count == 0 {
		return 0
	}
	return sum / float64(count)
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return ratio(sum, len(values))
}
