package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
)

// fullScale is the number of versions whose figures are kept. The long history has ten times as many lines, the long run a hundred
// times as many points.
const fullScale = 100_000

// scale measures what should cost the same from its first tenth to its last.
func (b *bench) scale(n int) (string, error) {
	if n < 2*window || n%10 != 0 {
		return "", fmt.Errorf("-scale: a number from %d that can be divided by 10 is needed", 2*window)
	}
	if err := room(b.dir, n); err != nil {
		return "", err
	}
	var all strings.Builder
	dir := b.dir
	for i, measure := range []func(n int) (string, error){b.manyVersions, b.longHistory, b.longRun} {
		b.dir = filepath.Join(dir, fmt.Sprint(i))
		fmt.Fprintf(os.Stderr, "part %d of 3", i+1)
		start := time.Now()
		text, err := measure(n)
		if err != nil {
			return "", err
		}
		fmt.Fprint(os.Stderr, "\r\033[K")
		text += fmt.Sprintf("\nMeasuring this took %s.\n\n", time.Since(start).Round(time.Second))
		fmt.Print(text)
		all.WriteString(text)
	}
	return all.String(), nil
}

// room says whether the disk has place for the records of n runs, a folder with a file each, and for the points.
func room(dir string, n int) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return err
	}
	inodes, size := uint64(3*n), uint64(30_000*n)
	if free := fs.Bavail * uint64(fs.Bsize); free < size || fs.Files > 0 && fs.Ffree < inodes {
		return fmt.Errorf("%s has %d MB and %d inodes left, and %d MB and %d are needed: set TMPDIR", dir, free/1e6, fs.Ffree, size/1e6, inodes)
	}
	return nil
}

// manyVersions is one call with n versions, and what other calls take after it.
func (b *bench) manyVersions(n int) (string, error) {
	p, err := b.projectOf("many", "p", 1, false)
	if err != nil {
		return "", err
	}
	if _, err := p.binary(); err != nil {
		return "", err
	}
	settings := []string{fmt.Sprint("BENCH_VERSIONS=", n)}
	curve, err := p.curve("version", n, "history-*", `{"event":"`+outputs.Finished, p.pipeline(settings, "-r"))
	if err != nil {
		return "", err
	}
	again, err := p.costs(settings, "-r", "-u")
	if err != nil {
		return "", err
	}
	list, err := p.costs(settings, "ls")
	if err != nil {
		return "", err
	}
	sdk, err := b.project("sdk", 1, false)
	if err != nil {
		return "", err
	}
	if _, err := sdk.binary(); err != nil {
		return "", err
	}
	_, each, err := sdk.begin(n)
	return fmt.Sprintf("### %s versions in one run\n\n%s\n", thousands(n), curve) +
		fmt.Sprintf("Then `-r -u`, with nothing to do: %s; `ls` of all: %s.\n\n", again, list) +
		fmt.Sprintf("This model makes its list when it is asked for it. One that makes it in each process, as with the SDK: %s a version (the first %d).\n",
			seconds(each), window), err
}

// longHistory is a call beside a history of another machine.
func (b *bench) longHistory(n int) (string, error) {
	p, err := b.project("p", 1, false)
	if err != nil {
		return "", err
	}
	if _, err := timed(p.pipeline(nil, "-r")); err != nil {
		return "", err
	}
	folder := outputs.NewFolder(p.outputs(), "another")
	if err := writeHistory(folder.HistoryFile(), 10*n); err != nil {
		return "", err
	}
	done, err := p.costs(nil, "-r", "-u")
	if err != nil {
		return "", err
	}
	again, err := p.costs(nil, "-r")
	return fmt.Sprintf("### A history of %s lines\n\n`-r -u` of one version that is done: %s. `-r` of it: %s.\n", thousands(10*n), done, again), err
}

// longRun is a run that measures very often.
func (b *bench) longRun(n int) (string, error) {
	p, err := b.project("p", 1, false)
	if err != nil {
		return "", err
	}
	if _, err := p.binary(); err != nil {
		return "", err
	}
	n *= 100
	settings := []string{fmt.Sprint("BENCH_METRICS=", n), "BENCH_REPORT=" + filepath.Join(b.dir, "report")}
	curve, err := p.curve("point", n, "runs/*/metrics.jsonl", "", p.pipeline(settings, "-r"))
	if err != nil {
		return "", err
	}
	drawn, err := p.costs(nil, "plot", "loss")
	return fmt.Sprintf("### A run of %s points\n\n%s\n`plot` of them: %s.\n", thousands(n), curve, drawn), err
}

// costs is what a call takes, of three the one in the middle, and its memory.
func (p *project) costs(settings []string, args ...string) (string, error) {
	var took []float64
	for range 3 {
		t, err := timed(p.pipeline(settings, args...))
		if err != nil {
			return "", err
		}
		took = append(took, t)
	}
	memory, err := peak(p.pipeline(settings, args...))
	return fmt.Sprintf("%s, %s", seconds(median(took)), megabytes(memory)), err
}

// curve is a table of the n lines with a prefix that a call writes into a file of the outputs, by tenths: the time from line to line
// as their own times tell it, how long an exec took meanwhile, and how much memory the pipeline had had until then.
func (p *project) curve(what string, n int, pattern, prefix string, cmd *exec.Cmd) (string, error) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	var execs []mark
	go func() {
		defer close(stopped)
		execs = p.execs(stop)
	}()
	memory, err := marks(cmd, 20*time.Millisecond)
	close(stop)
	<-stopped
	if err != nil {
		return "", err
	}
	files, err := filepath.Glob(filepath.Join(p.outputs(), pattern))
	if err != nil || len(files) != 1 {
		return "", errors.Join(err, fmt.Errorf("%d files are %s", len(files), pattern))
	}
	ends, err := lineTimes(files[0], prefix, n)
	if err != nil {
		return "", err
	}
	var each, other []float64
	table := fmt.Sprintf("| %ss | time of each | an exec meanwhile | memory |  |\n| --- | --- | --- | --- | --- |\n", what)
	for i := range 10 {
		each = append(each, ends[i+1].Sub(ends[i]).Seconds()/float64(n/10))
		other = append(other, median(between(execs, ends[i], ends[i+1])))
		most := between(memory, time.Time{}, ends[i+1])
		bar := strings.Repeat("#", int(30*each[i]/each[0]+0.5))
		table += fmt.Sprintf("| ..%s | %s | %s | %s | `%s` |\n", thousands((i+1)*n/10), seconds(each[i]), seconds(other[i]), megabytes(most[len(most)-1]), bar)
	}
	return table + fmt.Sprintf("\nOne of the last tenth takes %.2f of one of the first (an exec meanwhile %.2f). Memory at the end: %s.\n",
		each[9]/each[0], other[9]/other[0], megabytes(memory[len(memory)-1].value)), nil
}

// execs is what a Go program that does nothing takes, four times a second.
func (b *bench) execs(stop <-chan struct{}) []mark {
	var all []mark
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	for {
		at := time.Now()
		if took, err := times(1, func() *exec.Cmd { return b.command(b.noop) }); err == nil {
			all = append(all, mark{at, took})
		}
		select {
		case <-stop:
			return all
		case <-ticker.C:
		}
	}
}

func between(marks []mark, from, to time.Time) []float64 {
	var values []float64
	for _, m := range marks {
		if m.at.After(from) && !m.at.After(to) {
			values = append(values, m.value)
		}
	}
	return values
}

// lineTimes are the times of the first of the n lines with a prefix, and of the last of each tenth of them.
func lineTimes(path, prefix string, n int) ([]time.Time, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var ends []time.Time
	count := 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if !bytes.HasPrefix(lines.Bytes(), []byte(prefix)) {
			continue
		}
		if count++; count == 1 || count%(n/10) == 0 {
			t, err := lineTime(lines.Bytes())
			if err != nil {
				return nil, err
			}
			ends = append(ends, t)
		}
	}
	if count != n {
		return nil, fmt.Errorf("%s has %d of %d lines", path, count, n)
	}
	return ends, nil
}

// lineTime reads the time of an event in the journal, or of a point in milliseconds.
func lineTime(line []byte) (time.Time, error) {
	var text struct{ Time json.RawMessage }
	if err := json.Unmarshal(line, &text); err != nil {
		return time.Time{}, err
	}
	var ms int64
	if json.Unmarshal(text.Time, &ms) == nil {
		return time.UnixMilli(ms), nil
	}
	var t time.Time
	err := json.Unmarshal(text.Time, &t)
	return t, err
}

// thousands writes 1000000 as 1,000,000.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
