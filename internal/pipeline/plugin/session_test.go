package plugin

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// said returns a session with a model that says lines, and the warnings that come of it.
func said(lines ...string) (*Session, *[]string) {
	s := NewSession(io.Discard, strings.NewReader(strings.Join(lines, "\n")+"\n"))
	warnings := &[]string{}
	s.Warn = func(text string) { *warnings = append(*warnings, text) }
	return s, warnings
}

func TestWarningsAreFew(t *testing.T) {
	var lines []string
	for i := range 10_000 {
		lines = append(lines, "garbage", fmt.Sprint("garbage ", i))
	}
	s, warnings := said(append(lines, `{"type":"log","message":"end"}`)...)
	if e, _, err := s.Next(); err != nil || e.Message != "end" {
		t.Fatal(e, err)
	}
	w := *warnings
	if len(w) != maxWarnings+1 || !strings.HasSuffix(w[maxWarnings], "is passed over without a word") || w[0] == w[1] {
		t.Errorf("%d warnings: %q", len(w), w)
	}
}

func TestListOfVersionsIsBounded(t *testing.T) {
	wide := `{"type":"version","version":{"name":"v","params":{"x":"` + strings.Repeat("x", 1_000_000) + `"}}}`
	narrow := `{"type":"version","version":{"name":"v"}}`
	for _, c := range []struct {
		line  string
		most  int
		times int
	}{{wide, 300, 300}, {narrow, maxVersions + 1, maxVersions + 10}} {
		r, w := io.Pipe()
		go func() {
			for range c.times {
				if _, err := io.WriteString(w, c.line+"\n"); err != nil {
					return
				}
			}
			io.WriteString(w, `{"type":"listed"}`+"\n")
		}()
		s := NewSession(io.Discard, r)
		versions := 0
		_, err := s.List(func(wire.Version, string) { versions++ })
		if err == nil || !strings.Contains(err.Error(), "its list of versions is too long") || versions > c.most {
			t.Errorf("%d versions, %v", versions, err)
		}
		r.Close()
	}
}

func TestCodeIsBounded(t *testing.T) {
	var lines []string
	for i := range maxCodeMsgs + 100 {
		lines = append(lines, fmt.Sprintf(`{"type":"code","files":{"/f%d":"x"}}`, i))
	}
	s, warnings := said(lines...)
	messages := 0
	for {
		if _, _, err := s.Next(); err != nil {
			break
		}
		messages++
	}
	if messages != maxCodeMsgs || len(*warnings) != 1 {
		t.Errorf("%d messages, %q", messages, *warnings)
	}
}
