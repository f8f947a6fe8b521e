package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// systemPython is the distribution's: others are slower to start, which flatters our ratios.
const systemPython = "/usr/bin/python3"

// pythonVersions is how many versions are run to tell what one more of them costs.
const pythonVersions = 41

// pythonVersion is a Python model that does nothing.
var pythonVersion = group{
	rows: []row{
		{name: "python", what: "a Python version more, -r -n", against: "python3 -c pass", unit: seconds, ratio: 1.3},
		{name: "python-recorded", what: "a Python version more, -r", against: "python3 -c pass", unit: seconds, ratio: 1.3},
	},
	prepare: func(b *bench) (func() ([]pair, error), error) {
		p, python, err := b.pythonProject(systemPython)
		if err != nil {
			return nil, err
		}
		return func() ([]pair, error) {
			bare, err := p.oneMore(pythonVersions, nil, "-r", "-n")
			if err != nil {
				return nil, err
			}
			floor, err := times(pythonVersions, func() *exec.Cmd { return exec.Command(python, "-c", "pass") })
			if err != nil {
				return nil, err
			}
			floor /= pythonVersions
			recorded, err := p.oneMore(pythonVersions, nil, "-r")
			return []pair{{bare, floor}, {recorded, floor}}, err
		}, nil
	},
}

// pythonImports is what libraries add to each version: they are imported by every process.
var pythonImports = group{
	rows: []row{
		{name: "python-sklearn", what: "a version more with sklearn, -r -n", against: "python3 with the import", unit: seconds, ratio: 1},
		{name: "python-torch", what: "a version more with torch, -r -n", against: "python3 with the import", unit: seconds, ratio: 1},
	},
	prepare: func(b *bench) (func() ([]pair, error), error) {
		p, python, err := b.pythonProject(systemPython)
		if err != nil {
			return nil, err
		}
		for _, library := range pythonLibraries {
			if exec.Command(python, "-c", "import "+library).Run() != nil {
				return nil, fmt.Errorf("%s has no %s: apt-get install python3-sklearn python3-torch", python, library)
			}
		}
		return func() ([]pair, error) {
			var pairs []pair
			for _, library := range pythonLibraries {
				ours, err := p.oneMore(4, []string{"BENCH_IMPORT=" + library}, "-r", "-n")
				if err != nil {
					return nil, err
				}
				floor, err := times(3, func() *exec.Cmd { return exec.Command(python, "-c", "import "+library) })
				if err != nil {
					return nil, err
				}
				pairs = append(pairs, pair{ours, floor / 3})
			}
			return pairs, nil
		}, nil
	},
}

var pythonLibraries = []string{"sklearn.linear_model", "torch"}

// pythonForked is what a version costs that is forked from a process that has imported the script.
var pythonForked = group{
	rows: []row{
		{name: "python-fork", what: "a Python version more, python_start=fork, -r -n", against: "python3 -c pass", unit: seconds, ratio: 1},
		{name: "python-fork-recorded", what: "the same, -r", against: "python3 -c pass", unit: seconds, ratio: 1},
		{name: "python-sklearn-fork", what: "a version more with sklearn, python_start=fork, -r", against: "one that starts fresh", unit: seconds, ratio: 0.1},
	},
	prepare: func(b *bench) (func() ([]pair, error), error) {
		p, python, err := b.pythonProject(systemPython)
		if err != nil {
			return nil, err
		}
		library := pythonLibraries[0]
		if exec.Command(python, "-c", "import "+library).Run() != nil {
			return nil, fmt.Errorf("%s has no %s: apt-get install python3-sklearn", python, library)
		}
		start := func(how string) error {
			return write(p.dir, "mlp.config", "[MLP]\npython="+python+"\npython_start="+how+"\n")
		}
		return func() ([]pair, error) {
			if err := start("fork"); err != nil {
				return nil, err
			}
			bare, err := p.oneMore(pythonVersions, nil, "-r", "-n")
			if err != nil {
				return nil, err
			}
			floor, err := times(pythonVersions, func() *exec.Cmd { return exec.Command(python, "-c", "pass") })
			if err != nil {
				return nil, err
			}
			floor /= pythonVersions
			recorded, err := p.oneMore(pythonVersions, nil, "-r")
			if err != nil {
				return nil, err
			}
			imports := []string{"BENCH_IMPORT=" + library}
			forked, err := p.oneMore(pythonVersions, imports, "-r")
			if err != nil {
				return nil, err
			}
			if err := start("fresh"); err != nil {
				return nil, err
			}
			fresh, err := p.oneMore(4, imports, "-r")
			return []pair{{bare, floor}, {recorded, floor}, {forked, fresh}}, err
		}, nil
	},
}

// pythonMetric is what a metric takes of a Python training loop.
var pythonMetric = group{
	rows: []row{
		{name: "python-metric", what: "log_metric, cost to the caller", against: "json.dumps + write(2) into a pipe", unit: seconds, ratio: 0.4},
	},
	prepare: func(b *bench) (func() ([]pair, error), error) {
		p, _, err := b.pythonProject(systemPython)
		if err != nil {
			return nil, err
		}
		return func() ([]pair, error) {
			report := filepath.Join(b.dir, "report")
			if _, err := p.fresh([]string{"BENCH_METRICS=200000", "BENCH_REPORT=" + report}, "-r"); err != nil {
				return nil, err
			}
			text, err := os.ReadFile(report)
			if err != nil {
				return nil, err
			}
			var metric pair
			_, err = fmt.Sscan(string(text), &metric.ours, &metric.floor)
			return []pair{metric}, err
		}, nil
	},
}

// pythonProject makes a project with a Python model, and returns the interpreter that runs it, which is no shim.
func (b *bench) pythonProject(name string) (*project, string, error) {
	out, err := exec.Command(name, "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", name, err)
	}
	python := strings.TrimSpace(string(out))
	source, err := sources.ReadFile("testdata/python/model.py")
	p := &project{bench: b, dir: filepath.Join(b.dir, "p")}
	queue := "[MLP]\nuse_blacklist=False\n[WHITELISTED_MODELS]\nmodel.py\n"
	return p, python, errors.Join(
		err, write(p.dir, "mlp.config", "[MLP]\npython="+python+"\n"), write(p.dir, "models.config", queue),
		write(filepath.Join(p.dir, "models"), "model.py", string(source)),
	)
}

// oneMore is what each of the 2nd to nth versions takes.
func (p *project) oneMore(n int, settings []string, args ...string) (float64, error) {
	one, err := p.fresh(append(settings, "BENCH_VERSIONS=1"), args...)
	if err != nil {
		return 0, err
	}
	all, err := p.fresh(append(settings, fmt.Sprint("BENCH_VERSIONS=", n)), args...)
	return (all - one) / float64(n-1), err
}
