package outputs

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
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
			{"log-h", func(f Folder) error { _, err := f.OpenRecorder(nil); return err }},
			{"history-h", func(f Folder) error { _, err := f.OpenRecorder(nil); return err }},
			{"output-h", func(f Folder) error { _, err := f.OpenRecorder(nil); return err }},
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
			if err := c.write(f); err == nil || !strings.Contains(err.Error(), strings.TrimSuffix(path, "/run.json")) {
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
		_ = f.Metrics("r", func(*wire.Point) { t.Errorf("%s has metrics", what) })
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
	warnings, err := f.ReadEntries(func(_ string, e *Entry) { read = append(read, string(e.Version)) })
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

// FuzzRunDir: whatever a journal calls a run, its folder lies in that of the runs, or is none.
func FuzzRunDir(f *testing.F) {
	for _, s := range []string{"20261126-224135237-dtohjyj2", "..", ".", "", "../../x", "/etc", "a/../..", "%2E%2E", "\x00", "...", "\\..\\"} {
		f.Add(s)
	}
	folder := NewFolder("/outputs", "h")
	f.Fuzz(func(t *testing.T, run string) {
		dir := folder.RunDir(run)
		if name, ok := strings.CutPrefix(dir, "/outputs/runs/"); run != "" && (!ok || strings.Contains(name, "/") || filepath.Clean(dir) != dir) || run == "" && dir != "/outputs/runs" {
			t.Errorf("run %q has %q", run, dir)
		}
	})
}

// FuzzHost: whatever a machine is called, its files lie in the outputs folder and their names are one line.
func FuzzHost(f *testing.F) {
	for _, s := range []string{"vm", "", "..", "a/b", "/etc/passwd", "a\nb", "\u202e", "\u009b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, host string) {
		folder := NewFolder("/outputs", host)
		for _, file := range []string{folder.LogFile(), folder.OutputFile(), folder.HistoryFile(), folder.StatusFile(), folder.LockFile(folder.Host)} {
			if filepath.Dir(file) != "/outputs" || Clean(file) != file || strings.ContainsAny(file, "\t\x00") {
				t.Errorf("host %q has %q", host, file)
			}
		}
	})
}

// FuzzBlocks: of any text, cut anywhere into lines, each line comes that is not longer than it may be, and of a longer one the
// newline.
func FuzzBlocks(f *testing.F) {
	f.Add([]byte("a\nbb\n\nccc"), uint32(2), uint32(1))
	f.Add([]byte("xxxx"), uint32(1<<20), uint32(1<<20))
	f.Fuzz(func(t *testing.T, part []byte, times, limit uint32) {
		// Less than blockSize is one block.
		text := bytes.Repeat(part, int(times%2000)+1)
		if len(text) > 4<<20 {
			text = text[:4<<20]
		}
		most := blockSize + int(limit%(2*blockSize))
		var want, got bytes.Buffer
		for line := range bytes.Lines(text) {
			if len(line)-1 < most { // how much more fits depends on where the block begins
				want.Write(line)
			} else if line[len(line)-1] == '\n' {
				want.WriteByte('\n')
			}
		}
		type block struct {
			at   int64
			text []byte
		}
		scan := func(b *block, at int64, text []byte) { b.at, b.text = at, append(b.text[:0], text...) }
		err := inBlocks(bytes.NewReader(text), most, scan, func(b *block) error {
			if !bytes.HasPrefix(text[b.at:], b.text) {
				t.Fatalf("a block of %d bytes does not stand at %d", len(b.text), b.at)
			}
			got.Write(b.text)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		wanted, have := strings.Split(want.String(), "\n"), strings.Split(got.String(), "\n")
		if len(wanted) != len(have) {
			t.Fatalf("%d lines of %d", len(have), len(wanted))
		}
		for i := range wanted {
			if wanted[i] != have[i] && (wanted[i] != "" || len(have[i]) > 2*most+blockSize) {
				t.Fatalf("line %d has %d bytes, not %d", i, len(have[i]), len(wanted[i]))
			}
		}
	})
}

// FuzzMend: whatever a journal ends with, it ends with a whole line once it is open, and what was whole is as it was.
func FuzzMend(f *testing.F) {
	for _, s := range []string{"", "{}", "{}\n", "{}\n{", "\n\n", "a\nb\x00\x00", "{}\n{}", "{\"event\":\"journal\",\"format\":9}\n"} {
		f.Add([]byte(s))
	}
	dir, err := os.MkdirTemp("", "mlpipeline-mend-")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { os.RemoveAll(dir) })
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(dir, "journal")
		if err := os.WriteFile(path, text, 0o666); err != nil {
			t.Fatal(err)
		}
		file, err := openOwn(path, os.O_RDWR|os.O_APPEND)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		torn, empty, err := mend(file)
		if err != nil {
			t.Fatal(err)
		}
		after, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		whole := text[:bytes.LastIndexByte(text, '\n')+1]
		switch {
		case torn != "":
			if !bytes.Equal(after, whole) || torn != string(text[len(whole):]) {
				t.Fatalf("%q became %q, torn %q", text, after, torn)
			}
		case len(whole) == len(text):
			if !bytes.Equal(after, text) {
				t.Fatalf("%q became %q", text, after)
			}
		default:
			if string(after) != string(text)+"\n" || !json.Valid(text[len(whole):]) {
				t.Fatalf("%q became %q", text, after)
			}
		}
		if empty != (len(after) == 0) {
			t.Fatalf("%q is empty: %t", after, empty)
		}
	})
}
