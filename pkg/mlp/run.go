package mlp

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// A Mode is how a version is executed.
type Mode string

const (
	// Test makes one step of training and of each evaluation, in a temporary model directory. Nothing is recorded.
	Test Mode = wire.ModeTest
	// Execution trains and evaluates the whole.
	Execution Mode = wire.ModeExecution
)

// A Run is one execution of one version. Its methods are safe for use by several goroutines. Those of a Run that was
// not made by Main (one in the test of a model) do nothing.
type Run struct {
	Model   string  // the model's name in the queue
	Version Version // its defaults filled in
	Mode    Mode
	Dir     string // the model directory, absolute; it exists

	to           sink
	badMetric    atomic.Bool  // it was warned of
	lastProgress atomic.Int64 // when the last one was sent, in nanoseconds since processStart
}

// A sink takes the events of a run: the pipeline, or the terminal of somebody who runs a model by hand.
type sink interface {
	// Send fails on a message that cannot be sent.
	Send(message any) error
	// Put is Send for a message that another follows soon.
	Put(message any) error
	Metric(name string, step int64, value float64) error
}

const (
	// maxText is the longest text in a message, in bytes before it is encoded.
	maxText = 32 << 10
	// maxMetricName is the longest name of a metric in bytes.
	maxMetricName = 1000
	// progressInterval throttles Progress.
	progressInterval = 50 * time.Millisecond
)

// Metric records the value that the metric name has after step. It is cheap enough to be called after every step, and
// does not allocate. A name that is empty, or longer than 1000 bytes, is ignored with a warning.
func (r *Run) Metric(name string, step int, value float64) {
	if r.to == nil {
		return
	}
	if name == "" || len(name) > maxMetricName {
		if !r.badMetric.Swap(true) {
			r.log("warn", fmt.Sprintf("a metric is ignored: its name has %d bytes; it must have 1 to %d", len(name), maxMetricName))
		}
		return
	}
	r.to.Metric(name, int64(step), value)
}

// processStart is what times are measured from that a clock which is set must not touch.
var processStart = time.Now()

// Progress shows that step of total are done. It may be called after every step: it is sent about 20 times a second,
// and always when step has reached total.
func (r *Run) Progress(step, total int) {
	if r.to == nil {
		return
	}
	now, last := int64(time.Since(processStart)), r.lastProgress.Load()
	if done := total > 0 && step >= total; !done {
		if last != 0 && now-last < int64(progressInterval) || !r.lastProgress.CompareAndSwap(last, now) {
			return
		}
	}
	r.to.Send(wire.Event{Type: wire.Progress, Step: int64(step), Total: int64(total)})
}

// Logf writes a message to the log.
func (r *Run) Logf(format string, args ...any) {
	if r.to != nil {
		r.log("info", fmt.Sprintf(format, args...))
	}
}

// Summaryf adds a text to what is recorded of the run, beside the summaries of model and data loader.
func (r *Run) Summaryf(format string, args ...any) {
	if r.to != nil {
		r.summary("run", fmt.Sprintf(format, args...))
	}
}

func (r *Run) log(level, text string) {
	inPieces(text, func(piece string) {
		r.to.Send(wire.Event{Type: wire.Log, Level: level, Message: piece})
	})
}

func (r *Run) summary(source, text string) {
	inPieces(text, func(piece string) {
		r.to.Send(wire.Event{Type: wire.Summary, Source: source, Message: piece})
	})
}

// inPieces calls send for each maxText of text, whose newlines at the end do not count.
func inPieces(text string, send func(piece string)) {
	text = strings.TrimRight(text, "\n")
	for len(text) > maxText {
		n := runeBoundary(text, maxText)
		send(text[:n])
		text = text[n:]
	}
	if text != "" {
		send(text)
	}
}

// cutText returns text, or its first maxText with a note of what is missing.
func cutText(text string) string {
	if len(text) <= maxText {
		return text
	}
	n := runeBoundary(text, maxText)
	return fmt.Sprintf("%s\n... (%d bytes more)", text[:n], len(text)-n)
}

// runeBoundary returns the last place in s, n at most, that splits no character.
func runeBoundary(s string, n int) int {
	for i := n; i > n-utf8.UTFMax; i-- {
		if utf8.RuneStart(s[i]) {
			return i
		}
	}
	return n
}
