package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mlpipeline/mlpipeline/internal/chart"
	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/pipeline"
	"github.com/mlpipeline/mlpipeline/internal/runs"
	"github.com/mlpipeline/mlpipeline/internal/table"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

func newShow(app *app) *cobra.Command {
	var project string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show RUN",
		Short: "show everything that is known of a run",
		Long: `show tells all that is known of a run: what became of it and why, its parameters, its results, its metrics by step, the code
and the data it ran on, and where its files are. RUN is an id, a unique beginning of one, model/version for the latest run
of that version, or model for the latest run of that model. It need not have ended.

With --json it prints the object that ls --json prints, with all of run.json as "run" in it.`,
		Example: `  mlpipeline show softmax/baseline
  mlpipeline show 20261122-221851
  mlpipeline show softmax --json | jq .run.code.files`,
		Args:              oneRun,
		ValidArgsFunction: completeRuns(app, 1),
		RunE:              func(_ *cobra.Command, args []string) error { return runShow(app, project, args[0], asJSON) },
	}
	cmd.Flags().SortFlags = false
	projectFlag(cmd, &project)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON value")
	return cmd
}

// oneRun wants the name of a run.
func oneRun(_ *cobra.Command, args []string) error {
	if len(args) == 1 {
		return nil
	}
	return &hintError{errors.New("name one run"), "mlpipeline ls lists them"}
}

func runShow(app *app, project, name string, asJSON bool) error {
	_, folder, index, err := openRuns(app, project)
	if err != nil {
		return err
	}
	run, err := findRun(index, name)
	if err != nil {
		return err
	}
	if asJSON {
		return showJSON(app, folder, run)
	}
	record, err := run.Record()
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintln(app.stderr, "warning: "+outputs.Clean(pipeline.Advise(err)))
		}
		record = outputs.Run{}
	}
	s := &shown{run: run, record: record, folder: folder, index: index, width: terminalWidth(app.stdout), colour: coloured(app.stdout)}
	s.collect()
	_, err = io.WriteString(app.stdout, s.out.String())
	return err
}

func showJSON(app *app, folder outputs.Folder, run *runs.Run) error {
	line := run.AppendJSON(nil)
	record := []byte("null")
	if text, err := folder.RunText(run.ID); err == nil && run.ID != "" {
		var compact bytes.Buffer
		if json.Compact(&compact, text) == nil {
			record = outputs.AppendJSON(nil, compact.Bytes())
		}
	}
	line = append(append(line[:len(line)-1], `,"run":`...), record...)
	_, err := app.stdout.Write(append(line, '}', '\n'))
	return err
}

// shown is what show says of a run.
type shown struct {
	run    *runs.Run
	record outputs.Run // empty when it has been deleted
	folder outputs.Folder
	index  *runs.Index
	width  int
	colour bool
	out    strings.Builder
}

// line adds a key with the lines of its value, unless it is empty.
func (s *shown) line(key, value string) {
	for _, l := range outputs.CleanLines(value) {
		fmt.Fprintf(&s.out, "%-12s %s\n", key, l)
		key = ""
	}
}

// title begins a part.
func (s *shown) title(text string) { s.out.WriteString("\n" + text + "\n") }

// table adds a table below a title.
func (s *shown) table(t *table.Table) {
	if len(t.Cells) == 0 {
		return
	}
	var b strings.Builder
	t.Write(&b, t.Widths())
	lines := b.String()
	if strings.TrimSpace(t.Columns[0].Title) == "" && len(t.Columns) <= 2 { // no titles
		_, lines, _ = strings.Cut(lines, "\n")
	}
	for l := range strings.Lines(lines) {
		s.out.WriteString("  " + l)
	}
}

func (s *shown) collect() {
	r := s.run
	s.line("run", orDash(r.ID))
	s.line("model", r.Model)
	s.line("version", r.Version)
	status := r.Status
	if s.colour {
		status = "\x1b[" + statusColour(r.Status) + "m" + r.Status + "\x1b[0m"
	}
	fmt.Fprintf(&s.out, "%-12s %s\n", "status", status)
	s.line("started", s.when(r.Started)+" on "+r.Host+by(s.record.User))
	switch {
	case !r.Ended.IsZero():
		s.line("ended", s.when(r.Ended)+", took "+outputs.Duration(r.Seconds))
	case r.Status == runs.Running:
		s.line("running", "for "+outputs.Duration(max(0, time.Since(r.Started).Seconds())))
	default:
		s.line("ended", "not known")
	}
	s.line("steps", s.steps())
	s.line("resumes", r.Resumes)
	for _, next := range s.index.ResumedBy(r) {
		s.line("resumed by", next.ID+", "+next.Status)
	}
	s.failure()

	params := &table.Table{Columns: []table.Column{{}, {}}}
	values := r.Params()
	for _, name := range sortedKeys(values) {
		params.Cells = append(params.Cells, oneLine(name), oneLine(values[name].String()))
	}
	s.section("parameters", params)
	s.section("results", s.results())
	if metrics, err := s.metrics(); err == nil {
		s.section("metrics by step", metrics)
	} else {
		s.line("metrics", err.Error())
	}

	s.out.WriteString("\n")
	s.line("data", s.data())
	s.line("model says", s.record.Summary.Model)
	s.line("data says", s.record.Summary.Data)
	s.line("run says", s.record.Summary.Run)
	s.code()
	key := "environment"
	for _, name := range sortedKeys(s.record.Environment) {
		s.line(key, outputs.Clean(name+"="+s.record.Environment[name]))
		key = ""
	}
	s.line("command", strings.Join(s.record.Command, " "))
	s.line("mlpipeline", s.record.Pipeline)
	s.files()
}

// section adds a titled table that is not empty.
func (s *shown) section(title string, t *table.Table) {
	if len(t.Cells) > 0 {
		s.title(title)
		s.table(t)
	}
}

func (s *shown) when(t time.Time) string {
	if t.IsZero() {
		return "at an unknown time"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func by(user string) string {
	if user == "" {
		return ""
	}
	return " by " + user
}

func (s *shown) steps() string {
	steps := s.record.Steps
	if s.run.Ended.IsZero() && s.run.ID != "" {
		steps.Done = s.folder.LastStep(s.run.ID)
	}
	if live := s.live(); live != nil && live.Phase == wire.PhaseTrain {
		steps.Before, steps.Done, steps.Total = live.Before, max(live.Step, steps.Done), live.Total
	}
	done := max(steps.Done, s.run.Step)
	if done == 0 && steps.Total == 0 {
		return ""
	}
	text := fmt.Sprint(done)
	if steps.Total > 0 {
		text += fmt.Sprintf(" of %d", steps.Total)
	}
	if steps.Before > 0 {
		text += fmt.Sprintf(", %d of them trained before", steps.Before)
	}
	return text
}

// live is what the execution of a run says of it while it runs, or nil.
func (s *shown) live() *outputs.Live {
	if s.run.Status != runs.Running {
		return nil
	}
	statuses, _ := s.folder.ReadStatuses()
	for _, status := range statuses {
		for i, live := range status.Running {
			if live.Run == s.run.ID {
				return &status.Running[i]
			}
		}
	}
	return nil
}

func (s *shown) failure() {
	f := s.record.Failure
	if s.run.Error == "" {
		return
	}
	s.line("cause", s.run.Error)
	if f == nil {
		return
	}
	if f.Phase != "" {
		s.line("phase", f.Phase)
	}
	s.line("exit", f.Exit)
	if f.Trace != "" {
		s.title("trace")
		s.indented(outputs.CleanLines(strings.Trim(f.Trace, "\n")))
	}
	if len(f.Stderr) > 0 {
		s.title("last lines on standard error")
		s.indented(f.Stderr)
	}
}

func (s *shown) indented(lines []string) {
	for _, l := range lines {
		s.out.WriteString("  " + outputs.Clean(l) + "\n")
	}
}

// results are a row for each metric, and a column for what it was measured on.
func (s *shown) results() *table.Table {
	all := s.run.Metrics()
	t := &table.Table{Columns: []table.Column{{Title: "metric"}}}
	names := map[string]bool{}
	var sets []string
	for _, set := range []string{wire.SetTraining, wire.SetTrain, wire.SetTest} {
		found := false
		for name := range all {
			if metric, ok := strings.CutPrefix(name, set+"."); ok {
				names[metric], found = true, true
			}
		}
		if found {
			sets = append(sets, set)
			t.Columns = append(t.Columns, table.Column{Title: set, Right: true})
		}
	}
	for _, name := range sortedKeys(names) {
		t.Cells = append(t.Cells, oneLine(name))
		for _, set := range sets {
			text := "-"
			if v, ok := all[set+"."+name]; ok {
				text = runs.Exact(v)
			}
			t.Cells = append(t.Cells, text)
		}
	}
	return t
}

// maxShown is how many metrics by step are shown.
const maxShown = 200

// metrics are a row for each metric by step.
func (s *shown) metrics() (*table.Table, error) {
	t := &table.Table{Columns: []table.Column{{Title: "metric", Most: 30}, {Title: ""}, {Title: "first", Right: true}, {Title: "last", Right: true}, {Title: "min", Right: true}, {Title: "max", Right: true}, {Title: "points", Right: true}}}
	if s.run.ID == "" {
		return t, nil
	}
	lines := map[string]*chart.Sparkline{}
	var names []string
	more := 0
	var last *chart.Sparkline
	var lastName string
	err := s.folder.Metrics(s.run.ID, func(p *wire.Point) {
		if name := p.Name; last == nil || name != lastName {
			l := lines[name]
			if l == nil {
				if len(lines) == maxShown {
					more++
					return
				}
				l = &chart.Sparkline{}
				lines[name] = l
				names = append(names, name)
			}
			last, lastName = l, name
		}
		last.Add(p.Value)
	})
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		l := lines[name]
		points := fmt.Sprint(l.Points)
		if l.NaN > 0 {
			points += fmt.Sprintf(" (%d NaN)", l.NaN)
		}
		low, high := "-", "-"
		if l.Points > l.NaN {
			low, high = runs.Short(l.Min), runs.Short(l.Max)
		}
		t.Cells = append(t.Cells, oneLine(name), l.Draw(32), runs.Short(l.First), runs.Short(l.Last), low, high, points)
	}
	if more > 0 {
		t.Cells = append(t.Cells, "others", "", "", "", "", "", fmt.Sprint(more))
	}
	return t, nil
}

func (s *shown) data() string {
	d := s.record.Data
	if d.Loader == "" {
		return ""
	}
	text := d.Loader
	if d.TrainSamples+d.TestSamples > 0 {
		text += fmt.Sprintf(", %d train samples, %d test samples", d.TrainSamples, d.TestSamples)
	}
	return text
}

func (s *shown) code() {
	if git := s.run.Git(); git != nil {
		text := git.Commit
		if git.Branch != "" {
			text += " on " + git.Branch
		}
		if git.Dirty {
			text += ", with changes that are not committed"
		}
		s.line("git", text)
	}
	s.line("code", s.run.Code)
	files := s.record.Code.Files
	for _, name := range sortedKeys(files) {
		s.line("", files[name]+"  "+oneLine(name))
	}
}

// files are those that exist.
func (s *shown) files() {
	where := func(key, path string) {
		if _, err := os.Stat(path); err == nil {
			if abs, err := filepath.Abs(path); err == nil {
				path = abs
			}
			s.line(key, path)
		}
	}
	if s.run.ID != "" {
		where("record", s.folder.RunFile(s.run.ID))
		where("metrics", s.folder.MetricsFile(s.run.ID))
		where("output", s.folder.PrintedFile(s.run.ID))
	}
	if s.run.Dir != "" {
		where("model dir", s.run.ModelDir())
	}
}

func sortedKeys[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
