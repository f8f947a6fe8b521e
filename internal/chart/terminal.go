package chart

import (
	"math"
	"unicode/utf8"

	"github.com/guptarohit/asciigraph"
)

// marks tell several curves apart where there are no colours.
var marks = []string{"*", "o", "+", "x", "#", "@", "%", "&"}

// Most is how many curves can be told apart on one chart.
const Most = 8

// colours are readable on black and on white.
var colours = []asciigraph.AnsiColor{33, 208, 34, 160, 135, 178, 37, 244}

// Text draws curves with a common axis of steps as lines of text, each at most width characters wide, the graph itself
// height high. Without colour, marks tell several curves apart.
func Text(curves []Curve, width, height int, colour bool) string {
	from, to, low, high, ok := bounds(curves)
	if !ok {
		return ""
	}
	s := newScale(low, high, height)
	label := 0
	for n := range s.count + 1 {
		label = max(label, utf8.RuneCountInString(s.label(n)))
	}
	const beside, beyond = 3, 4 // the axis of values; half a label of the axis of steps
	columns := max(width-label-beside-beyond, 10)
	options := []asciigraph.Option{
		asciigraph.Height(s.count), asciigraph.LowerBound(0), asciigraph.UpperBound(float64(s.count)),
		asciigraph.YAxisValueFormatter(func(row float64) string { return s.label(int(math.Round(row))) }),
		asciigraph.XAxisRange(float64(from), float64(to)), asciigraph.XAxisValueFormatter(stepLabel),
		asciigraph.XAxisTickCount(int(math.Min(math.Max(float64(columns/14), 2), math.Max(float64(to)-float64(from), 1)+1))),
	}
	var series [][]float64
	var chars []asciigraph.CharSet
	for i, c := range curves {
		line := columnsOf(c.Points, from, to, columns)
		for j, v := range line {
			line[j] = s.place(v)
		}
		series = append(series, line)
		chars = append(chars, asciigraph.CreateCharSet(marks[i%len(marks)]))
	}
	switch {
	case colour:
		options = append(options, asciigraph.SeriesColors(colours[:min(len(curves), len(colours))]...))
	case len(curves) > 1:
		options = append(options, asciigraph.SeriesChars(chars...))
	}
	return asciigraph.PlotMany(series, options...) + "\n"
}

// Mark is the sign that stands for the n-th of so many curves in the legend of a Text.
func Mark(n, of int, colour bool) string {
	switch {
	case colour:
		return colours[n%len(colours)].String() + "■" + asciigraph.Default.String()
	case of > 1:
		return marks[n%len(marks)]
	}
	return "─"
}

// columnsOf spreads points over columns, between two steps. Of several in a column the one is taken that is the furthest from
// the column before, so that a spike stays; columns between two points lie on the line between them. NaN is a gap.
func columnsOf(points []Point, from, to int64, columns int) []float64 {
	line := make([]float64, columns)
	for i := range line {
		line[i] = math.NaN()
	}
	span := math.Max(float64(to)-float64(from), 1)
	last, joined := -1, false // the last column with a value; no gap has come since
	for _, p := range points {
		if p.Gap() {
			joined = false
			continue
		}
		at := int(math.Round((float64(p.Step) - float64(from)) / span * float64(columns-1)))
		switch {
		case at != last:
			for c := last + 1; joined && c < at; c++ {
				part := float64(c-last) / float64(at-last)
				line[c] = line[last]*(1-part) + p.Value*part
			}
			line[at] = p.Value
		case at > 0 && !math.IsNaN(line[at-1]) && math.Abs(p.Value-line[at-1]) > math.Abs(line[at]-line[at-1]):
			line[at] = p.Value
		}
		last, joined = at, true
	}
	return line
}
