package plugin

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/python"
)

// A PythonError says that the interpreter for Python models cannot be started.
type PythonError struct {
	Python string // as it is configured
	Err    error
}

func (e *PythonError) Error() string {
	var path *fs.PathError
	err := e.Err
	if errors.As(err, &path) {
		err = path.Err
	}
	var lookup *exec.Error
	if errors.As(err, &lookup) {
		err = lookup.Err
	}
	return fmt.Sprintf("python %s (python in mlp.config) cannot be started: %v", e.Python, err)
}

func (e *PythonError) Unwrap() error { return e.Err }

// Hint says what to do.
func (e *PythonError) Hint() string {
	return "install python3, or write python=<path of a Python 3.8 or later> in mlp.config"
}

// python returns the path of the interpreter for Python models.
//
// The shims of pyenv and asdf, shell scripts that take several times as long as Python itself, are asked once for what is
// behind them. Another script is run as it is: it may set up what the models need.
func (b *Builder) python(ctx context.Context) (string, error) {
	b.pythonMu.Lock()
	defer b.pythonMu.Unlock()
	if b.interpreter != "" {
		return b.interpreter, nil
	}
	configured := b.Python
	if configured == "" {
		configured = "python3"
	}
	path, err := exec.LookPath(configured)
	if err == nil && filepath.Base(filepath.Dir(path)) == "shims" {
		cmd := exec.CommandContext(ctx, path, "-c", "import sys; print(sys.executable)")
		cmd.Dir = b.Dir
		var out []byte
		if out, err = cmd.Output(); err == nil {
			path = strings.TrimSpace(string(out))
		}
		var failed *exec.ExitError
		if errors.As(err, &failed) && len(failed.Stderr) > 0 {
			err = errors.New(firstLine(string(failed.Stderr)))
		}
	}
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return "", &PythonError{configured, err}
	}
	b.interpreter = path
	return path, nil
}

// A Setup is what models are built and run with on this machine. An error stands beside what it kept from being known.
type Setup struct {
	Go            string // its version and where it is
	Python        string // path of the interpreter
	PythonPackage string // the folder in which a script finds the package mlpipeline

	GoErr, PythonErr, PackageErr error
}

// Setup finds out what there is. The Python package is put into its place.
func (b *Builder) Setup(ctx context.Context) (s Setup) {
	r, err := b.begin(ctx)
	if err != nil {
		return Setup{GoErr: err, PythonErr: err, PackageErr: err}
	}
	s.Go, s.GoErr = r.tool.version+", "+r.tool.path, r.toolErr
	s.Python, s.PythonErr = b.python(ctx)
	s.PythonPackage, s.PackageErr = r.pythonPackage()
	return s
}

// pythonSource is the Python package that the program carries, and the hash of it.
var pythonSource = sync.OnceValues(func() (s sdkSource, err error) {
	s.files = map[string]string{}
	err = fs.WalkDir(python.Files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(python.Files, name)
		s.files[name] = string(text)
		return err
	})
	if err != nil {
		return s, fmt.Errorf("read the Python package: %w", err)
	}
	s.hash = hashSource("python", s.files)
	return s, nil
})

// pythonPackage returns the folder of the cache that has the Python package, with nothing amiss in it.
func (c cache) pythonPackage() (string, error) {
	source, err := pythonSource()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(c.dir, "python", source.hash)
	if err := extract(source.files, dir); err != nil {
		return "", c.fail(err)
	}
	if info, err := os.Stat(dir); err == nil {
		touch(dir, info)
	}
	return dir, nil
}

// script makes a program of a Python model. What it imports is not known yet.
func (r *run) script(m Model) (Program, error) {
	interpreter, err := r.python(r.ctx)
	if err != nil {
		return Program{}, err
	}
	folder, err := r.pythonPackage()
	if err != nil {
		return Program{}, err
	}
	sum, err := hashFile(m.Path)
	if err != nil {
		return Program{}, err
	}
	code := filepath.Join(r.dir, "code") // where what the script compiles is kept
	if err := os.MkdirAll(code, 0o700); err != nil {
		return Program{}, r.fail(err)
	}
	p := Program{
		Path:    interpreter,
		Args:    []string{"-u", filepath.Join(folder, "run_model.py"), m.modelsDir(), m.Name, code},
		Partial: true,
	}
	p.Load(m.modelsDir(), map[string]string{m.Path: sum})
	return p, nil
}

// Load adds files that the program has loaded: 16 hex digits of the content by absolute path. It returns those that were
// known with another content, by the name that they have in Files.
func (p *Program) Load(modelsDir string, files map[string]string) (changed []string) {
	all := map[string]string{}
	maps.Copy(all, p.Files)
	for path, sum := range files {
		name := fileName(modelsDir, path)
		if was, known := all[name]; known && was != sum {
			changed = append(changed, name)
		}
		all[name] = sum
	}
	h := sha256.New()
	writeMap(h, "file", all)
	p.Files, p.Fingerprint = all, sum16(h)
	slices.Sort(changed)
	return changed
}

// Changed returns the name of a file that has changed since the program has loaded it, or "".
func (p Program) Changed(modelsDir string) string {
	for name, sum := range p.Files {
		if now, err := hashFile(filePath(modelsDir, name)); err != nil || now != sum {
			return name
		}
	}
	return ""
}

// filePath is where the file lies whose name fileName returns.
func filePath(modelsDir, name string) string {
	path := filepath.FromSlash(name)
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(modelsDir), path)
}

// fileName is the name of a file in Program.Files. A script may know the real path of a file that the pipeline reaches by a
// link.
func fileName(modelsDir, path string) string {
	base := filepath.Dir(modelsDir)
	name, err := filepath.Rel(base, path)
	if err == nil && !filepath.IsLocal(name) {
		if real, rerr := filepath.EvalSymlinks(base); rerr == nil {
			if inside, rerr := filepath.Rel(real, path); rerr == nil && filepath.IsLocal(inside) {
				name = inside
			}
		}
	}
	if err != nil {
		name = path
	}
	return filepath.ToSlash(name)
}

// Now returns what the files of a program of which Partial is set would be if it loaded the same as in the run that had
// files: those that it is known to have loaded, and what the others in files hold now. One that is gone is left out.
func (p Program) Now(modelsDir string, files map[string]string) map[string]string {
	now := map[string]string{}
	for name := range files {
		if sum, err := hashFile(filePath(modelsDir, name)); err == nil {
			now[name] = sum
		}
	}
	maps.Copy(now, p.Files)
	return now
}
