package chart

import (
	"bytes"
	"encoding/xml"
	"image/png"
	"io"
	"math"
	"os"
	"strings"
	"testing"
)

func wave(name string, n int64, f func(x float64) float64) Curve {
	s := NewSampler(500)
	for i := range n {
		s.Add(i+1, f(float64(i)/float64(n)))
	}
	return Curve{name, s.Points()}
}

func TestLook(t *testing.T) {
	curves := []Curve{
		wave("softmax/baseline", 860, func(x float64) float64 { return 2.3*math.Exp(-5*x) + 0.02 }),
		wave("softmax/hidden=64 <wide> & a very long name that goes on and on and on", 1200, func(x float64) float64 {
			if x > 0.4 && x < 0.5 {
				return math.NaN()
			}
			return 2.3*math.Exp(-8*x) + 0.05*math.Sin(80*x) + 0.1
		}),
		{"short", []Point{{1, 2}, {300, 1}, {600, 0.5}}},
	}
	os.Stderr.WriteString(Text(curves[:1], 80, 15, false))
	os.Stderr.WriteString(Text(curves, 80, 15, false))
	var b bytes.Buffer
	SVG(&b, "loss", curves)
	os.WriteFile("/tmp/look.svg", b.Bytes(), 0o666)
	b.Reset()
	PNG(&b, "loss", curves)
	os.WriteFile("/tmp/look.png", b.Bytes(), 0o666)
}

// Whatever the values are, each form is drawn, and is what it says it is.
func TestAnythingIsDrawn(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for name, values := range map[string][]float64{
		"none": {}, "one": {1}, "zero": {0, 0, 0}, "flat": {5, 5, 5}, "gaps": {nan, nan}, "infinite": {inf, -inf},
		"mixed": {nan, 1, nan, 2, 3, inf, 4}, "huge": {-math.MaxFloat64, math.MaxFloat64}, "tiny": {5e-324, 1e-320}, "near": {1, math.Nextafter(1, 2)},
		"large": {1e18, 1e18 + 1024}, "negative": {-3, -2, -1}, "spike": {0, 1e-9, 1e30, 0},
	} {
		c := Curve{Name: "a\x00b <&> \u2028" + name}
		for i, v := range values {
			c.Points = append(c.Points, Point{int64(i), v})
		}
		for _, curves := range [][]Curve{{c}, {c, c}, {c, {Name: "far", Points: []Point{{math.MinInt64, 1}, {math.MaxInt64, 2}}}}} {
			text := Text(curves, 60, 10, false)
			if strings.Contains(text, "\x1b") {
				t.Errorf("%s: there is an escape in %q", name, text)
			}
			for _, line := range strings.Split(text, "\n") {
				if n := len([]rune(line)); n > 60 {
					t.Errorf("%s: a line has %d characters: %s", name, n, line)
				}
			}
			for _, bad := range []string{"NaN", "Inf"} {
				if strings.Contains(text, bad) {
					t.Errorf("%s: there is %s in\n%s", name, bad, text)
				}
			}
			var b bytes.Buffer
			if err := SVG(&b, "x<y", curves); err != nil {
				t.Fatal(err)
			}
			for d := xml.NewDecoder(&b); ; {
				if _, err := d.Token(); err == io.EOF {
					break
				} else if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
			b.Reset()
			if err := PNG(&b, "x<y", curves); err != nil {
				t.Fatal(err)
			}
			if _, err := png.Decode(&b); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
}
