package outputs

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// odd puts what is no ordinary file in the place of one, by what it is. Links lead to kept, and to nothing.
func odd(t *testing.T, path, kept string) map[string]func() error {
	return map[string]func() error{
		"a pipe":          func() error { return syscall.Mkfifo(path, 0o666) },
		"a folder":        func() error { return os.Mkdir(path, 0o777) },
		"a link":          func() error { return os.Symlink(kept, path) },
		"a link to no":    func() error { return os.Symlink(kept+"-not", path) },
		"a link to /dev":  func() error { return os.Symlink("/dev/zero", path) },
		"a link to self":  func() error { return os.Symlink(filepath.Base(path), path) },
		"a link to a dir": func() error { return os.Symlink(filepath.Dir(kept), path) },
		"a socket": func() error {
			if len(path) > 100 {
				return errors.ErrUnsupported
			}
			listener, err := net.Listen("unix", path)
			if err == nil {
				t.Cleanup(func() { listener.Close() })
			}
			return err
		},
	}
}

func TestNothingIsWrittenThroughWhatLiesInTheWay(t *testing.T) {
	kept := filepath.Join(t.TempDir(), "kept")
	if err := os.WriteFile(kept, []byte("of somebody\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for what := range odd(t, "", "") {
		for _, c := range []struct {
			name  string
			write func(f Folder) error
		}{
			{".lock-h", func(f Folder) error { _, err := f.Lock("me"); return err }},
			{"log-h", func(f Folder) error { _, err := f.OpenRecorder(); return err }},
			{"history-h", func(f Folder) error { _, err := f.OpenRecorder(); return err }},
			{"output-h", func(f Folder) error { _, err := f.OpenRecorder(); return err }},
			{"output-h", func(f Folder) error { _, _, err := f.appendBlock(Run{}); return err }},
			{"status-h.new", func(f Folder) error { return f.WriteStatus(Status{Host: "h"}) }},
			{"runs/r/run.json", func(f Folder) error { _, err := f.Record(Run{ID: "r"}); return err }},
		} {
			f := NewFolder(t.TempDir(), "h")
			path := filepath.Join(f.Dir, c.name)
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			switch err := odd(t, path, kept)[what](); {
			case errors.Is(err, errors.ErrUnsupported):
				continue
			case err != nil:
				t.Fatal(err)
			}
			if err := c.write(f); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("%s instead of %s: %v", what, c.name, err)
			}
			if text, err := os.ReadFile(kept); err != nil || string(text) != "of somebody\n" {
				t.Fatalf("%s instead of %s: what it leads to is %q, %v", what, c.name, text, err)
			}
			if _, err := os.Lstat(kept + "-not"); err == nil {
				t.Fatalf("%s instead of %s: a file was made outside", what, c.name)
			}
		}
	}
}

func TestReadersPassOverWhatIsNoOrdinaryFile(t *testing.T) {
	for what := range odd(t, "", "") {
		f := NewFolder(t.TempDir(), "h")
		if err := os.MkdirAll(f.RunDir("r"), 0o777); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{".lock-other", "history-other", "status-other", "runs/r/run.json", "runs/r/metrics.jsonl", "runs/r/output.log"} {
			err := odd(t, filepath.Join(f.Dir, name), t.TempDir())[what]()
			if err != nil && !errors.Is(err, errors.ErrUnsupported) {
				t.Fatal(err)
			}
		}
		if f.Executing("other") || len(f.Hosts()) > 0 || f.Holder("other") != "" {
			t.Errorf("%s is a lock", what)
		}
		if h, err := f.ReadHistory(); err != nil || len(h.files) > 0 {
			t.Errorf("%s is a history: %v, %v", what, h, err)
		}
		if all, err := f.ReadStatuses(); err != nil || len(all) > 0 {
			t.Errorf("%s is a status: %v, %v", what, all, err)
		}
		if _, err := f.ReadRun("r"); err == nil {
			t.Errorf("%s is a run.json", what)
		}
		if _, err := f.OpenPrinted("r"); err == nil {
			t.Errorf("%s is an output.log", what)
		}
		if f.LastStep("r") != 0 {
			t.Errorf("%s is a metrics.jsonl", what)
		}
		_ = f.Metrics("r", func(string, int64, float64, int64) { t.Errorf("%s has metrics", what) })
	}
}

// Somebody else's journal may have any line. A long one is passed over as one that cannot be read, by all that read journals.
func TestALineLongerThanAnyIsPassedOver(t *testing.T) {
	f := NewFolder(t.TempDir(), "h")
	whole := func(version string) string {
		return `{"event":"finished","model":"m","version":"` + version + `","run":"r-` + version + `","time":"2026-11-26T22:41:35.241Z","parameters":"","code":""}` + "\n"
	}
	if err := os.WriteFile(filepath.Join(f.Dir, "history-other"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	tail, err := f.Tail("other")
	if err != nil {
		t.Fatal(err)
	}
	long := strings.TrimSuffix(whole("long"), "}\n") + `,"cause":"` + strings.Repeat("x", maxEvent) + `"}` + "\n"
	if err := os.WriteFile(filepath.Join(f.Dir, "history-other"), []byte(whole("before")+long+whole("after")), 0o666); err != nil {
		t.Fatal(err)
	}
	warning := filepath.Join(f.Dir, "history-other") + ":2: not a line of a history; it is passed over"

	h, err := f.ReadHistory()
	if err != nil || len(h.Versions("m")) != 2 || len(h.Warnings) != 1 || h.Warnings[0] != warning {
		t.Errorf("ReadHistory: %v, %q, %v", h.Versions("m"), h.Warnings, err)
	}
	var read []string
	warnings, err := f.ReadEntries(func(_ string, e *Entry) { read = append(read, e.Version) })
	if err != nil || strings.Join(read, " ") != "before after" || len(warnings) != 1 || warnings[0] != warning {
		t.Errorf("ReadEntries: %q, %q, %v", read, warnings, err)
	}
	events, err := tail.Next()
	if err != nil || len(events) != 2 || events[1].Version != "after" {
		t.Errorf("Next: %d events, %v", len(events), err)
	}

	// In the host's own it is a torn line, of which the beginning is enough to tell.
	own := NewFolder(f.Dir, "other")
	if err := os.WriteFile(own.HistoryFile(), []byte(whole("before")+long[:len(long)-1]), 0o666); err != nil {
		t.Fatal(err)
	}
	j, torn, err := own.OpenJournal()
	if err != nil || len(torn) != maxLine || !strings.HasPrefix(long, torn) {
		t.Fatalf("torn: %d bytes, %v", len(torn), err)
	}
	j.Close()
	if text, _ := os.ReadFile(own.HistoryFile()); string(text) != whole("before") {
		t.Errorf("what is left is %d bytes", len(text))
	}
}
