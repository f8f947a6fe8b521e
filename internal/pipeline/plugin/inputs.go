package plugin

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"errors"
	"fmt"
	"go/build"
	"hash"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// inputs are what a Go model is built from. Names are relative to Root, with slashes.
type inputs struct {
	Root string
	// Files is the user's part: sources and embedded data, by content.
	Files map[string]string
	// Build is what else decides how the binary comes out: go.mod, go.sum, the SDK where it is taken from a folder.
	Build map[string]string `json:",omitempty"`
	// Watch are files that are left out by their build constraints, and could come in by an edit.
	Watch map[string]string `json:",omitempty"`
	// Dirs are the names of the sources in each folder, so that one that is added or removed is noticed.
	Dirs map[string][]string `json:",omitempty"`
	// Embeds are the patterns of go:embed in each folder, and what they match.
	Embeds map[string]embedded `json:",omitempty"`
	// Absent are files that decide the build by not being there.
	Absent []string `json:",omitempty"`

	hash hasher // while they are collected
}

type embedded struct{ Patterns, Files []string }

// A hasher returns 16 hex digits of the content of a file.
type hasher func(file string) (string, error)

// collect finds the inputs of a model without a go process. A source that does not parse is an input too.
func collect(m Model, p *project, c build.Context, hash hasher) (*inputs, error) {
	in := &inputs{
		hash: hash,
		Root: p.root, Files: map[string]string{}, Build: map[string]string{}, Watch: map[string]string{},
		Dirs: map[string][]string{}, Embeds: map[string]embedded{},
	}
	for _, f := range p.files {
		if err := in.add(in.Build, f); err != nil {
			return nil, err
		}
	}
	for _, f := range p.absent {
		in.Absent = append(in.Absent, in.name(f))
	}
	var imports []string
	var err error
	if m.Kind == GoFile {
		imports, err = in.file(m.Path, c)
	} else {
		imports, err = in.folder(m.Path, c, in.Files)
	}
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for len(imports) > 0 {
		importPath := imports[0]
		imports = imports[1:]
		if seen[importPath] {
			continue
		}
		seen[importPath] = true
		dir, moduleDir, ok := p.find(importPath)
		if !ok {
			continue
		}
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			continue // of the standard library, or the go command will say that it is missing
		}
		if moduleDir != p.vendor && in.otherModule(dir, moduleDir) {
			continue
		}
		kind := in.Files
		if within(importPath, sdkPackage) {
			kind = in.Build
		}
		more, err := in.folder(dir, c, kind)
		if err != nil {
			return nil, err
		}
		imports = append(imports, more...)
	}
	slices.Sort(in.Absent)
	in.Absent = slices.Compact(in.Absent)
	return in, nil
}

// otherModule tells whether a go.mod lies between a package and the folder of its module.
func (in *inputs) otherModule(dir, moduleDir string) bool {
	for dir != moduleDir && len(dir) > len(moduleDir) {
		file := filepath.Join(dir, "go.mod")
		if _, err := os.Stat(file); err == nil {
			_ = in.add(in.Watch, file)
			return true
		}
		in.Absent = append(in.Absent, in.name(file))
		dir = filepath.Dir(dir)
	}
	return false
}

// file adds a Go file that is built by itself, whatever its build constraints, and returns its imports.
func (in *inputs) file(file string, c build.Context) (imports []string, err error) {
	if err := in.add(in.Files, file); err != nil {
		return nil, err
	}
	dir := filepath.Dir(file)
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	c.UseAllFiles = true
	c.ReadDir = func(string) ([]fs.FileInfo, error) { return []fs.FileInfo{named{info, filepath.Base(file)}}, nil }
	p, _ := c.ImportDir(dir, 0) // an error is for the compiler to show
	return p.Imports, in.embed(dir, p.EmbedPatterns, in.Files)
}

// named is the information about a file under the name of a link to it.
type named struct {
	fs.FileInfo
	name string
}

func (n named) Name() string { return n.name }

// folder adds the sources of a package and returns its imports.
func (in *inputs) folder(dir string, c build.Context, kind map[string]string) (imports []string, err error) {
	names, err := sources(dir)
	if err != nil {
		return nil, err
	}
	in.Dirs[in.name(dir)] = names
	all := map[string]string{}
	for _, name := range names { // first of all, as it refuses what would be waited for
		if err := in.add(all, filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	p, _ := c.ImportDir(dir, 0) // an error is for the compiler to show
	left := slices.Concat(p.IgnoredGoFiles, p.IgnoredOtherFiles, []string{"go.mod"})
	for name, sum := range all {
		if slices.Contains(left, path.Base(name)) {
			in.Watch[name] = sum
		} else {
			kind[name] = sum
		}
	}
	return p.Imports, in.embed(dir, p.EmbedPatterns, kind)
}

var sourceExts = map[string]bool{
	".go": true, ".c": true, ".cc": true, ".cpp": true, ".cxx": true, ".m": true, ".h": true, ".hh": true, ".hpp": true,
	".hxx": true, ".f": true, ".F": true, ".for": true, ".f90": true, ".s": true, ".S": true, ".sx": true, ".swig": true,
	".swigcxx": true, ".syso": true,
}

// sources returns the names of what the go command may build in a folder, sorted. A go.mod counts: it ends the module.
func sources(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := f.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("read folder %s: %w", dir, err)
	}
	names := all[:0]
	for _, n := range all {
		if n[0] == '.' || n[0] == '_' || strings.HasSuffix(n, "_test.go") || !sourceExts[filepath.Ext(n)] && n != "go.mod" {
			continue
		}
		names = append(names, n)
	}
	slices.Sort(names)
	return names, nil
}

func (in *inputs) embed(dir string, patterns []string, kind map[string]string) error {
	if len(patterns) == 0 {
		return nil
	}
	key := in.name(dir)
	e := embedded{Patterns: append(in.Embeds[key].Patterns, patterns...)}
	e.Files = expand(dir, e.Patterns)
	in.Embeds[key] = e
	for _, name := range e.Files {
		if err := in.add(kind, filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			return err
		}
	}
	return nil
}

// expand returns the files that patterns of go:embed match below dir, sorted. What go:embed refuses is left out.
func expand(dir string, patterns []string) []string {
	var files []string
	for _, pattern := range patterns {
		pattern, all := strings.CutPrefix(pattern, "all:")
		if pattern != "." && !fs.ValidPath(pattern) {
			continue
		}
		matches, _ := fs.Glob(os.DirFS(dir), pattern)
		for _, match := range matches {
			_ = fs.WalkDir(os.DirFS(dir), match, func(name string, d fs.DirEntry, err error) error {
				if err != nil {
					return nil
				}
				hidden := name != match && strings.ContainsAny(d.Name()[:1], "._")
				switch {
				case d.IsDir() && hidden && !all:
					return fs.SkipDir
				case d.Type().IsRegular() && (all || !hidden):
					files = append(files, name)
				}
				return nil
			})
		}
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// name is the name of a file in the inputs.
func (in *inputs) name(file string) string {
	rel, err := filepath.Rel(in.Root, file)
	if err != nil {
		rel = file
	}
	return filepath.ToSlash(rel)
}

// path is the inverse of name.
func (in *inputs) path(name string) string {
	if path.IsAbs(name) {
		return filepath.FromSlash(name)
	}
	return filepath.Join(in.Root, filepath.FromSlash(name))
}

// add notes the content of a file. A folder with the name of a source is none, and a dangling link is the compiler's matter.
func (in *inputs) add(to map[string]string, file string) error {
	sum, err := in.hash(file)
	if errors.Is(err, errFolder) {
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	to[in.name(file)] = sum
	return err
}

// unchanged tells whether collecting would find the same again. It reads and hashes, and parses nothing.
func (in *inputs) unchanged(hash hasher) bool {
	for _, name := range in.Absent {
		if _, err := os.Stat(in.path(name)); !errors.Is(err, fs.ErrNotExist) {
			return false
		}
	}
	for dir, names := range in.Dirs {
		if now, err := sources(in.path(dir)); err != nil || !slices.Equal(now, names) {
			return false
		}
	}
	for dir, e := range in.Embeds {
		if !slices.Equal(expand(in.path(dir), e.Patterns), e.Files) {
			return false
		}
	}
	for _, files := range []map[string]string{in.Files, in.Build, in.Watch} {
		for name, sum := range files {
			if now, err := hash(in.path(name)); err != nil || now != sum {
				return false
			}
		}
	}
	return true
}

// fingerprint names what of the user's a binary was built from, dependencies in the module cache included.
func fingerprint(files map[string]string, binary string) (string, error) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	writeMap(h, "file", files)
	for _, d := range info.Deps {
		used := d
		if d.Replace != nil {
			used = d.Replace
		}
		if d.Path != sdkModule && used.Sum != "" { // others lie in folders, and are among the files
			fmt.Fprintf(h, "module %q %q %q %q\n", d.Path, used.Path, used.Version, used.Sum)
		}
	}
	return sum16(h), nil
}

func writeMap(w io.Writer, what string, m map[string]string) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(w, "%s %q %q\n", what, k, m[k])
	}
}

var errFolder = errors.New("it is a folder")

// hashFile returns 16 hex digits of the SHA-256 of a file's content.
func hashFile(file string) (string, error) {
	info, err := os.Stat(file)
	if err != nil {
		return "", err
	}
	if info.IsDir() {
		return "", fmt.Errorf("%s: %w", file, errFolder)
	}
	if !info.Mode().IsRegular() { // opening a FIFO would wait for ever, here and in the go command
		return "", fmt.Errorf("%s is not a regular file", file)
	}
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	buf := buffers.Get().(*[64 << 10]byte)
	defer buffers.Put(buf)
	for {
		n, err := f.Read(buf[:])
		_, _ = h.Write(buf[:n])
		if err == io.EOF {
			return sum16(h), nil
		}
		if err != nil {
			return "", fmt.Errorf("read %s: %w", file, err)
		}
	}
}

var buffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// remember returns hashFile that reads a file once only, for models that share files.
func remember() hasher {
	type answer struct {
		sum string
		err error
	}
	var known sync.Map
	return func(file string) (string, error) {
		if a, ok := known.Load(file); ok {
			return a.(answer).sum, a.(answer).err
		}
		sum, err := hashFile(file)
		known.Store(file, answer{sum, err})
		return sum, err
	}
}

func sum16(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil))[:16] }
