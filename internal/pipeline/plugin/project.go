package plugin

import (
	"errors"
	"fmt"
	"go/version"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

const (
	sdkModule  = "github.com/mlpipeline/mlpipeline"
	sdkPackage = sdkModule + "/pkg/mlp"
)

// A project is the module that a Go model is built as a part of: the user's, or one that the pipeline thinks up around the
// folder of the models.
type project struct {
	root    string // names of inputs are relative to it: the module's folder, or the one above that of the models
	dir     string // where `go build` runs: the module's folder, or that of the models
	own     bool   // there is a go.mod
	text    []byte // of the user's go.mod
	mod     *modfile.File
	modules []folderModule // the modules whose source lies in folders of the user's, the longest path first
	vendor  string         // the folder that dependencies are taken from; empty when they are not
	vendors []vendored     // what lies in it
	carried bool           // the SDK is the one that this program carries

	files  []string // what decides the above, beside the sources
	absent []string // files that would change it if they appeared
}

// A folderModule is a module whose source lies in a folder.
type folderModule struct{ path, dir string }

// findProject finds the project of a model. When go.mod cannot be understood, mod is nil and the go command is left to
// say why.
func findProject(m Model, s settings) (*project, error) {
	dir := filepath.Dir(m.Path)
	if m.Kind == GoFolder {
		dir = m.Path
	}
	p := &project{}
	for {
		file := filepath.Join(dir, "go.mod")
		info, err := os.Stat(file)
		found := err == nil && !info.IsDir()
		if found && dir != filepath.Clean(os.TempDir()) { // go ignores the one there
			p.own, p.root, p.dir = true, dir, dir
			p.files = append(p.files, file)
			break
		}
		if !found {
			p.absent = append(p.absent, file)
		}
		up := filepath.Dir(dir)
		if up == dir {
			p.dir = m.modelsDir()
			p.root = filepath.Dir(p.dir)
			p.carried = true
			p.modules = []folderModule{{virtualModule(p.dir), p.dir}}
			return p, nil
		}
		dir = up
	}
	return p, p.readModule(s)
}

func (p *project) readModule(s settings) error {
	var err error
	goMod := filepath.Join(p.root, "go.mod")
	if p.text, err = os.ReadFile(goMod); err != nil {
		return err
	}
	sums := filepath.Join(p.root, "go.sum")
	if _, err := os.Stat(sums); err == nil {
		p.files = append(p.files, sums)
	} else {
		p.absent = append(p.absent, sums)
	}
	mod, err := modfile.Parse(goMod, p.text, nil)
	if err != nil || mod.Module == nil {
		return nil
	}
	p.mod = mod
	p.modules = []folderModule{{mod.Module.Mod.Path, p.root}}
	p.carried = mod.Module.Mod.Path != sdkModule
	for _, r := range mod.Replace {
		if r.Old.Path == sdkModule {
			p.carried = false
		}
		if r.New.Version != "" {
			continue
		}
		dir := filepath.FromSlash(r.New.Path)
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(p.root, dir)
		}
		p.modules = append(p.modules, folderModule{r.Old.Path, dir})
		file := filepath.Join(dir, "go.mod")
		if _, err := os.Stat(file); err == nil {
			p.files = append(p.files, file)
		} else {
			p.absent = append(p.absent, file)
		}
	}
	slices.SortStableFunc(p.modules, func(a, b folderModule) int { return len(b.path) - len(a.path) })
	return p.readVendor(s)
}

func (p *project) readVendor(s settings) error {
	list := filepath.Join(p.root, "vendor", "modules.txt")
	text, err := os.ReadFile(list)
	if errors.Is(err, fs.ErrNotExist) {
		p.absent = append(p.absent, list)
		return nil
	}
	if err != nil {
		return err
	}
	switch s.flag("mod") {
	case "mod", "readonly":
		return nil
	case "":
		if p.mod.Go == nil || version.Compare("go"+p.mod.Go.Version, "go1.14") < 0 {
			return nil
		}
	}
	if strings.HasPrefix(string(text), "## workspace") {
		return nil
	}
	p.vendor, p.vendors = filepath.Dir(list), parseVendored(string(text))
	p.files = append(p.files, list)
	for _, v := range p.vendors {
		if v.path == sdkModule {
			p.carried = false
		}
	}
	return nil
}

// A vendored module is one that vendor/modules.txt says is in the build.
type vendored struct {
	path, version string
	language      string // as in its go.mod, may be empty
	packages      bool   // some of its packages are there
}

// parseVendored reads vendor/modules.txt, which `go mod vendor` writes. Lines that it does not know are left out.
func parseVendored(text string) []vendored {
	var list []vendored
	in := false // the lines below are about the last of list
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if notes, ok := strings.CutPrefix(line, "## "); ok {
			for note := range strings.SplitSeq(notes, ";") {
				if v, ok := strings.CutPrefix(strings.TrimSpace(note), "go "); ok && in {
					list[len(list)-1].language = v
				}
			}
			continue
		}
		if rest, ok := strings.CutPrefix(line, "# "); ok {
			f := strings.Fields(rest)
			// "# path => replacement" is about all versions, and the one that is used has a line of its own.
			in = len(f) >= 2 && f[1] != "=>" && module.Check(f[0], f[1]) == nil
			if in {
				list = append(list, vendored{path: f[0], version: f[1]})
			}
			continue
		}
		if in && line != "" {
			list[len(list)-1].packages = true
		}
	}
	return list
}

// virtualModule is the path of the module around a folder of models that is in none: imports of helper packages start
// with it.
func virtualModule(modelsDir string) string {
	name := filepath.Base(modelsDir)
	if module.CheckImportPath(name) != nil || name == "main" || name == "vendor" || name == "internal" {
		return "models"
	}
	return name
}

// find returns the folder of a package when its source is the user's. What is in the standard library, in the module
// cache or in the carried SDK is not.
func (p *project) find(importPath string) (dir, moduleDir string, ok bool) {
	if p.carried && within(importPath, sdkModule) {
		return "", "", false
	}
	for _, m := range p.modules {
		if p.vendor != "" && m.dir != p.root {
			continue
		}
		if within(importPath, m.path) {
			return filepath.Join(m.dir, filepath.FromSlash(strings.TrimPrefix(importPath, m.path))), m.dir, true
		}
	}
	if p.vendor != "" {
		return filepath.Join(p.vendor, filepath.FromSlash(importPath)), p.vendor, true
	}
	return "", "", false
}

// within tells whether a path is another one or lies below it.
func within(path, above string) bool {
	rest, ok := strings.CutPrefix(path, above)
	return ok && (rest == "" || rest[0] == '/')
}

// overlay returns the texts of the files that the go command is to see in place of the user's, none when it can build the
// project as it is. Nothing of the user's is written to.
func (p *project) overlay(sdkDir, language string) (map[string][]byte, error) {
	if !p.carried {
		return nil, nil
	}
	files := map[string][]byte{}
	goMod := filepath.Join(p.dir, "go.mod")
	const missing = "\nrequire " + sdkModule + " v0.0.0\n"
	replace := fmt.Sprintf("\nreplace %s => %s\n", sdkModule, modfile.AutoQuote(sdkDir))
	switch {
	case !p.own:
		text := "module " + p.modules[0].path + "\n"
		if language != "" {
			text += "\ngo " + strings.TrimPrefix(language, "go") + "\n"
		}
		files[goMod] = []byte(text + missing + replace)
	case p.vendor != "":
		text, err := p.unvendored(files)
		if err != nil {
			return nil, err
		}
		files[goMod] = []byte(text + missing + replace)
	default:
		text := string(p.text)
		if !slices.ContainsFunc(p.mod.Require, func(r *modfile.Require) bool { return r.Mod.Path == sdkModule }) {
			text += missing
		}
		files[goMod] = []byte(text + replace)
	}
	return files, nil
}

// unvendored returns a go.mod that has each vendored module replaced by its folder below vendor, and adds their go.mod to
// files. The go command reads vendor/modules.txt past an overlay and refuses imports that are not listed there, so the SDK
// can be added to a module with vendored dependencies only by turning the whole of vendor into replacements.
func (p *project) unvendored(files map[string][]byte) (string, error) {
	mod, err := modfile.Parse(filepath.Join(p.root, "go.mod"), p.text, nil)
	if err != nil {
		return "", err
	}
	for _, r := range slices.Clone(mod.Replace) {
		if err := mod.DropReplace(r.Old.Path, r.Old.Version); err != nil {
			return "", err
		}
	}
	for _, r := range slices.Clone(mod.Require) {
		if !slices.ContainsFunc(p.vendors, func(v vendored) bool { return v.path == r.Mod.Path && v.version == r.Mod.Version }) {
			if err := mod.DropRequire(r.Mod.Path); err != nil {
				return "", err
			}
		}
	}
	for _, v := range p.vendors {
		if err := mod.AddRequire(v.path, v.version); err != nil {
			return "", err
		}
		dir := filepath.Join(p.vendor, filepath.FromSlash(v.path))
		if err := mod.AddReplace(v.path, v.version, dir, ""); err != nil {
			return "", err
		}
		text := "module " + v.path + "\n"
		if v.language != "" {
			text += "\ngo " + v.language + "\n"
		}
		files[filepath.Join(dir, "go.mod")] = []byte(text)
	}
	mod.Cleanup()
	text, err := mod.Format()
	return string(text), err
}
