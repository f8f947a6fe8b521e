package main

import (
	"bytes"
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
		return p.besidePython(python), nil
	},
}

// besidePython measures a version more, not recorded and recorded, beside a Python that does nothing.
func (p *project) besidePython(python string) func() ([]pair, error) {
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
	}
}

var (
	pythonSklearn = pythonImport("sklearn", "python3-sklearn", "sklearn.linear_model")
	pythonTorch   = pythonImport("torch", "python3-torch", "torch")
)

// pythonImport is what a library adds to each version: it is imported by every process.
func pythonImport(library, debian, module string) group {
	return group{
		rows: []row{
			{name: "python-" + library, what: "a version more with " + library + ", -r -n", against: "python3 with the import", unit: seconds, ratio: 1},
		},
		prepare: func(b *bench) (func() ([]pair, error), error) {
			p, python, err := b.pythonProject(systemPython)
			if err != nil {
				return nil, err
			}
			version, err := exec.Command(python, "-c", "import "+module+"; print("+library+".__version__)").Output()
			if err != nil {
				return nil, missing(debian + " is not installed")
			}
			b.notes = append(b.notes, fmt.Sprintf("python-%s: %s %s.", library, debian, bytes.TrimSpace(version)))
			return func() ([]pair, error) {
				const n = 3
				imports, err := b.beside(
					func() (float64, error) { return p.oneMore(1+n, []string{"BENCH_IMPORT=" + module}, "-r", "-n") },
					func() (float64, error) {
						return times(n, func() *exec.Cmd { return exec.Command(python, "-c", "import "+module) })
					},
				)
				imports.floor /= n
				return []pair{imports}, err
			}, nil
		},
	}
}

// pythonForked is what a version costs that is forked from a process that has imported the script.
var pythonForked = group{
	rows: []row{
		{name: "python-fork", what: "a Python version more, python_start=fork, -r -n", against: "python3 -c pass", unit: seconds, ratio: 1},
		{name: "python-fork-recorded", what: "the same, -r", against: "python3 -c pass", unit: seconds, ratio: 1},
	},
	prepare: func(b *bench) (func() ([]pair, error), error) {
		p, python, err := b.pythonProject(systemPython)
		if err == nil {
			err = p.starts(python, "fork")
		}
		return p.besidePython(python), err
	},
}

// pythonSklearnForked is the same with an import that takes long.
var pythonSklearnForked = group{
	rows: []row{
		{name: "python-sklearn-fork", what: "a version more with sklearn, python_start=fork, -r", against: "one that starts fresh", unit: seconds, ratio: 0.1},
	},
	prepare: func(b *bench) (func() ([]pair, error), error) {
		p, python, err := b.pythonProject(systemPython)
		if err != nil {
			return nil, err
		}
		const module = "sklearn.linear_model"
		if exec.Command(python, "-c", "import "+module).Run() != nil {
			return nil, missing("python3-sklearn is not installed")
		}
		more := func(start string, versions int) func() (float64, error) {
			return func() (float64, error) {
				if err := p.starts(python, start); err != nil {
					return 0, err
				}
				return p.oneMore(versions, []string{"BENCH_IMPORT=" + module}, "-r")
			}
		}
		return func() ([]pair, error) {
			one, err := b.beside(more("fork", pythonVersions), more("fresh", 4))
			return []pair{one}, err
		}, nil
	},
}

// starts sets python_start.
func (p *project) starts(python, how string) error {
	return write(p.dir, "mlp.config", "[MLP]\npython="+python+"\npython_start="+how+"\n")
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
		return nil, "", missing(name + " does not run")
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
