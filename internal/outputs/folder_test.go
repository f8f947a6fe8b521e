package outputs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"
)

func TestLockKeepsASecondExecutionOut(t *testing.T) {
	f := NewFolder(filepath.Join(t.TempDir(), "outputs"), "host")
	if f.Executing("host") {
		t.Error("executing before anybody was")
	}
	lock, err := f.Lock("pid 7, ana,\x1b[31m since noon")
	if err != nil {
		t.Fatal(err)
	}
	if !f.Executing("host") || f.Executing("other") {
		t.Errorf("executing here %t, elsewhere %t", f.Executing("host"), f.Executing("other"))
	}
	_, err = f.Lock("second")
	var held *HeldError
	if !errors.As(err, &held) || held.Holder != "pid 7, ana, since noon" {
		t.Errorf("second lock: %v", err)
	}
	other, err := NewFolder(f.Dir, "other").Lock("another host")
	if err != nil {
		t.Errorf("another host: %v", err)
	} else {
		other.Close()
	}
	if err := lock.Close(); err != nil {
		t.Error(err)
	}
	if f.Executing("host") {
		t.Error("executing after the lock was given back")
	}
	again, err := f.Lock("third")
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func holdLock() error {
	f := NewFolder(os.Getenv("OUTPUTS_TEST_DIR"), "host")
	lock, err := f.Lock("the other process")
	if err != nil {
		return err
	}
	fmt.Println("held")
	io.Copy(io.Discard, os.Stdin)
	return lock.Close()
}

// Whoever only asks whether an execution is alive keeps none from beginning.
func TestReadersDoNotKeepAnExecutionOut(t *testing.T) {
	f := NewFolder(t.TempDir(), "host")
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					f.Executing("host")
				}
			}
		})
	}
	for range 300 {
		lock, err := f.Lock("this")
		if err != nil {
			t.Fatal(err)
		}
		lock.Close()
	}
	close(done)
	readers.Wait()
}

func TestLockHoldsBetweenProcesses(t *testing.T) {
	for _, killed := range []bool{false, true} {
		f := NewFolder(t.TempDir(), "host")
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "OUTPUTS_TEST=hold the lock", "OUTPUTS_TEST_DIR="+f.Dir)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
			t.Fatalf("%q, %v", line, err)
		}
		_, err = f.Lock("this process")
		var held *HeldError
		if !errors.As(err, &held) || held.Holder != "the other process" {
			t.Errorf("lock: %v", err)
		}
		if !f.Executing("host") {
			t.Error("the other process is not seen executing")
		}
		if killed {
			cmd.Process.Kill()
		}
		in.Close()
		cmd.Wait()
		if f.Executing("host") {
			t.Errorf("executing after its end, killed %t", killed)
		}
		lock, err := f.Lock("this process")
		if err != nil {
			t.Fatalf("after its end, killed %t: %v", killed, err)
		}
		lock.Close()
	}
}

func TestNamesOfFiles(t *testing.T) {
	f := NewFolder("out", "../evil\x1b")
	if want := filepath.Join("out", "log-.._evil_"); f.LogFile() != want {
		t.Errorf("%q, want %q", f.LogFile(), want)
	}
	if got := NewFolder("out", "").HistoryFile(); got != filepath.Join("out", "history-localhost") {
		t.Error(got)
	}
	if got := f.ModelDir("vision/resnet.py", ""); got != filepath.Join("out", "model_ckpts", "vision", "resnet.py") {
		t.Error(got)
	}
	if got := f.ModelDir("softmax", "slow"); got != filepath.Join("out", "model_ckpts", "softmax-slow") {
		t.Error(got)
	}
}

func TestRunIDsSortByTimeAndDiffer(t *testing.T) {
	form := regexp.MustCompile(`^\d{8}-\d{9}-[a-z2-7]{8}$`)
	now := time.Date(2024, 2, 29, 23, 59, 59, 999e6, time.FixedZone("", 3600))
	seen := map[string]bool{}
	for range 1000 {
		id := NewRunID(now)
		if !form.MatchString(id) || id[:18] != "20240229-225959999" || seen[id] {
			t.Fatalf("%q, seen %t", id, seen[id])
		}
		seen[id] = true
		if later := NewRunID(now.Add(time.Millisecond)); later <= id {
			t.Fatalf("%q is later than %q", later, id)
		}
	}
}
