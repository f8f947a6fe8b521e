package mlpipeline_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/mlpipeline/mlpipeline/"

// rooms lists the packages of the program with what each may import of the module, and why. A package that is not here
// fails the test: a new room needs its place in the house.
var rooms = map[string]struct {
	may []string
	why string
}{
	"cmd/mlpipeline": {[]string{"internal/chart", "internal/config", "internal/doctor", "internal/outputs", "internal/pipeline", "internal/pipeline/local", "internal/pipeline/passport", "internal/pipeline/plugin", "internal/report", "internal/runs", "internal/starter", "internal/table", "internal/version", "pkg/mlp/wire"},
		"the program puts everything together; nothing imports it"},
	"internal/config":            {nil, "plain values come out of it; whoever wants them takes them"},
	"internal/version":           {[]string{"pkg/mlp/wire"}, "what is due is computed from plain values; of the protocol it needs the form of a version"},
	"internal/outputs":           {[]string{"pkg/mlp/wire"}, "it knows no processes, so that runs can be read without a pipeline; of the protocol it needs the notation of metrics"},
	"internal/runs":              {[]string{"internal/outputs", "internal/version", "pkg/mlp/wire"}, "readers of what has run; of what is due they need the patterns that select versions"},
	"internal/doctor":            {[]string{"internal/config", "internal/outputs", "internal/pipeline", "internal/pipeline/local", "internal/pipeline/passport", "internal/pipeline/plugin", "internal/runs", "pkg/mlp/wire"}, "it looks at all that a night needs, and makes the plan of one"},
	"internal/table":             {nil, "text in columns: what it says is the commands'"},
	"internal/starter":           {nil, "holds the projects to begin with and nothing else"},
	"internal/pipeline":          {[]string{"internal/config", "internal/outputs", "internal/pipeline/passport", "internal/pipeline/plugin", "internal/version", "pkg/mlp/wire"}, "the loop; it knows executors by an interface only"},
	"internal/pipeline/passport": {nil, "files with what passed; what that means for a plan is the loop's"},
	"internal/pipeline/plugin":   {[]string{"pkg", "pkg/mlp/python", "pkg/mlp/wire"}, "from a name to a process that talks; it carries the SDK to build models with"},
	"internal/pipeline/local":    {[]string{"internal/config", "internal/pipeline", "pkg/mlp/wire"}, "an executor; another is written without a look at it. How it divides the machine, mlp.config says"},
	"internal/chart":             {[]string{"internal/outputs", "internal/runs", "pkg/mlp/wire"}, "curves of runs, drawn without a command line; their points are those of the protocol"},
	"internal/report":            {[]string{"internal/chart", "internal/outputs", "internal/runs", "pkg/mlp/wire"}, "a page about runs: it reads what others do, and writes HTML"},
	"pkg":                        {nil, "holds the source of the SDK and nothing else"},
	"pkg/mlp":                    {[]string{"pkg/mlp/wire"}, "what a model imports builds with an empty module cache and without the rest of the program"},
	"pkg/mlp/python":             {nil, "holds the Python package and nothing else"},
	"pkg/mlp/wire":               {nil, "both sides of the protocol import it"},
}

// owners lists who alone may import a library, and why. A name ends every path below it.
var owners = []struct {
	library string
	may     []string
	why     string
}{
	{"github.com/spf13/", []string{"cmd/mlpipeline"}, "what the pipeline does can be called without a command line"},
	{"github.com/mattn/go-runewidth", []string{"cmd/mlpipeline", "internal/table"}, "how wide a text is matters on the screen: results and events are plain values"},
	{"gopkg.in/ini.v1", []string{"internal/config"}, "the form of the configuration is known in one place"},
	{"github.com/fsnotify/", []string{"internal/config"}, "how a change of a file is noticed is known in one place"},
	{"go.uber.org/", []string{"internal/outputs"}, "one place writes the log; others have a logger from it"},
	{"github.com/guptarohit/asciigraph", []string{"internal/chart"}, "how a curve is drawn is known in one place"},
	{"golang.org/x/image/", []string{"internal/chart"}, "pictures are drawn in one place"},
	{"github.com/gofrs/flock", []string{"internal/outputs", "internal/pipeline/passport"}, "one place each knows which files are locked: those of the outputs folder, and those in the cache that several test modes write"},
}

// A listed is what `go list` says of a package.
type listed struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Error      *struct{ Err string }
}

// list returns the packages that are built into the program and its SDK for a platform, by their paths.
func list(t *testing.T, goos string) map[string]listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Standard,Imports,Error", "./cmd/...", "./internal/...", "./pkg/...")
	cmd.Env = append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	packages := map[string]listed{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages[p.ImportPath] = p
	}
}

func TestImports(t *testing.T) {
	for _, goos := range []string{"linux", "darwin"} {
		packages := list(t, goos)
		seen := 0
		for _, p := range packages {
			from, ours := strings.CutPrefix(p.ImportPath, module)
			if !ours {
				continue
			}
			seen++
			room, known := rooms[from]
			if !known {
				t.Errorf("%s: %s has no place among the rooms of this test", goos, from)
				continue
			}
			for _, imported := range p.Imports {
				to, ours := strings.CutPrefix(imported, module)
				if ours && !slices.Contains(room.may, to) {
					t.Errorf("%s: %s imports %s. It may import %v: %s", goos, from, to, room.may, room.why)
				}
				if strings.HasPrefix(from, "pkg") && !ours && !packages[imported].Standard {
					t.Errorf("%s: %s imports %s. It may import the standard library: a model builds offline with an empty module cache", goos, from, imported)
				}
				for _, o := range owners {
					if strings.HasPrefix(imported, o.library) && !slices.Contains(o.may, from) {
						t.Errorf("%s: %s imports %s. Only %v may: %s", goos, from, imported, o.may, o.why)
					}
				}
			}
		}
		if seen < 8 {
			t.Errorf("%s: %d packages were seen", goos, seen)
		}
	}
}

// The sample project is what users copy: its models see of this module what theirs do.
func TestSampleProjectImportsTheSDKAlone(t *testing.T) {
	eachFile(t, []string{"examples"}, func(file string, syntax *ast.File) {
		for _, spec := range syntax.Imports {
			name, _ := strconv.Unquote(spec.Path.Value)
			to, ours := strings.CutPrefix(name, module)
			if ours && to != "pkg/mlp" && !strings.HasPrefix(to, "examples/") {
				t.Errorf("%s imports %s", file, to)
			}
		}
	})
}

// speakers are the files that may end the process or write to its standard output: elsewhere a deferred call would be
// skipped, a line would be lost or would stand between results.
func speaker(file string) bool {
	dir, name := path.Split(file)
	return strings.HasPrefix(dir, "cmd/") || // the program
		dir == "pkg/mlp/" || // in the process of a model, which is its own program
		dir == "internal/pipeline/local/" && strings.HasPrefix(name, "guardian") // a program of its own
}

// ends are the names that end the process or write to its standard output, by package.
var ends = map[string][]string{
	"os":      {"Exit", "Stdout"},
	"fmt":     {"Print", "Printf", "Println"},
	"log":     {"Fatal", "Fatalf", "Fatalln"},
	"syscall": {"Exit", "Stdout"},
}

func TestOnlyTheProgramEndsTheProcessOrWritesToStandardOutput(t *testing.T) {
	seen := 0
	eachFile(t, []string{"cmd", "internal", "pkg"}, func(file string, syntax *ast.File) {
		seen++
		if speaker(file) {
			return
		}
		names := map[string][]string{} // by the name of the package in this file
		for _, spec := range syntax.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			name := path.Base(imported)
			if spec.Name != nil {
				name = spec.Name.Name
			}
			if forbidden, ok := ends[imported]; ok {
				names[name] = forbidden
			}
		}
		ast.Inspect(syntax, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && slices.Contains(names[x.Name], s.Sel.Name) {
					t.Errorf("%s uses %s.%s: only cmd, the SDK and the guardian end a process or write to its standard output", file, x.Name, s.Sel.Name)
				}
			}
			return true
		})
	})
	if seen < 30 {
		t.Errorf("%d files were seen", seen)
	}
}

// eachFile parses the Go files in folders, for every platform, but for tests and what lies in testdata.
func eachFile(t *testing.T, folders []string, do func(file string, syntax *ast.File)) {
	t.Helper()
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(file string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.IsDir() {
				if entry.Name() == "testdata" {
					return filepath.SkipDir
				}
				return nil
			}
			if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return nil
			}
			syntax, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			do(filepath.ToSlash(file), syntax)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}
