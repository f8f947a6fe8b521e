package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/runs"
)

// A place is a folder that is written to.
type place struct {
	what string
	dir  string // it may have to be made
	hint string // what to do when it cannot be written to
	part bool   // it is of another place, unless it is a link to elsewhere
}

func (d *Doctor) places() []place {
	var places []place
	if d.project != nil {
		hint := "see who owns it (ls -ld), or name another: outputs_dir in mlp.config"
		places = append(places, place{"outputs", d.folder.Dir, hint, false})
		for _, dir := range []string{"model_ckpts", "runs"} {
			if dir := filepath.Join(d.folder.Dir, dir); exists(dir) {
				places = append(places, place{filepath.Base(dir), dir, hint, true})
			}
		}
	}
	if d.CacheErr == nil {
		places = append(places, place{"cache", d.CacheDir, "set XDG_CACHE_HOME to a folder that can be written to", false})
	}
	return append(places, place{"temporary files", os.TempDir(), "set TMPDIR to a folder that can be written to", false})
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// nearest is dir, or the nearest folder above it that exists: in which dir would be made.
func nearest(dir string) string {
	for !exists(dir) && dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
	}
	return dir
}

// A space is what a file system has left, for the places that lie on it.
type space struct {
	places       []string
	dir          string
	free, size   uint64 // bytes
	nodes, files uint64 // how many more files there can be, of how many; 0: it keeps no count
}

// disk looks at the room on the file systems that are written to.
func (d *Doctor) disk(context.Context) []Finding {
	var spaces []*space
	on := map[uint64]*space{}
	for _, p := range d.places() {
		dir := nearest(p.dir)
		dev, err := device(dir)
		if err != nil {
			continue // which write says
		}
		s := on[dev]
		if s == nil {
			var fs unix.Statfs_t
			if unix.Statfs(dir, &fs) != nil || fs.Blocks == 0 {
				continue
			}
			block := uint64(fs.Bsize)
			s = &space{
				dir: dir, free: uint64(fs.Bavail) * block, size: (fs.Blocks - fs.Bfree + uint64(fs.Bavail)) * block,
				nodes: fs.Ffree, files: fs.Files,
			}
			on[dev] = s
			spaces = append(spaces, s)
		}
		if !p.part || len(s.places) == 0 {
			s.places = append(s.places, p.what)
		}
	}
	var findings []Finding
	for _, s := range spaces {
		findings = append(findings, s.judge())
	}
	return findings
}

// The least that is left without a word, and the least that is no problem.
const (
	muchSpace   = 1 << 30
	littleSpace = 100 << 20
	littleNodes = 1000
)

func (s *space) judge() Finding {
	for_ := strings.Join(s.places, ", ")
	percent := func(n, of uint64) float64 { return 100 * float64(n) / float64(max(of, 1)) }
	text := fmt.Sprintf("%s (%.0f %%) free for %s", size(s.free), percent(s.free, s.size), for_)
	hint := "make room on the file system of " + s.dir
	scarce := s.files > 0 && percent(s.nodes, s.files) < 5
	if scarce {
		text = fmt.Sprintf("room for %d more files only, for %s", s.nodes, for_)
		hint = "delete many small files on the file system of " + s.dir
	}
	switch {
	case s.free < littleSpace, scarce && s.nodes < littleNodes:
		return say(Problem, "disk", hint, "%s", text)
	case s.free < muchSpace, percent(s.free, s.size) < 5, scarce:
		return say(Warning, "disk", hint, "%s", text)
	}
	return say(OK, "disk", "", "%s", text)
}

// write makes and removes a file in each place. A folder that does not exist is not made: where it would be is tried. In the
// model directories nothing is made, a running model may be listing or emptying one: whether they may be written to is asked.
func (d *Doctor) write(context.Context) []Finding {
	var findings []Finding
	var fine []string
	for _, p := range d.places() {
		if _, err := try(nearest(p.dir)); err != nil {
			findings = append(findings, say(Problem, "write", p.hint, "%s: %v", p.what, plain(err)))
		} else {
			fine = append(fine, p.what)
		}
	}
	if d.project != nil {
		findings = append(findings, d.ownFiles()...)
		findings = append(findings, d.modelDirs()...)
	}
	if findings == nil {
		return []Finding{say(OK, "write", "", "%s can be written to", strings.Join(fine, ", "))}
	}
	return findings
}

// try makes a file in dir and removes it again. It returns the time that the file system gave it, less that of the clock.
func try(dir string) (ahead time.Duration, err error) {
	if info, err := os.Stat(dir); err != nil {
		return 0, err
	} else if !info.IsDir() {
		return 0, &fs.PathError{Op: "make a file in", Path: dir, Err: errors.New("it is not a folder")}
	}
	before := time.Now()
	f, err := os.CreateTemp(dir, ".mlpipeline-doctor-*")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString("mlpipeline doctor\n")
	info, serr := f.Stat()
	if err := errors.Join(err, serr, f.Close()); err != nil {
		return 0, err
	}
	after := time.Now()
	switch stamp := info.ModTime(); {
	case stamp.Before(before):
		ahead = stamp.Sub(before)
	case stamp.After(after):
		ahead = stamp.Sub(after)
	}
	return ahead, nil
}

// plain is err without the name of the file that was to be made.
func plain(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) && strings.HasPrefix(filepath.Base(path.Path), ".mlpipeline-doctor-") {
		return fmt.Errorf("%s: %w", filepath.Dir(path.Path), path.Err)
	}
	return err
}

// ownFiles looks at the files that an execution on this host appends to.
func (d *Doctor) ownFiles() []Finding {
	var findings []Finding
	for _, file := range []string{d.folder.LogFile(), d.folder.OutputFile(), d.folder.HistoryFile()} {
		info, err := os.Stat(file)
		if err != nil {
			continue
		}
		if !info.Mode().IsRegular() {
			findings = append(findings, say(Problem, "write", "move it away", "%s is in the way: it is no ordinary file", file))
		} else if err := unix.Access(file, unix.W_OK); err != nil {
			findings = append(findings, say(Problem, "write", "see who owns it: ls -l "+file, "%s: %v", file, err))
		}
	}
	return findings
}

// modelDirs looks at the model directories that there are. Names of models may have folders in them.
func (d *Doctor) modelDirs() []Finding {
	const deep = 3
	root := filepath.Join(d.folder.Dir, "model_ckpts")
	var bad []string
	var first error
	filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return nil
		}
		if err := unix.Access(path, unix.W_OK|unix.X_OK); err != nil {
			bad = append(bad, path)
			if first == nil {
				first = err
			}
		}
		if rel, _ := filepath.Rel(root, path); strings.Count(rel, string(filepath.Separator)) >= deep-1 {
			return fs.SkipDir
		}
		return nil
	})
	if len(bad) == 0 {
		return nil
	}
	text := bad[0]
	if len(bad) > 1 {
		text += fmt.Sprintf(" and %d more", len(bad)-1)
	}
	return []Finding{say(Problem, "write", "see who owns it: ls -ld "+bad[0], "model directory %s: %v", text, first)}
}

// The largest difference between clocks that is none, the largest that does no harm, and a year in which there was no
// mlpipeline yet.
const (
	sameTime  = 2 * time.Second
	nearly    = time.Minute
	firstYear = 2024
)

// clock holds the clock against the time stamps of the outputs folder, which another machine may make, and against the
// journals: the newest run of a version, of those on several hosts, is the one whose time is the latest.
func (d *Doctor) clock(context.Context) []Finding {
	now := time.Now()
	if now.Year() < firstYear {
		return []Finding{say(Problem, "clock", "set it, or switch on NTP: timedatectl set-ntp true", "it says %s", now.Format(time.RFC3339))}
	}
	fine := say(OK, "clock", "", "%s", now.Format("2006-01-02 15:04:05 -07:00"))
	if d.project == nil {
		return []Finding{fine}
	}
	var findings []Finding
	if ahead, err := try(nearest(d.folder.Dir)); err == nil && ahead.Abs() > sameTime {
		findings = append(findings, say(Warning, "clock", "compare the clocks: date, on this machine and on that of the file system", "the file system of %s is %s", nearest(d.folder.Dir), off(ahead)))
	}
	latest := map[string]time.Time{}
	var hosts []string
	if index, err := runs.Read(d.folder); err == nil { // else the plan says why
		for _, r := range index.Runs {
			for _, t := range []time.Time{r.Started, r.Ended} {
				if t.After(latest[r.Host]) {
					if latest[r.Host].IsZero() {
						hosts = append(hosts, r.Host)
					}
					latest[r.Host] = t
				}
			}
		}
	}
	for _, host := range hosts {
		ahead := latest[host].Sub(now)
		if ahead < nearly {
			continue
		}
		whose, hint := "this machine", "compare the clock with another: date"
		if host != d.folder.Host {
			whose, hint = host, "compare the clocks: date, here and there"
		}
		findings = append(findings, say(Problem, "clock", hint,
			"the last run of %s in the history is %s: -u takes it for newer than what runs tonight", outputs.Clean(whose), off(ahead)))
	}
	if findings == nil {
		return []Finding{fine}
	}
	return findings
}

func off(ahead time.Duration) string {
	if ahead < 0 {
		return (-ahead).Round(time.Second).String() + " behind the clock of this machine"
	}
	return ahead.Round(time.Second).String() + " ahead of the clock of this machine"
}
