package report

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/mlpipeline/mlpipeline/internal/chart"
)

//go:embed page.css page.js uplot
var files embed.FS

func file(name string) string {
	text, err := files.ReadFile(name)
	if err != nil {
		panic(err) // it is embedded
	}
	return string(text)
}

// scripts are the library, without its first line, which is a link to where it comes from, and the page's own.
func scripts() []string {
	_, library, _ := strings.Cut(file("uplot/uPlot.iife.min.js"), "\n")
	return []string{"/* uPlot 1.6.32\n" + file("uplot/LICENSE") + "*/\n" + library, file("page.js")}
}

// policy allows what is in the page and nothing else: neither another script nor a request.
func policy() string {
	text := "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src 'unsafe-inline'; script-src"
	for _, s := range scripts() {
		sum := sha256.Sum256([]byte(s))
		text += " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return text
}

// write writes a page: body in its frame, with the charts that body has places for.
func write(w io.Writer, title string, charts []chartView, body func(m *markup)) error {
	data, err := dataOf(charts)
	if err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	var m markup
	m.raw("<!DOCTYPE html>\n")
	m.start("html", "lang", "en")
	m.start("head")
	m.raw(`<meta charset="utf-8">` + "\n")
	m.tag("meta", []string{"http-equiv", "Content-Security-Policy", "content", policy()})
	m.raw(`
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
`)
	m.put("title", title)
	m.raw("<style>\n" + file("uplot/uPlot.min.css") + "\n" + file("page.css") + "</style>\n")
	m.end()
	m.start("body")
	body(&m)
	m.raw(`<script type="application/json" id="data">` + data + "</script>\n")
	for _, s := range scripts() {
		m.raw("<script>" + s + "</script>\n")
	}
	m.end()
	m.end()
	if _, err := w.Write(m.out.Bytes()); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}

// A chartView is a chart on a page.
type chartView struct {
	id     string
	title  string
	curves []chart.Curve
	inks   []int // the colour of each curve: that of its version in all charts of a model
}

// dataOf is what charts show, by their ids, as JSON that can stand in a script element.
func dataOf(charts []chartView) (string, error) {
	type curve struct {
		Ink int      `json:"ink"`
		X   []int64  `json:"x"`
		Y   []number `json:"y"`
	}
	all := map[string][]curve{}
	for _, c := range charts {
		digits := c.digits()
		for i, from := range c.curves {
			to := curve{Ink: c.inks[i], X: []int64{}, Y: []number{}}
			for _, p := range from.Points {
				to.X, to.Y = append(to.X, p.Step), append(to.Y, number{p, digits})
			}
			all[c.id] = append(all[c.id], to)
		}
	}
	text, err := json.Marshal(all) // which escapes < and > in texts
	return string(text), err
}

// digits is how many of a number are written: a few more than tell the highest from the lowest.
func (c chartView) digits() int {
	low, high := math.Inf(1), math.Inf(-1)
	for _, curve := range c.curves {
		if l, h, ok := curve.Bounds(); ok {
			low, high = min(low, l), max(high, h)
		}
	}
	const least, most = 6, 17
	if !(low < high) {
		return least
	}
	return min(max(least, 4+int(math.Log10(max(-low, high)/(high-low)))), most)
}

// A number is null when it has no place on a chart.
type number struct {
	chart.Point
	digits int
}

func (n number) MarshalJSON() ([]byte, error) {
	if n.Gap() {
		return []byte("null"), nil
	}
	const far = 1e300 // of two beyond, the browser cannot tell how far they are from each other
	return fmt.Appendf(nil, "%.*g", n.digits, min(max(n.Value, -far), far)), nil
}

// chart writes the place of a chart, its legend, and what it shows for those who do not see it.
func (m *markup) chart(c chartView) {
	m.start("figure", "class", "chart", "id", c.id)
	m.start("figcaption")
	m.put("span", c.title)
	m.put("button", "log scale", "type", "button", "class", "log", "aria-pressed", "false", "hidden", "hidden")
	m.end()
	label := c.title
	var lasts []string
	for _, curve := range c.curves {
		last := "no value"
		if p, ok := curve.Last(); ok {
			low, high, _ := curve.Bounds()
			last = short(p.Value)
			label += fmt.Sprintf("; %s: from %.4g to %.4g, last %.4g at step %d", curve.Name, low, high, p.Value, p.Step)
		}
		lasts = append(lasts, last)
	}
	m.put("div", "", "class", "plot", "role", "img", "aria-label", label)
	m.start("ul", "class", "legend")
	for i, curve := range c.curves {
		m.start("li")
		m.start("button", "type", "button", "aria-pressed", "true")
		m.put("i", "", "class", "c"+strconv.Itoa(c.inks[i]))
		m.put("span", curve.Name)
		m.text(" ")
		m.put("span", lasts[i], "class", "value")
		m.end()
		m.end()
	}
	m.end()
	m.end()
}

// WriteChart writes a page with one chart.
func WriteChart(w io.Writer, metric string, curves []chart.Curve) error {
	c := chartView{id: "chart-0", title: clean(metric) + " by step", curves: curves}
	for i := range curves {
		c.inks = append(c.inks, i)
	}
	return write(w, c.title, []chartView{c}, func(m *markup) {
		m.start("main")
		m.put("h1", c.title)
		m.raw(`<noscript><p class="note">The chart needs JavaScript.</p></noscript>` + "\n")
		m.start("div", "class", "charts one")
		m.chart(c)
		m.end()
		m.end()
	})
}
