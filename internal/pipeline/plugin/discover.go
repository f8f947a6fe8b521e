package plugin

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"go/build"
	"go/parser"
	"go/scanner"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"unicode"
	"unicode/utf8"
)

// Kind says how a model becomes a process.
type Kind int

// The kinds of models.
const (
	GoFolder   Kind = iota + 1 // a folder with package main, built
	GoFile                     // one Go file with package main, built
	Python                     // a Python script, run by an interpreter
	Executable                 // anything else that can be executed, run as it is
)

func (k Kind) String() string {
	switch k {
	case GoFolder:
		return "Go package"
	case GoFile:
		return "Go file"
	case Python:
		return "Python script"
	case Executable:
		return "executable"
	}
	return fmt.Sprintf("Kind(%d)", int(k))
}

// A Model is a program that trains and evaluates, found in the folder of the models.
type Model struct {
	Name string // its path below the folder of the models, with slashes
	Kind Kind
	Path string // the file or folder itself, absolute
	// File is the name that the one file of a GoFolder that has func main would have as a model. Discover sets it.
	File string
}

// modelsDir is the folder that m was found in.
func (m Model) modelsDir() string {
	return strings.TrimSuffix(m.Path, string(filepath.Separator)+filepath.FromSlash(m.Name))
}

// A NotFoundError says that nothing has the name of the model.
type NotFoundError struct {
	Name       string
	ModelsDir  string
	Candidates []string // the names of all models that there are, sorted
}

func (e *NotFoundError) Error() string {
	return fmt.Sprintf("model %q does not exist in %s", e.Name, e.ModelsDir)
}

// A NotModelError says that what has the name is no model.
type NotModelError struct {
	Name string
	Why  string
}

func (e *NotModelError) Error() string { return fmt.Sprintf("%q is not a model: %s", e.Name, e.Why) }

// FindAll returns what Find finds of each name: a Model without a Kind where that is nothing.
func FindAll(modelsDir string, names []string) []Model {
	found := make([]Model, len(names))
	parallel(len(names), runtime.GOMAXPROCS(0), func(i int) { found[i], _ = Find(modelsDir, names[i]) })
	return found
}

// Find returns the model called name. A name that is written out may be that of anything that can be executed; a Python
// script needs no MODEL and an executable no sign of the protocol, as they do for Discover. The error is a *NotFoundError
// or a *NotModelError, or says why the models could not be read.
func Find(modelsDir, name string) (Model, error) {
	root, err := filepath.Abs(modelsDir)
	if err != nil {
		return Model{}, err
	}
	if _, err := os.Stat(root); err != nil {
		return Model{}, fmt.Errorf("folder of the models: %w", err)
	}
	clean := path.Clean(name)
	if clean == "." || !filepath.IsLocal(filepath.FromSlash(clean)) {
		return Model{}, &NotModelError{name, "a name is a path below the folder of the models"}
	}
	m := Model{Name: clean, Path: filepath.Join(root, filepath.FromSlash(clean))}
	info, err := os.Stat(m.Path)
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return Model{}, err
		}
		e := &NotFoundError{Name: name, ModelsDir: root}
		found, _ := Discover(root) // what cannot be read is no candidate
		for _, c := range found {
			e.Candidates = append(e.Candidates, c.Name)
		}
		return Model{}, e
	}
	switch {
	case info.IsDir():
		f, err := readFolder(m.Path)
		if err != nil {
			return Model{}, err
		}
		if why := f.whyNoModel(); why != "" {
			return Model{}, &NotModelError{name, why}
		}
		m.Kind = GoFolder
	case !info.Mode().IsRegular():
		return Model{}, &NotModelError{name, "it is neither a file nor a folder"}
	case strings.HasSuffix(m.Path, "_test.go"):
		return Model{}, &NotModelError{name, "it is a Go test"}
	case filepath.Ext(m.Path) == ".go":
		pkg, main, err := readGoFile(m.Path)
		if err != nil {
			return Model{}, err
		}
		if !main && pkg != "" { // what is no Go the compiler will say
			if pkg == "main" {
				return Model{}, &NotModelError{name, "it has no func main"}
			}
			return Model{}, &NotModelError{name, fmt.Sprintf("it is of package %s, and a model is of package main", pkg)}
		}
		m.Kind = GoFile
	default:
		if m.Kind, err = scriptKind(m.Path, info); err != nil {
			return Model{}, err
		}
		if m.Kind == 0 {
			return Model{}, &NotModelError{name, "it is no Go package, Go file or Python script, and it is not executable"}
		}
	}
	return m, nil
}

// Discover returns every model below modelsDir in name order. Nothing is executed. Left out are
//
//   - names that start with . or _, testdata, vendor, Go tests, and the folders in skip (absolute paths),
//   - what is in a folder that is itself a model,
//   - Go files without package main or func main,
//   - Python scripts without a MODEL at the top level, and virtual environments,
//   - executables without the name of the protocol's environment variable in them, which every program that speaks the
//     protocol has to read, and executables x beside a model x.go: what `go build x.go` left there.
//
// What cannot be read is told in the error, beside the models that were found.
func Discover(modelsDir string, skip ...string) ([]Model, error) {
	root, err := filepath.Abs(modelsDir)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(root)
	if err != nil {
		return nil, fmt.Errorf("folder of the models: %w", err)
	}
	w := walk{}
	for _, dir := range skip {
		if info, err := os.Stat(dir); err == nil {
			w.skip = append(w.skip, info)
		}
	}
	w.folder(root, "", []fs.FileInfo{info}, false)
	if more := len(w.errs) - maxErrors; more > 0 {
		w.errs = append(w.errs[:maxErrors:maxErrors], fmt.Errorf("%d more files and folders are left out", more))
	}
	slices.SortFunc(w.found, func(a, b Model) int { return strings.Compare(a.Name, b.Name) })
	return w.found, errors.Join(w.errs...)
}

const (
	// maxLinked is how many folders behind a link are looked at: further links can make endlessly many ways of a few folders, and
	// a link to / leads to all there is.
	maxLinked = 1000
	maxErrors = 20 // that are told
)

type walk struct {
	skip   []fs.FileInfo
	linked int // how many folders behind the link there were
	found  []Model
	errs   []error
}

// add adds a model, if its name can be written in a queue.
func (w *walk) add(m Model) {
	if !utf8.ValidString(m.Name) || strings.ContainsFunc(m.Name, unicode.IsControl) {
		w.errs = append(w.errs, fmt.Errorf("%q is left out: its name has control characters or is not UTF-8", m.Name))
		return
	}
	w.found = append(w.found, m)
}

// folder adds the models below dir. The folders on the way to it are known, so that a link to one of them ends the walk; linked is
// set when a link is part of the way.
func (w *walk) folder(dir, name string, way []fs.FileInfo, linked bool) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		w.errs = append(w.errs, err)
		return
	}
	if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == "pyvenv.cfg" || e.Name() == "conda-meta" }) {
		return // an environment of Python
	}
	goModels := map[string]bool{}
	var executables []Model
	for _, e := range entries {
		m := Model{Name: path.Join(name, e.Name()), Path: filepath.Join(dir, e.Name())}
		if strings.HasPrefix(e.Name(), ".") || strings.HasPrefix(e.Name(), "_") {
			continue
		}
		info, err := os.Stat(m.Path)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ELOOP) { // a link to nothing, or in a circle
				w.errs = append(w.errs, err)
			}
			continue
		}
		switch {
		case info.IsDir():
			same := func(i fs.FileInfo) bool { return os.SameFile(i, info) }
			if e.Name() == "testdata" || e.Name() == "vendor" || slices.ContainsFunc(way, same) || slices.ContainsFunc(w.skip, same) {
				continue
			}
			behind := linked || e.Type()&fs.ModeSymlink != 0
			switch {
			case !behind:
			case !linked:
				w.linked = 1
			case w.linked == maxLinked:
				w.linked++
				w.errs = append(w.errs, fmt.Errorf("%s and what comes after it are left out: a link leads to more than %d folders", m.Name, maxLinked))
				continue
			case w.linked > maxLinked:
				continue
			default:
				w.linked++
			}
			f, err := readFolder(m.Path)
			if err != nil {
				w.errs = append(w.errs, err)
				continue
			}
			if f.whyNoModel() == "" {
				m.Kind, m.File = GoFolder, path.Join(m.Name, f.mains[0])
				w.add(m)
				continue
			}
			w.folder(m.Path, m.Name, append(slices.Clip(way), info), behind)
		case !info.Mode().IsRegular() || strings.HasSuffix(e.Name(), "_test.go"):
		case filepath.Ext(e.Name()) == ".go":
			_, main, err := readGoFile(m.Path)
			if err != nil {
				w.errs = append(w.errs, err)
				continue
			}
			if main {
				m.Kind = GoFile
				w.add(m)
				goModels[strings.TrimSuffix(m.Name, ".go")] = true
			}
		default:
			kind, err := scriptKind(m.Path, info)
			if err == nil && kind == Python {
				var ok bool
				if ok, err = hasMODEL(m.Path); !ok {
					kind = 0
				}
			} else if err == nil && kind == Executable {
				var ok bool
				if ok, err = Speaks(m.Path); !ok {
					kind = 0
				}
			}
			if err != nil {
				w.errs = append(w.errs, err)
				continue
			}
			m.Kind = kind
			if kind == Executable {
				executables = append(executables, m)
			} else if kind == Python {
				w.add(m)
			}
		}
	}
	for _, m := range executables {
		if !goModels[m.Name] {
			w.add(m)
		}
	}
}

// A folder is what its Go files, tests left out, say about it.
type folder struct {
	mains   []string // of package main with func main, built here
	ignored []string // the same, left out by their build constraints
}

// whyNoModel is empty when the folder is a model.
func (f folder) whyNoModel() string {
	all := slices.Concat(f.mains, f.ignored)
	switch {
	case len(f.mains) == 1:
		return ""
	case len(all) == 0:
		return "the folder has no package main with a func main"
	case len(f.mains) > 1:
		return "more than one file declares func main: " + strings.Join(all, ", ") + "; each of them is a model"
	}
	return "the folder holds models that are files: " + strings.Join(all, ", ")
}

func readFolder(dir string) (folder, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return folder{}, err
	}
	var f folder
	for _, e := range entries {
		if !isGoSource(e.Name()) || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file := filepath.Join(dir, e.Name())
		if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
			continue
		}
		_, main, err := readGoFile(file)
		if err != nil {
			return folder{}, err
		}
		if !main {
			continue
		}
		if ok, err := build.Default.MatchFile(dir, e.Name()); err == nil && !ok {
			f.ignored = append(f.ignored, e.Name())
		} else {
			f.mains = append(f.mains, e.Name())
		}
	}
	return f, nil
}

// isGoSource tells whether the go command would look at a file of that name.
func isGoSource(name string) bool {
	return strings.HasSuffix(name, ".go") && !strings.HasPrefix(name, ".") && !strings.HasPrefix(name, "_")
}

// maxSource is how long a source may be, in bytes, to be parsed here: that takes many times the memory. A longer one, generated
// or no source at all, is judged by its lines.
const maxSource = 4 << 20

// readGoFile is readGo for a file.
func readGoFile(file string) (pkg string, main bool, err error) {
	src, whole, err := readSource(file)
	if err != nil {
		return "", false, err
	}
	if whole {
		pkg, main = readGo(src)
		return pkg, main, nil
	}
	if f, _ := parser.ParseFile(token.NewFileSet(), "", src, parser.PackageClauseOnly); f != nil && f.Name != nil {
		pkg = f.Name.Name
	}
	if pkg == "main" {
		main, err = hasLine(file, "func main()", mainText())
	}
	return pkg, main, err
}

// readSource reads a file up to maxSource.
func readSource(file string) (src []byte, whole bool, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	src, err = io.ReadAll(io.LimitReader(f, maxSource+1))
	return src[:min(len(src), maxSource)], len(src) <= maxSource, err
}

// hasLine tells whether a file has a line that text matches and that begins with start, whatever the length of both. Of a very
// long line only the beginning is looked at.
func hasLine(file, start string, text *regexp.Regexp) (bool, error) {
	f, err := os.Open(file)
	if err != nil {
		return false, err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 64<<10)
	for begins := true; ; {
		line, err := r.ReadSlice('\n')
		if begins && bytes.HasPrefix(line, []byte(start)) && text.Match(line) {
			return true, nil
		}
		switch begins = err == nil; {
		case err == io.EOF:
			return false, nil
		case err != nil && err != bufio.ErrBufferFull:
			return false, fmt.Errorf("read %s: %w", file, err)
		}
	}
}

var mainText = lazily(`(?m)^func main\(\)`)

// readGo returns the package of a Go file, and whether it is package main with a func main. A file that does not parse
// stays a model as long as it looks like one, so that its author is shown the compiler's error.
func readGo(src []byte) (pkg string, main bool) {
	f, _ := parser.ParseFile(token.NewFileSet(), "", src, parser.PackageClauseOnly)
	if f == nil || f.Name == nil {
		return "", false
	}
	if pkg = f.Name.Name; pkg != "main" {
		return pkg, false
	}
	// The tokens are enough, and take a fraction of the time that a tree takes.
	files := token.NewFileSet()
	var s scanner.Scanner
	s.Init(files.AddFile("", -1, len(src)), src, func(token.Position, string) {}, 0)
	last, depth := token.ILLEGAL, 0
	for {
		_, t, text := s.Scan()
		switch {
		case t == token.EOF:
			return pkg, depth != 0 && mainText().Match(src)
		case t == token.IDENT && text == "main" && last == token.FUNC && depth == 0:
			return pkg, true
		case t == token.LBRACE || t == token.LPAREN:
			depth++
		case t == token.RBRACE || t == token.RPAREN:
			depth--
		}
		last = t
	}
}

// scriptKind returns the kind of a file that is not Go, zero when it can be no model.
func scriptKind(file string, info fs.FileInfo) (Kind, error) {
	executable := info.Mode()&0o111 != 0
	if filepath.Ext(file) != ".py" {
		if executable {
			return Executable, nil
		}
		return 0, nil
	}
	if !executable {
		return Python, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var start [2]byte
	if _, err := io.ReadFull(f, start[:]); err != nil || string(start[:]) != "#!" {
		return Python, nil // an empty file too
	}
	if speaks, err := Speaks(file); speaks || err != nil {
		return Executable, err
	}
	return Python, nil
}

// protocolMark is wire.EnvProtocol.
var protocolMark = []byte("MLPIPELINE_PROTOCOL")

// Speaks tells whether the file has the name of the protocol's environment variable in it, as every program that reads it has.
func Speaks(file string) (bool, error) {
	f, err := os.Open(file)
	if err != nil {
		return false, err
	}
	defer f.Close()
	buf := make([]byte, 256<<10)
	kept := 0 // bytes of the last chunk that may be the start of the mark
	for {
		n, err := f.Read(buf[kept:])
		have := buf[:kept+n]
		if bytes.Contains(have, protocolMark) {
			return true, nil
		}
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("read %s: %w", file, err)
		}
		kept = copy(buf, have[max(0, len(have)-len(protocolMark)+1):])
	}
}

// lazily compiles a regular expression when it is wanted: what all calls of the program compile at their start, few need.
func lazily(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}
