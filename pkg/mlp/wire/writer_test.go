package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestEventsRoundTrip(t *testing.T) {
	nan, value := Float(math.Inf(1)), Float(0.1)
	events := []Event{
		{Type: Hello, Protocol: Protocol, SDK: "test"},
		{Type: VersionInfo, Version: &Version{
			Name: "a \"b\" <é>", Order: -1, BatchSize: 2, Epochs: 3, LearningRate: 1e-300, ModelDirSuffix: "s",
			DataLoader: "*main.digits", Params: RawJSON(`{"x":[1,"NaN"]}`),
		}, Error: "refused"},
		{Type: Listed, AllowDeleteModelDir: true, ResetSteps: true},
		{Type: Trained, Step: 5},
		{Type: Phase, Phase: PhaseTrain, Step: 5, Total: 9, TrainSamples: 1, TestSamples: 2},
		{Type: MetricPoint, Name: "loss", Step: 3, Value: &value, Time: 7},
		{Type: MetricPoint, Name: "loss", Value: &nan},
		{Type: Log, Level: "info", Message: "line\nline\x00\u2028"},
		{Type: Summary, Source: "model", Message: "m"},
		{Type: Result, Set: SetTest, Metrics: map[string]Float{"a": 1, "b": Float(math.Inf(-1))}},
		{Type: End, Status: Failed, Error: "e", Trace: "t"},
	}
	var b bytes.Buffer
	w := NewWriter(&b)
	for _, e := range events {
		if err := w.Send(e); err != nil {
			t.Fatal(err)
		}
	}
	r := NewReader(&b)
	for _, want := range events {
		line, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(line)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v\nwant %+v", got, err, want)
		}
	}
	if _, err := r.Next(); err != io.EOF {
		t.Error(err)
	}
}

func TestFloatRoundTrip(t *testing.T) {
	for _, f := range []float64{
		0, math.Copysign(0, -1), 1, -1, 0.1, 1e21, 1e-7, math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64,
		math.NaN(), math.Inf(1), math.Inf(-1),
	} {
		text, err := json.Marshal(Float(f))
		var got Float
		if err == nil {
			err = json.Unmarshal(text, &got)
		}
		if err != nil || math.Float64bits(float64(got)) != math.Float64bits(f) && !(f != f && got != got) {
			t.Errorf("%v is written as %s, read as %v, %v", f, text, got, err)
		}
	}
}

// A metric's line is the same to the fast reader and to the slow one, whatever its name and value.
func TestMetricEqualsTheSlowPath(t *testing.T) {
	for _, name := range []string{"loss", "a b/c", `quo"te`, `back\slash`, "é", "\x00", "\x7f", "\xff", "<&>", "日本"} {
		for _, value := range []float64{0, 0.1, -1e-9, 1e300, math.MaxFloat64, math.NaN(), math.Inf(-1)} {
			var b bytes.Buffer
			if err := NewWriter(&b).Metric(name, -3, value); err != nil {
				t.Fatal(err)
			}
			line := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
			e, err := Decode(line)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			if want := strings.ToValidUTF8(name, "\ufffd"); e.Name != want || e.Step != -3 || e.Time == 0 {
				t.Errorf("%s: got %+v", line, e)
			}
			slow := AppendPoint(nil, Point{e.Name, e.Step, float64(*e.Value), e.Time})
			if record, step, ok := MetricRecord(line); ok && (string(record) != string(slow) || step != -3) {
				t.Errorf("got %s, the slow path %s", record, slow)
			}
		}
	}
}

func TestMetricOfAPlainNameIsFast(t *testing.T) {
	for _, value := range []float64{0, 0.1, -1e-9, 12345678, 1e299, math.NaN(), math.Inf(1), math.Inf(-1)} {
		var b bytes.Buffer
		NewWriter(&b).Metric("loss/train-1", 9, value)
		if _, _, ok := MetricRecord(bytes.TrimSpace(b.Bytes())); !ok {
			t.Errorf("%s takes the slow path", b.Bytes())
		}
	}
}

func TestSendRefusesWhatIsTooLong(t *testing.T) {
	var b bytes.Buffer
	w := NewWriter(&b)
	overhead := len(`{"type":"log","message":""}`) + 1
	if err := w.Send(Event{Type: Log, Message: strings.Repeat("x", MaxMessage-overhead+1)}); err == nil {
		t.Error("a message that is too long was sent")
	}
	if b.Len() > 0 {
		t.Errorf("%d bytes of it were written", b.Len())
	}
	if err := w.Send(Event{Type: Log, Message: strings.Repeat("x", MaxMessage-overhead)}); err != nil || b.Len() != MaxMessage {
		t.Errorf("the longest message: %v, %d bytes", err, b.Len())
	}
	if _, err := NewReader(&b).Next(); err != nil {
		t.Error(err)
	}
}

// writes counts how often it is asked to write.
type writes struct {
	mu  sync.Mutex
	n   int
	all strings.Builder
}

func (w *writes) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n++
	return w.all.Write(b)
}

func (w *writes) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.n
}

func (w *writes) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all.String()
}

func TestMetricsWaitForCompany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out writes
		w := NewWriter(&out)
		w.Metric("a", 1, 0)
		if out.count() != 1 {
			t.Fatal("the first metric waits")
		}
		w.Metric("a", 2, 0)
		w.Metric("a", 3, 0)
		if out.count() != 1 {
			t.Fatal("metrics in a row do not wait")
		}
		time.Sleep(lag - 1)
		synctest.Wait()
		if out.count() != 1 {
			t.Fatal("written before lag is over")
		}
		time.Sleep(1 * time.Nanosecond)
		synctest.Wait()
		if out.count() != 2 || strings.Count(out.text(), "\n") != 3 {
			t.Fatalf("lag is over: %d writes, %q", out.count(), out.text())
		}
		// The timer serves again.
		w.Metric("a", 4, 0)
		time.Sleep(lag)
		synctest.Wait()
		if out.count() != 3 {
			t.Fatal("the second time nothing is written after lag")
		}
		time.Sleep(idle + 1)
		w.Metric("a", 5, 0)
		if out.count() != 4 {
			t.Fatal("a metric after a pause waits")
		}
		w.Metric("a", 6, 0)
		w.Send(Event{Type: Log, Message: "m"})
		if out.count() != 5 {
			t.Fatal("an event waits")
		}
		lines := strings.Split(strings.TrimSpace(out.text()), "\n")
		if len(lines) != 7 || !strings.Contains(lines[5], `"step":6`) || !strings.Contains(lines[6], `"log"`) {
			t.Fatalf("order: %q", lines)
		}
	})
}

func TestMetricsAreWrittenWhenTheyAreMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out writes
		w := NewWriter(&out)
		w.Metric("first", 0, 0)
		n := 0
		for ; out.count() == 1; n++ {
			w.Metric("loss", int64(n), 0.5)
		}
		if size := len(out.text()); size < flushSize || size > flushSize+1000 {
			t.Errorf("%d bytes came together", size)
		}
		w.Flush()
		if got := strings.Count(out.text(), "\n"); got != n+1 {
			t.Errorf("%d of %d lines", got, n+1)
		}
	})
}

func TestWriterKeepsItsFirstError(t *testing.T) {
	r, pw := io.Pipe()
	broken := errors.New("broken")
	r.CloseWithError(broken)
	w := NewWriter(pw)
	for range 3 {
		if err := w.Metric("a", 1, 1); !errors.Is(err, broken) {
			t.Error(err)
		}
		if err := w.Send(Event{Type: Log}); !errors.Is(err, broken) {
			t.Error(err)
		}
		if err := w.Flush(); !errors.Is(err, broken) {
			t.Error(err)
		}
	}
}

func TestWriterOfSeveralGoroutines(t *testing.T) {
	var b bytes.Buffer
	w := NewWriter(&b)
	var group sync.WaitGroup
	for g := range 8 {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := range 500 {
				if i%50 == 0 {
					w.Send(Event{Type: Log, Message: fmt.Sprint(g)})
				} else {
					w.Metric("loss", int64(i), float64(g))
				}
			}
		}()
	}
	group.Wait()
	w.Flush()
	r, n := NewReader(&b), 0
	for ; ; n++ {
		line, err := r.Next()
		if err == io.EOF {
			break
		}
		if _, err := Decode(line); err != nil {
			t.Fatal(err)
		}
	}
	if n != 8*500 {
		t.Errorf("%d lines", n)
	}
}

func TestMetricDoesNotAllocate(t *testing.T) {
	w := NewWriter(io.Discard)
	for _, name := range []string{"loss", "précision"} {
		if n := testing.AllocsPerRun(10000, func() { w.Metric(name, 12345, 0.123456789) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkMetric(b *testing.B) {
	w := NewWriter(io.Discard)
	b.ReportAllocs()
	for i := range b.N {
		w.Metric("loss", int64(i), 0.123456789)
	}
}

// typical are the messages of a version that does little.
var typical = []Event{
	{Type: VersionInfo, Version: &Version{
		Name: "learning_rate=0.01", Order: 3, BatchSize: 32, Epochs: 10, LearningRate: 0.01, ModelDirSuffix: "slow", DataLoader: "*main.digits",
		Params: RawJSON(`{"hidden":16,"optimizer":"sgd"}`),
	}},
	{Type: Phase, Phase: PhaseTrain, Step: 0, Total: 450, TrainSamples: 1437, TestSamples: 360},
	{Type: Result, Set: SetTest, Metrics: map[string]Float{"accuracy": 0.9712, "loss": 0.0931}},
}

func BenchmarkSend(b *testing.B) {
	for _, e := range typical {
		b.Run(e.Type, func(b *testing.B) {
			w := NewWriter(io.Discard)
			b.ReportAllocs()
			for b.Loop() {
				if err := w.Send(e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, e := range typical {
		b.Run(e.Type, func(b *testing.B) {
			line, err := json.Marshal(e)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Decode(line); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMetricRecord(b *testing.B) {
	line := []byte(`{"type":"metric","name":"loss","step":12345,"value":0.123456789,"time":1700000000000}`)
	work := make([]byte, len(line))
	b.ReportAllocs()
	for range b.N {
		copy(work, line)
		if _, _, ok := MetricRecord(work); !ok {
			b.Fatal()
		}
	}
}

// Every field of an event is written, and left out, as its tags say.
func TestEventsAreWrittenAsTheirTagsSay(t *testing.T) {
	check := func(e Event) {
		t.Helper()
		got, err := e.append(nil)
		if err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal(e)
		if err != nil || string(got) != string(want) {
			t.Errorf("%s, want %s, %v", got, want, err)
		}
	}
	check(Event{})
	check(Event{Version: &Version{}})
	full := Event{}
	for i := range reflect.TypeFor[Event]().NumField() {
		var one Event
		for _, f := range []reflect.Value{reflect.ValueOf(&one).Elem().Field(i), reflect.ValueOf(&full).Elem().Field(i)} {
			switch v := f.Addr().Interface().(type) {
			case *string:
				*v = "é \"x\" \n"
			case *int:
				*v = 7
			case *int64:
				*v = -1 << 60
			case *bool:
				*v = true
			case **Version:
				*v = &Version{"v é", -1, 2, 3, 0.1, "s", "*main.digits", RawJSON(`{"a":[1,"x y"]}`)}
			case **Float:
				*v = new(Float)
			case *map[string]string:
				*v = map[string]string{"b": "2", "a": "1"}
			case *map[string]Float:
				*v = map[string]Float{"b\t": Float(math.NaN()), "a": 1e-7}
			default:
				t.Fatalf("field %d is a %T", i, v)
			}
		}
		check(one)
	}
	check(full)
}

func TestSendRefusesWhatIsNoJSON(t *testing.T) {
	var b bytes.Buffer
	w := NewWriter(&b)
	if err := w.Send(Event{Type: VersionInfo, Version: &Version{Params: RawJSON("{")}}); err == nil || b.Len() > 0 {
		t.Errorf("%v, %q", err, b.String())
	}
	if err := w.Send(Event{Type: VersionInfo, Version: &Version{Params: RawJSON("{\n}")}}); err != nil || strings.Count(b.String(), "\n") != 1 {
		t.Errorf("%v, %q", err, b.String())
	}
}
