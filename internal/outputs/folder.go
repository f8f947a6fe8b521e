package outputs

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A Folder is an outputs folder as one host sees it.
type Folder struct {
	Dir  string
	Host string // names the files that this machine writes
}

// NewFolder returns the outputs folder dir of a machine.
func NewFolder(dir, host string) Folder {
	host = strings.Map(func(r rune) rune {
		if r == '/' || misleads(r) {
			return '_'
		}
		return r
	}, host)
	if host == "" {
		host = "localhost"
	}
	return Folder{Dir: dir, Host: host}
}

// Places are the folders below which an outputs folder holds what others wrote: itself and, as it may be a folder that holds other
// things too, those that it is made of.
func Places(dir string) []string {
	return []string{dir, filepath.Join(dir, "runs"), filepath.Join(dir, "model_ckpts")}
}

// LogFile, OutputFile and HistoryFile are the files that grow with each execution on this host.
func (f Folder) LogFile() string     { return filepath.Join(f.Dir, "log-"+f.Host) }
func (f Folder) OutputFile() string  { return filepath.Join(f.Dir, "output-"+f.Host) }
func (f Folder) HistoryFile() string { return filepath.Join(f.Dir, historyPrefix+f.Host) }

// RunDir is the folder of the record of a run.
func (f Folder) RunDir(run string) string { return filepath.Join(f.Dir, "runs", within(run)) }

// newRuns is where the records of this host are made, to appear whole.
func (f Folder) newRuns() string { return filepath.Join(f.Dir, "runs", ".new-"+f.Host) }

// within is a name that stays in its folder. Names of runs come from journals of other machines too.
func within(name string) string {
	if name == "." || name == ".." {
		return strings.ReplaceAll(name, ".", "%2E")
	}
	return strings.ReplaceAll(name, string(filepath.Separator), "%2F")
}

// ModelDir is the model directory of the versions of model that have suffix.
func (f Folder) ModelDir(model, suffix string) string {
	name := filepath.FromSlash(model)
	if suffix != "" {
		name += "-" + suffix
	}
	return filepath.Join(f.modelDirs(), name)
}

func (f Folder) modelDirs() string { return filepath.Join(f.Dir, "model_ckpts") }

// MakeModelDir makes dir, which is a ModelDir, unless it is there. It follows no link on the way from the folder of all of them,
// which may be one itself: models empty their directories, and what a link leads to is somebody else's.
func (f Folder) MakeModelDir(dir string) error {
	at := f.modelDirs()
	if err := os.MkdirAll(at, 0o777); err != nil {
		return err
	}
	below, err := filepath.Rel(at, dir)
	if err != nil {
		return err
	}
	for name := range strings.SplitSeq(below, string(filepath.Separator)) {
		at = filepath.Join(at, name)
		err := os.Mkdir(at, 0o777)
		if info, lerr := os.Lstat(at); lerr == nil && info.Mode()&os.ModeSymlink != 0 {
			return fmt.Errorf("the model directory %s is a link, which is not followed: models empty their directories; model_ckpts as a whole may be a link", at)
		} else if lerr == nil && info.IsDir() {
			continue
		}
		if errors.Is(err, os.ErrExist) {
			err = &os.PathError{Op: "mkdir", Path: at, Err: syscall.ENOTDIR}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// NewRunID returns a name for a run: the time to the millisecond, so that names sort by it, and a random tail, so that no
// two machines make the same one.
func NewRunID(now time.Time) string {
	var tail [5]byte
	rand.Read(tail[:])
	return runStamp(now) + "-" + strings.ToLower(base32.StdEncoding.EncodeToString(tail[:]))
}

func runStamp(t time.Time) string {
	return strings.Replace(t.UTC().Format("20060102-150405.000"), ".", "", 1)
}
