package plugin

import (
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"errors"
	"fmt"
	"go/build"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/mlpipeline/mlpipeline/pkg"
)

// A Program is a model that can be started.
type Program struct {
	Path string // what to execute
	Args []string
	// Fingerprint is 16 hex digits that stand for the content of everything of the user's that the model is made of, modules
	// from the module cache included. It is the same on another machine, and does not change with the version of Go, the
	// flags of a build or the version of mlpipeline.
	Fingerprint string
	// Files are the user's files in it: 16 hex digits of the content by the file's name, which has slashes and starts in
	// the folder of go.mod or, where there is none, in the folder above that of the models.
	Files map[string]string
	// Partial is set when Files has only what is known before the program runs: Load adds what it tells that it has loaded.
	Partial bool

	file os.FileInfo // of Path, if the program is an Executable
}

// Reread takes in what an Executable is now, and reports whether it is another than it was: it is no build, so that its versions
// run whatever lies there.
func (p *Program) Reread() (changed bool) {
	if p.file == nil {
		return false
	}
	now, err := os.Stat(p.Path)
	if err != nil || os.SameFile(now, p.file) && now.ModTime().Equal(p.file.ModTime()) && now.Size() == p.file.Size() {
		return false
	}
	sum, err := hashFile(p.Path)
	if err != nil {
		return false
	}
	was := p.Fingerprint
	p.file, p.Fingerprint = now, sum
	for name := range p.Files {
		p.Files = map[string]string{name: sum}
	}
	return sum != was
}

// A Result is what became of building one model.
type Result struct {
	Program Program
	Err     error // *BuildError, *NoGoError, *PythonError, *CacheError, the context's, or what could not be read
}

// A BuildError says that the go command refused a model.
type BuildError struct {
	Model  string
	Output string // as it was written; paths in it start in Dir
	Dir    string
	own    bool
}

func (e *BuildError) Error() string { return fmt.Sprintf("build %s: %s", e.Model, firstLine(e.Output)) }

// Hint says what to do, when that is not in the output. It may be empty.
func (e *BuildError) Hint() string {
	if m := missingPackage().FindStringSubmatch(e.Output); m != nil && !e.own {
		return fmt.Sprintf("models that import other modules need a go.mod; in %s write `go mod init models && go get %s`", e.Dir, m[1])
	}
	return ""
}

var missingPackage = lazily(`(?:no required module provides|cannot find module providing) package ([^\s;:]+)`)

// firstLine returns the first line of the go command's output that says something.
func firstLine(output string) string {
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if line != "" && line[0] != '#' && !strings.HasPrefix(line, "go: downloading ") && !strings.HasPrefix(line, "go: warning: ") {
			return line
		}
	}
	return "the go command failed without a word"
}

// A Builder makes programs of models. The zero value of a field is what the text beside it says; a Builder may be used by
// several goroutines.
type Builder struct {
	CacheDir string   // where what was built is kept, see DefaultCacheDir
	Env      []string // os.Environ()
	SDK      fs.FS    // the one in package pkg; it has the files of pkg/mlp below mlp/
	Python   string   // python3: the interpreter of Python models, a path or a name to be found on PATH
	Dir      string   // the current folder: where the interpreter will be started

	pythonMu    sync.Mutex
	interpreter string

	sdkOnce sync.Once
	sdk     sdkSource
	sdkErr  error
}

// A job is a Go model on its way to a binary.
type job struct {
	model   Model
	project *project
	inputs  *inputs
	key     string
}

// run is one call of Build.
type run struct {
	cache
	settings settings
	flags    string // hash of settings and buildFlags
	goes     string // what the go command is and can do
	sdkFiles sdkSource
	python   func(context.Context) (string, error)
	tool     toolchain
	toolErr  error
	ctx      context.Context
	context  build.Context
	hash     hasher // as it was when this call looked first
}

// Build makes a program of each model, by name. Of those that did not change since they were built nothing is run. When ctx
// ends, builds are killed with all their children.
func (b *Builder) Build(ctx context.Context, models []Model) map[string]Result {
	results := make(map[string]Result, len(models))
	r, err := b.begin(ctx)
	if err != nil {
		for _, m := range models {
			results[m.Name] = Result{Err: err}
		}
		return results
	}
	var mu sync.Mutex
	var todo []*job
	parallel(len(models), runtime.GOMAXPROCS(0), func(i int) {
		res, j := r.look(models[i])
		mu.Lock()
		defer mu.Unlock()
		if j != nil {
			todo = append(todo, j)
		} else {
			results[models[i].Name] = res
		}
	})
	if len(todo) > 0 {
		for j, res := range r.build(todo) {
			results[j.model.Name] = res
		}
	}
	r.trim()
	return results
}

func (b *Builder) begin(ctx context.Context) (*run, error) {
	b.sdkOnce.Do(func() {
		source := b.SDK
		if source == nil {
			source = pkg.SDK
		}
		b.sdk, b.sdkErr = readSDK(source)
	})
	if b.sdkErr != nil {
		return nil, b.sdkErr
	}
	dir, err := filepath.Abs(b.CacheDir)
	if err != nil || b.CacheDir == "" {
		return nil, &CacheError{Err: errors.Join(err, errors.New("no folder is set"))}
	}
	env := b.Env
	if env == nil {
		env = os.Environ()
	}
	c := cache{dir}
	_ = os.MkdirAll(dir, 0o700) // before the check, so that nobody else makes it after that; what needs it says why it is not there
	if err := c.check(); err != nil {
		return nil, err
	}
	r := &run{cache: c, settings: readSettings(env), sdkFiles: b.sdk, python: b.python, ctx: ctx, hash: remember()}
	h := sha256.New()
	writeMap(h, "env", r.settings.set)
	fmt.Fprintln(h, buildFlags)
	r.flags = sum16(h)
	r.tool, r.toolErr = findToolchain(ctx, r.settings, r.toolchainMemo())
	r.goes = fmt.Sprintf("%s cgo=%t", r.tool.version, r.settings.cgo)
	r.context = r.settings.context(r.tool.language())
	return r, nil
}

// look returns what is known of a model already, or the job of building it.
func (r *run) look(m Model) (Result, *job) {
	switch m.Kind {
	case Executable:
		info, err := os.Stat(m.Path)
		if err != nil {
			return Result{Err: err}, nil
		}
		sum, err := hashFile(m.Path)
		if err != nil {
			return Result{Err: err}, nil
		}
		name, _ := filepath.Rel(filepath.Dir(m.modelsDir()), m.Path)
		return Result{Program: Program{
			Path: m.Path, Fingerprint: sum, Files: map[string]string{filepath.ToSlash(name): sum}, file: info,
		}}, nil
	case GoFile, GoFolder:
	case Python:
		program, err := r.script(m)
		return Result{Program: program, Err: err}, nil
	default:
		return Result{Err: fmt.Errorf("model %s: it is of no known kind", m.Name)}, nil
	}
	if p, ok := r.unchanged(m); ok {
		return Result{Program: p}, nil
	}
	if r.toolErr != nil {
		return Result{Err: r.toolErr}, nil
	}
	j, err := r.prepare(m)
	if err != nil {
		return Result{Err: fmt.Errorf("model %s: %w", m.Name, err)}, nil
	}
	if file := r.binary(j.key); isBinary(file) {
		if p, err := r.finish(j, file, true); err == nil {
			return Result{Program: p}, nil
		}
	}
	return Result{}, j
}

// unchanged returns the program that a manifest tells of, when all that it was built from is still the same. Without a go
// command its version is not compared: what was built still works.
func (r *run) unchanged(m Model) (Program, bool) {
	f, ok := r.load(m)
	if !ok || f.Settings != r.flags || f.SDK != "" && f.SDK != r.sdkFiles.hash || r.toolErr == nil && f.Go != r.goes {
		return Program{}, false
	}
	file := r.binary(f.Key)
	info, err := os.Lstat(file)
	if err != nil || !private(info) || info.Size() != f.Size || !f.Inputs.unchanged(r.hash) {
		return Program{}, false
	}
	touch(file, info)
	if info, err := os.Stat(r.manifest(m)); err == nil {
		touch(r.manifest(m), info)
	}
	return Program{Path: file, Fingerprint: f.Fingerprint, Files: f.Inputs.Files}, true
}

// isBinary reports whether a file of the cache is a binary that this user has built.
func isBinary(file string) bool {
	info, err := os.Lstat(file)
	if err != nil || !private(info) {
		return false
	}
	_, err = buildinfo.ReadFile(file)
	return err == nil
}

func (r *run) prepare(m Model) (*job, error) {
	p, err := findProject(m, r.settings)
	if err != nil {
		return nil, err
	}
	in, err := collect(m, p, r.context, r.hash)
	if err != nil {
		return nil, err
	}
	j := &job{model: m, project: p, inputs: in}
	h := sha256.New()
	// The paths are part of it because they are part of the binary: they stand in stack traces.
	fmt.Fprintf(h, "format %d\n%q %q %q %d\n%s %q %q\n", manifestFormat, p.root, p.dir, m.Path, m.Kind, r.flags, r.goes, r.tool.root)
	writeMap(h, "file", in.Files)
	writeMap(h, "build", in.Build)
	if p.carried {
		fmt.Fprintln(h, "sdk", r.sdkFiles.hash, r.sdk(r.sdkFiles.hash))
	}
	j.key = sum16(h)
	return j, nil
}

// finish makes a program of the binary in file. The manifest is kept when the inputs are known to be those it was built from.
func (r *run) finish(j *job, file string, same bool) (Program, error) {
	print, err := fingerprint(j.inputs.Files, file)
	if err != nil {
		return Program{}, err
	}
	if same {
		info, err := os.Stat(file)
		if err != nil {
			return Program{}, err
		}
		touch(file, info)
		f := manifest{
			Go: r.goes, Settings: r.flags, Key: j.key, Size: info.Size(), Fingerprint: print, Inputs: j.inputs,
		}
		if j.project.carried {
			f.SDK = r.sdkFiles.hash
		}
		r.store(j.model, f)
	}
	return Program{Path: file, Fingerprint: print, Files: j.inputs.Files}, nil
}

// install moves what the go command wrote to its place in the cache. When the inputs changed meanwhile nobody knows which of
// them are in the binary: it serves this time, under a name that is not found again.
func (r *run) install(j *job, built string) (Program, error) {
	key, same := j.key, j.inputs.unchanged(hashFile)
	if !same {
		key += "-" + filepath.Base(filepath.Dir(built))
	}
	file := r.binary(key)
	if err := errors.Join(os.Chmod(built, 0o700), os.Rename(built, file)); err != nil {
		return Program{}, r.fail(err)
	}
	return r.finish(j, file, same)
}

// parallel calls f for 0 to n-1, at most limit at once, and waits for all.
func parallel(n, limit int, f func(i int)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, limit)
	for i := range n {
		wg.Add(1)
		slots <- struct{}{}
		go func() {
			defer wg.Done()
			f(i)
			<-slots
		}()
	}
	wg.Wait()
}
