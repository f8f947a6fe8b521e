package plugin

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/mlpipeline/mlpipeline/pkg"
)

// userMod is a go.mod as a Builder finds it. A plain build needs one with the SDK in it.
const userMod = "module example.com/user\n\ngo 1.24\n"

// benchProject is a module with models in it, with the go.mod for a plain build.
func benchProject(b *testing.B, n int) (builder *Builder, dir string, models []Model, edit func(what int)) {
	b.Helper()
	builder = &Builder{CacheDir: filepath.Join(b.TempDir(), "cache"), SDK: pkg.SDK}
	source, err := readSDK(pkg.SDK)
	if err != nil {
		b.Fatal(err)
	}
	sdk := b.TempDir()
	if err := extract(source.files, sdk); err != nil {
		b.Fatal(err)
	}
	dir = write(b, b.TempDir(), map[string]string{
		"go.mod": "module example.com/user\n\ngo 1.24\n\nrequire " + sdkModule + " v0.0.0\nreplace " + sdkModule + " => " + sdk + "\n",
	})
	edit = func(what int) {
		for i := range n {
			write(b, dir, map[string]string{fmt.Sprintf("models/m%d/main.go", i): fmt.Sprintf(
				"package main\n\nimport \"github.com/mlpipeline/mlpipeline/pkg/mlp\"\n\nvar _ = mlp.Version{}\n\nfunc main() { println(%d) }\n", what)})
		}
	}
	edit(0)
	for i := range n {
		m, err := Find(filepath.Join(dir, "models"), fmt.Sprintf("m%d", i))
		if err != nil {
			b.Fatal(err)
		}
		models = append(models, m)
	}
	return builder, dir, models, edit
}

// BenchmarkUnchanged10 looks at ten models that have not changed.
func BenchmarkUnchanged10(b *testing.B) {
	builder, dir, models, _ := benchProject(b, 10)
	write(b, dir, map[string]string{"go.mod": userMod})
	mustAll(b, builder, models)
	for b.Loop() {
		mustAll(b, builder, models)
	}
}

// BenchmarkEdit builds after an edit of every model, and reports the time that `go build` takes for each of them in turn
// beside it, medians of rounds that alternate.
func BenchmarkEdit(b *testing.B) {
	for _, n := range []int{1, 20} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			builder, dir, models, edit := benchProject(b, n)
			full, err := os.ReadFile(filepath.Join(dir, "go.mod"))
			if err != nil {
				b.Fatal(err)
			}
			out := b.TempDir()
			var ours, plain []time.Duration
			for what := 1; b.Loop(); what++ {
				edit(2 * what)
				write(b, dir, map[string]string{"go.mod": userMod})
				start := time.Now()
				mustAll(b, builder, models)
				ours = append(ours, time.Since(start))

				edit(2*what + 1)
				write(b, dir, map[string]string{"go.mod": string(full)})
				start = time.Now()
				for _, m := range models {
					cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", filepath.Join(out, m.Name), "./models/"+m.Name)
					cmd.Dir = dir
					if text, err := cmd.CombinedOutput(); err != nil {
						b.Fatalf("%v\n%s", err, text)
					}
				}
				plain = append(plain, time.Since(start))
			}
			slices.Sort(ours)
			slices.Sort(plain)
			a, p := ours[len(ours)/2], plain[len(plain)/2]
			b.ReportMetric(float64(a.Milliseconds()), "ms-ours")
			b.ReportMetric(float64(p.Milliseconds()), "ms-plain")
			b.ReportMetric(float64(a)/float64(p), "ours/plain")
		})
	}
}

func mustAll(b *testing.B, builder *Builder, models []Model) {
	b.Helper()
	for name, r := range builder.Build(b.Context(), models) {
		if r.Err != nil {
			b.Fatalf("%s: %v", name, r.Err)
		}
	}
}
