package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/pipeline"
	"github.com/mlpipeline/mlpipeline/internal/table"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// glance is how long a version runs before it is shown: lines that come and go faster only flicker.
const glance = 500 * time.Millisecond

// liveLines says what runs now: one line for each version, in columns, and one for the queue below them, at most height of them.
// None is wider than width. There are none before the execution has begun.
func liveLines(s outputs.Status, width, height int, now time.Time, colour bool) []string {
	if s.Started.IsZero() || height < 1 {
		return nil
	}
	var old []outputs.Live
	for _, r := range s.Running {
		if now.Sub(r.Started.Time) >= glance {
			old = append(old, r)
		}
	}
	shown := old[:min(len(old), height-1)]
	return append(versionLines(shown, width, now), queueLine(s, len(old)-len(shown), width, now, colour))
}

// A cell is what a line says of a run, by columns.
type cell struct {
	name, state, percent, left, rate string
	metrics                          []string
	done                             float64
}

// versionLines writes a line for each run. A column that finds no room is left out of all of them; that of the bar comes last
// to the table.
func versionLines(runs []outputs.Live, width int, now time.Time) []string {
	const gap = 2
	cells := make([]cell, len(runs))
	widest := func(text func(c cell) string) (most int) {
		for _, c := range cells {
			most = max(most, runewidth.StringWidth(text(c)))
		}
		return most
	}
	for i, r := range runs {
		cells[i] = newCell(r, now)
	}
	longest := widest(func(c cell) string { return c.name })
	state := widest(func(c cell) string { return c.state })
	name := min(longest, max(12, min(width*2/5, width-state-3*gap-len("100%")-len("59m59s left"))))
	room := width - name - gap - state
	take := func(column int, wanted bool) int {
		if !wanted || column == 0 || column+gap > room {
			return 0
		}
		room -= column + gap
		return column
	}
	// What changes all the time has a width that does not, or the rest would jump about.
	percent := take(4, widest(func(c cell) string { return c.percent }) > 0)
	left := take(max(11, widest(func(c cell) string { return c.left })), widest(func(c cell) string { return c.left }) > 0)
	first := take(widest(func(c cell) string { return c.reserve(1) }), true)
	rate := take(max(9, widest(func(c cell) string { return c.rate })), widest(func(c cell) string { return c.rate }) > 0)
	rest := 0
	if first > 0 {
		room += first + gap
		rest = take(min(room-gap, widest(func(c cell) string { return c.reserve(len(c.metrics)) })), true)
	}
	more := min(longest-name, max(room, 0))
	name, room = name+more, room-more
	bar := 0
	if percent > 0 && room-gap >= 10 {
		bar = min(room-gap, 30)
	}
	lines := make([]string, len(cells))
	for i, c := range cells {
		line := runewidth.FillRight(table.CutMiddle(c.name, name, dots), name)
		column := func(text string, width int, right bool) {
			switch {
			case width == 0:
			case right:
				line += strings.Repeat(" ", gap) + runewidth.FillLeft(text, width)
			default:
				line += strings.Repeat(" ", gap) + runewidth.FillRight(text, width)
			}
		}
		column(c.state, state, false)
		column(c.bar(bar), bar, false)
		column(c.percent, percent, true)
		column(c.left, left, true)
		column(c.rate, rate, true)
		column(c.fitting(rest), rest, false)
		lines[i] = cutEnd(strings.TrimRight(line, " "), width)
	}
	return lines
}

func newCell(r outputs.Live, now time.Time) cell {
	c := cell{name: oneLine(pipeline.Name(r.Model, r.Version)), done: -1}
	switch r.Phase {
	case "":
		c.state = "start"
	case wire.PhaseEvaluateTrain:
		c.state = "evaluate on train"
	case wire.PhaseEvaluateTest:
		c.state = "evaluate on test"
	default:
		c.state = oneLine(r.Phase)
	}
	training := r.Phase == wire.PhaseTrain
	switch {
	case training && r.Epochs > 1 && r.Epoch > 0:
		c.state += fmt.Sprintf(" epoch %d/%d", r.Epoch, r.Epochs)
	case r.Total > 0 && (training || r.Step > 0):
		c.state += fmt.Sprintf(" step %d/%d", r.Step, r.Total)
	}
	if r.Total > 0 && (training || r.Step > 0) {
		c.done = min(max(float64(r.Step)/float64(r.Total), 0), 1)
		c.percent = fmt.Sprintf("%d%%", int(c.done*100))
	}
	c.left = "for " + spell(math.Floor(now.Sub(r.Started.Time).Seconds()))
	if r.Left > 0 {
		c.left = spell(r.Left) + " left"
	}
	if r.Rate > 0 {
		c.rate = perSecond(r.Rate)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Metrics)) {
		c.metrics = append(c.metrics, fmt.Sprintf("%s=%.4g", oneLine(name), float64(r.Metrics[name])))
	}
	return c
}

// reserve is a text that is as wide as the first n metrics may become.
func (c cell) reserve(n int) string {
	var wide []string
	for _, m := range c.metrics[:min(n, len(c.metrics))] {
		name := m[:strings.LastIndexByte(m, '=')+1]
		wide = append(wide, runewidth.FillRight(m, runewidth.StringWidth(name)+len("-1.234e-05")))
	}
	return strings.Join(wide, " ")
}

// fitting is as many of the metrics as there is room for, each of them whole.
func (c cell) fitting(width int) string {
	for n := len(c.metrics); n > 0; n-- {
		text := strings.Join(c.metrics[:n], " ")
		if n < len(c.metrics) {
			text += " ..."
		}
		if runewidth.StringWidth(text) <= width {
			return text
		}
	}
	return cutEnd(strings.Join(c.metrics, " "), width)
}

func (c cell) bar(width int) string {
	if c.done < 0 || width < 3 {
		return ""
	}
	inside := width - 2
	full := int(c.done * float64(inside))
	bar := strings.Repeat("=", full)
	if full > 0 && full < inside {
		bar = bar[1:] + ">"
	}
	return "[" + bar + strings.Repeat(" ", inside-full) + "]"
}

// queueLine says how far the queue is, and while it is being stopped first of all what comes of it.
func queueLine(s outputs.Status, hidden, width int, now time.Time, colour bool) string {
	q := s.Queue
	var parts counts
	switch {
	case q.Due() > 0 && q.Unknown > 0:
		parts = append(parts, fmt.Sprintf("%d of at least %d done", q.Done(), q.Due()))
	case q.Due() > 0:
		parts = append(parts, fmt.Sprintf("%d of %d done", q.Done(), q.Due()))
	case q.Unknown == 1:
		parts = append(parts, "preparing 1 model")
	case q.Unknown > 1:
		parts = append(parts, fmt.Sprintf("preparing %d models", q.Unknown))
	case q.Skipped > 0:
		parts = append(parts, "nothing is due")
	default:
		parts = append(parts, "preparing")
	}
	parts.add(q.Failed, "failed")
	parts.add(q.Interrupted, "interrupted")
	parts.add(q.Skipped, "skipped")
	parts.add(q.Running, "running")
	if hidden > 0 {
		parts[len(parts)-1] += fmt.Sprintf(" (%d not shown)", hidden)
	}
	first := ""
	switch s.Stopping {
	case "finishing":
		first = "finishing what runs (Ctrl-C: stop it now)"
	case "stopping":
		first = "stopping what runs (Ctrl-C: kill it)"
	case "killing":
		first = "killing what runs"
	default:
		if q.Ends != nil && q.Unknown > 0 {
			parts = append(parts, "ends after "+clock(q.Ends.Time, now))
		} else if q.Ends != nil {
			parts = append(parts, "ends about "+clock(q.Ends.Time, now))
		}
	}
	line := strings.Join(parts, ", ")
	if first != "" {
		line = first + "; " + line
	}
	line = cutEnd(line, width)
	if colour {
		if s.Stopping != "" && strings.HasPrefix(line, first) {
			line = painted(yellow, first) + line[len(first):]
		}
		if failed := fmt.Sprintf(", %d failed", q.Failed); q.Failed > 0 {
			line = strings.Replace(line, failed, ", "+painted(red, failed[2:]), 1)
		}
	}
	return line
}

// cutEnd makes text as narrow as width.
func cutEnd(text string, width int) string {
	return runewidth.Truncate(text, width, dots[:min(len(dots), width)])
}

// dots are what is left out. They are of one width in every terminal.
const dots = "..."
