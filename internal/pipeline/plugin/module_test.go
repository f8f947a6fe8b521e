package plugin

import (
	"archive/zip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/mlpipeline/mlpipeline/pkg"
)

// publish puts a module into a folder that can be a GOPROXY.
func publish(t *testing.T, proxy, module, version, text string) {
	t.Helper()
	goMod := "module " + module + "\n\ngo 1.21\n"
	base := module + "/@v/" + version
	write(t, proxy, map[string]string{
		base + ".mod": goMod, base + ".info": `{"Version":"` + version + `"}`, base + ".zip": "",
	})
	f, err := os.Create(filepath.Join(proxy, filepath.FromSlash(base)+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := zip.NewWriter(f)
	for name, text := range map[string]string{"go.mod": goMod, "lib.go": text} {
		w, err := z.Create(module + "@" + version + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestFingerprintHasTheModulesThatAreUsed(t *testing.T) {
	b := newBench(t)
	proxy := t.TempDir()
	for _, m := range []string{"example.com/used", "example.com/other"} {
		for _, v := range []string{"v1.0.0", "v1.1.0"} {
			publish(t, proxy, m, v, "package lib\n\nconst Word = \""+v+"\"\n")
		}
	}
	for _, kv := range []string{"GOPROXY=file://" + proxy, "GONOSUMDB=*", "GONOSUMCHECK=1", "GOFLAGS=-modcacherw"} {
		b.setenv(kv)
	}
	goMod := func(used, other string) string {
		return "module example.com/user\n\ngo 1.24\n\nrequire (\n\texample.com/other " + other + "\n\texample.com/used " + used + "\n)\n"
	}
	project := write(t, t.TempDir(), map[string]string{
		"use.go": "package user\n\nimport _ \"example.com/other\"\n",
		"models/m.go": "package main\n\nimport (\n\t\"example.com/used\"\n\n\t\"github.com/mlpipeline/mlpipeline/pkg/mlp\"\n)\n\n" +
			"func main() { mlp.Main(); println(lib.Word) }\n",
	})
	sums := ""
	for _, v := range []string{"v1.0.0", "v1.1.0"} { // go.sum is to have all of them
		write(t, project, map[string]string{"go.mod": goMod(v, v)})
		cmd := exec.Command("go", "mod", "download", "all")
		cmd.Dir = project
		cmd.Env = append(b.Env, "GOWORK=off", "GOFLAGS=-modcacherw -mod=mod")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		sums += readFile(t, project, "go.sum")
	}
	b.setenv("GOPROXY=off")
	build := func(used, other string) Program {
		write(t, project, map[string]string{"go.mod": goMod(used, other), "go.sum": sums})
		return b.must(filepath.Join(project, "models"), "m.go")["m.go"]
	}
	first := build("v1.0.0", "v1.0.0")
	if got := b.output(first); got != "sdk 1\nv1.0.0" {
		t.Error(got)
	}
	if build("v1.0.0", "v1.1.0").Fingerprint != first.Fingerprint {
		t.Error("a module that the model does not use made it another one")
	}
	bumped := build("v1.1.0", "v1.0.0")
	if bumped.Fingerprint == first.Fingerprint || b.output(bumped) != "sdk 1\nv1.1.0" {
		t.Error("another version of a module in use is not seen")
	}
}

// TestRealSDK builds against what the program carries, as part of modules of any age.
func TestRealSDK(t *testing.T) {
	b := newBench(t)
	b.SDK = pkg.SDK
	text := "package main\n\nimport \"github.com/mlpipeline/mlpipeline/pkg/mlp\"\n\nvar _ = mlp.Version{}\n\nfunc main() { println(\"built\") }\n"
	project := write(t, t.TempDir(), map[string]string{
		"none/models/m.go": text,
		"old/go.mod":       "module example.com/old\n\ngo 1.13\n", "old/models/m.go": text,
		"new/go.mod": "module example.com/new\n\ngo 1.25\n", "new/models/m.go": text,
	})
	for _, d := range []string{"none", "old", "new"} {
		if got := b.output(b.must(filepath.Join(project, d, "models"), "m.go")["m.go"]); got != "built" {
			t.Errorf("%s: %s", d, got)
		}
	}
}
