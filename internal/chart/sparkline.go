package chart

import "math"

// A Sparkline takes the values of a metric, however many, and draws them in one line.
type Sparkline struct {
	Points, NaN int64
	First, Last float64
	Min, Max    float64 // of those that are numbers

	parts []part // equally long ones of what has come so far
	each  int64  // how many values the last but the present one have
}

// A part is what is kept of neighbouring values.
type part struct {
	sum   float64
	count int64 // of finite ones
	all   int64
}

// maxParts is even and far more than is drawn.
const maxParts = 512

// Add takes the next value.
func (s *Sparkline) Add(v float64) {
	if s.Points == 0 {
		s.First, s.each = v, 1
	}
	s.Points++
	s.Last = v
	if v != v {
		s.NaN++
	} else {
		if s.Points-s.NaN == 1 {
			s.Min, s.Max = v, v
		}
		s.Min, s.Max = min(s.Min, v), max(s.Max, v)
	}
	n := len(s.parts)
	if n == 0 || s.parts[n-1].all == s.each {
		if n == maxParts {
			for i := range maxParts / 2 {
				a, b := s.parts[2*i], s.parts[2*i+1]
				s.parts[i] = part{a.sum + b.sum, a.count + b.count, a.all + b.all}
			}
			s.parts = s.parts[:maxParts/2]
			s.each *= 2
		}
		s.parts = append(s.parts, part{})
		n = len(s.parts)
	}
	p := &s.parts[n-1]
	p.all++
	if !math.IsInf(v, 0) && v == v {
		p.sum += v
		p.count++
	}
}

var blocks = []rune("▁▂▃▄▅▆▇█")

// Draw draws the means of up to width parts of the same length. Where there is no finite value stands a ×.
func (s *Sparkline) Draw(width int) string {
	width = min(width, len(s.parts))
	means := make([]float64, width)
	low, high := math.Inf(1), math.Inf(-1)
	for i := range means {
		var p part
		for _, q := range s.parts[i*len(s.parts)/width : (i+1)*len(s.parts)/width] {
			p.sum += q.sum
			p.count += q.count
		}
		means[i] = p.sum / float64(p.count) // NaN when there is none
		if !math.IsInf(means[i], 0) && p.count > 0 {
			low, high = min(low, means[i]), max(high, means[i])
		}
	}
	line := make([]rune, width)
	for i, v := range means {
		switch at := (v - low) / (high - low); {
		case math.IsNaN(v) || math.IsInf(v, 0):
			line[i] = '×'
		case math.IsNaN(at) || math.IsInf(high-low, 0): // all the same, or too far apart
			line[i] = blocks[len(blocks)/2-1]
		default:
			line[i] = blocks[int(at*float64(len(blocks)-1)+0.5)]
		}
	}
	return string(line)
}
