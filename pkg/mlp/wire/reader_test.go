package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"
)

func TestReaderPassesOverEmptyLines(t *testing.T) {
	r := NewReader(strings.NewReader("\n\r\n{\"a\":1}\r\n\n{\"b\":2}"))
	for _, want := range []string{`{"a":1}`, `{"b":2}`} {
		if line, err := r.Next(); string(line) != want || err != nil {
			t.Fatalf("got %q, %v, want %q", line, err, want)
		}
	}
	for range 2 {
		if line, err := r.Next(); err != io.EOF {
			t.Fatalf("got %q, %v at the end", line, err)
		}
	}
}

func TestReaderAtTheLimit(t *testing.T) {
	longest := strings.Repeat("x", MaxMessage-1)
	for _, test := range []struct {
		name, line string
		fits       bool
	}{
		{"buffer", strings.Repeat("x", 64<<10), true},
		{"buffer less newline", strings.Repeat("x", 64<<10-1), true},
		{"longest", longest, true},
		{"one more", longest + "x", false},
		{"twice", longest + longest, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := NewReader(strings.NewReader("before\n" + test.line + "\nafter\n"))
			if line, err := r.Next(); string(line) != "before" || err != nil {
				t.Fatal(string(line), err)
			}
			line, err := r.Next()
			if test.fits && (string(line) != test.line || err != nil) {
				t.Fatalf("got %d bytes, %v", len(line), err)
			}
			if !test.fits && !errors.Is(err, ErrTooLong) {
				t.Fatalf("got %d bytes, %v, want ErrTooLong", len(line), err)
			}
			if line, err := r.Next(); string(line) != "after" || err != nil {
				t.Fatal(string(line), err)
			}
			if _, err := r.Next(); err != io.EOF {
				t.Fatal(err)
			}
		})
	}
}

// An endless is n bytes that are no newline.
type endless struct{ n int }

func (e *endless) Read(b []byte) (int, error) {
	if e.n <= 0 {
		return 0, io.EOF
	}
	n := min(len(b), e.n)
	for i := range b[:n] {
		b[i] = 'x'
	}
	e.n -= n
	return n, nil
}

func TestReaderOfAHugeLineKeepsMemoryFlat(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := NewReader(io.MultiReader(&endless{100 << 20}, strings.NewReader("\nafter\n"), &endless{100 << 20}))
	_, first := r.Next()
	line, err := r.Next()
	if !errors.Is(first, ErrTooLong) || string(line) != "after" || err != nil {
		t.Fatalf("got %v, then %q, %v", first, line, err)
	}
	if _, err := r.Next(); !errors.Is(err, ErrTooLong) {
		t.Fatal(err)
	}
	if _, err := r.Next(); err != io.EOF {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 16<<20 {
		t.Errorf("200 MiB of lines allocated %d bytes", got)
	}
}

func TestReaderReportsAnError(t *testing.T) {
	broken := errors.New("broken")
	r := NewReader(io.MultiReader(strings.NewReader("one\nhalf"), errReader{broken}))
	if line, err := r.Next(); string(line) != "one" || err != nil {
		t.Fatal(string(line), err)
	}
	if _, err := r.Next(); !errors.Is(err, broken) {
		t.Fatal(err)
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func TestDecodeRefuses(t *testing.T) {
	for _, line := range []string{
		``, `null`, `[]`, `1`, `{}`, `{"type":""}`, `{"type":1}`, `{"type":"log"`, `{"type":"log"}x`, "\x00",
		`{"type":"metric"}`, `{"type":"metric","name":"a"}`, `{"type":"metric","value":1}`,
		`{"type":"metric","name":"a","value":null}`, `{"type":"metric","name":"a","value":"1"}`,
		`{"type":"metric","name":"a","value":1e999}`, `{"type":"metric","name":"a","value":1,"step":1.5}`,
		`{"type":"result","metrics":{"a":"x"}}`, `{"type":"result","metrics":{"a":null}}`,
	} {
		if e, err := Decode([]byte(line)); err == nil {
			t.Errorf("%s: got %+v", line, e)
		}
	}
}

func TestDecodeIgnoresWhatItDoesNotKnow(t *testing.T) {
	e, err := Decode([]byte(`{"type":"hologram","depth":3,"message":"m"}`))
	if err != nil || e.Type != "hologram" || e.Message != "m" {
		t.Errorf("got %+v, %v", e, err)
	}
}

func TestMetricRecord(t *testing.T) {
	for _, test := range []struct{ line, record string }{
		{`{"type":"metric","name":"loss","step":3,"value":0.5,"time":7}`, `{"name":"loss","step":3,"value":0.5,"time":7}`},
		{`{"type":"metric","name":"a b","step":-3,"value":-1e-07,"time":0}`, `{"name":"a b","step":-3,"value":-1e-07,"time":0}`},
		{`{"type":"metric","name":"a","step":0,"value":"NaN","time":7}`, `{"name":"a","step":0,"value":"NaN","time":7}`},
		{`{"type":"metric","name":"a","step":0,"value":1e+299,"time":7}`, `{"name":"a","step":0,"value":1e+299,"time":7}`},
		// All these take Decode.
		{`{"type":"metric","name":"a","step":0,"value":1e+999,"time":7}`, ""},
		{`{"type":"metric","name":"a","step":0,"value":99e+307,"time":7}`, ""},
		{`{"type":"metric","name":"a","step":0,"value":` + strings.Repeat("9", 400) + `,"time":7}`, ""},
		{`{"type":"metric","name":"","step":0,"value":1,"time":7}`, ""},
		{`{"type":"metric","name":"a\"","step":0,"value":1,"time":7}`, ""},
		{`{"type":"metric","name":"é","step":0,"value":1,"time":7}`, ""},
		{`{"type":"metric","name":"a","step":01,"value":1,"time":7}`, ""},
		{`{"type":"metric","name":"a","step":9223372036854775808,"value":1,"time":7}`, ""},
		{`{"type":"metric","name":"a","step":1.5,"value":1,"time":7}`, ""},
		{`{"type":"metric","name":"a","step":1,"value":01,"time":7}`, ""},
		{`{"type":"metric","name":"a","step":1,"value":1.,"time":7}`, ""},
		{`{"type":"metric","name":"a","step":1,"value":1e,"time":7}`, ""},
		{`{"type":"metric","name":"a","step":1,"value":null,"time":7}`, ""},
		{`{"type":"metric","name":"a","step":1,"value":1,"time":7} `, ""},
		{`{"type":"metric","name":"a","step":1,"value":1,"time":7}}`, ""},
		{`{"type":"metric","name":"a","step":1,"value":1}`, ""},
		{`{"type":"metric","step":1,"name":"a","value":1,"time":7}`, ""},
		{`{"type":"log","message":"x"}`, ""},
		{``, ""},
	} {
		record, _, ok := MetricRecord([]byte(test.line))
		if string(record) != test.record || ok != (test.record != "") {
			t.Errorf("%s: got %s, %v", test.line, record, ok)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"type":"hello","protocol":1,"sdk":"x"}`,
		`{"type":"version","version":{"name":"a","order":1,"learning_rate":"NaN","params":{"b":[1,null]}},"error":"e"}`,
		`{"type":"result","set":"test","metrics":{"a":1,"b":"-Infinity"}}`,
		`{"type":"metric","name":"a","step":1,"value":1,"time":7}`,
		`{"type":"end","status":"failed","error":"e","trace":"t"}`,
		`{"type":1}`, `{`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := Decode(line)
		if err != nil {
			return
		}
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatalf("%s decodes to %+v, which does not encode: %v", line, e, err)
		}
		again, err := Decode(text)
		if err != nil {
			t.Fatalf("%s is written as %s: %v", line, text, err)
		}
		text2, err := json.Marshal(again)
		if err != nil || !bytes.Equal(text, text2) {
			t.Fatalf("%s is written as %s, then as %s, %v", line, text, text2, err)
		}
	})
}

// What MetricRecord accepts is a record that Decode and AppendPoint would have made something equal of.
func FuzzMetricRecord(f *testing.F) {
	for _, seed := range []string{
		`{"type":"metric","name":"loss","step":3,"value":0.5,"time":1700000000000}`,
		`{"type":"metric","name":"a","step":-1,"value":1e+308,"time":0}`,
		`{"type":"metric","name":"a","step":0,"value":-0,"time":-5}`,
		`{"type":"metric","name":"a","step":0,"value":"Infinity","time":5}`,
		`{"type":"metric","name":"a","step":0,"value":1.5E-999,"time":5}`,
		`{"type":"metric","name":"a","step":999999999999999999,"value":0,"time":5}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		e, decodeErr := Decode(line)
		original := string(line)
		record, step, ok := MetricRecord(line)
		if !ok {
			if string(line) != original {
				t.Fatal("a line that is refused was changed")
			}
			return
		}
		if decodeErr != nil {
			t.Fatalf("accepts %s, Decode: %v", original, decodeErr)
		}
		var got struct {
			Name  string
			Step  int64
			Value Float
			Time  int64
		}
		if err := json.Unmarshal(record, &got); err != nil {
			t.Fatalf("%s is no JSON: %v", record, err)
		}
		same := math.Float64bits(float64(got.Value)) == math.Float64bits(float64(*e.Value)) || got.Value != got.Value && *e.Value != *e.Value
		if got.Name != e.Name || got.Step != e.Step || step != e.Step || !same || got.Time != e.Time {
			t.Fatalf("%s gives %+v, step %d; Decode gives %+v", original, got, step, e)
		}
	})
}

// FuzzReader: what is read are the lines that were written, but for empty ones, however they arrive.
func FuzzReader(f *testing.F) {
	f.Add([]byte("{}\n\n{}\r\nlast"), uint8(1), uint16(1))
	f.Add([]byte("\r\n\x00\n"), uint8(3), uint16(20000))
	f.Fuzz(func(t *testing.T, text []byte, part uint8, times uint16) {
		text = bytes.Repeat(text, int(times%5000)+1)
		if len(text) > 100_000 {
			text = text[:100_000]
		}
		var want []string
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimRight(line, "\r\n"); line != "" {
				want = append(want, line)
			}
		}
		r := NewReader(&slowly{text, int(part) + 1})
		for i := 0; ; i++ {
			line, err := r.Next()
			if err == io.EOF && i == len(want) {
				return
			}
			if err != nil || i == len(want) || string(line) != want[i] {
				t.Fatalf("line %d of %d is %q, %v", i, len(want), line, err)
			}
		}
	})
}

// slowly is read in parts.
type slowly struct {
	text []byte
	part int
}

func (s *slowly) Read(p []byte) (int, error) {
	if len(s.text) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.text[:min(s.part, len(s.text))])
	s.text = s.text[n:]
	return n, nil
}
