package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const cycles = 100

// cycle is what one version more costs.
var cycle = group{
	rows: []row{
		{name: "cycle-recorded", what: "one version more, -r", against: "exec + wait of its model", unit: seconds, ratio: 2},
		{name: "cycle", what: "one version more, -r -n", against: "exec + wait of its model", unit: seconds, ratio: 1.5},
	},
	rounds: 15,
	prepare: func(b *bench) (func() ([]pair, error), error) {
		p, err := b.project("p", 1, false)
		if err != nil {
			return nil, err
		}
		model, err := p.binary()
		if err != nil {
			return nil, err
		}
		return func() ([]pair, error) {
			recorded, err := p.perVersion("-r")
			if err != nil {
				return nil, err
			}
			floor, err := times(cycles, func() *exec.Cmd {
				cmd := b.command(model)
				cmd.Env = append(cmd.Env, "BENCH_EXIT=1")
				return cmd
			})
			if err != nil {
				return nil, err
			}
			floor /= cycles
			unrecorded, err := p.perVersion("-r", "-n")
			return []pair{{recorded, floor}, {unrecorded, floor}}, err
		}, nil
	},
}

// perVersion is the time that each version takes after the first.
func (p *project) perVersion(args ...string) (float64, error) {
	one, err := p.fresh([]string{"BENCH_VERSIONS=1"}, args...)
	if err != nil {
		return 0, err
	}
	many, err := p.fresh([]string{fmt.Sprint("BENCH_VERSIONS=", 1+cycles)}, args...)
	return (many - one) / cycles, err
}

// binary is what the pipeline has made of p's only model.
func (p *project) binary() (string, error) {
	if _, err := timed(p.pipeline(nil)); err != nil {
		return "", err
	}
	return built(p.env)
}

// built is the binary that was built last with the cache in env.
func built(env []string) (string, error) {
	var cache string
	for _, e := range env {
		if dir, ok := strings.CutPrefix(e, "XDG_CACHE_HOME="); ok {
			cache = dir
		}
	}
	files, err := filepath.Glob(filepath.Join(cache, "mlpipeline", "bin", "*"))
	if err != nil || len(files) == 0 {
		return "", fmt.Errorf("find the binary of a model in %s: %w", cache, os.ErrNotExist)
	}
	var last string
	var when int64
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && info.ModTime().UnixNano() > when {
			last, when = file, info.ModTime().UnixNano()
		}
	}
	return last, nil
}

// whole is the program from its start to its end.
var whole = group{
	rows:   []row{{name: "whole", what: "100 versions, all of -r", against: "100 execs of a no-op Go program", unit: seconds, ratio: 3}},
	rounds: 15,
	prepare: func(b *bench) (func() ([]pair, error), error) {
		p, err := b.project("p", 1, false)
		if err != nil {
			return nil, err
		}
		if _, err := p.binary(); err != nil {
			return nil, err
		}
		return func() ([]pair, error) {
			p, err := b.beside(
				func() (float64, error) { return p.fresh([]string{"BENCH_VERSIONS=100"}, "-r") },
				func() (float64, error) { return times(100, func() *exec.Cmd { return b.command(b.noop) }) },
			)
			return []pair{p}, err
		}, nil
	},
}
