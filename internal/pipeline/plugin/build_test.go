package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"
)

// fakeSDK is small, follows a language that old modules do not have, and says which one it is.
func fakeSDK(word string) fs.FS {
	return fstest.MapFS{
		"mlp/mlp.go": {Data: []byte("package mlp\n\nimport \"github.com/mlpipeline/mlpipeline/pkg/mlp/wire\"\n\n" +
			"func Main(words ...any) {\n\tfor range 1 {\n\t\tprintln(\"" + word + "\", wire.Protocol)\n\t}\n}\n")},
		"mlp/mlp_test.go":  {Data: []byte("package mlp\n\nimport \"example.com/nowhere\"\n")},
		"mlp/wire/wire.go": {Data: []byte("package wire\n\nconst Protocol = 1\n")},
	}
}

// A bench builds models, and counts the go processes that it takes.
type bench struct {
	*Builder
	t   testing.TB
	log string
}

func newBench(t testing.TB) *bench {
	t.Helper()
	real, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	b := &bench{t: t, log: filepath.Join(dir, "log")}
	root, err := exec.Command(real, "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	version, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "VERSION"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, map[string]string{
		"go/bin/go*": fmt.Sprintf("#!/bin/sh\necho \"$*\" >>%s\nexec %s \"$@\"\n", b.log, real),
		"go/VERSION": string(version),
	})
	b.Builder = &Builder{
		CacheDir: filepath.Join(dir, "cache"),
		Env: append(os.Environ(), "PATH="+filepath.Join(dir, "go", "bin")+":"+os.Getenv("PATH"),
			"GOENV=off", "GOFLAGS=-buildvcs=false", "GOMODCACHE="+filepath.Join(dir, "modcache")),
		SDK: fakeSDK("sdk"),
	}
	return b
}

// setenv sets a variable of the builds from here on.
func (b *bench) setenv(kv string) { b.Env = append(b.Env, kv) }

// calls returns the go processes since the last call of calls.
func (b *bench) calls() []string {
	b.t.Helper()
	text, err := os.ReadFile(b.log)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		b.t.Fatal(err)
	}
	_ = os.Remove(b.log)
	return strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' })
}

func (b *bench) models(dir string, names ...string) []Model {
	b.t.Helper()
	var models []Model
	for _, n := range names {
		m, err := Find(dir, n)
		if err != nil {
			b.t.Fatal(err)
		}
		models = append(models, m)
	}
	return models
}

// must builds models that have to build.
func (b *bench) must(dir string, names ...string) map[string]Program {
	b.t.Helper()
	programs := map[string]Program{}
	for name, r := range b.Build(b.t.Context(), b.models(dir, names...)) {
		if r.Err != nil {
			var e *BuildError
			if errors.As(r.Err, &e) {
				b.t.Fatalf("%s: %v\n%s", name, r.Err, e.Output)
			}
			b.t.Fatalf("%s: %v", name, r.Err)
		}
		programs[name] = r.Program
	}
	if len(programs) != len(names) {
		b.t.Fatalf("%d results of %d models", len(programs), len(names))
	}
	return programs
}

// output runs a program.
func (b *bench) output(p Program) string {
	b.t.Helper()
	out, err := exec.Command(p.Path, p.Args...).CombinedOutput()
	if err != nil {
		b.t.Fatalf("%s: %v\n%s", p.Path, err, out)
	}
	return strings.TrimSpace(string(out))
}

// wantCalls fails the test when other than n go processes ran.
func (b *bench) wantCalls(what string, n int) {
	b.t.Helper()
	if got := b.calls(); len(got) != n {
		b.t.Errorf("%s: %d go processes, want %d: %q", what, len(got), n, got)
	}
}

const modelGo = `package main

import "github.com/mlpipeline/mlpipeline/pkg/mlp"

func main() { mlp.Main() }
`

// helpGo is a model with a helper package.
func helpGo(module, say string) string {
	return `package main

import (
	"github.com/mlpipeline/mlpipeline/pkg/mlp"
	"` + module + `/helper"
)

func main() { mlp.Main(); println(helper.Word, "` + say + `") }
`
}

func TestBuildWithoutModule(t *testing.T) {
	b := newBench(t)
	project := write(t, t.TempDir(), map[string]string{
		"models/helper/helper.go":   "package helper\n\nconst Word = \"one\"\n",
		"models/tiny.go":            "//go:build ignore\n\n" + helpGo("models", "tiny"),
		"models/softmax/main.go":    helpGo("models", "softmax"),
		"models/softmax/data.txt":   "1",
		"models/softmax/x_test.go":  "package main\n\nvar x = y\n",
		"models/softmax/windows.go": "//go:build windows\n\npackage main\n",
	})
	dir := filepath.Join(project, "models")

	p := b.must(dir, "tiny.go")
	b.wantCalls("first build", 1)
	if got := b.output(p["tiny.go"]); got != "sdk 1\none tiny" {
		t.Error(got)
	}
	p2 := b.must(dir, "tiny.go")
	b.wantCalls("unchanged", 0)
	if p2["tiny.go"].Path != p["tiny.go"].Path || p2["tiny.go"].Fingerprint != p["tiny.go"].Fingerprint {
		t.Error("an unchanged model has another program")
	}
	soft := b.must(dir, "softmax", "tiny.go")["softmax"]
	b.wantCalls("another model", 1)
	if got := b.output(soft); got != "sdk 1\none softmax" {
		t.Error(got)
	}
	if len(soft.Files) != 2 || soft.Files["models/softmax/main.go"] == "" || soft.Files["models/helper/helper.go"] == "" {
		t.Errorf("files: %v", soft.Files)
	}
	if len(soft.Fingerprint) != 16 {
		t.Errorf("fingerprint %q", soft.Fingerprint)
	}

	// What matters to nothing.
	write(t, dir, map[string]string{
		"softmax/data.txt": "2", "softmax/x_test.go": "package main\n", "softmax/windows.go": "//go:build windows\n\npackage  main\n",
		"softmax/README.md": "", "other/other.go": "package other\n",
	})
	if again := b.must(dir, "softmax")["softmax"]; again.Fingerprint != soft.Fingerprint || again.Path != soft.Path {
		t.Error("a change that matters to nothing gave another program")
	}
	b.wantCalls("a change that matters to nothing", 0)

	// The helper matters to both.
	write(t, dir, map[string]string{"helper/helper.go": "package helper\n\nconst Word = \"two\"\n"})
	changed := b.must(dir, "softmax", "tiny.go")
	b.wantCalls("helper changed", 1)
	if got := b.output(changed["softmax"]) + b.output(changed["tiny.go"]); got != "sdk 1\ntwo softmaxsdk 1\ntwo tiny" {
		t.Error(got)
	}
	if changed["softmax"].Fingerprint == soft.Fingerprint || changed["softmax"].Path == soft.Path {
		t.Error("another helper gave the same program")
	}

	// Taken back.
	write(t, dir, map[string]string{"helper/helper.go": "package helper\n\nconst Word = \"one\"\n"})
	back := b.must(dir, "softmax")["softmax"]
	b.wantCalls("change taken back", 0)
	if back.Fingerprint != soft.Fingerprint || back.Path != soft.Path {
		t.Error("a change that was taken back gave another program")
	}

	// A file comes into the build, by its place or by its constraint.
	write(t, dir, map[string]string{"softmax/more.go": "package main\n\nfunc init() { println(\"more\") }\n"})
	if got := b.output(b.must(dir, "softmax")["softmax"]); !strings.HasPrefix(got, "more\n") {
		t.Error(got)
	}
	b.wantCalls("added file", 1)
	write(t, dir, map[string]string{"softmax/windows.go": "package main\n\nfunc init() { println(\"windows\") }\n"})
	if got := b.output(b.must(dir, "softmax")["softmax"]); !strings.Contains(got, "windows\n") {
		t.Error(got)
	}
	b.wantCalls("constraint lifted", 1)
	if err := os.Remove(filepath.Join(dir, "softmax", "more.go")); err != nil {
		t.Fatal(err)
	}
	if got := b.output(b.must(dir, "softmax")["softmax"]); strings.Contains(got, "more") {
		t.Error(got)
	}
	b.wantCalls("removed file", 1)

	// Nothing was written beside the sources.
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("there is a go.mod")
	}
	left, err := filepath.Glob(filepath.Join(b.CacheDir, "bin", ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left in the cache: %v", left)
	}
}

func TestBuildFolderOfAnotherName(t *testing.T) {
	b := newBench(t)
	for base, module := range map[string]string{"my_models": "my_models", "my models": "models", "Modèles": "models"} {
		project := write(t, t.TempDir(), map[string]string{
			base + "/helper/helper.go":      "package helper\n\nconst Word = \"w\"\n",
			base + "/soft/main.go":          helpGo(module, "soft"),
			base + "/soft max/main.go":      helpGo(module, "space"),
			base + "/soft max/more.go":      "package main\n",
			base + "/größe/modèle.go":       helpGo(module, "file"),
			base + "/größe/-dash.go":        helpGo(module, "dash"),
			base + "/-dash.go":              helpGo(module, "dash"),
			base + "/größe/tief/ist/das.go": helpGo(module, "folder"),
		})
		dir := filepath.Join(project, base)
		p := b.must(dir, "soft", "soft max", "größe/modèle.go", "größe/tief/ist", "-dash.go")
		for name, want := range map[string]string{
			"soft": "soft", "soft max": "space", "größe/modèle.go": "file", "größe/tief/ist": "folder", "-dash.go": "dash",
		} {
			if got := b.output(p[name]); got != "sdk 1\nw "+want {
				t.Errorf("%s in %s: %s", name, base, got)
			}
		}
		b.calls()
		b.must(dir, "soft", "soft max", "größe/modèle.go", "größe/tief/ist", "-dash.go")
		b.wantCalls("unchanged in "+base, 0)
	}
}

func TestBuildInUsersModule(t *testing.T) {
	const word = "package helper\n\nimport \"example.com/lib\"\n\nconst Word = lib.Word\n"
	for _, language := range []string{"", "go 1.13", "go 1.16", "go 1.20", "go 1.21", "go 1.24"} {
		b := newBench(t)
		project := write(t, t.TempDir(), map[string]string{
			"user/go.mod": "module example.com/user // the user's\n\n" + language +
				"\n\nrequire example.com/lib v1.0.0\n\nreplace example.com/lib => ../lib",
			"user/helper/helper.go":      word,
			"user/ml/models/soft/m.go":   helpGo("example.com/user", "soft"),
			"user/ml/models/tiny.go":     ignoredModel(helpGo("example.com/user", "tiny")),
			"user/ml/models/plain/go.go": mainGo,
			"lib/go.mod":                 "module example.com/lib\n",
			"lib/lib.go":                 "package lib\n\nconst Word = \"lib\"\n",
		})
		before := snapshot(t, project)
		dir := filepath.Join(project, "user", "ml", "models")
		p := b.must(dir, "soft", "tiny.go", "plain")
		b.wantCalls("batch", 1)
		if got := b.output(p["soft"]) + b.output(p["tiny.go"]); got != "sdk 1\nlib softsdk 1\nlib tiny" {
			t.Errorf("%s: %s", language, got)
		}
		want := []string{"../lib/lib.go", "helper/helper.go", "ml/models/soft/m.go"}
		if got := sortedKeys(p["soft"].Files); !slices.Equal(got, want) {
			t.Errorf("files: %v", got)
		}
		if after := snapshot(t, project); after != before {
			t.Errorf("the user's files changed:\n%s\n%s", before, after)
		}
		// Each by itself, too.
		for _, name := range []string{"soft", "tiny.go"} {
			b.CacheDir = filepath.Join(t.TempDir(), "cache")
			if one := b.must(dir, name)[name]; one.Fingerprint != p[name].Fingerprint || b.output(one) != b.output(p[name]) {
				t.Errorf("%s alone is another program", name)
			}
			b.wantCalls("alone", 1)
		}
		// go.mod decides the build and is no part of the model.
		write(t, project, map[string]string{"user/go.mod": "// a comment\n" + readFile(t, project, "user/go.mod")})
		if now := b.must(dir, "tiny.go")["tiny.go"]; now.Fingerprint != p["tiny.go"].Fingerprint {
			t.Error("a comment in go.mod made the model another one")
		}
		b.wantCalls("go.mod changed", 1)
		write(t, project, map[string]string{"lib/lib.go": "package lib\n\nconst Word = \"new\"\n"})
		now := b.must(dir, "tiny.go")["tiny.go"]
		if now.Fingerprint == p["tiny.go"].Fingerprint || b.output(now) != "sdk 1\nnew tiny" {
			t.Error("a change in a replaced module is not seen")
		}
	}
}

func ignoredModel(text string) string {
	return "// A model.\n\n//go:build ignore\n// +build ignore\n\n" + text
}

func TestBuildVendored(t *testing.T) {
	b := newBench(t)
	project := write(t, t.TempDir(), map[string]string{
		"user/go.mod": "module example.com/user\n\ngo 1.24\n\nrequire (\n\texample.com/lib v1.0.0\n\texample.com/lib/sub v1.2.0\n)\n\n" +
			"replace example.com/lib => ../lib\n\nreplace example.com/lib/sub v1.2.0 => ../sub\n",
		"user/use/use.go":  "package use\n\nimport _ \"example.com/lib/sub\"\nimport _ \"example.com/lib\"\n",
		"user/models/m.go": modelGo,
		"lib/go.mod":       "module example.com/lib\n\ngo 1.23\n",
		"lib/lib.go":       "package lib\n\nconst Word = \"lib\"\n",
		"sub/go.mod":       "module example.com/lib/sub\n\ngo 1.20\n",
		"sub/sub.go":       "package sub\n\nconst Word = \"sub\"\n",
	})
	vendor := exec.Command("go", "mod", "vendor")
	vendor.Dir = filepath.Join(project, "user")
	vendor.Env = append(b.Env, "GOWORK=off")
	if err := os.Remove(filepath.Join(project, "user", "models", "m.go")); err != nil {
		t.Fatal(err)
	}
	if out, err := vendor.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b.calls()
	for _, d := range []string{"lib", "sub"} { // vendor is all that is left of them
		if err := os.RemoveAll(filepath.Join(project, d)); err != nil {
			t.Fatal(err)
		}
	}
	text := "package main\n\nimport (\n\t\"example.com/lib\"\n\t\"example.com/lib/sub\"\n\t\"github.com/mlpipeline/mlpipeline/pkg/mlp\"\n)\n\n" +
		"func main() { mlp.Main(); println(lib.Word, sub.Word) }\n"
	write(t, project, map[string]string{"user/models/a.go": text, "user/models/b/b.go": text})
	before := snapshot(t, project)
	dir := filepath.Join(project, "user", "models")
	p := b.must(dir, "a.go", "b")
	b.wantCalls("batch", 1)
	if got := b.output(p["a.go"]) + b.output(p["b"]); got != "sdk 1\nlib subsdk 1\nlib sub" {
		t.Error(got)
	}
	want := []string{"models/a.go", "vendor/example.com/lib/lib.go", "vendor/example.com/lib/sub/sub.go"}
	if got := sortedKeys(p["a.go"].Files); !slices.Equal(got, want) {
		t.Errorf("files: %v", got)
	}
	if after := snapshot(t, project); after != before {
		t.Errorf("the user's files changed:\n%s\n%s", before, after)
	}
	b.must(dir, "a.go", "b")
	b.wantCalls("unchanged", 0)
	write(t, project, map[string]string{"user/vendor/example.com/lib/lib.go": "package lib\n\nconst Word = \"new\"\n"})
	if now := b.must(dir, "b")["b"]; now.Fingerprint == p["b"].Fingerprint || b.output(now) != "sdk 1\nnew sub" {
		t.Error("a change in vendor is not seen")
	}
}

func TestBuildUsersOwnSDK(t *testing.T) {
	own := func(word string) map[string]string {
		return map[string]string{
			"sdk/go.mod":               "module github.com/mlpipeline/mlpipeline\n\ngo 1.24\n",
			"sdk/pkg/mlp/mlp.go":       "package mlp\n\nimport \"github.com/mlpipeline/mlpipeline/pkg/mlp/wire\"\n\nfunc Main() { println(\"" + word + "\", wire.X) }\n",
			"sdk/pkg/mlp/wire/wire.go": "package wire\n\nconst X = 1\n",
			"sdk/examples/soft/m.go":   modelGo,
			"user/go.mod": "module example.com/user\n\ngo 1.24\n\nrequire github.com/mlpipeline/mlpipeline v0.0.0\n" +
				"replace github.com/mlpipeline/mlpipeline v0.0.0 => ../sdk\n",
			"user/models/soft/m.go": modelGo,
		}
	}
	b := newBench(t)
	project := write(t, t.TempDir(), own("own"))
	for _, dir := range []string{"sdk/examples", "user/models"} {
		write(t, project, own("own"))
		p := b.must(filepath.Join(project, dir), "soft")["soft"]
		if b.output(p) != "own 1" || len(p.Files) != 1 {
			t.Errorf("%s: %s %v", dir, b.output(p), p.Files)
		}
		write(t, project, own("other"))
		now := b.must(filepath.Join(project, dir), "soft")["soft"]
		if b.output(now) != "other 1" || now.Fingerprint != p.Fingerprint {
			t.Errorf("%s: %s, fingerprints %s and %s", dir, b.output(now), p.Fingerprint, now.Fingerprint)
		}
	}
}

func TestBuildEmbedAndCgo(t *testing.T) {
	b := newBench(t)
	embed := "package main\n\nimport \"embed\"\n\n//go:embed data *.txt\nvar files embed.FS\n\n" +
		"func main() {\n\tx, _ := files.ReadFile(\"data/x\")\n\ty, _ := files.ReadDir(\"data\")\n\tprintln(string(x), len(y))\n}\n"
	project := write(t, t.TempDir(), map[string]string{
		"models/a/main.go": embed, "models/a/data/x": "one", "models/a/data/.hidden": "", "models/a/data/_h": "", "models/a/a.txt": "",
		"models/single/b.go": ignoredModel(embed), "models/single/data/x": "single", "models/single/b.txt": "",
		"models/single/c.go": ignoredModel(modelGo),
	})
	dir := filepath.Join(project, "models")
	p := b.must(dir, "a", "single/b.go", "single/c.go")
	if got := b.output(p["a"]) + b.output(p["single/b.go"]); got != "one 1single 1" {
		t.Error(got)
	}
	if got, want := sortedKeys(p["a"].Files), []string{"models/a/a.txt", "models/a/data/x", "models/a/main.go"}; !slices.Equal(got, want) {
		t.Errorf("files: %v", got)
	}
	b.calls()
	write(t, project, map[string]string{"models/a/data/.hidden": "changed"})
	b.must(dir, "a")
	b.wantCalls("hidden file", 0)
	write(t, project, map[string]string{"models/a/data/y": "new"})
	if got := b.output(b.must(dir, "a")["a"]); got != "one 2" {
		t.Error(got)
	}
	write(t, project, map[string]string{"models/single/data/x": "edited"})
	if got := b.output(b.must(dir, "single/b.go")["single/b.go"]); got != "edited 1" {
		t.Error(got)
	}
	b.wantCalls("data added and edited", 2)

	if _, err := exec.LookPath("gcc"); err != nil {
		return
	}
	write(t, project, map[string]string{
		"models/c/main.go": "package main\n\n// #include \"x.h\"\nimport \"C\"\n\nfunc main() { println(C.X + C.f()) }\n",
		"models/c/x.h":     "#define X 1\nint f(void);\n", "models/c/x.c": "int f(void) { return 10; }\n",
	})
	if got := b.output(b.must(dir, "c")["c"]); got != "11" {
		t.Error(got)
	}
	write(t, project, map[string]string{"models/c/x.h": "#define X 2\nint f(void);\n"})
	if got := b.output(b.must(dir, "c")["c"]); got != "12" {
		t.Error(got)
	}
}

func TestBuildErrors(t *testing.T) {
	b := newBench(t)
	project := write(t, t.TempDir(), map[string]string{
		"models/good.go":        modelGo,
		"models/fine/main.go":   modelGo,
		"models/bad.go":         "//go:build ignore\n\npackage main\n\nfunc main() { x := 1 }\n",
		"models/broken/main.go": "package main\n\nfunc main() {\n",
		"models/far.go":         "package main\n\nimport _ \"example.com/far\"\n\nfunc main() {}\n",
	})
	dir := filepath.Join(project, "models")
	names := []string{"good.go", "fine", "bad.go", "broken", "far.go"}
	for round := range 2 {
		results := b.Build(t.Context(), b.models(dir, names...))
		for name, want := range map[string]string{
			"good.go": "", "fine": "",
			"bad.go": "build bad.go: ./bad.go:5:15: declared and not used: x",
			"broken": "build broken: broken/main.go:4:1: syntax error",
			"far.go": "build far.go: far.go:3:8: no required module provides package example.com/far",
		} {
			err := results[name].Err
			if (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%s: %v", name, err)
			}
			var e *BuildError
			if !errors.As(err, &e) {
				continue
			}
			if e.Dir != dir || strings.Contains(e.Output, b.CacheDir) || strings.Contains(e.Output, "mlpipeline-") {
				t.Errorf("%s: in %s:\n%s", name, e.Dir, e.Output)
			}
			if hint := e.Hint(); (hint != "") != (name == "far.go") {
				t.Errorf("%s: hint %q", name, hint)
			}
		}
		if round == 1 {
			b.wantCalls("again: a batch and one each", 4)
		}
		b.calls()
	}
}

func TestBuildBatchKeepsPathsInStackTraces(t *testing.T) {
	b := newBench(t)
	dir := write(t, t.TempDir(), map[string]string{
		"a.go":            "\ufeff//go:build ignore\n\npackage main\n\nfunc main() {\n\tpanic(1)\n}\n",
		"b/x.go":          "package main\n\nimport _ \"" + "x/internal/y" + "\"\n\nfunc main() {\n\tpanic(1)\n}\n",
		"internal/y/y.go": "package y\n",
		"go.mod":          "module x\n\ngo 1.24\n",
	})
	p := b.must(dir, "a.go", "b/x.go")
	b.wantCalls("batch", 1)
	for name, program := range p {
		out, _ := exec.Command(program.Path).CombinedOutput()
		if want := fmt.Sprintf("%s:6", filepath.Join(dir, name)); !strings.Contains(string(out), want) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
}

func TestBuildBatchOfEqualNames(t *testing.T) {
	b := newBench(t)
	files := map[string]string{}
	var names []string
	for _, d := range []string{"a", "b"} {
		for _, n := range []string{"train", "v2", "tune"} {
			files[d+"/"+n+"/main.go"] = "package main\n\nfunc main() { println(\"" + d + n + "\") }\n"
			names = append(names, d+"/"+n)
		}
	}
	p := b.must(write(t, t.TempDir(), files), names...)
	b.wantCalls("two batches and two alone", 4)
	for _, n := range names {
		if got := b.output(p[n]); got != strings.ReplaceAll(n, "/", "") {
			t.Errorf("%s prints %s", n, got)
		}
	}
}

func TestBuildFollowsToolsAndSettings(t *testing.T) {
	b := newBench(t)
	project := write(t, t.TempDir(), map[string]string{
		"models/m.go": modelGo, "models/tag/main.go": "package main\n\nfunc main() { print(1, tag) }\n",
		"models/tag/off.go": "//go:build !x\n\npackage main\n\nvar tag = \"off\"\n",
		"models/tag/on.go":  "//go:build x\n\npackage main\n\nvar tag = \"on\"\n",
	})
	dir := filepath.Join(project, "models")
	first := b.must(dir, "m.go")["m.go"]
	b.calls()

	version := filepath.Join(filepath.Dir(b.log), "go", "VERSION")
	was := readFile(t, version, "")
	if err := os.WriteFile(version, []byte("go1.99.1\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	// The real go has not changed with it and refuses the language of the virtual module: that it was asked is the point.
	_ = b.Build(t.Context(), b.models(dir, "m.go"))
	b.wantCalls("another Go", 1)
	if err := os.WriteFile(version, []byte(was), 0o666); err != nil {
		t.Fatal(err)
	}

	sdk2 := &Builder{CacheDir: b.CacheDir, Env: b.Env, SDK: fakeSDK("second")}
	r := sdk2.Build(t.Context(), b.models(dir, "m.go"))["m.go"]
	if r.Err != nil || b.output(r.Program) != "second 1" || r.Program.Fingerprint != first.Fingerprint {
		t.Errorf("another SDK: %+v", r)
	}
	b.wantCalls("another SDK", 1)
	if again := b.must(dir, "m.go")["m.go"]; again.Path != first.Path {
		t.Error("the first SDK is gone")
	}
	b.wantCalls("the first SDK", 0)

	off := b.must(dir, "tag")["tag"]
	b.setenv("GOFLAGS=-tags=y,x -mod=mod")
	on := b.must(dir, "tag", "m.go")["tag"]
	if b.output(off) != "1off" || b.output(on) != "1on" || on.Fingerprint == off.Fingerprint {
		t.Errorf("tags: %s, %s", b.output(off), b.output(on))
	}
	b.wantCalls("tags", 2)
}

func TestBuildNoticesGoMod(t *testing.T) {
	b := newBench(t)
	project := write(t, t.TempDir(), map[string]string{"p/models/soft/m.go": modelGo, "p/models/soft/in/in.go": "package in\n"})
	dir := filepath.Join(project, "p", "models")
	first := b.must(dir, "soft")["soft"]
	for i, place := range []string{"go.mod", "p/go.mod", "p/models/go.mod", "p/models/soft/go.mod"} {
		write(t, project, map[string]string{place: "module example.com/x\n\ngo 1.24\n"})
		b.calls()
		now := b.must(dir, "soft")["soft"]
		b.wantCalls(place, 1)
		if i == 1 && now.Fingerprint != first.Fingerprint {
			t.Error("a go.mod in the project made the model another one")
		}
	}
	write(t, project, map[string]string{"p/models/soft/go.mod": "not a go.mod"})
	err := b.Build(t.Context(), b.models(dir, "soft"))["soft"].Err
	var e *BuildError
	if !errors.As(err, &e) || !strings.Contains(e.Output, "go.mod:1: unknown directive: not") {
		t.Errorf("%v", err)
	}
}

func TestBuildRelocated(t *testing.T) {
	b := newBench(t)
	files := map[string]string{"models/helper/helper.go": "package helper\n\nconst Word = 1\n", "models/m.go": helpGo("models", "m")}
	a, c := write(t, t.TempDir(), files), write(t, t.TempDir(), files)
	pa := b.must(filepath.Join(a, "models"), "m.go")["m.go"]
	pc := b.must(filepath.Join(c, "models"), "m.go")["m.go"]
	if pa.Fingerprint != pc.Fingerprint || pa.Path == pc.Path {
		t.Errorf("%s %s, %s %s", pa.Fingerprint, pa.Path, pc.Fingerprint, pc.Path)
	}
}

func TestBuildExecutable(t *testing.T) {
	b := newBench(t)
	project := write(t, t.TempDir(), map[string]string{"models/x/run.sh*": "#!/bin/sh\necho hi\n"})
	p := b.must(filepath.Join(project, "models"), "x/run.sh")["x/run.sh"]
	b.wantCalls("executable", 0)
	if b.output(p) != "hi" || len(p.Fingerprint) != 16 || p.Files["models/x/run.sh"] != p.Fingerprint {
		t.Errorf("%+v", p)
	}
}

func TestBuildWithoutGo(t *testing.T) {
	b := newBench(t)
	dir := filepath.Join(write(t, t.TempDir(), map[string]string{"models/m.go": modelGo, "models/n.go": modelGo}), "models")
	p := b.must(dir, "m.go")["m.go"]
	b.setenv("PATH=" + t.TempDir())
	r := b.Build(t.Context(), b.models(dir, "m.go", "n.go"))
	if r["m.go"].Err != nil || r["m.go"].Program.Path != p.Path {
		t.Errorf("what was built before: %+v", r["m.go"])
	}
	var e *NoGoError
	if err := r["n.go"].Err; !errors.As(err, &e) || strings.Contains(err.Error(), "\n") || !strings.Contains(e.Hint(), "go.dev/dl") {
		t.Errorf("%v", err)
	}
	old := write(t, t.TempDir(), map[string]string{"bin/go*": "#!/bin/sh\nexit 1\n", "VERSION": "go1.17.3\n"})
	b.setenv("PATH=" + filepath.Join(old, "bin"))
	if err := b.Build(t.Context(), b.models(dir, "n.go"))["n.go"].Err; !errors.As(err, &e) || e.Version != "go1.17.3" {
		t.Errorf("%v", err)
	}
	if err := os.Remove(filepath.Join(old, "VERSION")); err != nil {
		t.Fatal(err)
	}
	if err := b.Build(t.Context(), b.models(dir, "n.go"))["n.go"].Err; !errors.As(err, &e) || e.Err == nil {
		t.Errorf("%v", err)
	}
}

func TestBuildAsksAWrapperOnce(t *testing.T) {
	b := newBench(t)
	dir := filepath.Join(write(t, t.TempDir(), map[string]string{"models/m.go": modelGo}), "models")
	if err := os.Remove(filepath.Join(filepath.Dir(b.log), "go", "VERSION")); err != nil {
		t.Fatal(err)
	}
	b.must(dir, "m.go")
	if got := b.calls(); len(got) != 2 || got[0] != "env GOROOT GOVERSION" {
		t.Errorf("%q", got)
	}
	b.must(dir, "m.go")
	b.wantCalls("unchanged", 0)
	write(t, filepath.Dir(b.log), map[string]string{"go/bin/go*": readFile(t, filepath.Dir(b.log), "go/bin/go") + "# newer\n"})
	b.must(dir, "m.go")
	if got := b.calls(); len(got) != 1 || got[0] != "env GOROOT GOVERSION" {
		t.Errorf("another wrapper: %q", got)
	}
}

func TestBuildCacheInTrouble(t *testing.T) {
	b := newBench(t)
	dir := filepath.Join(write(t, t.TempDir(), map[string]string{"models/m.go": modelGo}), "models")
	m := b.models(dir, "m.go")[0]
	c := cache{b.CacheDir}
	for what, spoil := range map[string]func(p Program) error{
		"no binary": func(p Program) error { return os.Remove(p.Path) },
		"cut binary": func(p Program) error {
			return errors.Join(os.Remove(p.Path), os.WriteFile(p.Path, []byte("\x7fELF"), 0o777))
		},
		"empty manifest": func(p Program) error { return errors.Join(os.WriteFile(c.manifest(m), nil, 0o666), os.Remove(p.Path)) },
		"manifest of noise": func(p Program) error {
			return errors.Join(os.WriteFile(c.manifest(m), []byte(`{"Format":1,"Key":"../x"}`), 0o666), os.Remove(p.Path))
		},
		"SDK damaged":       func(p Program) error { return errors.Join(damageSDK(b.CacheDir), os.Remove(p.Path)) },
		"all of it in vain": func(p Program) error { return os.RemoveAll(b.CacheDir) },
		"left by a killed one": func(p Program) error {
			return errors.Join(os.MkdirAll(filepath.Join(b.CacheDir, "bin", ".build-1"), 0o777), os.Remove(p.Path))
		},
	} {
		if err := spoil(b.must(dir, "m.go")["m.go"]); err != nil {
			t.Fatal(err)
		}
		b.calls()
		p := b.must(dir, "m.go")["m.go"]
		if got := b.output(p); got != "sdk 1" {
			t.Errorf("%s: %s", what, got)
		}
		b.wantCalls(what, 1)
	}
	if err := os.Remove(c.manifest(m)); err != nil {
		t.Fatal(err)
	}
	b.must(dir, "m.go")
	b.wantCalls("manifest gone, binary there", 0)

	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	b.CacheDir = filepath.Join(file, "cache")
	err := b.Build(t.Context(), []Model{m})["m.go"].Err
	var e *CacheError
	if !errors.As(err, &e) || !strings.Contains(e.Hint(), "XDG_CACHE_HOME") || !strings.Contains(err.Error(), b.CacheDir) {
		t.Errorf("%v", err)
	}
}

func damageSDK(cacheDir string) error {
	files, err := filepath.Glob(filepath.Join(cacheDir, "sdk", "*", "pkg", "mlp", "mlp.go"))
	if err != nil || len(files) != 1 {
		return fmt.Errorf("SDK in the cache: %v, %w", files, err)
	}
	return os.WriteFile(files[0], []byte("broken"), 0o666)
}

func TestDefaultCacheDir(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "/x")
	if dir, err := DefaultCacheDir(); dir != "/x/mlpipeline" || err != nil {
		t.Error(dir, err)
	}
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "")
	var e *CacheError
	if _, err := DefaultCacheDir(); !errors.As(err, &e) || e.Hint() == "" {
		t.Error(err)
	}
}

func TestTrim(t *testing.T) {
	b := newBench(t)
	dir := filepath.Join(write(t, t.TempDir(), map[string]string{"models/m.go": modelGo, "models/n.go": mainGo}), "models")
	p := b.must(dir, "m.go", "n.go")
	c := cache{b.CacheDir}
	age := func(by time.Duration, files ...string) {
		t.Helper()
		for _, f := range files {
			if err := os.Chtimes(f, time.Time{}, time.Now().Add(-by)); err != nil {
				t.Fatal(err)
			}
		}
	}
	marker := filepath.Join(c.dir, "trimmed")
	age(keep+time.Hour, p["n.go"].Path, p["m.go"].Path, c.manifest(b.models(dir, "m.go")[0]), marker)
	b.must(dir, "m.go") // used: stays
	if _, err := os.Stat(p["n.go"].Path); err != nil {
		t.Errorf("the clock has gone a month on since the last look, and all that was not used in it is removed: %v", err)
	}
	age(-keep-time.Hour, marker)
	b.must(dir, "m.go")
	if info, err := os.Stat(marker); err != nil || time.Until(info.ModTime()) > time.Hour {
		t.Errorf("what is not used is kept until the clock is where it was once: %v", err)
	}
	age(2*trimEvery, marker)
	write(t, dir, map[string]string{"o.go": mainGo})
	b.must(dir, "o.go") // builds, so trims
	if _, err := os.Stat(p["n.go"].Path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an unused binary is kept: %v", err)
	}
	b.calls()
	b.must(dir, "m.go", "o.go")
	b.wantCalls("what was used", 0)
}

// What a newer mlpipeline has noted of a model stays, and the model runs.
func TestManifestOfANewerFormat(t *testing.T) {
	b := newBench(t)
	dir := filepath.Join(write(t, t.TempDir(), map[string]string{"models/m.go": modelGo}), "models")
	b.must(dir, "m.go")
	file := cache{b.CacheDir}.manifest(b.models(dir, "m.go")[0])
	newer := `{"Format":2,"Key":["in another way"]}`
	if err := os.WriteFile(file, []byte(newer), 0o666); err != nil {
		t.Fatal(err)
	}
	b.calls()
	for range 2 {
		b.must(dir, "m.go")
	}
	b.wantCalls("the binary is there", 0)
	if text, _ := os.ReadFile(file); string(text) != newer {
		t.Errorf("it was replaced by %q", text)
	}
}

// TestBuildOfAFileThatChanges edits a source while the go command runs.
func TestBuildOfAFileThatChanges(t *testing.T) {
	b := newBench(t)
	dir := filepath.Join(write(t, t.TempDir(), map[string]string{"models/m.go": "package main\n\nfunc main() { println(1) }\n"}), "models")
	wrapper := filepath.Join(filepath.Dir(b.log), "go", "bin", "go")
	was := readFile(t, wrapper, "")
	edit := fmt.Sprintf("sed -i 's/println(1)/println(2)/' '%s'\n", filepath.Join(dir, "m.go"))
	write(t, filepath.Dir(wrapper), map[string]string{"go*": strings.Replace(was, "exec", edit+"exec", 1)})
	first := b.must(dir, "m.go")["m.go"]
	b.calls()
	write(t, filepath.Dir(wrapper), map[string]string{"go*": was})
	second := b.must(dir, "m.go")["m.go"]
	b.wantCalls("after an edit during the build", 1)
	if b.output(second) != "2" || second.Path == first.Path || second.Fingerprint == first.Fingerprint {
		t.Errorf("%+v\n%+v", first, second)
	}
	write(t, dir, map[string]string{"m.go": "package main\n\nfunc main() { println(1) }\n"})
	if p := b.must(dir, "m.go")["m.go"]; b.output(p) != "1" {
		t.Error("the binary of an unknown source was taken for that of a known one")
	}
}

func TestBuildIsKilledWithItsChildren(t *testing.T) {
	b := newBench(t)
	dir := filepath.Join(write(t, t.TempDir(), map[string]string{"models/m.go": modelGo, "models/n.go": modelGo}), "models")
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	wrapper := filepath.Join(filepath.Dir(b.log), "go", "bin")
	// The child holds the write end of the FIFO open for as long as it lives.
	write(t, wrapper, map[string]string{"go*": fmt.Sprintf("#!/bin/sh\n(echo started; exec sleep 1000) >'%s' &\nwait\n", fifo)})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan map[string]Result)
	go func() { done <- b.Build(ctx, b.models(dir, "m.go", "n.go")) }()
	f, err := os.Open(fifo)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	cancel()
	for name, r := range <-done {
		if !errors.Is(r.Err, context.Canceled) {
			t.Errorf("%s: %v", name, r.Err)
		}
	}
	if rest, err := readAll(f); err != nil || len(rest) > 0 { // ends when the child is gone
		t.Errorf("%q, %v", rest, err)
	}
}

func TestTwoPipelinesBuildAtOnce(t *testing.T) {
	b := newBench(t)
	dir := filepath.Join(write(t, t.TempDir(), map[string]string{"models/m.go": modelGo, "models/n.go": modelGo}), "models")
	models := b.models(dir, "m.go", "n.go")
	results := make([]map[string]Result, 4)
	parallel(len(results), len(results), func(i int) {
		other := &Builder{CacheDir: b.CacheDir, Env: b.Env, SDK: b.SDK}
		results[i] = other.Build(t.Context(), models)
	})
	for _, rs := range results {
		for name, r := range rs {
			if r.Err != nil || r.Program.Path != results[0][name].Program.Path || b.output(r.Program) != "sdk 1" {
				t.Errorf("%s: %+v", name, r)
			}
		}
	}
}

func TestBuildOfWhatCannotBeRead(t *testing.T) {
	b := newBench(t)
	project := write(t, t.TempDir(), map[string]string{"models/soft/m.go": modelGo, "models/soft/n.go": "package main\n"})
	dir := filepath.Join(project, "models")
	m := b.models(dir, "soft")
	file := filepath.Join(dir, "soft", "n.go")
	if err := os.Chmod(file, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile(file); err == nil {
		t.Log("this user can read everything")
	} else if err := b.Build(t.Context(), m)["soft"].Err; !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), file) {
		t.Errorf("%v", err)
	}
	if err := errors.Join(os.Remove(file), syscall.Mkfifo(file, 0o666)); err != nil {
		t.Fatal(err)
	}
	// It does not wait for somebody to write into the FIFO.
	if err := b.Build(t.Context(), m)["soft"].Err; err == nil || !strings.Contains(err.Error(), "n.go is not a regular file") {
		t.Errorf("%v", err)
	}
	if err := errors.Join(os.Remove(file), os.Mkdir(file, 0o777)); err != nil {
		t.Fatal(err)
	}
	b.must(dir, "soft")
	b.calls()
	b.must(dir, "soft")
	b.wantCalls("a folder with the name of a source", 0)
}

func TestBuildThroughLinks(t *testing.T) {
	b := newBench(t)
	elsewhere := write(t, t.TempDir(), map[string]string{"soft/main.go": modelGo, "one.go": modelGo})
	dir := filepath.Join(t.TempDir(), "models")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"soft", "one.go"} {
		if err := os.Symlink(filepath.Join(elsewhere, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	linked := filepath.Join(t.TempDir(), "linked")
	if err := os.Symlink(dir, linked); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, linked} {
		for _, name := range []string{"soft", "one.go"} {
			p := b.must(d, name)[name]
			if b.output(p) != "sdk 1" {
				t.Errorf("%s in %s: %s", name, d, b.output(p))
			}
			if b.calls(); b.must(d, name)[name].Path != p.Path {
				t.Error("built again")
			}
			b.wantCalls("unchanged", 0)
		}
	}
}

func readAll(f *os.File) ([]byte, error) {
	var b bytes.Buffer
	_, err := b.ReadFrom(f)
	return b.Bytes(), err
}

func readFile(t testing.TB, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func sortedKeys(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// snapshot tells the content of every file below dir.
func snapshot(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		sum, err := hashFile(file)
		fmt.Fprintln(&b, file, sum)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
