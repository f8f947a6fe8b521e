package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// jobs is two versions that compute and nothing else.
var jobs = group{
	rows: []row{{name: "jobs", what: "-j 2, 2 CPU-bound versions (1/1.8)", against: "-j 1", unit: seconds, ratio: 0.556}},
	prepare: func(b *bench) (func() ([]pair, error), error) {
		p, err := b.project("p", 1, false)
		if err != nil {
			return nil, err
		}
		if _, err := p.binary(); err != nil {
			return nil, err
		}
		cpus := allowed()
		if _, err := exec.LookPath("taskset"); err != nil || len(cpus) < 2 {
			b.notes = append(b.notes, "jobs: not pinned: that takes taskset and two CPUs.")
			cpus = cpus[:min(1, len(cpus))]
		} else {
			cpus = cpus[:2]
			b.notes = append(b.notes, "jobs: each version has all its threads tied to a CPU of its own (taskset "+strings.Join(cpus, " and ")+"), under -j 1 too.")
		}
		settings := []string{"BENCH_VERSIONS=2", "BENCH_SPIN=300000000", "BENCH_CPUS=" + strings.Join(cpus, ",")}
		return func() ([]pair, error) {
			pinned, err := b.beside(
				func() (float64, error) { return p.fresh(settings, "-r", "-n", "-j", "2") },
				func() (float64, error) { return p.fresh(settings, "-r", "-n", "-j", "1") },
			)
			return []pair{pinned}, err
		}, nil
	},
}

// allowed lists the CPUs that this process may use, as the kernel tells; without that a list of one.
func allowed() []string {
	text, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(text), "\nCpus_allowed_list:")
	line, _, _ := strings.Cut(rest, "\n")
	var cpus []string
	for part := range strings.SplitSeq(strings.TrimSpace(line), ",") {
		from, to, ok := strings.Cut(part, "-")
		if !ok {
			to = from
		}
		first, err := strconv.Atoi(from)
		last, err2 := strconv.Atoi(to)
		if err != nil || err2 != nil {
			return []string{"0"}
		}
		for ; first <= last; first++ {
			cpus = append(cpus, strconv.Itoa(first))
		}
	}
	return cpus
}

const (
	queued = 100_000 // versions
	short  = 400     // a queue that is none to speak of
	window = 300     // how many of them are run
)

// queue is a model with very many versions.
var queue = group{
	rows: []row{
		{name: "queue-memory", what: "100,000 versions, memory of the pipeline", unit: megabytes, limit: 100e6},
		{name: "queue-cost", what: "a version of 100,000", against: "one of 400", unit: seconds, ratio: 1.1},
	},
	prepare: func(b *bench) (func() ([]pair, error), error) {
		p, err := b.projectOf("many", "p", 1, false)
		if err != nil {
			return nil, err
		}
		if _, err := timed(p.pipeline([]string{"BENCH_VERSIONS=1"})); err != nil {
			return nil, err
		}
		return func() ([]pair, error) {
			memory, cost, err := p.begin(queued)
			if err != nil {
				return nil, err
			}
			_, floor, err := p.begin(short)
			return []pair{{ours: memory}, {cost, floor}}, err
		}, nil
	},
}

// begin runs the first of n versions, and returns the peak of the pipeline's memory and what each cost.
func (p *project) begin(n int) (memory, cost float64, err error) {
	if err := p.clear(); err != nil {
		return 0, 0, err
	}
	cmd := p.pipeline([]string{fmt.Sprint("BENCH_VERSIONS=", n)}, "-r", "--json")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, 0, err
	}
	var printed bytes.Buffer
	cmd.Stderr = &printed
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	finished := 0
	var start time.Time
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if !bytes.HasPrefix(lines.Bytes(), []byte(`{"event":"finished"`)) {
			continue
		}
		switch finished++; finished {
		case 1:
			start = time.Now()
		case 1 + window:
			cost = time.Since(start).Seconds() / window
			if memory = highWater(cmd.Process.Pid); memory == 0 {
				err = errNoMark
			}
			err = errors.Join(err, cmd.Process.Signal(syscall.SIGTERM))
		}
	}
	if werr := cmd.Wait(); finished <= window {
		err = errors.Join(werr, fmt.Errorf("%d of %d versions have finished:\n%s", finished, n, printed.Bytes()))
	}
	return memory, cost, err
}
