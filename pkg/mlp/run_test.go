package mlp

import (
	"bytes"
	"io"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

func discarding() *Run {
	return &Run{to: &connection{events: wire.NewWriter(io.Discard)}}
}

func TestMetricDoesNotAllocate(t *testing.T) {
	run, step := discarding(), 0
	if n := testing.AllocsPerRun(10000, func() { step++; run.Metric("loss", step, 0.123456789) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMetric(b *testing.B) {
	run := discarding()
	b.ReportAllocs()
	for i := range b.N {
		run.Metric("loss", i, 0.123456789)
	}
}

func BenchmarkProgress(b *testing.B) {
	run := discarding()
	b.ReportAllocs()
	for i := range b.N {
		run.Progress(i, b.N)
	}
}

func TestProgressIsThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		run := &Run{to: &connection{events: wire.NewWriter(&b)}}
		for step := 1; step <= 10_000; step++ {
			run.Progress(step, 10_000)
			run.Progress(step, 0)
			time.Sleep(time.Millisecond)
		}
		if n := bytes.Count(b.Bytes(), []byte("\n")); n < 199 || n > 202 {
			t.Errorf("%d in 10 s", n)
		}
		if !strings.HasSuffix(b.String(), "\"step\":10000,\"total\":10000}\n") {
			t.Error("the last one is missing")
		}
	})
}

func TestRunOfSeveralGoroutines(t *testing.T) {
	var b bytes.Buffer
	w := wire.NewWriter(&b)
	run := &Run{to: &connection{events: w}}
	var group sync.WaitGroup
	for range 4 {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := range 200 {
				run.Metric("loss", i, 1)
				run.Metric("", i, 1)
				run.Progress(i, 1000)
				run.Logf("log")
				run.Summaryf("summary")
			}
		}()
	}
	group.Wait()
	w.Flush()
	for typ, want := range map[string]int{wire.MetricPoint: 800, wire.Summary: 800, wire.Log: 801} {
		if got := strings.Count(b.String(), `"type":"`+typ+`"`); got != want {
			t.Errorf("%s: %d of %d", typ, got, want)
		}
	}
}

func TestRunWithoutMain(t *testing.T) {
	run := &Run{}
	run.Metric("", 1, 1)
	run.Metric("a", 1, 1)
	run.Progress(1, 1)
	run.Logf("%d", 1)
	run.Summaryf("%d", 1)
}

func TestPiecesMakeTheText(t *testing.T) {
	for _, text := range []string{
		"a", "a\nb", strings.Repeat("x", maxText), strings.Repeat("x", maxText+1), "x" + strings.Repeat("é", maxText), "xx" + strings.Repeat("日", maxText),
		strings.Repeat("\xff", 3*maxText), strings.Repeat("\x80", 3*maxText),
	} {
		var got strings.Builder
		inPieces(text+"\n\n", func(piece string) {
			if len(piece) == 0 || len(piece) > maxText || strings.ToValidUTF8(piece, "") != piece && strings.ToValidUTF8(text, "") == text {
				t.Errorf("a piece of %d bytes: %.10q", len(piece), piece)
			}
			got.WriteString(piece)
		})
		if got.String() != text {
			t.Errorf("%.10q: %d of %d bytes", text, got.Len(), len(text))
		}
	}
	inPieces("\n", func(piece string) { t.Errorf("a piece of nothing: %q", piece) })
}

func TestMetricSet(t *testing.T) {
	s := NewMetricSet(4, "loss")
	epoch := func(values ...float64) {
		for _, v := range values {
			s.Update("loss", v*10, 10)
		}
		s.EndEpoch()
	}
	check := func(when string, average, epoch, tracked, delta, dev float64) {
		t.Helper()
		for _, test := range []struct {
			name      string
			got, want float64
		}{
			{"Average", s.Average("loss"), average}, {"EpochAverage", s.EpochAverage("loss"), epoch},
			{"TrackedAverage", s.TrackedAverage("loss"), tracked}, {"TrackedDelta", s.TrackedDelta("loss"), delta},
			{"TrackedStdDev", s.TrackedStdDev("loss"), dev},
		} {
			if math.Abs(test.got-test.want) > 1e-12 || math.IsNaN(test.got) != math.IsNaN(test.want) {
				t.Errorf("%s: %s is %v, not %v", when, test.name, test.got, test.want)
			}
		}
	}
	check("at first", 0, 0, 0, 0, 0)
	if len(s.Metrics()) != 0 {
		t.Error("metrics of nothing")
	}
	epoch(8, 6)
	check("one epoch", 7, 0, 0, 0, 0)
	epoch(5)
	check("half the window", 19.0/3, 0, 6, -2, 1)
	s.EndEpoch() // without a value it is no epoch
	check("an empty epoch", 19.0/3, 0, 6, -2, 1)
	epoch(5)
	epoch(5)
	epoch(1)
	check("7 has left the window", 5, 0, 4, -4, math.Sqrt(3))
	s.Update("loss", 3, 1)
	s.Update("loss", 99, 0)
	s.Update("loss", 99, -1)
	check("in an epoch", 303.0/61, 3, 4, -4, math.Sqrt(3))
	if m := s.Metrics(); len(m) != 1 || math.Abs(m["loss"]-303.0/61) > 1e-12 {
		t.Errorf("metrics: %v", m)
	}
	s.Update("loss", math.NaN(), 1)
	s.EndEpoch()
	check("NaN", math.NaN(), 0, math.NaN(), math.NaN(), math.NaN())
	s.Reset()
	check("reset", 0, 0, 0, 0, 0)

	s = NewMetricSet(0)
	epoch(2)
	epoch(4)
	check("a window of 1", 3, 0, 4, 0, 0)
}

func TestMetricSetRecord(t *testing.T) {
	var b bytes.Buffer
	w := wire.NewWriter(&b)
	s := NewMetricSet(1, "z", "a")
	s.Update("new", 1, 1)
	s.Update("a", 4, 2)
	s.Update("z", 3, 1)
	s.Record(&Run{to: &connection{events: w}}, 5)
	w.Flush()
	var got []string
	for r := wire.NewReader(&b); ; {
		line, err := r.Next()
		if err != nil {
			break
		}
		e, err := wire.Decode(line)
		if err != nil || e.Step != 5 {
			t.Fatal(e, err)
		}
		got = append(got, e.Name)
	}
	if strings.Join(got, " ") != "z a new" {
		t.Error(got)
	}
}
