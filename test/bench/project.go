package main

import (
	"bufio"
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/mlpipeline/mlpipeline/pkg"
)

//go:embed testdata
var sources embed.FS

// A bench is where things are built and measured.
type bench struct {
	dir     string // of the group that is measured
	program string // mlpipeline
	noop    string // a Go program that does nothing
	sdk     string // a module with the SDK, for plain builds
	env     []string
	edits   int
	swap    bool // the floor goes first
	notes   []string
}

// newBench builds in dir, as the Makefile does, what all groups need.
func newBench(dir string) (*bench, error) {
	b := &bench{
		dir: dir, program: filepath.Join(dir, "mlpipeline"), noop: filepath.Join(dir, "noop"), sdk: filepath.Join(dir, "sdk"),
		edits: int(time.Now().UnixNano() >> 10), // no build of ever before is found again in Go's cache
	}
	goCache, err := exec.Command("go", "env", "GOCACHE").Output() // which would follow XDG_CACHE_HOME, and be empty
	if err != nil {
		return nil, err
	}
	b.env = append(os.Environ(), "XDG_CACHE_HOME="+filepath.Join(dir, "cache"), "GOCACHE="+strings.TrimSpace(string(goCache)))
	build := b.command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", b.program, "github.com/mlpipeline/mlpipeline/cmd/mlpipeline")
	build.Env = append(build.Env, "CGO_ENABLED=0")
	if _, err := timed(build); err != nil {
		return nil, err
	}
	noop, _ := sources.ReadFile("testdata/noop/main.go")
	err = errors.Join(
		write(dir, "noop.go", string(noop)),
		os.CopyFS(filepath.Join(b.sdk, "pkg"), pkg.SDK),
		write(b.sdk, "go.mod", "module github.com/mlpipeline/mlpipeline\n\ngo 1.22\n"),
	)
	if err != nil {
		return nil, err
	}
	build = b.command("go", "build", "-ldflags", "-s -w", "-o", b.noop, "noop.go")
	build.Dir = dir
	_, err = timed(build)
	return b, err
}

// A project is one of mlpipeline's with models that are all the same.
type project struct {
	*bench
	dir    string
	source string // of its models
	models []string

	cleared int // how often
}

const goMod = "module bench\n\ngo 1.22\n\nrequire github.com/mlpipeline/mlpipeline v0.0.0\n\nreplace github.com/mlpipeline/mlpipeline => "

// project makes a project with n models. With module, plain go builds work in it.
func (b *bench) project(name string, n int, module bool) (*project, error) {
	return b.projectOf("model", name, n, module)
}

// projectOf is project with the model of a folder in testdata.
func (b *bench) projectOf(source, name string, n int, module bool) (*project, error) {
	p := &project{bench: b, dir: filepath.Join(b.dir, name), source: source}
	for i := range n {
		p.models = append(p.models, fmt.Sprintf("m%d", i))
	}
	queue := "[MLP]\nuse_blacklist=False\n[WHITELISTED_MODELS]\n" + strings.Join(p.models, "\n") + "\n[BLACKLISTED_MODELS]\n"
	err := errors.Join(
		write(p.dir, "mlp.config", "[MLP]\n"), write(p.dir, "models.config", queue), write(p.dir, "models_test.config", queue), p.edit(),
	)
	if module && err == nil {
		err = write(p.dir, "go.mod", goMod+b.sdk+"\n")
	}
	return p, err
}

// edit changes one line of each model to what it has never been.
func (p *project) edit() error {
	source, err := sources.ReadFile("testdata/" + p.source + "/main.go")
	const line = "const edited = 0"
	if err != nil || !bytes.Contains(source, []byte(line)) {
		return errors.Join(err, fs.ErrInvalid)
	}
	p.edits++
	text := strings.Replace(string(source), line, fmt.Sprintf("const edited = %d", p.edits), 1)
	for _, m := range p.models {
		err = errors.Join(err, write(filepath.Join(p.dir, "models", m), "main.go", text))
	}
	return err
}

// pipeline is a call of mlpipeline in p. Settings are added to its environment.
func (p *project) pipeline(settings []string, args ...string) *exec.Cmd {
	cmd := p.command(p.program, args...)
	cmd.Dir = p.dir
	cmd.Env = append(cmd.Env, settings...)
	return cmd
}

// fresh times mlpipeline with an outputs folder that is not there yet. The last one is moved out of the way: ext4 without a
// journal passes over inodes that were deleted seconds ago, one by one, when it makes a file.
func (p *project) fresh(settings []string, args ...string) (float64, error) {
	if err := p.clear(); err != nil {
		return 0, err
	}
	return timed(p.pipeline(settings, args...))
}

func (p *project) outputs() string { return filepath.Join(p.dir, "models", "outputs") }

func (p *project) clear() error {
	p.cleared++
	err := os.Rename(p.outputs(), filepath.Join(p.dir, fmt.Sprint("old", p.cleared)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// goBuild is a plain build of one of p's models.
func (p *project) goBuild(model string) *exec.Cmd {
	cmd := p.command("go", "build", "-ldflags=-s -w", "-o", filepath.Join(p.dir, model+".bin"), "./models/"+model)
	cmd.Dir = p.dir
	return cmd
}

func (b *bench) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = b.env[:len(b.env):len(b.env)]
	return cmd
}

// timed runs a process and returns the seconds from before its start to its end. The error has what it printed.
func timed(cmd *exec.Cmd) (float64, error) {
	printed, err := os.CreateTemp("", "mlpipeline-bench-*.log")
	if err != nil {
		return 0, err
	}
	defer os.Remove(printed.Name())
	defer printed.Close()
	cmd.Stdout, cmd.Stderr = printed, printed
	start := time.Now()
	err = cmd.Run()
	took := time.Since(start).Seconds()
	if err != nil {
		text, _ := os.ReadFile(printed.Name())
		err = fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, text[max(0, len(text)-2000):])
	}
	return took, err
}

// times is timed for n processes one after the other.
func times(n int, command func() *exec.Cmd) (float64, error) {
	start := time.Now()
	for range n {
		if err := command().Run(); err != nil {
			return 0, err
		}
	}
	return time.Since(start).Seconds(), nil
}

func write(dir, name, text string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666)
}

// create makes a file of what do writes.
func create(path string, do func(w *bufio.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	w := bufio.NewWriterSize(file, 1<<20)
	if err := do(w); err != nil {
		return err
	}
	return w.Flush()
}
