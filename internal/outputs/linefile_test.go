package outputs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// full is a lineFile that cannot be written to until its folder is made.
func full(t *testing.T) (l *lineFile, make func()) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "later")
	return &lineFile{path: filepath.Join(dir, "lines")}, func() {
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLinesWaitUntilTheyCanBeWritten(t *testing.T) {
	l, makeRoom := full(t)
	l.line([]byte("one"))
	if err := l.flush(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("flush: %v", err)
	}
	if err := l.flush(); err != nil {
		t.Errorf("it is tried again at once: %v", err)
	}
	l.line([]byte("two"))
	makeRoom()
	if err := l.close(); err != nil {
		t.Error(err)
	}
	if got := string(readFile(t, l.path)); got != "one\ntwo\n" {
		t.Errorf("%q", got)
	}
}

func TestOfVeryManyLinesThoseThatAreLostAreCounted(t *testing.T) {
	l, makeRoom := full(t)
	text := []byte(strings.Repeat("x", 999))
	for range 1000 {
		l.line(text)
	}
	if len(l.waiting) > lineHeld {
		t.Errorf("%d bytes wait", len(l.waiting))
	}
	kept := len(l.waiting) / 1000
	makeRoom()
	err := l.close()
	if want := fmt.Sprintf("no such file or directory: %d lines are missing", 1000-kept); kept < 200 || err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("kept %d: %v", kept, err)
	}
	if got := len(readFile(t, l.path)); got != 1000*kept {
		t.Errorf("%d bytes are written", got)
	}
}

func TestWhatIsMissingIsSaidWithItsReason(t *testing.T) {
	l, _ := full(t)
	l.line([]byte("one"))
	err := l.close()
	if !errors.Is(err, os.ErrNotExist) || !strings.HasSuffix(err.Error(), "no such file or directory: 1 lines are missing") {
		t.Error(err)
	}
}

// A limit on the size of files tears a line: what is whole stays.
func TestNoLineIsTorn(t *testing.T) {
	if os.Getenv("OUTPUTS_TEST_LIMIT") == "" {
		file := filepath.Join(t.TempDir(), "lines")
		cmd := exec.Command(os.Args[0], "-test.run=^TestNoLineIsTorn$")
		cmd.Env = append(os.Environ(), "OUTPUTS_TEST_LIMIT="+file)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if got := string(readFile(t, file)); got != strings.Repeat("0123456789\n", 9) {
			t.Errorf("%q", got)
		}
		return
	}
	limit := syscall.Rlimit{Cur: 100, Max: 100}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	l := &lineFile{path: os.Getenv("OUTPUTS_TEST_LIMIT")}
	for range 20 {
		l.line([]byte("0123456789"))
	}
	if err := l.close(); !errors.Is(err, syscall.EFBIG) || !strings.HasSuffix(err.Error(), "11 lines are missing") {
		t.Error(err)
	}
}

func TestALogThatIsMovedIsFollowedByANewOne(t *testing.T) {
	f := NewFolder(t.TempDir(), "host")
	r, err := f.OpenRecorder(nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Log.Info("one")
	if err := os.Rename(f.LogFile(), f.LogFile()+".1"); err != nil {
		t.Fatal(err)
	}
	r.log.looked = r.log.looked.Add(-2 * logLook)
	r.Log.Info("two")
	if err := r.Trouble(); err == nil || !strings.Contains(err.Error(), "moved or deleted") || r.Trouble() != nil {
		t.Errorf("trouble: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	for file, want := range map[string]string{f.LogFile() + ".1": "one", f.LogFile(): "two"} {
		if text := string(readFile(t, file)); strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, want+"\n") {
			t.Errorf("%s: %q", file, text)
		}
	}
}
