package main

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mattn/go-runewidth"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

var evening = time.Date(2026, 11, 26, 22, 0, 0, 0, time.Local)

func at(t time.Time) outputs.Time { return outputs.Time{Time: t} }

func before(d time.Duration) outputs.Time { return at(evening.Add(-d)) }

func later(d time.Duration) *outputs.Time {
	t := at(evening.Add(d))
	return &t
}

// night is a status with versions in each phase.
func night() outputs.Status {
	return outputs.Status{
		Started: before(3 * time.Hour),
		Queue:   outputs.Tally{Finished: 2, Failed: 1, Running: 4, Waiting: 7, Ends: later(8*time.Hour + 10*time.Minute)},
		Running: []outputs.Live{
			{
				Model: "softmax", Version: "hidden=16,lr=0.1", Started: before(time.Hour), Phase: wire.PhaseTrain,
				Step: 340, Total: 1000, Epoch: 4, Epochs: 10, Rate: 18.24, Left: 80,
				Metrics: map[string]wire.Float{"loss": 0.0214312, "accuracy": 0.9978},
			},
			{
				Model: "vision/resnet.py", Version: "wide", Started: before(26 * time.Hour), Phase: wire.PhaseTrain,
				Step: 9, Total: 120, Rate: 1 / 31.4, Left: 3720, Metrics: map[string]wire.Float{"loss": 2.5},
			},
			{Model: "knn.go", Version: "k=3", Started: before(12 * time.Second), Phase: wire.PhaseSetup},
			{Model: "knn.go", Version: "k=5", Started: before(time.Minute), Phase: wire.PhaseEvaluateTest, Total: 14},
		},
	}
}

func TestLiveLines(t *testing.T) {
	with := func(change func(*outputs.Status)) outputs.Status {
		s := night()
		change(&s)
		return s
	}
	queue := func(change func(*outputs.Status)) outputs.Status {
		s := with(change)
		s.Running = nil
		return s
	}
	for _, test := range []struct {
		name          string
		status        outputs.Status
		width, height int
		want          string
	}{
		{"wide", night(), 140, 20, `
softmax/hidden=16,lr=0.1  train epoch 4/10  [========>                  ]   34%   1m20s left  18.2 it/s  accuracy=0.9978 loss=0.02143
vision/resnet.py/wide     train step 9/120  [=>                         ]    7%   1h02m left  31.4 s/it  loss=2.5
knn.go/k=3                setup                                                      for 12s
knn.go/k=5                evaluate on test                                         for 1m00s
3 of 14 done, 1 failed, 4 running, ends about Fri 06:10`},
		{"100 columns", night(), 100, 20, `
softmax/hidden=16,lr=0.1  train epoch 4/10   34%   1m20s left  18.2 it/s  accuracy=0.9978 ...
vision/resnet.py/wide     train step 9/120    7%   1h02m left  31.4 s/it  loss=2.5
knn.go/k=3                setup                       for 12s
knn.go/k=5                evaluate on test          for 1m00s
3 of 14 done, 1 failed, 4 running, ends about Fri 06:10`},
		{"80 columns", night(), 80, 20, `
softmax/hidden=16,lr=0.1  train epoch 4/10   34%   1m20s left  18.2 it/s
vision/resnet.py/wide     train step 9/120    7%   1h02m left  31.4 s/it
knn.go/k=3                setup                       for 12s
knn.go/k=5                evaluate on test          for 1m00s
3 of 14 done, 1 failed, 4 running, ends about Fri 06:10`},
		{"40 columns", night(), 40, 20, `
softmax...lr=0.1  train epoch 4/10   34%
vision/...y/wide  train step 9/120    7%
knn.go/k=3        setup
knn.go/k=5        evaluate on test
3 of 14 done, 1 failed, 4 running, en...`},
		{"few rows", night(), 80, 3, `
softmax/hidden=16,lr=0.1  train epoch 4/10   34%   1m20s left  18.2 it/s
vision/resnet.py/wide     train step 9/120    7%   1h02m left  31.4 s/it
3 of 14 done, 1 failed, 4 running (2 not shown), ends about Fri 06:10`},
		{"one row", night(), 80, 1, `
3 of 14 done, 1 failed, 4 running (4 not shown), ends about Fri 06:10`},
		{"no row", night(), 80, 0, ""},
		{"wide and combining characters", with(func(s *outputs.Status) {
			s.Running = s.Running[:2]
			s.Running[0].Model, s.Running[0].Version = "模型", "學習率學習率學習率學習率學習率=0.1"
			s.Running[1].Model, s.Running[1].Version = "re\u0301sume\u0301", "ok"
		}), 70, 20, `
模型/學習率學習...習率學習率=0.1   train epoch 4/10   34%   1m20s left
résumé/ok                          train step 9/120    7%   1h02m left
3 of 14 done, 1 failed, 4 running, ends about Fri 06:10`},
		{"just started", with(func(s *outputs.Status) {
			s.Running = s.Running[2:3]
			s.Running[0].Started = before(glance - 1)
		}), 80, 20, `
3 of 14 done, 1 failed, 4 running, ends about Fri 06:10`},
		{"hostile", with(func(s *outputs.Status) {
			s.Running = s.Running[2:3]
			s.Running[0].Version, s.Running[0].Phase = "\x1b[2J\a\u202e", "\x1b]0;evil\a\n"
		}), 80, 20, `
knn.go/\x07\u202e  \n      for 12s
3 of 14 done, 1 failed, 4 running, ends about Fri 06:10`},
		{"at least", queue(func(s *outputs.Status) { s.Queue.Unknown, s.Queue.Ends = 2, later(10*time.Minute) }), 80, 20, `
3 of at least 14 done, 1 failed, 4 running, ends after 22:10`},
		{"next week", queue(func(s *outputs.Status) { s.Queue.Ends = later(9 * 24 * time.Hour) }), 80, 20, `
3 of 14 done, 1 failed, 4 running, ends about Sat 5 Dec 22:00`},
		{"late", queue(func(s *outputs.Status) { s.Queue.Ends = later(-time.Hour) }), 80, 20, `
3 of 14 done, 1 failed, 4 running, ends about 22:00`},
		{"building", queue(func(s *outputs.Status) { s.Queue = outputs.Tally{Unknown: 3} }), 80, 20, "\npreparing 3 models"},
		{"beginning", queue(func(s *outputs.Status) { s.Queue = outputs.Tally{} }), 80, 20, "\npreparing"},
		{"done before", queue(func(s *outputs.Status) { s.Queue = outputs.Tally{Skipped: 3} }), 80, 20, "\nnothing is due, 3 skipped"},
		{"finishing", queue(func(s *outputs.Status) { s.Stopping = "finishing" }), 80, 20, `
finishing what runs (Ctrl-C: stop it now); 3 of 14 done, 1 failed, 4 running`},
		{"stopping", queue(func(s *outputs.Status) { s.Stopping = "stopping" }), 80, 20, `
stopping what runs (Ctrl-C: kill it); 3 of 14 done, 1 failed, 4 running`},
		{"killing", queue(func(s *outputs.Status) { s.Stopping = "killing" }), 80, 20, `
killing what runs; 3 of 14 done, 1 failed, 4 running`},
		{"not begun", outputs.Status{}, 80, 20, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			lines := liveLines(test.status, test.width, test.height, evening, false)
			if diff := cmp.Diff(strings.TrimPrefix(test.want, "\n"), strings.Join(lines, "\n")); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// Whatever the size: no line is too wide or empty, there are not too many, and colours change nothing but colours.
func TestLiveLinesFit(t *testing.T) {
	s := night()
	s.Running[0].Version = "學習率e\u0301👩‍👩‍👧" + strings.Repeat("long", 50)
	s.Stopping = "finishing"
	uncoloured := strings.NewReplacer("\x1b[31m", "", "\x1b[33m", "", "\x1b[0m", "")
	for width := 0; width < 200; width++ {
		for height := range 8 {
			lines := liveLines(s, width, height, evening, false)
			if want := min(height, 5); len(lines) != want {
				t.Fatalf("%dx%d: %d lines, want %d", width, height, len(lines), want)
			}
			for _, line := range lines {
				if w := runewidth.StringWidth(line); w > width {
					t.Errorf("%dx%d: %d columns: %q", width, height, w, line)
				}
			}
			coloured := liveLines(s, width, height, evening, true)
			if got := uncoloured.Replace(strings.Join(coloured, "\n")); got != strings.Join(lines, "\n") {
				t.Errorf("%dx%d in colour: %q", width, height, got)
			}
		}
	}
	if text := strings.Join(liveLines(s, 100, 8, evening, true), "\n"); !strings.Contains(text, "\x1b[31m1 failed\x1b[0m") || !strings.Contains(text, "\x1b[33mfinishing") {
		t.Errorf("without colour: %q", text)
	}
}

// A footer writes what is above once, and nothing when nothing has changed.
func TestFooter(t *testing.T) {
	var terminal strings.Builder
	f := &footer{terminal: &terminal}
	step := func(what string, lines []string, again bool, want string) {
		t.Helper()
		terminal.Reset()
		if err := f.draw(lines, again); err != nil {
			t.Fatal(err)
		}
		if got := terminal.String(); got != want {
			t.Errorf("%s:\n got %q\nwant %q", what, got, want)
		}
	}
	const two = "\n\n\x1b[2A\x1b7\x1b[?7l\x1b[9999B\x1b[1Aa\x1b[K\r\x1b[Bb\x1b[K\x1b8\x1b[?7h"
	step("nothing", nil, false, "")
	step("two lines", []string{"a", "b"}, false, "\r\x1b[K"+two)
	step("the same", []string{"a", "b"}, false, "")
	step("the same again", []string{"a", "b"}, true, "\r \x1b[J\r\r\x1b[K"+two)
	fmt.Fprintln(f, "above")
	step("above", []string{"a", "b"}, false, "\r \x1b[J\r\r\x1b[Kabove\n"+two)
	step("in place", []string{"a", "c"}, false, "\r\x1b[K"+strings.Replace(two, "Bb", "Bc", 1))
	step("none", nil, false, "\r \x1b[J\r\r\x1b[K")
}

// FuzzLiveLines: no line is wider than the terminal or steers it, whatever models and metrics are called.
func FuzzLiveLines(f *testing.F) {
	f.Add("softmax", "hidden=16", "loss", "train", 0.5, int64(3), int64(10), uint8(80))
	f.Add("\x1b[2J", "\u202e\n", "\u009b", "\x07", math.Inf(1), int64(-1), int64(math.MaxInt64), uint8(20))
	f.Add("模型", "👩\u200d👧", "e\u0301\u0301", wire.PhaseTrain, math.NaN(), int64(math.MinInt64), int64(1), uint8(1))
	f.Fuzz(func(t *testing.T, model, version, metric, phase string, value float64, step, total int64, width uint8) {
		s := night()
		s.Running = append(s.Running, outputs.Live{
			Model: model, Version: version, Started: before(time.Hour), Phase: phase, Step: step, Total: total, Epoch: step, Epochs: total,
			Rate: value, Left: value, Metrics: map[string]wire.Float{metric: wire.Float(value), "loss": 1},
		})
		for _, line := range liveLines(s, int(width)+1, 24, evening, false) {
			if runewidth.StringWidth(line) > int(width)+1 || oneLine(line) != line {
				t.Fatalf("in %d columns: %q", int(width)+1, line)
			}
		}
	})
}
