package main

import (
	"os"
	"path/filepath"
)

// unchanged is a call that finds nothing to do.
var unchanged = group{
	rows:   []row{{name: "unchanged", what: "-r -u, 10 models done", against: "no-op go build of one", unit: seconds, ratio: 0.4}},
	rounds: 21,
	prepare: func(b *bench) (func() ([]pair, error), error) {
		ours, plain, err := b.both(10)
		if err != nil {
			return nil, err
		}
		if _, err := timed(ours.pipeline(nil, "-r")); err != nil {
			return nil, err
		}
		return func() ([]pair, error) {
			p, err := b.beside(
				func() (float64, error) { return timed(ours.pipeline(nil, "-r", "-u")) },
				func() (float64, error) { return timed(plain.goBuild("m0")) },
			)
			return []pair{p}, err
		}, nil
	},
}

// edit is what one waits for between saving a model and seeing it work.
var edit = edits(15, row{name: "edit", what: "one line edited, test mode of 3 versions", against: "go build", unit: seconds, ratio: 1.15}, 1, "BENCH_VERSIONS=3")

var editAll = edits(5, row{name: "edit-20", what: "20 models edited, test mode", against: "20 times go build", unit: seconds, ratio: 0.55}, 20)

func edits(rounds int, r row, models int, settings ...string) group {
	return group{rows: []row{r}, rounds: rounds, prepare: func(b *bench) (func() ([]pair, error), error) {
		ours, plain, err := b.both(models)
		if err != nil {
			return nil, err
		}
		return func() ([]pair, error) {
			if err := ours.edit(); err != nil {
				return nil, err
			}
			if err := plain.edit(); err != nil {
				return nil, err
			}
			p, err := b.beside(func() (float64, error) { return timed(ours.pipeline(settings)) }, plain.buildAll)
			return []pair{p}, err
		}, nil
	}}
}

// first is a machine on which nothing was ever built.
var first = group{
	rows:   []row{{name: "first", what: "first build, empty caches, test mode of 3 versions", against: "go build", unit: seconds, ratio: 1.1}},
	rounds: 2,
	prepare: func(b *bench) (func() ([]pair, error), error) {
		ours, err := b.project("ours", 1, false)
		if err != nil {
			return nil, err
		}
		plain, err := b.project("plain", 1, true)
		if err != nil {
			return nil, err
		}
		caches := filepath.Join(b.dir, "caches")
		empty := func(measure func(env []string) (float64, error)) func() (float64, error) {
			return func() (float64, error) {
				if err := os.RemoveAll(caches); err != nil {
					return 0, err
				}
				return measure([]string{"GOCACHE=" + filepath.Join(caches, "go"), "XDG_CACHE_HOME=" + filepath.Join(caches, "user")})
			}
		}
		return func() ([]pair, error) {
			p, err := b.beside(
				empty(func(env []string) (float64, error) { return timed(ours.pipeline(append(env, "BENCH_VERSIONS=3"))) }),
				empty(func(env []string) (float64, error) {
					cmd := plain.goBuild("m0")
					cmd.Env = append(cmd.Env, env...)
					return timed(cmd)
				}),
			)
			return []pair{p}, err
		}, nil
	},
}

// both makes a project for mlpipeline and the same one for the go command, with all that is not edited built.
func (b *bench) both(models int) (ours, plain *project, err error) {
	if ours, err = b.project("ours", models, false); err != nil {
		return nil, nil, err
	}
	if plain, err = b.project("plain", models, true); err != nil {
		return nil, nil, err
	}
	if _, err = timed(ours.pipeline(nil)); err != nil {
		return nil, nil, err
	}
	_, err = plain.buildAll()
	return ours, plain, err
}

// buildAll builds one model after the other.
func (p *project) buildAll() (float64, error) {
	var sum float64
	for _, m := range p.models {
		took, err := timed(p.goBuild(m))
		if err != nil {
			return 0, err
		}
		sum += took
	}
	return sum, nil
}
