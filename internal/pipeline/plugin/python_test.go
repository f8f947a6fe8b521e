package plugin

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func buildScript(t *testing.T, b *Builder, dir, name string) (Program, error) {
	t.Helper()
	result := b.Build(t.Context(), []Model{{Name: name, Kind: Python, Path: filepath.Join(dir, filepath.FromSlash(name))}})[name]
	return result.Program, result.Err
}

func TestPythonProgram(t *testing.T) {
	dir := filepath.Join(write(t, t.TempDir(), map[string]string{"models/a/m.py": "MODEL = 1\n"}), "models")
	b := &Builder{CacheDir: t.TempDir(), Python: "sh"}
	p, err := buildScript(t, b, dir, "a/m.py")
	if err != nil {
		t.Fatal(err)
	}
	if !filepath.IsAbs(p.Path) || filepath.Base(p.Path) != "sh" {
		t.Errorf("it is run by %q", p.Path)
	}
	if n := len(p.Args); n < 4 || p.Args[n-3] != dir || p.Args[n-2] != "a/m.py" {
		t.Errorf("arguments %q", p.Args)
	}
	for _, file := range []string{"run_model.py", "mlpipeline/helper.py", "mlpipeline/utils.py"} {
		if _, err := os.Stat(filepath.Join(filepath.Dir(p.Args[len(p.Args)-4]), file)); err != nil {
			t.Error(err)
		}
	}
	if !p.Partial || len(p.Files) != 1 || p.Files["models/a/m.py"] == "" || len(p.Fingerprint) != 16 {
		t.Errorf("%+v", p)
	}
}

// A cache that was damaged is mended.
func TestPythonPackageIsMended(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"m.py": ""})
	b := &Builder{CacheDir: t.TempDir(), Python: "sh"}
	p, err := buildScript(t, b, dir, "m.py")
	if err != nil {
		t.Fatal(err)
	}
	script := p.Args[len(p.Args)-4]
	whole, _ := os.ReadFile(script)
	if err := os.WriteFile(script, whole[:10], 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := buildScript(t, b, dir, "m.py"); err != nil {
		t.Fatal(err)
	}
	if now, _ := os.ReadFile(script); string(now) != string(whole) {
		t.Error("run_model.py stays damaged")
	}
}

func TestPythonCannotBeStarted(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"m.py": "", "shims/python*": "#!/bin/sh\necho 'pyenv: no version is set' >&2\nexit 127\n"})
	for python, want := range map[string]string{
		"nonsuch-python":                   "executable file not found",
		filepath.Join(dir, "nonsuch"):      "no such file",
		dir:                                "is a directory",
		filepath.Join(dir, "m.py"):         "permission denied",
		filepath.Join(dir, "shims/python"): "pyenv: no version is set",
	} {
		_, err := buildScript(t, &Builder{CacheDir: t.TempDir(), Python: python}, dir, "m.py")
		var e *PythonError
		if !errors.As(err, &e) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "(python in mlp.config)") || e.Hint() == "" {
			t.Errorf("%s: %v", python, err)
		}
	}
}

// A shim is asked once for what is behind it; once that is known a second question would only take time.
func TestPythonBehindAShim(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"m.py": "", "shims/python*": "#!/bin/sh\necho asked >> asked\necho /behind/python3\n"})
	shim := filepath.Join(dir, "shims/python")
	b := &Builder{CacheDir: t.TempDir(), Python: shim, Dir: dir}
	for range 2 {
		p, err := buildScript(t, b, dir, "m.py")
		if err != nil || p.Path != "/behind/python3" {
			t.Fatalf("%q, %v", p.Path, err)
		}
	}
	if asked, _ := os.ReadFile(filepath.Join(dir, "asked")); string(asked) != "asked\n" {
		t.Errorf("asked: %q", asked)
	}
}

func TestLoad(t *testing.T) {
	models := "/project/src/models"
	var p Program
	if changed := p.Load(models, map[string]string{"/project/src/models/m.py": "1", "/project/lib/x.py": "2"}); changed != nil {
		t.Errorf("changed: %q", changed)
	}
	first, files := p.Fingerprint, p.Files
	if p.Files["models/m.py"] != "1" || p.Files["../lib/x.py"] != "2" || len(p.Files) != 2 {
		t.Errorf("%q", p.Files)
	}
	if p.Load(models, map[string]string{"/project/lib/x.py": "2"}); p.Fingerprint != first {
		t.Error("the same file changes the fingerprint")
	}
	if changed := p.Load(models, map[string]string{"/project/lib/x.py": "3", "/project/src/y.py": "4"}); !slices.Equal(changed, []string{"../lib/x.py"}) {
		t.Errorf("changed: %q", changed)
	}
	if p.Fingerprint == first || len(files) != 2 {
		t.Errorf("%s and %s, %q", first, p.Fingerprint, files)
	}
}

func TestNow(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"src/models/m.py": "m", "lib/lazy.py": "lazy"})
	models := filepath.Join(dir, "src", "models")
	p := Program{Files: map[string]string{"models/m.py": "loaded"}}
	now := p.Now(models, map[string]string{"models/m.py": "old", "../lib/lazy.py": "old", "models/gone.py": "old"})
	lazy, err := hashFile(filepath.Join(dir, "lib", "lazy.py"))
	if err != nil {
		t.Fatal(err)
	}
	if len(now) != 2 || now["models/m.py"] != "loaded" || now["../lib/lazy.py"] != lazy {
		t.Errorf("%q", now)
	}
}
