package chart

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"image/png"
	"io"
	"math"
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

// A graph has its curve, both axes, a gap where there is one, and marks where curves could be taken for each other.
func TestText(t *testing.T) {
	falling := wave("falling", 1000, func(x float64) float64 { return 1 - x })
	gap := wave("gap", 2000, func(x float64) float64 {
		if x > 0.25 && x < 0.75 {
			return math.NaN()
		}
		return 0.5
	})
	one := Text([]Curve{falling}, 60, 10, false)
	lines := strings.Split(one, "\n")
	if !strings.HasPrefix(lines[0], " 1.0 ┼") || !strings.Contains(one, "\n   0 ┤") || !strings.Contains(one, "╮") {
		t.Errorf("the graph is\n%s", one)
	}
	if labels := strings.Fields(lines[len(lines)-2]); labels[0] != "1" || labels[len(labels)-1] != "1000" {
		t.Errorf("the steps are %q", labels)
	}
	two := Text([]Curve{falling, gap}, 60, 10, false)
	row := strings.Split(two, "\n")[5]
	if !strings.HasPrefix(row, " 0.5 ") || strings.Count(row, "o") < 20 || strings.Count(row, "o") > 32 || strings.Contains(two, "─o") {
		t.Errorf("the second curve, at 0.5, with a gap from 500 to 1500, is\n%s", two)
	}
	if coloured := Text([]Curve{falling, gap}, 60, 10, true); !strings.Contains(coloured, "\x1b[38;5;33m") || !strings.Contains(coloured, "\x1b[38;5;208m") {
		t.Errorf("the colours of %q", coloured)
	}
}

// The labels of a scale are round and tell its steps apart.
func TestScale(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		want      string
	}{
		{0, 1, "0 0.2 0.4 0.6 0.8 1.0"}, {0.981, 0.9957, "0.980 0.985 0.990 0.995 1.000"}, {-3, 7, "-4 -2 0 2 4 6 8"}, {0, 2.5e7, "0 5e6 1e7 1.5e7 2e7 2.5e7"},
		{5, 5, "4.4 4.6 4.8 5.0 5.2 5.4 5.6"}, {1e-9, 4e-9, "1e-9 1.5e-9 2e-9 2.5e-9 3e-9 3.5e-9 4e-9"}, {0, 0, "-1.0 -0.5 0 0.5 1.0"},
	} {
		s := newScale(c.low, c.high, 6)
		var labels []string
		for n := range s.count + 1 {
			labels = append(labels, s.label(n))
		}
		if got := strings.Join(labels, " "); got != c.want {
			t.Errorf("from %v to %v: %s, want %s", c.low, c.high, got, c.want)
		}
	}
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
			if len(curves) > 1 {
				continue // pixels take a while
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

// Names that differ at their ends are told apart in the legend.
func TestLongNames(t *testing.T) {
	var curves []Curve
	for i := range 8 {
		curves = append(curves, Curve{fmt.Sprintf("softmax/grid-hidden=64-dropout=0.5-learning_rate=0.%d", i), []Point{{1, 1}, {2, 2}}})
	}
	var b bytes.Buffer
	if err := SVG(&b, "loss", curves); err != nil {
		t.Fatal(err)
	}
	for _, c := range curves {
		if !strings.Contains(b.String(), ">"+c.Name+"<") {
			t.Errorf("there is no %s", c.Name)
		}
	}
}

// FuzzSVG: a picture is well-formed, and holds nothing but its own elements, whatever the names.
func FuzzSVG(f *testing.F) {
	f.Add("loss", "a/b", 1.0, 2.0)
	f.Add("</text><script>", "\" & \x1b\xff\u202e", math.Inf(1), math.NaN())
	f.Add(strings.Repeat("名", 500), "", -math.MaxFloat64, math.SmallestNonzeroFloat64)
	f.Fuzz(func(t *testing.T, metric, name string, one, two float64) {
		var b bytes.Buffer
		curves := []Curve{{name, []Point{{Step: 1, Value: one}, {Step: 2, Value: two}}}, {name + "2", []Point{{Step: 2, Value: two}}}}
		if err := SVG(&b, metric, curves); err != nil {
			t.Fatal(err)
		}
		for d := xml.NewDecoder(&b); ; {
			token, err := d.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if e, ok := token.(xml.StartElement); ok && !strings.Contains(" svg title rect polyline circle text path g line ", " "+e.Name.Local+" ") {
				t.Fatalf("there is a <%s>", e.Name.Local)
			}
		}
		Text(curves, 60, 10, false)
	})
}
