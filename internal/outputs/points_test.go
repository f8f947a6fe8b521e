package outputs

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

func point(name string, step int64, value float64, time int64) wire.Point {
	return wire.Point{Name: name, Step: step, Value: value, Time: time}
}

func sameFloat(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }

func FuzzFloat(f *testing.F) {
	for _, s := range []string{"0", "-0", "1", "0.1", "2.2809280037280684", "-123456789.987654321", "1e-05", "1.5e+06", "1e400", "1e-400", "01", "1.", ".1", "1e", "-",
		"9007199254740993", "9007199254740992.5", "18446744073709551615", "9999999999999999999.9", "0.00000000000000000001", "123456780123456789", "5e-324"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, rest, ok := cutFloat([]byte(s))
		c := cursor{s: []byte(s)}
		valid := c.number() && (c.i == len(s) || s[c.i] < '0' || s[c.i] > '9') // 01
		want, err := strconv.ParseFloat(s[:c.i], 64)
		if ok != (valid && err == nil) || ok && (!sameFloat(v, want) || string(rest) != s[c.i:]) {
			t.Errorf("%q: %v, rest %q, %t; want %v, rest %q, %t %v", s, v, rest, ok, want, s[c.i:], valid, err)
		}
	})
}

// Every line that scanFast takes is one that decode takes for the same.
func FuzzPoint(f *testing.F) {
	for _, p := range []wire.Point{point("loss", 1, 0.5, 2), point("a b", -3, math.NaN(), 0), point("é", 0, math.Inf(-1), -1), point(`"`, 5, 1e300, 7)} {
		f.Add(wire.AppendPoint(nil, p))
	}
	f.Add([]byte(`{"name":"","step":1,"value":1,"time":1}`))
	f.Add([]byte(`{"name":"a","step":01,"value":1,"time":1}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		fast := pointScanner{names: map[string]string{}, recent: []lineName{named("loss"), named("a")}}
		slow := pointScanner{names: map[string]string{}}
		if fast.scanFast(line) && (!slow.decode(line) || fast.Name != slow.Name || fast.Step != slow.Step || !sameFloat(fast.Value, slow.Value) || fast.Time != slow.Time) {
			t.Errorf("%q: %+v, not %+v", line, fast.Point, slow.Point)
		}
	})
}

// Every line that scanWhole takes is one that decode takes for the same.
func FuzzWhole(f *testing.F) {
	for _, p := range []wire.Point{point("loss", 1, 0.5, 2), point("loss", 123456789, 2.2809280037280684, 1795385931228), point("loss", 0, -3, 0), point("a", 5, 1e300, 7)} {
		f.Add(wire.AppendPoint(nil, p))
	}
	for _, line := range []string{`{"name":"loss","step":01,"value":1,"time":1}`, `{"name":"loss","step":1,"value":.5,"time":1}`, `{"name":"loss","step":1,"value":1.,"time":1}`,
		`{"name":"loss","step":1,"value":00.5,"time":1}`, `{"name":"loss","step":1,"value":9007199254740993.5,"time":1}`, `{"name":"loss","step":1,"value":12345678901234567890123,"time":1}`,
		`{"name":"loss","step":1,"value":0.00000000000000000000000000012,"time":1}`, `{"name":"loss","step":1,"value":-0,"time":1}`, `{"name":"loss","step":1,"value":1,"time":}`} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		fast := pointScanner{names: map[string]string{}, recent: []lineName{named("loss"), named("a")}}
		slow := pointScanner{names: map[string]string{}}
		text := append(line[:len(line):len(line)], '\n')
		n := fast.scanWhole(text)
		if n > 0 && (n > len(line)+1 || !slow.decode(line[:n-1]) || fast.Name != slow.Name || fast.Step != slow.Step || !sameFloat(fast.Value, slow.Value) || fast.Time != slow.Time) {
			t.Errorf("%q: %d %+v, not %+v", line, n, fast.Point, slow.Point)
		}
		// What was before does not matter.
		for _, length := range [][2]int{{1, 1}, {7, 13}, {18, 18}, {40, 40}} {
			again := pointScanner{names: map[string]string{}, recent: fast.recent, stepDigits: length[0], timeDigits: length[1]}
			if m := again.scanWhole(text); m != n || n > 0 && (again.Step != fast.Step || !sameFloat(again.Value, fast.Value) || again.Time != fast.Time) {
				t.Errorf("%q after fields of %v digits: %d %+v, not %d %+v", line, length, m, again.Point, n, fast.Point)
			}
		}
	})
}

// Points as training loops write them need no other scanner.
func TestWhole(t *testing.T) {
	s := pointScanner{recent: []lineName{named("loss")}}
	for i, value := range []float64{0.5, 2.2809280037280684, -3, 0, 0.008414709848078965, 123.25, -0.0000123, 100000, 1} {
		for _, step := range []int64{0, 9, 10, 123456789, 1e17} {
			want := point("loss", step, value, 1795385931228+int64(i))
			line := append(wire.AppendPoint(nil, want), '\n')
			if n := s.scanWhole(line); n != len(line) || s.Point != want {
				t.Errorf("%s: %d, %+v", line, n, s.Point)
			}
		}
	}
}

func TestFloats(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300_000 {
		v := math.Exp(r.NormFloat64() * 10)
		for _, s := range [][]byte{wire.AppendFloat(nil, v), strconv.AppendFloat(nil, v, 'f', 12, 64), strconv.AppendFloat(nil, v, 'g', 1+r.IntN(19), 64)} {
			want, _ := strconv.ParseFloat(string(s), 64)
			if got, rest, ok := cutFloat(s); !ok || len(rest) > 0 || !sameFloat(got, want) {
				t.Fatalf("%s: %v, %t; want %v", s, got, ok, want)
			}
		}
	}
}

func points(t *testing.T, f Folder, run string) (got []wire.Point) {
	t.Helper()
	err := f.Metrics(run, func(p *wire.Point) { got = append(got, *p) })
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestMetrics(t *testing.T) {
	f := NewFolder(t.TempDir(), "host")
	if got := points(t, f, "none"); got != nil {
		t.Errorf("%v", got)
	}
	if err := os.MkdirAll(f.RunDir("r"), 0o777); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("n", 700<<10)
	want := []wire.Point{point("loss", 1, 0.5, 7), point("acc", 1, math.Inf(1), 7), point("loss", 2, 1e-9, 8), point(long, 3, 1, 9), point("\u001b[31m", 4, 2, 10), point("last", 5, 3, 11)}
	want[4].Name = "\x1b[31m"
	var text []byte
	for i, p := range want {
		text = append(wire.AppendPoint(text, p), '\n')
		if i < 3 {
			text = append(text, []string{"garbage\n", "\n", strings.Repeat("x", 3*longestPoint) + "\n"}[i]...)
		}
	}
	text = append(text, `{"name":"torn","st`...)
	if err := os.WriteFile(f.MetricsFile("r"), text, 0o666); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, points(t, f, "r")); diff != "" {
		t.Error(diff[:min(len(diff), 2000)])
	}
	if err := os.WriteFile(f.MetricsFile("r"), []byte(`{"value":"NaN", "name":"x"}`), 0o666); err != nil {
		t.Fatal(err)
	}
	if got := points(t, f, "r"); len(got) != 1 || got[0].Value == got[0].Value {
		t.Errorf("without a newline, in another notation: %v", got)
	}
}

func TestPointsOfVeryManyNames(t *testing.T) {
	var text []byte
	const n = 3 * maxNames
	for i := range n {
		text = append(wire.AppendPoint(text, point(strconv.Itoa(i), int64(i), 1, 1)), '\n')
		text = append(wire.AppendPoint(text, point("often", int64(i), 1, 1)), '\n')
	}
	i := 0
	err := readPoints(bytes.NewReader(text), func(p *wire.Point) {
		if want := []string{strconv.Itoa(i / 2), "often"}[i%2]; p.Name != want || p.Step != int64(i/2) {
			t.Fatalf("point %d: %s %d, not %s", i, p.Name, p.Step, want)
		}
		i++
	})
	if err != nil || i != 2*n {
		t.Errorf("%d points, %v", i, err)
	}
}

func BenchmarkPoints(b *testing.B) {
	var text []byte
	r := rand.New(rand.NewPCG(1, 2))
	const n = 200_000
	for i := range n {
		text = wire.AppendPoint(text, wire.Point{Name: []string{"loss", "accuracy"}[i%2], Step: int64(i), Value: math.Exp(-r.Float64() * 3), Time: 1795385931228 + int64(i)})
		text = append(text, '\n')
	}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		got := 0
		if err := readPoints(bytes.NewReader(text), func(*wire.Point) { got++ }); err != nil || got != n {
			b.Fatal(got, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/point")
}

// However many parts a file is read in, each point comes once, in the order of the parts.
func TestParts(t *testing.T) {
	f := NewFolder(t.TempDir(), "a")
	var want []int64
	var text []byte
	for step := range int64(500) {
		text = append(wire.AppendPoint(text, point(strings.Repeat("n", int(step)*31%9000+1), step, 1, 0)), '\n')
		want = append(want, step)
	}
	if err := os.MkdirAll(f.RunDir("r"), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, torn := range []string{"", `{"name":"n","st`} {
		if err := os.WriteFile(f.MetricsFile("r"), append(text, torn...), 0o666); err != nil {
			t.Fatal(err)
		}
		for _, parts := range []int{1, 2, 3, 7, 100, 5000} {
			steps := make([][]int64, parts)
			err := f.MetricsParts("r", parts, func(part int) func(*wire.Point) {
				return func(p *wire.Point) { steps[part] = append(steps[part], p.Step) }
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, slices.Concat(steps...)); diff != "" {
				t.Errorf("%d parts: %s", parts, diff)
			}
		}
	}
}
