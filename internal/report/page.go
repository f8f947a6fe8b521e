package report

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/mlpipeline/mlpipeline/internal/chart"
)

//go:embed page.html page.css page.js uplot
var files embed.FS

var templates = template.Must(template.ParseFS(files, "page.html"))

func file(name string) string {
	text, err := files.ReadFile(name)
	if err != nil {
		panic(err) // it is embedded
	}
	return string(text)
}

// A document is what every page is made of.
type document struct {
	Title  string
	Charts []chartView
	Night  *night // nil: a page of charts alone
}

// scripts are the library, without its first line, which is a link to where it comes from, and the page's own.
func scripts() []string {
	_, library, _ := strings.Cut(file("uplot/uPlot.iife.min.js"), "\n")
	return []string{"/* uPlot 1.6.32\n" + file("uplot/LICENSE") + "*/\n" + library, file("page.js")}
}

// Policy is the element that allows what is in the page and nothing else: neither another script nor a request.
func (d document) Policy() template.HTML {
	policy := "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src"
	for _, s := range scripts() {
		sum := sha256.Sum256([]byte(s))
		policy += " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return template.HTML(`<meta http-equiv="Content-Security-Policy" content="` + policy + `">`)
}

// Scripts are the elements with the scripts.
func (d document) Scripts() template.HTML {
	var b strings.Builder
	for _, s := range scripts() {
		b.WriteString("<script>" + s + "</script>\n")
	}
	return template.HTML(b.String())
}

// Style is the element with all styles.
func (d document) Style() template.HTML {
	return template.HTML("<style>\n" + file("uplot/uPlot.min.css") + "\n" + file("page.css") + "</style>")
}

// Data is what the charts show, by their ids.
func (d document) Data() (template.JS, error) {
	type curve struct {
		Name string   `json:"name"`
		X    []int64  `json:"x"`
		Y    []number `json:"y"`
	}
	all := map[string][]curve{}
	for _, c := range d.Charts {
		for _, from := range c.curves {
			to := curve{Name: from.Name, X: []int64{}, Y: []number{}}
			for _, p := range from.Points {
				to.X, to.Y = append(to.X, p.Step), append(to.Y, number(p.Value))
			}
			all[c.ID] = append(all[c.ID], to)
		}
	}
	text, err := json.Marshal(all) // which escapes <, > and U+2028 in texts
	return template.JS(text), err
}

// A number is null when it has no place on a chart. Six digits are more than a screen shows.
type number float64

func (n number) MarshalJSON() ([]byte, error) {
	if (chart.Point{Value: float64(n)}).Gap() {
		return []byte("null"), nil
	}
	return fmt.Appendf(nil, "%.6g", float64(n)), nil
}

// A chartView is a chart on a page.
type chartView struct {
	ID     string
	Title  string
	Notes  []string
	curves []chart.Curve
}

// Curves are what a person reads who does not see the chart.
func (c chartView) Curves() []curveView {
	var views []curveView
	for _, curve := range c.curves {
		v := curveView{Name: curve.Name, Last: "no value"}
		if last, ok := curve.Last(); ok {
			v.Last = fmt.Sprintf("%.4g", last.Value)
			low, high, _ := curve.Bounds()
			v.Text = fmt.Sprintf("from %.4g to %.4g, last %.4g at step %d", low, high, last.Value, last.Step)
		}
		views = append(views, v)
	}
	return views
}

type curveView struct{ Name, Last, Text string }

// WriteChart writes a page with one chart.
func WriteChart(w io.Writer, metric string, curves []chart.Curve) error {
	return document{Title: metric + " by step", Charts: []chartView{{ID: "chart-0", Title: metric + " by step", curves: curves}}}.write(w)
}

func (d document) write(w io.Writer) error {
	if err := templates.ExecuteTemplate(w, "page.html", d); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}
