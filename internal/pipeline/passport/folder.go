package passport

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// Format is the version of the files. Others are left alone.
const Format = 1

// A Folder is where passports lie. It is made when the first is written.
type Folder struct{ Dir string }

// A head is the first line of a file.
type head struct {
	Format   int    `json:"format"`
	Project  string `json:"project"` // its folder, links resolved
	Model    string `json:"model"`
	Versions int    `json:"versions,omitempty"` // how many there are
	Codes    []Code `json:"codes,omitempty"`
}

// file is where the passport of a model of the project in a folder lies.
func (f Folder) file(project, model string) (string, head) {
	if real, err := filepath.EvalSymlinks(project); err == nil {
		project = real
	}
	sum := sha256.Sum256([]byte(project + "\x00" + model))
	return filepath.Join(f.Dir, hex.EncodeToString(sum[:8])+".json"), head{Format: Format, Project: project, Model: model}
}

// A NewerError says that a file was written by a newer mlpipeline. It is left as it is.
type NewerError struct {
	File   string
	Format int
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("%s: written by a newer mlpipeline (format %d; this one reads %d); install that one, or a later one", e.File, e.Format, Format)
}

// Read returns the passport of a model of the project in a folder. There is always one: it is empty when nothing is
// remembered, or when the file cannot be used, of which the error tells.
func (f Folder) Read(project, model string) (*Passport, error) {
	path, _ := f.file(project, model)
	p, err := read(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return &Passport{}, fmt.Errorf("read what was tested of %s: %w", model, err)
	}
	return p, nil
}

func read(path string) (*Passport, error) {
	file, err := os.Open(path)
	if err != nil {
		return &Passport{}, err
	}
	defer file.Close()
	d := json.NewDecoder(bufio.NewReaderSize(file, 64<<10))
	var line json.RawMessage
	var h head
	err = d.Decode(&line)
	if err == nil {
		var first struct{ Format int }
		if json.Unmarshal(line, &first) == nil && first.Format > Format {
			return nil, &NewerError{path, first.Format}
		}
		err = json.Unmarshal(line, &h)
	}
	if err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", path, err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	n := max(0, min(h.Versions, int(info.Size()/30))) // no version takes fewer bytes
	p := &Passport{Codes: h.Codes, Versions: make([]Version, 0, n), place: make(map[string]int, n)}
	for {
		var v Version
		err := d.Decode(&v)
		switch {
		case err == io.EOF:
			return p, nil
		case err == nil && v.Passed != 0 && (v.Code < 0 || int(v.Code) >= len(p.Codes)):
			err = fmt.Errorf("version %q passed with code %d, and there are %d", v.Name, v.Code, len(p.Codes))
		}
		if err != nil {
			return nil, fmt.Errorf("%s is damaged: %w", path, err)
		}
		p.set(v)
	}
}

// patience is how long another who writes is waited for. He may be stopped in a debugger; then it is better that what one of
// the two has tested is forgotten than that this one stops too.
const patience = 2 * time.Second

// Update has change take in what is new about a model of the project in a folder, on top of what others have written
// meanwhile. It returns the passport as it is then. What is damaged is replaced; the error is a NewerError for what is not.
func (f Folder) Update(project, model string, change func(*Passport)) (*Passport, error) {
	path, h := f.file(project, model)
	fail := func(err error) (*Passport, error) {
		return nil, fmt.Errorf("remember what was tested of %s: %w", model, err)
	}
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return fail(err)
	}
	lock := flock.New(filepath.Join(f.Dir, ".lock"), flock.SetPermissions(0o600))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	_, _ = lock.TryLockContext(ctx, time.Millisecond) // where there are no locks, it goes without
	cancel()
	defer lock.Close()
	p, err := read(path)
	var newer *NewerError
	if errors.As(err, &newer) {
		return fail(err)
	}
	if p == nil {
		p = &Passport{}
	}
	change(p)
	p.tidy()
	h.Codes, h.Versions = p.Codes, len(p.Versions)
	if err := write(path, h, p.Versions); err != nil {
		return fail(err)
	}
	f.trim()
	return p, nil
}

// write puts a file in its place whole.
func write(path string, h head, versions []Version) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return &fs.PathError{Op: "write", Path: path, Err: errors.Unwrap(err)}
	}
	w := bufio.NewWriterSize(file, 64<<10)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	err = e.Encode(h)
	for i := 0; err == nil && i < len(versions); i++ {
		err = e.Encode(versions[i])
	}
	err = errors.Join(err, w.Flush(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		os.Remove(file.Name())
		var of *fs.PathError
		if errors.As(err, &of) { // one text, however often it happens
			err = &fs.PathError{Op: of.Op, Path: path, Err: of.Err}
		}
	}
	return err
}

const (
	keep      = 30 * 24 * time.Hour
	trimEvery = 24 * time.Hour
)

// trim removes, at most once in trimEvery, the passports of projects that are gone and were not tested for a long time. It is
// called with the lock held.
func (f Folder) trim() {
	marker := filepath.Join(f.Dir, ".trimmed")
	if info, err := os.Stat(marker); err == nil && time.Since(info.ModTime()).Abs() < trimEvery {
		return
	}
	if os.WriteFile(marker, nil, 0o600) != nil {
		return
	}
	now := time.Now()
	_ = os.Chtimes(marker, now, now)
	entries, _ := os.ReadDir(f.Dir)
	for _, e := range entries {
		path := filepath.Join(f.Dir, e.Name())
		info, err := e.Info()
		if err != nil || time.Since(info.ModTime()) < keep || e.Name()[0] == '.' && !isTemporary(e.Name()) {
			continue
		}
		if isTemporary(e.Name()) || abandoned(path) {
			_ = os.Remove(path)
		}
	}
}

// isTemporary reports whether a file is what is left of a writer that was killed.
func isTemporary(name string) bool {
	ok, _ := filepath.Match(".new-*", name)
	return ok
}

// abandoned reports whether the project that a passport tells of is gone. What a newer mlpipeline tells is not known.
func abandoned(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	var line json.RawMessage
	var first struct{ Format int }
	if json.NewDecoder(file).Decode(&line) == nil && json.Unmarshal(line, &first) == nil && first.Format > Format {
		return false
	}
	var h head
	if json.Unmarshal(line, &h) != nil {
		return true
	}
	_, err = os.Stat(h.Project)
	return errors.Is(err, os.ErrNotExist)
}
