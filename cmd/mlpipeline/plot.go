package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/mlpipeline/mlpipeline/internal/chart"
	"github.com/mlpipeline/mlpipeline/internal/config"
	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/report"
	"github.com/mlpipeline/mlpipeline/internal/runs"
	"github.com/mlpipeline/mlpipeline/internal/table"
	"github.com/mlpipeline/mlpipeline/internal/version"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

type plotOptions struct {
	project          string
	metric           string
	runs             []string
	models, versions []string
	output           string
	json             bool
}

func newPlot(app *app) *cobra.Command {
	var opts plotOptions
	cmd := &cobra.Command{
		Use:   "plot METRIC [RUN...]",
		Short: "draw the curve of a metric, in the terminal or as a file",
		Long: `plot draws what a metric was by step: one that a model has recorded while it trained. Without RUN it takes the latest run
of each version that has it: of the 8 that ran last. A run that was resumed is one curve with the runs before it.

RUN is an id, a unique beginning of one, model/version for the latest run of that version, or model for the latest run of
that model. With -o the chart is a file: a picture (.svg, .png), or a page to move about in (.html), which needs no network.

Long curves are thinned: of each stretch of steps the lowest and the highest value are kept, and gaps where a value was NaN
or infinite. So are the "steps" and "values" that --json prints, a curve a line, to about 1,000 points.`,
		Example: `  mlpipeline plot loss
  mlpipeline plot loss softmax/baseline 20261122-2218
  mlpipeline plot accuracy --model 'vision/*' -o accuracy.svg
  mlpipeline plot loss --json | jq -c '[.version, (.values | min)]'`,
		ValidArgsFunction: completePlot(app),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				opts.metric, opts.runs = args[0], args[1:]
			}
			return runPlot(app, opts)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	projectFlag(cmd, &opts.project)
	flags.StringArrayVar(&opts.models, "model", nil, "only models whose name fits `GLOB`; may be repeated")
	flags.StringArrayVar(&opts.versions, "version", nil, "only versions whose name fits `GLOB`; may be repeated")
	flags.StringVarP(&opts.output, "output", "o", "", "write the chart into `FILE`.svg, .png or .html")
	flags.BoolVar(&opts.json, "json", false, "print curves as JSON, one a line")
	return cmd
}

// drawers write a chart in the form that the end of a file's name tells.
var drawers = map[string]func(w io.Writer, metric string, curves []chart.Curve) error{
	".svg": chart.SVG, ".png": chart.PNG, ".html": report.WriteChart,
}

func (o plotOptions) check() error {
	for _, s := range []version.Selection{o.models, o.versions} {
		if err := s.Check(); err != nil {
			return usageError{err}
		}
	}
	switch {
	case len(o.runs) > 0 && len(o.models)+len(o.versions) > 0:
		return usageError{&hintError{errors.New("--model and --version select runs where no RUN is named"), "leave out one or the other"}}
	case o.output != "" && o.json:
		return usageError{&hintError{errors.New("-o and --json do not go together"), "leave out one or the other"}}
	case o.output != "" && drawers[strings.ToLower(filepath.Ext(o.output))] == nil:
		return usageError{&hintError{fmt.Errorf("-o %s: unknown kind of chart", o.output), "end the name with .svg, .png or .html"}}
	}
	return nil
}

func runPlot(app *app, opts plotOptions) error {
	if err := opts.check(); err != nil {
		return err
	}
	_, folder, index, err := openRuns(app, opts.project)
	if err != nil {
		return err
	}
	p := &plotting{folder: folder, index: index, metric: opts.metric, points: 2000}
	if opts.json || opts.output != "" {
		p.points = 1000
	}
	if len(opts.runs) > 0 {
		err = p.named(opts.runs)
	} else {
		p.latest(runs.Filter{Models: opts.models, Versions: opts.versions})
	}
	switch {
	case err != nil:
		return err
	case len(p.plots) == 0:
		return p.none()
	}
	for _, note := range p.notes {
		fmt.Fprintln(app.stderr, "mlpipeline: "+outputs.Clean(note))
	}
	switch {
	case opts.json:
		return p.json(app.stdout)
	case opts.output != "":
		var b bytes.Buffer
		if err := drawers[strings.ToLower(filepath.Ext(opts.output))](&b, opts.metric, p.curves()); err != nil {
			return err
		}
		return writeResult(app, opts.output, b.Bytes())
	}
	return p.text(app.stdout)
}

// A plotting collects the curves of a metric.
type plotting struct {
	folder outputs.Folder
	index  *runs.Index
	metric string
	points int // about so many of a curve

	plots  []plotted
	unread int             // versions that were not looked at
	names  map[string]bool // of the metrics that were met instead
	read   []*runs.Run
	notes  []string // for the user
}

type plotted struct {
	run    *runs.Run
	points []chart.Point
}

// add reads the curve of a run; it reports whether there is one.
func (p *plotting) add(r *runs.Run) (bool, error) {
	m, err := chart.Read(p.folder, p.index, r, p.metric, p.points)
	if err != nil {
		return false, err
	}
	p.read = append(p.read, r)
	if points := m.Points[p.metric]; len(points) > 0 {
		p.plots = append(p.plots, plotted{r, points})
		return true, nil
	}
	if p.names == nil {
		p.names = map[string]bool{}
	}
	for _, name := range m.Names {
		p.names[name] = true
	}
	return false, nil
}

// named reads the runs that the user names.
func (p *plotting) named(names []string) error {
	for _, name := range names {
		r, err := findRun(p.index, name)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(p.plots, func(have plotted) bool { return have.run == r }) {
			continue
		}
		found, err := p.add(r)
		if err != nil {
			return err
		}
		if !found {
			p.notes = append(p.notes, fmt.Sprintf("%s has no metric %s by step", r.Name(), p.metric))
		}
	}
	if more := len(p.plots) - chart.Most; more > 0 {
		p.plots = p.plots[:chart.Most]
		p.notes = append(p.notes, fmt.Sprintf("%d more runs are left out: %d curves can be told apart", more, chart.Most))
	}
	return nil
}

// inVain is how many bytes of metrics are read in vain before it is said that there is nothing to draw; a run that has none
// counts as attempt.
const (
	inVain  = 1 << 30
	attempt = 64 << 10
)

// latest reads the latest run of each version that has the metric, the versions that ran last first.
func (p *plotting) latest(filter runs.Filter) {
	var order []string
	versions := map[string][]*runs.Run{} // newest first
	for _, r := range slices.Backward(p.index.Select(filter)) {
		name := r.Name()
		if versions[name] == nil {
			order = append(order, name)
		}
		versions[name] = append(versions[name], r)
	}
	left := int64(inVain)
	for i, name := range order {
		if len(p.plots) == chart.Most || left <= 0 {
			p.unread = len(order) - i
			p.notes = append(p.notes, fmt.Sprintf("%s not looked at; choose with --model and --version, or name runs", older(len(order)-i)))
			break
		}
		for _, r := range versions[name] {
			if left <= 0 || r.ID == "" {
				break
			}
			found, err := p.add(r)
			if err != nil { // of one run: the others are worth a picture
				p.notes = append(p.notes, fmt.Sprintf("%s is left out: %v", r.Name(), err))
				continue
			}
			if found {
				break
			}
			left -= attempt
			if info, err := os.Stat(p.folder.MetricsFile(r.ID)); err == nil {
				left -= info.Size()
			}
		}
	}
}

func older(versions int) string {
	if versions == 1 {
		return "1 version that ran earlier was"
	}
	return strconv.Itoa(versions) + " versions that ran earlier were"
}

// none is the error when there is nothing to draw.
func (p *plotting) none() error {
	var names []string
	for name := range p.names {
		names = append(names, outputs.Clean(name))
	}
	slices.Sort(names)
	const most = 20
	there := "there are: " + strings.Join(names[:min(most, len(names))], ", ")
	if len(names) > most {
		there += ", ..."
	}
	near := config.Nearest(p.metric, names)
	switch {
	case len(p.read) == 0 && len(p.index.Runs) > 0:
		return &hintError{fmt.Errorf("none of %d runs fits --model and --version", len(p.index.Runs)), "mlpipeline ls lists them"}
	case len(p.read) == 0:
		return &hintError{errors.New("there is no run to draw"), "mlpipeline -r makes some"}
	case slices.Contains(runs.MetricNames(p.read), p.metric):
		return usageError{&hintError{fmt.Errorf("%s is a result: it is measured when training is over, and has no curve", p.metric),
			"mlpipeline compare --sort-by " + p.metric}}
	case p.unread > 0 && p.metric != "" && near == "":
		return usageError{&hintError{fmt.Errorf("no run was found that has a metric %q by step; %s not looked at", p.metric, older(p.unread)),
			"choose with --model and --version, or name runs"}}
	case len(names) == 0:
		return usageError{&hintError{errors.New("none of these runs has recorded a metric by step"),
			"in a Go model: run.Metric(name, step, value); in Python: log_metric(name, value, step)"}}
	case p.metric == "":
		return usageError{&hintError{errors.New("the name of a metric is missing"), there}}
	case near != "":
		there = "did you mean " + near + "? " + there
	}
	return usageError{&hintError{fmt.Errorf("no run has a metric %q by step", p.metric), there}}
}

// curves are what was read, with names that differ.
func (p *plotting) curves() []chart.Curve {
	times := map[string]int{}
	for _, one := range p.plots {
		times[one.run.Name()]++
	}
	var curves []chart.Curve
	for _, one := range p.plots {
		name := one.run.Name()
		if times[name] > 1 {
			name += " " + one.run.ID
		}
		if one.run.Status != runs.Finished {
			name += " (" + one.run.Status + ")"
		}
		curves = append(curves, chart.Curve{Name: outputs.Clean(name), Points: one.points})
	}
	return curves
}

func (p *plotting) json(w io.Writer) error {
	for _, one := range p.plots {
		line := struct {
			Run     string       `json:"run"`
			Model   string       `json:"model"`
			Version string       `json:"version"`
			Metric  string       `json:"metric"`
			Steps   []int64      `json:"steps"`
			Values  []wire.Float `json:"values"`
		}{Run: one.run.ID, Model: one.run.Model, Version: one.run.Version, Metric: p.metric}
		for _, point := range one.points {
			line.Steps, line.Values = append(line.Steps, point.Step), append(line.Values, wire.Float(point.Value))
		}
		text, err := jsonLine(line)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
	}
	return nil
}

// text draws on the terminal, or as wide as one where there is none.
func (p *plotting) text(out *os.File) error {
	width, height, room := 80, 15, math.MaxInt
	if w, h, err := term.GetSize(int(out.Fd())); err == nil && isTerminal(out) {
		width, height, room = max(w, 40), min(max(h-6-len(p.plots), 6), 20), w
	}
	colour := coloured(out)
	curves := p.curves()
	text := "\n  " + outputs.Clean(p.metric) + " by step\n\n" + chart.Text(curves, width, height, colour) + "\n"
	longest := 0
	for _, c := range curves {
		if w := table.Width(c.Name); w <= 40 { // others do not push all facts away
			longest = max(longest, w)
		}
	}
	for i, c := range curves {
		name := c.Name + strings.Repeat(" ", max(longest-table.Width(c.Name), 0))
		facts := "no value that can be drawn"
		if last, ok := c.Last(); ok {
			low, high, _ := c.Bounds()
			facts = fmt.Sprintf("last %.4g at step %d, lowest %.4g, highest %.4g", last.Value, last.Step, low, high)
			if at := strings.Index(facts, ", "); 6+table.Width(name)+len(facts) > room {
				facts = facts[:at]
			}
		}
		text += fmt.Sprintf("  %s %s  %s\n", chart.Mark(i, len(curves), colour), name, facts)
	}
	_, err := io.WriteString(out, text)
	return err
}
