package chart

import (
	"image/color"
	"math"
	"strconv"
)

// The size of a picture in points. A PNG has twice as many pixels.
const (
	pictureWidth = 900
	plotHeight   = 420
	fontSize     = 13
	titleSize    = 17
)

var (
	ink    = color.RGBA{0x22, 0x22, 0x22, 0xff}
	muted  = color.RGBA{0x5f, 0x5f, 0x5f, 0xff}
	rule   = color.RGBA{0xe2, 0xe2, 0xe2, 0xff}
	paper  = color.RGBA{0xff, 0xff, 0xff, 0xff}
	series = []color.RGBA{ // can be told apart by people who see few colours
		{0x00, 0x72, 0xb2, 0xff}, {0xd5, 0x5e, 0x00, 0xff}, {0x00, 0x9e, 0x73, 0xff}, {0xcc, 0x79, 0xa7, 0xff},
		{0x99, 0x6f, 0x00, 0xff}, {0x56, 0xb4, 0xe9, 0xff}, {0x7a, 0x3e, 0x9d, 0xff}, {0x4d, 0x4d, 0x4d, 0xff},
	}
)

// A spot is a place on a picture, from its upper left corner.
type spot struct{ x, y float64 }

// A canvas is what a picture is drawn on.
type canvas interface {
	line(spots []spot, width float64, c color.RGBA)
	dot(at spot, radius float64, c color.RGBA)
	// text writes s with its baseline at a spot, which is its beginning, its middle (0.5) or its end (1).
	text(s string, at spot, anchor, size float64, c color.RGBA)
}

// A measure is how wide a text is.
type measure func(s string, size float64) float64

// inRow is how many curves have a place beside each other in the legend: two, if their names are short enough.
func inRow(curves []Curve, width measure) int {
	for _, c := range curves {
		if width(c.Name, fontSize) > nameRoom(c, 2, width) {
			return 1
		}
	}
	return 2
}

// nameRoom is how wide the name of a curve may be in the legend.
func nameRoom(c Curve, inRow int, width measure) float64 {
	return legendWidth/float64(inRow) - 58 - width(lastOf(c), fontSize)
}

const legendWidth = pictureWidth - 56

func lastOf(c Curve) string {
	if p, ok := c.Last(); ok {
		return "last " + strconv.FormatFloat(p.Value, 'g', 4, 64)
	}
	return "no value"
}

// height is that of a picture of curves.
func height(curves []Curve, width measure) int {
	n := inRow(curves, width)
	return 50 + plotHeight + 50 + 22*((len(curves)+n-1)/n) + 14
}

// picture draws curves of metric. Text is measured by width.
func picture(on canvas, metric string, curves []Curve, width measure) {
	from, to, low, high, ok := bounds(curves)
	fit := func(s string, room float64) string {
		for runes := []rune(s); width(s, fontSize) > room && len(runes) > 1; {
			runes = runes[:len(runes)-1]
			s = string(runes) + "…"
		}
		return s
	}
	on.text(fit(metric+" by step", pictureWidth-180), spot{pictureWidth / 2, 30}, 0.5, titleSize, ink)
	if !ok {
		on.text("no value that can be drawn", spot{pictureWidth / 2, 50 + plotHeight/2}, 0.5, fontSize, muted)
		return
	}
	values := newScale(low, high, 8)
	label := 0.0
	for n := range values.count + 1 {
		label = max(label, width(values.label(n), fontSize))
	}
	left, right, top, bottom := label+28, float64(pictureWidth-28), 50.0, 50.0+plotHeight
	y := func(v float64) float64 { return bottom - values.place(v)/float64(values.count)*(bottom-top) }
	for n := range values.count + 1 {
		at := bottom - float64(n)/float64(values.count)*(bottom-top)
		on.line([]spot{{left, at}, {right, at}}, 1, rule)
		on.text(values.label(n), spot{left - 8, at + fontSize*0.35}, 1, fontSize, muted)
	}
	steps := stepScale(from, to, 9)
	span := math.Max(float64(to)-float64(from), 1)
	x := func(step float64) float64 { return left + (step-float64(from))/span*(right-left) }
	for n := range steps.count + 1 {
		step := steps.low + float64(n)*steps.step
		if step < float64(from) || step > float64(to) {
			continue
		}
		on.line([]spot{{x(step), bottom}, {x(step), bottom + 5}}, 1, muted)
		on.text(stepLabel(step), spot{x(step), bottom + 20}, 0.5, fontSize, muted)
	}
	on.line([]spot{{left, bottom}, {right, bottom}}, 1, muted)
	on.text("step", spot{(left + right) / 2, bottom + 40}, 0.5, fontSize, ink)

	for i, c := range curves {
		colour := series[i%len(series)]
		var piece []spot
		end := func() {
			if len(piece) == 1 || len(piece) > 1 && len(c.Points) <= 40 {
				for _, at := range piece {
					on.dot(at, 3, colour)
				}
			}
			if len(piece) > 1 {
				on.line(piece, 1.75, colour)
			}
			piece = nil
		}
		for _, p := range c.Points {
			if p.Gap() {
				end()
				continue
			}
			piece = append(piece, spot{x(float64(p.Step)), y(p.Value)})
		}
		end()
	}
	beside := inRow(curves, width)
	for i, c := range curves {
		at := spot{28 + float64(i%beside)*legendWidth/float64(beside), bottom + 68 + 22*float64(i/beside)}
		on.line([]spot{{at.x, at.y - 4}, {at.x + 22, at.y - 4}}, 4, series[i%len(series)])
		name := fit(c.Name, nameRoom(c, beside, width))
		on.text(name, spot{at.x + 30, at.y}, 0, fontSize, ink)
		on.text(lastOf(c), spot{at.x + 30 + width(name, fontSize) + 12, at.y}, 0, fontSize, muted)
	}
}
