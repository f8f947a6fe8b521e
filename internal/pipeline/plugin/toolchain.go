package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/build"
	"go/version"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// oldestGo is what the SDK needs, language and library.
const oldestGo = "go1.22"

// A NoGoError says that there is no Go to build a model with.
type NoGoError struct {
	Path    string // the go command, empty when there is none on PATH
	Version string // its version when it is too old
	Err     error  // why its version cannot be told
}

func (e *NoGoError) Error() string {
	switch {
	case e.Path == "":
		return "there is no go command on PATH, and Go models are built with it"
	case e.Err != nil:
		return fmt.Sprintf("%s does not work: %v", e.Path, e.Err)
	}
	return fmt.Sprintf("%s is %s, and models need %s or later", e.Path, e.Version, oldestGo)
}

func (e *NoGoError) Unwrap() error { return e.Err }

// Hint says what to do.
func (e *NoGoError) Hint() string {
	return "install Go 1.26 or later from https://go.dev/dl and see that `go` is on PATH"
}

// A toolchain is the go command that models are built with.
type toolchain struct {
	path, root, version string
}

// findToolchain asks no process when the go command lies where Go puts it. Otherwise (a wrapper) it is asked once, and its
// answer kept in the file memo for as long as the command stays the same.
func findToolchain(ctx context.Context, env settings, memo string) (toolchain, error) {
	file, err := lookPath(env, "go")
	if err != nil {
		return toolchain{}, &NoGoError{}
	}
	t := toolchain{path: file, root: env.get("GOROOT")}
	if t.root == "" {
		real, err := filepath.EvalSymlinks(file)
		if err != nil {
			return toolchain{}, &NoGoError{Path: file, Err: err}
		}
		t.root = filepath.Dir(filepath.Dir(real))
	}
	text, err := os.ReadFile(filepath.Join(t.root, "VERSION"))
	if err == nil {
		line, _, _ := strings.Cut(string(text), "\n")
		t.version = strings.TrimSpace(line)
	}
	if !strings.HasPrefix(t.version, "go") && !strings.HasPrefix(t.version, "devel") {
		if t.root, t.version, err = askGo(ctx, env, file, memo); err != nil {
			return toolchain{}, &NoGoError{Path: file, Err: err}
		}
	}
	if v := t.language(); v != "" && version.Compare(v, oldestGo) < 0 {
		return toolchain{}, &NoGoError{Path: file, Version: t.version}
	}
	return t, nil
}

// language returns the version of the language, go1.26 for go1.26.8, or "" when the version does not tell.
func (t toolchain) language() string {
	for _, f := range strings.Fields(t.version) { // devel go1.27-0123456789
		f, _, _ = strings.Cut(f, "-")
		if l := version.Lang(f); l != "" {
			return l
		}
	}
	return ""
}

func askGo(ctx context.Context, env settings, file, memo string) (root, vers string, err error) {
	type answer struct {
		Path       string
		Size, Time int64
		GOROOT     string // of the environment
		Root       string
		Version    string
	}
	info, err := os.Stat(file)
	if err != nil {
		return "", "", err
	}
	now := answer{Path: file, Size: info.Size(), Time: info.ModTime().UnixNano(), GOROOT: env.get("GOROOT")}
	var known answer
	if text, err := readPrivate(memo); err == nil && json.Unmarshal(text, &known) == nil {
		root, vers = known.Root, known.Version
		known.Root, known.Version = "", ""
		if known == now && vers != "" {
			return root, vers, nil
		}
	}
	cmd := exec.CommandContext(ctx, file, "env", "GOROOT", "GOVERSION")
	cmd.Env = append(slices.Clip(env.env), "GOTOOLCHAIN=local", "GOWORK=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", "", fmt.Errorf("go env: %w: %s", err, firstLine(stderr.String()))
	}
	lines := strings.Split(string(out), "\n")
	if len(lines) < 2 || lines[1] == "" {
		return "", "", errors.New("go env tells no version")
	}
	now.Root, now.Version = lines[0], lines[1]
	if text, err := json.Marshal(now); err == nil {
		_ = writeFile(memo, text) // asked again next time
	}
	return now.Root, now.Version, nil
}

// settings is the environment of the go command, with those of its variables that decide what a build makes.
type settings struct {
	env []string          // as it was given
	all map[string]string // env, the last value of each
	set map[string]string // what decides, the go command's own configuration file read too
	cgo bool
}

// decisive are the variables that change what a build makes; those that start with CGO_ are meant too. PATH and the like
// are left to the go command, which keeps its own account of the tools that it calls.
var decisive = []string{
	"GOOS", "GOARCH", "GOFLAGS", "GOEXPERIMENT", "GOFIPS140", "GOROOT", "GO386", "GOAMD64", "GOARM", "GOARM64", "GOMIPS",
	"GOMIPS64", "GOPPC64", "GORISCV64", "GCCGO", "CC", "CXX", "FC", "AR", "PKG_CONFIG", "PKG_CONFIG_PATH",
}

func readSettings(env []string) settings {
	s := settings{env: env, all: map[string]string{}, set: map[string]string{}}
	for _, kv := range env {
		if k, v, ok := strings.Cut(kv, "="); ok {
			s.all[k] = v
		}
	}
	decides := func(k string) bool { return strings.HasPrefix(k, "CGO_") || slices.Contains(decisive, k) }
	if text, err := os.ReadFile(s.configFile()); err == nil {
		for line := range strings.Lines(string(text)) {
			if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok && decides(k) {
				s.set[k] = v
			}
		}
	}
	for k, v := range s.all {
		if v != "" && decides(k) {
			s.set[k] = v
		}
	}
	s.cgo = s.findCgo()
	return s
}

// configFile is the file that `go env -w` writes.
func (s settings) configFile() string {
	if file := s.all["GOENV"]; file == "off" {
		return os.DevNull
	} else if file != "" {
		return file
	}
	dir := s.all["XDG_CONFIG_HOME"]
	switch {
	case runtime.GOOS == "darwin":
		dir = filepath.Join(s.all["HOME"], "Library", "Application Support")
	case dir == "":
		dir = filepath.Join(s.all["HOME"], ".config")
	}
	return filepath.Join(dir, "go", "env")
}

func (s settings) get(key string) string { return s.set[key] }

// findCgo tells whether files that import "C" are part of a package, as the go command decides it.
func (s settings) findCgo() bool {
	if v := s.set["CGO_ENABLED"]; v != "" {
		return v == "1"
	}
	if s.goos() != runtime.GOOS || s.goarch() != runtime.GOARCH {
		return false
	}
	cc := "gcc"
	if s.goos() == "darwin" {
		cc = "clang"
	}
	if f := strings.Fields(s.set["CC"]); len(f) > 0 {
		cc = f[0]
	}
	_, err := lookPath(s, cc)
	return err == nil
}

func (s settings) goos() string   { return orElse(s.set["GOOS"], runtime.GOOS) }
func (s settings) goarch() string { return orElse(s.set["GOARCH"], runtime.GOARCH) }

func orElse(v, other string) string {
	if v == "" {
		return other
	}
	return v
}

// flag returns the value of a flag in GOFLAGS.
func (s settings) flag(name string) string {
	value := ""
	for _, f := range strings.Fields(s.set["GOFLAGS"]) {
		f = strings.Trim(f, `'"`)
		if k, v, ok := strings.Cut(strings.TrimLeft(f, "-"), "="); ok && k == name {
			value = v
		}
	}
	return value
}

// context selects the files of a package as the go command does. language is that of the toolchain.
func (s settings) context(language string) build.Context {
	c := build.Default
	c.GOOS, c.GOARCH, c.CgoEnabled, c.Compiler = s.goos(), s.goarch(), s.cgo, "gc"
	c.BuildTags = strings.FieldsFunc(s.flag("tags"), func(r rune) bool { return r == ',' })
	for _, tag := range []string{"race", "msan", "asan"} {
		if strings.Contains(" "+s.set["GOFLAGS"]+" ", "-"+tag+" ") {
			c.BuildTags = append(c.BuildTags, tag)
		}
	}
	var minor int
	if _, err := fmt.Sscanf(language, "go1.%d", &minor); err == nil {
		c.ReleaseTags = nil
		for i := 1; i <= minor; i++ {
			c.ReleaseTags = append(c.ReleaseTags, fmt.Sprintf("go1.%d", i))
		}
	}
	return c
}

// lookPath is exec.LookPath in the PATH of s.
func lookPath(s settings, name string) (string, error) {
	if strings.ContainsRune(name, filepath.Separator) {
		return exec.LookPath(name)
	}
	for _, dir := range filepath.SplitList(s.all["PATH"]) {
		if !filepath.IsAbs(dir) {
			continue
		}
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	return "", exec.ErrNotFound
}
