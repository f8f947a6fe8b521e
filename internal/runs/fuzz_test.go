package runs

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
)

// FuzzJournal: whatever the journal of another machine says, each run has one line of JSON that steers no terminal, and can be
// found, chosen and told by its name.
func FuzzJournal(f *testing.F) {
	for _, s := range []string{
		`{"event":"started","model":"m","version":"v","run":"r","time":"2026-11-26T22:41:35.237Z","parameters":"","code":"","params":{"a":1,"b":"\u202e"},"order":2,"dir":"../x","resumes":"r"}`,
		`{"event":"finished","model":"m","version":"v","run":"r","time":"2026-11-26T22:41:35.241Z","parameters":"","code":"","step":-1,"seconds":1e300,"results":{"test":{"loss":"NaN","\u0000":1}},"git":{"commit":"\u009b"}}`,
		`{"event":"failed","model":"\u001b[2J","version":"","run":"../..","time":"x","cause":"\n"}` + "\n" + `{"event":"end","tally":{"finished":-1}}` + "\n" + `{"event":"begin","pid":-1}`,
		`{"EVENT":"finished","Model":"m","version":"v","params":[1],"results":{"a":1}}`,
	} {
		f.Add([]byte(s))
	}
	dir, err := os.MkdirTemp("", "mlpipeline-journal-")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { os.RemoveAll(dir) })
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(filepath.Join(dir, "history-other"), append(text, '\n'), 0o666); err != nil {
			t.Fatal(err)
		}
		folder := outputs.NewFolder(dir, "h")
		index, err := Read(folder)
		if err != nil {
			return // of a newer format
		}
		if _, err := folder.ReadHistory(); err != nil {
			t.Fatal(err)
		}
		folder.Lately(func(outputs.Event) {})
		for _, r := range index.Runs {
			line := r.AppendJSON(nil)
			if !json.Valid(line) || bytes.ContainsAny(line, "\n\x1b\x7f\u009b\u202e\u2028") {
				t.Fatalf("%q has %q", text, line)
			}
			if found, err := index.Find(r.Name()); err == nil && found == nil {
				t.Fatalf("%q finds nothing", r.Name())
			}
			if got := index.Select(Filter{Statuses: []string{r.Status}, Hosts: []string{"other"}}); len(got) == 0 {
				t.Fatalf("%q is not selected", r.Name())
			}
			index.Chain(r)
			index.ResumedBy(r)
			r.Metrics()
		}
		index.Short(index.Runs)
		Headline(index.Runs)
		ParamNames(index.Runs)
	})
}

// FuzzCondition: a condition has a name and a value that were there.
func FuzzCondition(f *testing.F) {
	for _, s := range []string{"test.accuracy>0.9", "a!=b", "a==", "!", "<=", " x = y ", "a=b=c", "a!b", "\xff<\x00"} {
		f.Add(s)
	}
	r := &Run{params: []byte(`{"a":"b","x":1}`), metrics: []string{"test.accuracy"}, values: []float64{0.5}}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseCondition(text)
		if err != nil {
			return
		}
		if c.Name == "" || c.Name != strings.TrimSpace(c.Name) || !strings.Contains(text, c.Name) || !strings.Contains(text, c.op) || !strings.HasSuffix(strings.TrimSpace(text), c.value) {
			t.Fatalf("%q is %+v", text, c)
		}
		c.met(r)
	})
}
