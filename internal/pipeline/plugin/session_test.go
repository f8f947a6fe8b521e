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
	r, w := io.Pipe()
	defer r.Close()
	go func() {
		for { // without an end
			if _, err := io.WriteString(w, `{"type":"version","version":{"name":"v"}}`+"\n"); err != nil {
				return
			}
		}
	}()
	versions := 0
	_, err := NewSession(io.Discard, r).List(func(wire.Version, string) { versions++ })
	if err == nil || !strings.Contains(err.Error(), "its list of versions is too long") || versions > maxVersions+1 {
		t.Errorf("%d versions, %v", versions, err)
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
