package outputs

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestBlock(t *testing.T) {
	// The block tells the time as the clock on the wall of the host does.
	local := time.Local
	time.Local = time.FixedZone("CET", 3600)
	t.Cleanup(func() { time.Local = local })

	hostile := sampleRun()
	hostile.Version = "a\nmodel        forged\x1b[31m"
	hostile.Data.Loader = "\u202e"
	hostile.Steps.Before = 0
	hostile.Results = nil
	hostile.Summary = Summary{Run: "only\r\nthe run"}

	f := NewFolder(t.TempDir(), "host")
	for _, run := range []Run{sampleRun(), hostile} {
		if _, _, err := f.appendBlock(run); err != nil {
			t.Fatal(err)
		}
	}
	got := readFile(t, f.OutputFile())
	golden := filepath.Join("testdata", "block.golden")
	if *update {
		if err := os.WriteFile(golden, got, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if want := readFile(t, golden); string(got) != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if strings.Contains(string(got), "\nmodel        forged") {
		t.Error("a name made a line of its own")
	}
}

func TestDuration(t *testing.T) {
	for seconds, want := range map[float64]string{1e300: "2562047h47m16s", -1e300: "-2562047h47m16s", 0: "0s", 0.0042: "0s", 1.234: "1.23s", 12.34: "12.3s", 59.99: "1m0s", 61.5: "1m2s", 90061: "25h1m1s"} {
		if got := Duration(seconds); got != want {
			t.Errorf("%g: %s, want %s", seconds, got, want)
		}
	}
}
