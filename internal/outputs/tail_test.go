package outputs

import (
	"os"
	"strings"
	"testing"
)

// A Tail that is opened at any byte of a journal tells each event whose line was not whole by then, once.
func TestTail(t *testing.T) {
	var text string
	for _, run := range []string{"one", "two", strings.Repeat("x", 100<<10), "four"} {
		text += `{"event":"started","run":"` + run + `"}` + "\n"
		if run == "two" {
			text += "no line of a journal\n"
		}
	}
	for cut := 0; cut <= len(text); cut += max(1, cut/50) {
		f := NewFolder(t.TempDir(), "vm")
		if err := os.WriteFile(f.HistoryFile(), []byte(text[:cut]), 0o666); err != nil {
			t.Fatal(err)
		}
		tail, err := f.Tail("vm")
		if err != nil {
			t.Fatal(err)
		}
		events, err := tail.Next()
		if err != nil || len(events) > 0 {
			t.Fatalf("cut at %d: %d events before there are any, error %v", cut, len(events), err)
		}
		if err := os.WriteFile(f.HistoryFile(), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		events, err = tail.Next()
		want := strings.Count(text, "event") - strings.Count(text[:strings.LastIndexByte(text[:cut], '\n')+1], "event")
		if err != nil || len(events) != want || want > 0 && events[want-1].Run != "four" {
			t.Fatalf("cut at %d: %d events, want %d, error %v", cut, len(events), want, err)
		}
		if events, err = tail.Next(); err != nil || len(events) > 0 {
			t.Fatalf("cut at %d: events come twice, error %v", cut, err)
		}
	}

	tail, err := NewFolder(t.TempDir(), "vm").Tail("vm")
	if err != nil {
		t.Fatal(err)
	}
	if events, err := tail.Next(); err != nil || len(events) > 0 {
		t.Fatalf("without a journal: %v, %v", events, err)
	}
}
