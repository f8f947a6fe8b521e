package plugin

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// A CacheError says that the cache cannot be used.
type CacheError struct {
	Dir string // empty when it is not known where the cache is
	Err error
}

func (e *CacheError) Error() string {
	if e.Dir == "" {
		return fmt.Sprintf("there is no place to keep built models: %v", e.Err)
	}
	why := e.Err.Error()
	if itself, ok := strings.CutPrefix(why, e.Dir+" "); ok {
		why = "it " + itself
	}
	return fmt.Sprintf("built models cannot be kept in %s: %s", e.Dir, why)
}

func (e *CacheError) Unwrap() error { return e.Err }

// Hint says what to do.
func (e *CacheError) Hint() string {
	var open *exposedError
	switch {
	case e.Dir == "":
		return "set HOME, or XDG_CACHE_HOME to a folder that can be written to"
	case !errors.As(e.Err, &open):
		return "set XDG_CACHE_HOME to a folder that can be written to"
	}
	hint := "set XDG_CACHE_HOME to a folder of your own"
	if info, err := os.Stat(e.Dir); err == nil && owner(info) == os.Geteuid() {
		hint = "rm -r " + e.Dir + " (all in it is made again), or " + hint
	}
	if os.Getenv("SUDO_USER") != "" {
		hint += "; or leave sudo out, or call sudo -H"
	}
	return hint
}

// DefaultCacheDir is mlpipeline in $XDG_CACHE_HOME, or else in the user's cache folder. It fails with a *CacheError when others
// may have put into it what would be executed.
func DefaultCacheDir() (string, error) {
	dir, err := defaultCacheDir()
	if err != nil {
		return "", err
	}
	c := cache{dir}
	if err := exchangeable(dir); err != nil {
		return dir, c.fail(err)
	}
	return dir, c.check()
}

func defaultCacheDir() (string, error) {
	if dir := os.Getenv("XDG_CACHE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "mlpipeline"), nil
	}
	// The XDG base directory specification has a relative path ignored; os.UserCacheDir refuses it.
	home, err := os.UserHomeDir()
	if err != nil {
		return "", &CacheError{Err: err}
	}
	if runtime.GOOS == "darwin" {
		return filepath.Join(home, "Library", "Caches", "mlpipeline"), nil
	}
	return filepath.Join(home, ".cache", "mlpipeline"), nil
}

// A cache is the folder of what was built.
//
//	bin/<key>           a binary, named by all that decides how it comes out
//	models/<id>.json    the manifest of the model whose path has that hash
//	sdk/<hash>/         the SDK that a program carries
//	python/<hash>/      the Python package that it carries
//	code/<hash>         a module of a Python model, compiled, by its content, path and Python
//	toolchain.json      the answer of a go command that had to be asked for its version
//	trimmed             its time is that of the last removal of what was not used for keep
type cache struct{ dir string }

const (
	keep      = 30 * 24 * time.Hour
	trimEvery = 24 * time.Hour
)

func (c cache) binary(key string) string   { return filepath.Join(c.dir, "bin", key) }
func (c cache) sdk(hash string) string     { return filepath.Join(c.dir, "sdk", hash) }
func (c cache) toolchainMemo() string      { return filepath.Join(c.dir, "toolchain.json") }
func (c cache) manifest(m Model) string    { return filepath.Join(c.dir, "models", modelID(m)+".json") }
func (c cache) fail(err error) *CacheError { return &CacheError{Dir: c.dir, Err: err} }

func modelID(m Model) string {
	h := sha256.New()
	_, _ = io.WriteString(h, m.Path)
	return sum16(h)
}

// manifestFormat changes with the meaning of anything in manifest, or of a key.
const manifestFormat = 1

// A manifest tells from what and how the binary of a model was built, so that it can be used again without a go process.
type manifest struct {
	Format      int
	Path        string // of the model
	Kind        Kind
	Go          string // version of the toolchain, and whether it has a C compiler
	Settings    string // hash of environment and flags
	SDK         string // hash of the SDK when it is the carried one
	Key         string // name of the binary
	Size        int64  // of the binary
	Fingerprint string
	Inputs      *inputs
}

// load returns the manifest of a model, false when there is none that can be used.
func (c cache) load(m Model) (manifest, bool) {
	var f manifest
	text, err := readPrivate(c.manifest(m))
	if err != nil || json.Unmarshal(text, &f) != nil {
		return f, false
	}
	return f, f.Format == manifestFormat && f.Path == m.Path && f.Kind == m.Kind && f.Key == filepath.Base(f.Key) && f.Inputs != nil
}

// store keeps a manifest. Without it the model is only looked at more closely the next time. That of a newer mlpipeline stays.
func (c cache) store(m Model, f manifest) {
	var is struct{ Format int }
	if text, err := os.ReadFile(c.manifest(m)); err == nil && json.Unmarshal(text, &is) == nil && is.Format > manifestFormat {
		return
	}
	f.Format, f.Path, f.Kind = manifestFormat, m.Path, m.Kind
	if text, err := json.Marshal(f); err == nil {
		_ = writeFile(c.manifest(m), text)
	}
}

// touch says that a file or folder is in use.
func touch(file string, info os.FileInfo) {
	if now := time.Now(); now.Sub(info.ModTime()).Abs() > trimEvery {
		_ = os.Chtimes(file, now, now)
	}
}

// trim removes what was not used for a long time, at most once in trimEvery. A clock that has gone far since the last time may
// have been set: what is in use is told from what is not by what is touched until the next time.
func (c cache) trim() {
	marker := filepath.Join(c.dir, "trimmed")
	info, err := os.Stat(marker)
	if err == nil && time.Since(info.ModTime()).Abs() < trimEvery {
		return
	}
	if writeFile(marker, nil) != nil || err == nil && time.Since(info.ModTime()).Abs() > keep {
		return
	}
	for _, part := range []string{"bin", "models", "sdk", "python", "code"} { // tested has its own rule
		entries, err := os.ReadDir(filepath.Join(c.dir, part))
		if err != nil {
			continue
		}
		for _, e := range entries {
			if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > keep {
				_ = os.RemoveAll(filepath.Join(c.dir, part, e.Name()))
			}
		}
	}
}

// writeFile puts a file in its place whole, its folder made when it is missing.
func writeFile(file string, text []byte) error {
	dir := filepath.Dir(file)
	f, err := os.CreateTemp(dir, ".new-*")
	if errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		f, err = os.CreateTemp(dir, ".new-*")
	}
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	if err := os.Rename(f.Name(), file); err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	return nil
}

// extract sees to it that dir holds files, text by name with slashes, and nothing is amiss with them and their folders. Several
// processes may do so at once: each file appears whole, and all write the same.
func extract(files map[string]string, dir string) error {
	folders := map[string]bool{}
	for name, text := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		for folder := filepath.Dir(file); len(folder) >= len(dir) && !folders[folder]; folder = filepath.Dir(folder) {
			folders[folder] = true
			if err := errors.Join(exposed(folder), exposed(filepath.Join(folder, "__pycache__"))); err != nil {
				return err
			}
		}
		if now, err := readPrivate(file); err == nil && string(now) == text {
			continue
		}
		if err := writeFile(file, []byte(text)); err != nil {
			return known(err, file)
		}
	}
	return nil
}

// room fails when nothing more can be put into dir, as far as a small file tells.
func room(dir string) error {
	file, err := os.CreateTemp(dir, ".room-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.Write(make([]byte, 256<<10))
	return known(errors.Join(err, file.Close()), dir)
}

// known is err with the name of a file that the user may know in place of a temporary one.
func known(err error, file string) error {
	var of *fs.PathError
	if errors.As(err, &of) {
		return &fs.PathError{Op: "write", Path: file, Err: of.Err}
	}
	return err
}
