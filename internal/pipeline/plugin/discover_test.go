package plugin

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

const (
	mainGo   = "package main\n\nfunc main() {}\n"
	ignoreGo = "//go:build ignore\n\n" + mainGo
)

// write makes files below a new folder. A name that ends in * is executable.
func write(t testing.TB, dir string, files map[string]string) string {
	t.Helper()
	for name, text := range files {
		name, executable := strings.CutSuffix(name, "*")
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if executable {
			if err := os.Chmod(file, 0o777); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func modelsFolder(t testing.TB) string {
	speaks := "#!/bin/sh\n: $MLPIPELINE_PROTOCOL\n"
	dir := write(t, t.TempDir(), map[string]string{
		"softmax/main.go":         mainGo,
		"softmax/net.go":          "package main\n",
		"softmax/main_test.go":    "package main\n",
		"softmax/tool/main.go":    mainGo, // below a model
		"generated/main.go":       mainGo,
		"generated/gen.go":        ignoreGo,
		"platform/main_linux.go":  mainGo,
		"platform/main_darwin.go": mainGo,
		"tiny.go":                 mainGo,
		"loose.go":                ignoreGo,
		"tiny*":                   speaks, // what `go build tiny.go` leaves
		"broken.go":               "package main\n\nfunc main() {\n",
		"brokenfolder/main.go":    "package main\n\nimport (\n\nfunc main() {\n",
		"nomain.go":               "package main\n\nfunc init() {}\n",
		"method.go":               "package main\n\ntype t int\n\nfunc (t) main() {}\n",
		"lib.go":                  "package lib\n\nfunc main() {}\n",
		"some_test.go":            mainGo,
		"_old.go":                 mainGo,
		".hidden.go":              mainGo,
		"_drafts/x.go":            mainGo,
		".git/x.go":               mainGo,
		"testdata/x.go":           mainGo,
		"vendor/x/main.go":        mainGo,
		"outputs/runs/x.go":       mainGo,
		"helper/helper.go":        "package helper\n",
		"files/a.go":              mainGo,
		"files/b.go":              mainGo,
		"files/net.go":            "package main\n",
		"scripts/a.go":            ignoreGo,
		"vision/resnet.py":        "MODEL = 1\n",
		"vision/typed.py":         "import x\nMODEL: Model = 1\n",
		"venv/pyvenv.cfg":         "",
		"venv/lib/x.py":           "MODEL = 1\n",
		"vision/helper.py":        "def f():\n    MODEL = 1\n",
		"vision/compare.py":       "MODEL == 1\n",
		"vision/native.py*":       "#!/usr/bin/env python3\nos.environ['MLPIPELINE_PROTOCOL']\nMODEL = 1\n",
		"vision/deep/er/m.go":     mainGo,
		"shell*":                  speaks,
		"data*":                   "12345",
		"data.csv":                "MLPIPELINE_PROTOCOL",
	})
	return dir
}

func TestDiscover(t *testing.T) {
	if string(protocolMark) != wire.EnvProtocol {
		t.Errorf("protocolMark is %s", protocolMark)
	}
	dir := modelsFolder(t)
	if err := os.Symlink(dir, filepath.Join(dir, "vision", "loop")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "dangling.go")); err != nil {
		t.Fatal(err)
	}
	elsewhere := write(t, t.TempDir(), map[string]string{"main.go": mainGo})
	if err := os.Symlink(elsewhere, filepath.Join(dir, "linked")); err != nil {
		t.Fatal(err)
	}
	found, err := Discover(dir, filepath.Join(dir, "outputs"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]Kind{}
	for i, m := range found {
		got[m.Name] = m.Kind
		if m.Path != filepath.Join(dir, m.Name) {
			t.Errorf("%s has path %s", m.Name, m.Path)
		}
		if m.modelsDir() != dir {
			t.Errorf("%s says it is in %s", m.Name, m.modelsDir())
		}
		if i > 0 && found[i-1].Name >= m.Name {
			t.Errorf("%s comes after %s", m.Name, found[i-1].Name)
		}
	}
	want := map[string]Kind{
		"softmax": GoFolder, "generated": GoFolder, "platform": GoFolder, "linked": GoFolder, "brokenfolder": GoFolder,
		"tiny.go": GoFile, "loose.go": GoFile, "broken.go": GoFile, "files/a.go": GoFile, "files/b.go": GoFile,
		"scripts/a.go": GoFile, "vision/deep/er": GoFolder,
		"vision/resnet.py": Python, "vision/typed.py": Python, "vision/native.py": Executable, "shell": Executable,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDiscoverFindsTheMarkAcrossChunks(t *testing.T) {
	dir := t.TempDir()
	for _, at := range []int{0, 256<<10 - 5, 256<<10 - 19, 512<<10 - 30, 512 << 10, 700 << 10} {
		file := filepath.Join(dir, "x")
		if err := os.WriteFile(file, []byte(strings.Repeat("M", at)+wire.EnvProtocol+"tail"), 0o777); err != nil {
			t.Fatal(err)
		}
		if ok, err := Speaks(file); !ok || err != nil {
			t.Errorf("mark at %d: %v, %v", at, ok, err)
		}
	}
}

func TestDiscoverWithoutFolder(t *testing.T) {
	if _, err := Discover(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestFind(t *testing.T) {
	dir := modelsFolder(t)
	for name, want := range map[string]Kind{
		"softmax": GoFolder, "./softmax": GoFolder, "softmax/": GoFolder, "softmax/main.go": GoFile, "loose.go": GoFile,
		"softmax/tool": GoFolder, "data": Executable, "tiny": Executable, "vision/helper.py": Python,
		"vision/native.py": Executable, "outputs/runs/x.go": GoFile,
	} {
		m, err := Find(dir, name)
		if err != nil || m.Kind != want || !filepath.IsAbs(m.Path) || strings.HasPrefix(m.Name, ".") {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
	for name, why := range map[string]string{
		"files":        "a.go, b.go",
		"scripts":      "a.go",
		"helper":       "no package main",
		"nomain.go":    "no func main",
		"lib.go":       "package lib",
		"some_test.go": "test",
		"data.csv":     "not executable",
		"../x":         "below",
		"a/../../x":    "below",
		"/etc/passwd":  "below",
		".":            "below",
		"":             "below",
	} {
		var e *NotModelError
		if _, err := Find(dir, name); !errors.As(err, &e) || !strings.Contains(e.Why, why) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"softmaks", "none/x.go", "a\x00b", "tiny.go/x"} {
		var e *NotFoundError
		if _, err := Find(dir, name); !errors.As(err, &e) || !slices.Contains(e.Candidates, "softmax") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestDiscoverEndsWhateverLinksThereAre(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"z.go": mainGo, "outputs/runs/r.go": mainGo})
	for i := range 30 { // 2 to the power of 30 ways to the last
		folder := filepath.Join(dir, ".many", fmt.Sprint("d", i))
		err := errors.Join(os.MkdirAll(folder, 0o777), os.Symlink(fmt.Sprint("../d", i+1), filepath.Join(folder, "a")), os.Symlink(fmt.Sprint("../d", i+1), filepath.Join(folder, "b")))
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range maxLinked + 10 {
		if err := os.MkdirAll(filepath.Join(dir, ".wide", fmt.Sprint(i)), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	err := errors.Join(
		os.Symlink(".many/d0", filepath.Join(dir, "many")), os.Symlink(".", filepath.Join(dir, "self")), os.Symlink("..", filepath.Join(dir, "up")), os.Symlink(".wide", filepath.Join(dir, "wide")),
		os.Symlink("loop", filepath.Join(dir, "loop")), os.Symlink("/dev/zero", filepath.Join(dir, "zero.py")), os.Symlink("outputs", filepath.Join(dir, "results")),
		syscall.Mkfifo(filepath.Join(dir, "pipe.go"), 0o666))
	if err != nil {
		t.Fatal(err)
	}
	found, err := Discover(dir, filepath.Join(dir, "outputs"))
	if err == nil || strings.Count(err.Error(), "a link leads to more than 1000 folders") != 2 {
		t.Errorf("error %v", err)
	}
	names := map[string]bool{}
	for _, m := range found {
		names[m.Name] = true
	}
	if !names["z.go"] || names["results/runs/r.go"] || names["outputs/runs/r.go"] {
		t.Errorf("found %v", found)
	}
}

func TestDiscoverLeavesOutNamesThatNoQueueCanHold(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"a\nb.go": mainGo, "a\x1b[31m/m.go": mainGo, "\xff.go": mainGo, "größe 模型.go": mainGo, "a\x80.txt": ""})
	found, err := Discover(dir)
	if len(found) != 1 || found[0].Name != "größe 模型.go" {
		t.Errorf("found %v", found)
	}
	for _, name := range []string{`"a\nb.go"`, `"a\x1b[31m"`, `"\xff.go"`} {
		if err == nil || !strings.Contains(err.Error(), name+" is left out") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if strings.Contains(err.Error(), "txt") {
		t.Errorf("%v", err)
	}
}

func TestLongSourcesAreJudgedByTheirLines(t *testing.T) {
	long := strings.Repeat("# 64 bytes and more of a line that says nothing to anybody ....\n", maxSource/64+1)
	goLong := "package main\n" + strings.ReplaceAll(long, "#", "//")
	dir := write(t, t.TempDir(), map[string]string{
		"main.go": goLong + "func main() {}\n", "none.go": goLong, "lib.go": "package lib\n" + goLong[13:] + "func main() {}\n",
		"model.py": long + "MODEL = Net()\n", "other.py": long + "MODEL = 'resnet'\n", "spaces.py": strings.Repeat(" ", maxSource/2-10) + strings.Repeat(";", maxSource/2-10) + "MODEL = 1",
	})
	found, err := Discover(dir)
	var names []string
	for _, m := range found {
		names = append(names, m.Name)
	}
	if want := []string{"main.go", "model.py", "spaces.py"}; !slices.Equal(names, want) || err != nil {
		t.Errorf("found %q, %v", names, err)
	}
}

func FuzzReadGo(f *testing.F) {
	for _, s := range []string{mainGo, ignoreGo, "package main\n\nfunc main() {", "package", "", "func main()"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		if pkg, main := readGo(src); main && pkg != "main" {
			t.Errorf("func main of package %q", pkg)
		}
	})
}

func FuzzParseVendored(f *testing.F) {
	f.Add("# example.com/dep v1.0.0 => ../dep\n## explicit; go 1.21\nexample.com/dep\n# example.com/dep => ../dep\n")
	f.Add("## workspace\n# a/b v0.1.0\na/b/c\n## go 1.9\n#\n# \n## ;;go\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, v := range parseVendored(text) {
			if v.path == "" || v.version == "" || strings.ContainsAny(v.path, " \n\"") {
				t.Errorf("module %q %q", v.path, v.version)
			}
		}
	})
}
