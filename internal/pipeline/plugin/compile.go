package plugin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/mod/module"
)

// buildFlags are those of every build.
var buildFlags = []string{"-buildvcs=false", "-ldflags=-s -w"}

// builds is how many single builds run at once. Each of them keeps several compilers busy.
const builds = 2

// maxOutput is how much of what the go command says is kept.
const maxOutput = 1 << 20

// build builds the jobs: those of one project in one call of the go command, and those that are left one by one.
func (r *run) build(jobs []*job) map[*job]Result {
	results := make(map[*job]Result, len(jobs))
	work, err := r.workplace(jobs)
	if err != nil {
		for _, j := range jobs {
			results[j] = Result{Err: err}
		}
		return results
	}
	defer work.remove()
	projects := map[string][]*job{}
	for _, j := range jobs {
		projects[j.project.dir] = append(projects[j.project.dir], j)
	}
	var left []*job
	for _, js := range projects {
		for len(js) > 1 && r.ctx.Err() == nil {
			batch, rest := r.choose(js)
			if len(batch.targets) < 2 || !r.buildBatch(batch, work, results) {
				break
			}
			js = rest
		}
		left = append(left, js...)
	}
	var mu sync.Mutex
	parallel(len(left), builds, func(i int) {
		p, err := r.buildOne(left[i], work)
		mu.Lock()
		defer mu.Unlock()
		results[left[i]] = Result{p, err}
	})
	return results
}

// A workplace is where one call of Build keeps what it needs for a while.
type workplace struct {
	bin     string // in the cache, so that a binary is moved into place by a rename
	scratch string // of the go command and for overlays
}

// workplace sees to it that the folders that builds need are there.
func (r *run) workplace(jobs []*job) (w workplace, err error) {
	bin := filepath.Dir(r.binary("x"))
	if err := os.MkdirAll(bin, 0o700); err != nil {
		return w, r.fail(err)
	}
	if slices.ContainsFunc(jobs, func(j *job) bool { return j.project.carried }) {
		dir := r.sdk(r.sdkFiles.hash)
		if err := extract(r.sdkFiles.files, dir); err != nil {
			return w, r.fail(err)
		}
		if info, err := os.Stat(dir); err == nil {
			touch(dir, info)
		}
	}
	if w.bin, err = os.MkdirTemp(bin, ".build-*"); err != nil {
		return w, r.fail(err)
	}
	if w.scratch, err = os.MkdirTemp("", "mlpipeline-build-*"); err != nil {
		w.remove()
		return w, fmt.Errorf("folder for the build: %w; set TMPDIR to a folder that can be written to", err)
	}
	return w, nil
}

func (w workplace) remove() {
	_ = os.RemoveAll(w.bin)
	if w.scratch != "" {
		_ = os.RemoveAll(w.scratch)
	}
}

// A batch is what one call of the go command builds.
type batch struct {
	jobs    []*job
	targets []string
	names   []string // of the binaries
	virtual map[string][]byte
}

// choose takes those of the jobs of a project that can be built together. Each needs a name of its own for its binary,
// which the go command takes from the last part of an import path. A file gets a folder of its own that only the go
// command sees, below the file's, so that imports of internal packages stay allowed.
func (r *run) choose(jobs []*job) (b batch, rest []*job) {
	b.virtual = map[string][]byte{}
	for i, j := range jobs {
		target := j.target()
		name := path.Base(target)
		ok := false
		switch {
		case j.model.Kind == GoFolder:
			ok = target != "." && importable(target) && !versionName().MatchString(name)
		case importable(path.Dir(target)):
			name = fmt.Sprintf("mlpipeline-%d", i)
			var text []byte
			if text, ok = j.standalone(); ok {
				target = "./" + path.Join(path.Dir(target), name)
				b.virtual[filepath.Join(j.project.dir, filepath.FromSlash(target), "main.go")] = text
			}
		}
		if !ok || slices.Contains(b.names, name) {
			rest = append(rest, j)
			continue
		}
		b.jobs, b.targets, b.names = append(b.jobs, j), append(b.targets, target), append(b.names, name)
	}
	return b, rest
}

// versionName matches the last part of an import path that is not the name of its binary.
var versionName = lazily(`^v[0-9]+$`)

// importable tells whether the go command accepts a folder by its path: ./ and more.
func importable(target string) bool {
	return target == "." || module.CheckImportPath(strings.TrimPrefix(target, "./")) == nil
}

// buildBatch tells whether all were built. When not, they are built one by one: so each fails by itself, with the messages
// that a user knows.
func (r *run) buildBatch(b batch, work workplace, results map[*job]Result) bool {
	out, err := os.MkdirTemp(work.bin, "batch")
	if err != nil {
		return false
	}
	if _, err := r.compile(b.jobs[0].project, work, b.virtual, out+string(filepath.Separator), b.targets); err != nil {
		return false
	}
	for i, j := range b.jobs {
		p, err := r.install(j, filepath.Join(out, b.names[i]))
		results[j] = Result{p, err}
	}
	return true
}

func (r *run) buildOne(j *job, work workplace) (Program, error) {
	target := j.target()
	targets := []string{target}
	var virtual map[string][]byte
	switch {
	case j.model.Kind == GoFolder && !importable(target):
		targets = j.goFiles(r)
	case j.model.Kind == GoFile && !safeName().MatchString(path.Base(target)):
		// The go command refuses such names, and has nothing against their content.
		if text, ok := j.standalone(); ok {
			name := path.Join(path.Dir(target), "mlpipeline-0", "main.go")
			virtual = map[string][]byte{filepath.Join(j.project.dir, filepath.FromSlash(name)): text}
			targets = []string{"./" + name}
		}
	}
	dir, err := os.MkdirTemp(work.bin, "one")
	if err != nil {
		return Program{}, r.fail(err)
	}
	built := filepath.Join(dir, "model")
	output, err := r.compile(j.project, work, virtual, built, targets)
	switch {
	case r.ctx.Err() != nil:
		return Program{}, r.ctx.Err()
	case err != nil && output == "":
		return Program{}, fmt.Errorf("build %s: %w", j.model.Name, err)
	case err != nil && r.noRoom() != nil: // the go command blames the standard library
		return Program{}, fmt.Errorf("build %s: %w", j.model.Name, r.noRoom())
	case err != nil:
		return Program{}, &BuildError{Model: j.model.Name, Output: output, Dir: j.project.dir, own: j.project.own}
	}
	return r.install(j, built)
}

// noRoom says which of the places that builds write to is full.
func (r *run) noRoom() error {
	if dir := r.settings.all["GOCACHE"]; filepath.IsAbs(dir) {
		if err := room(dir); err != nil {
			return fmt.Errorf("the go command has no place for what it builds: %w", err)
		}
	}
	if err := room(r.dir); err != nil {
		return r.fail(err)
	}
	return nil
}

// safeName matches the names of files that the go command takes.
var safeName = lazily(`^[a-zA-Z0-9_.\x{80}-\x{10ffff}]`)

// target names the model for the go command: ./path, or . for the project's own folder.
func (j *job) target() string {
	rel, err := filepath.Rel(j.project.dir, j.model.Path)
	if err != nil || rel == "." {
		return "."
	}
	return "./" + filepath.ToSlash(rel)
}

// goFiles names the Go files of a folder that the go command refuses by its path.
func (j *job) goFiles(r *run) []string {
	p, _ := r.context.ImportDir(j.model.Path, 0) // an error is for the compiler to show
	var files []string
	for _, name := range slices.Concat(p.GoFiles, p.CgoFiles) {
		files = append(files, j.target()+"/"+name)
	}
	return files
}

var (
	ignored   = lazily(`(?m)^(//go:build|// \+build)([ \t]+ignore[ \t]*\r?)$`)
	notAlone  = lazily(`(?m)^(//go:embed|//go:build|// \+build)[ \t]|^import[ \t]+"C"|^[ \t]+"C"`)
	byteOrder = []byte("\ufeff")
)

// standalone returns the text of a Go file for a folder where it is the only one; messages and stack traces name the file
// itself. What depends on where it lies, or on build constraints other than "ignore", is left to a build of its own.
func (j *job) standalone() ([]byte, bool) {
	text, whole, err := readSource(j.model.Path)
	if err != nil || !whole || strings.ContainsAny(j.model.Path, "\r\n") {
		return nil, false
	}
	text = ignored().ReplaceAll(bytes.TrimPrefix(text, byteOrder), []byte("//$2"))
	if notAlone().Match(text) {
		return nil, false
	}
	return append([]byte("//line "+j.model.Path+":1\n"), text...), true
}

// compile runs `go build`. It writes to out and to the scratch folder only, and returns what the go command said when it
// failed.
func (r *run) compile(p *project, work workplace, virtual map[string][]byte, out string, targets []string) (string, error) {
	scratch, err := os.MkdirTemp(work.scratch, "go")
	if err != nil {
		return "", err
	}
	args := append([]string{"build"}, buildFlags...)
	overlaid := map[string][]byte{}
	if p.mod != nil || !p.own {
		if overlaid, err = p.overlay(r.sdk(r.sdkFiles.hash), r.tool.language()); err != nil {
			return "", err
		}
	}
	if r.mustBeReadonly(p, len(overlaid) > 0) {
		args = append(args, "-mod=readonly")
	}
	replace := map[string]string{}
	for _, files := range []map[string][]byte{overlaid, virtual} {
		for name, text := range files {
			file := filepath.Join(scratch, fmt.Sprintf("overlay%d", len(replace)))
			if err := os.WriteFile(file, text, 0o666); err != nil {
				return "", err
			}
			replace[name] = file
		}
	}
	if len(replace) > 0 {
		text, err := json.Marshal(struct{ Replace map[string]string }{replace})
		if err != nil {
			return "", err
		}
		file := filepath.Join(scratch, "overlay.json")
		if err := os.WriteFile(file, text, 0o666); err != nil {
			return "", err
		}
		args = append(args, "-overlay", file)
	}
	log, err := os.Create(filepath.Join(scratch, "output"))
	if err != nil {
		return "", err
	}
	defer log.Close()

	cmd := exec.CommandContext(r.ctx, r.tool.path, append(append(args, "-o", out), targets...)...)
	cmd.Dir = p.dir
	cmd.Env = append(slices.Clip(r.settings.env), "PWD="+p.dir, "GOWORK=off", "GOTOOLCHAIN=local", "GO111MODULE=on")
	if r.settings.all["GOTMPDIR"] == "" {
		cmd.Env = append(cmd.Env, "GOTMPDIR="+scratch) // so that nothing is left behind when the build is killed
	}
	if !p.own {
		cmd.Env = append(cmd.Env, "GOPROXY=off")
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
	if err = cmd.Run(); err == nil {
		return "", nil
	}
	if _, seekErr := log.Seek(0, io.SeekStart); seekErr != nil {
		return "", errors.Join(err, seekErr)
	}
	output, readErr := io.ReadAll(io.LimitReader(log, maxOutput))
	return credentials().ReplaceAllString(string(output), "://***@"), errors.Join(err, readErr)
}

// credentials matches those in an URL. The go command hides a password there, but not a token in place of a user's name, and none
// in what is no URL; what it says is recorded.
var credentials = lazily(`://[^\s/"]+@`)

// mustBeReadonly tells whether the default of -mod, which gives the better messages, would not do: -mod=mod in GOFLAGS
// writes to go.mod, and vendor cannot be used beside an overlaid go.mod.
func (r *run) mustBeReadonly(p *project, overlaid bool) bool {
	mod := r.settings.flag("mod")
	if !overlaid {
		return mod == "mod"
	}
	info, err := os.Stat(filepath.Join(p.dir, "vendor"))
	return mod != "" || err == nil && info.IsDir()
}
