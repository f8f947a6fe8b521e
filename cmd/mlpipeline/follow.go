package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/pipeline"
	"github.com/mlpipeline/mlpipeline/internal/runs"
)

// How often it is looked for more: files on network folders do not tell. Several runs take turns, that are not too short to
// be read.
const (
	followPace = 200 * time.Millisecond
	turnPace   = time.Second
)

// followTurn is how much of one run is shown before the others have their turn.
const followTurn = 4 << 20

// A follower shows what runs print, in lines, with little memory however much that is.
type follower struct {
	app      *app
	folder   outputs.Folder
	terminal bool
	several  bool            // each run is announced
	only     bool            // no other runs are taken in than those that were added
	hosts    []*followed     // executions that are alive
	shown    []*printed      // runs whose output is shown, in their order
	known    map[string]bool // runs that are or were among them
	last     *printed        // whose output was shown last
	over     []over          // executions that are not alive any more, whose last output may be still to come
	buffer   []byte
}

// A followed is an execution that is alive.
type followed struct {
	host string
	pid  int
	tail *outputs.Tail
}

// An over is an execution that has ended, or was killed.
type over struct{ host, how string }

// A printed is what a run prints.
type printed struct {
	run, host, name string
	lines           int  // begin with so many of those that are there; -1: all
	ended           bool // no more will come
	goesOn          bool // more may come, that will not be waited for
	file            *os.File
	offset          int64 // up to which it has been shown
}

func newFollower(app *app, folder outputs.Folder) *follower {
	return &follower{app: app, folder: folder, terminal: isTerminal(app.stdout), known: map[string]bool{}, buffer: make([]byte, 256<<10)}
}

func (f *follower) say(text string) { fmt.Fprintln(f.app.stderr, "mlpipeline: "+text) }

// watch finds the executions that are alive.
func (f *follower) watch() error {
	for _, host := range f.folder.Hosts() {
		pid, ok := f.folder.Executor(host)
		if !ok {
			continue
		}
		tail, err := f.folder.Tail(host)
		if err != nil {
			return err
		}
		f.hosts = append(f.hosts, &followed{host, pid, tail})
	}
	return nil
}

// add has the output of a run shown.
func (f *follower) add(run *runs.Run, opts logsOptions) {
	goesOn := run.Status == runs.Running
	f.known[run.ID] = true
	f.shown = append(f.shown, &printed{
		run: run.ID, host: run.Host, name: outputs.Clean(run.Name()), lines: opts.lines,
		ended: !goesOn || !opts.follow, goesOn: goesOn && !opts.follow,
	})
}

// follow shows what runs print until all of those that are shown have ended and, but for only, all executions.
func (f *follower) follow() error {
	defer func() {
		for _, p := range f.shown {
			p.file.Close()
		}
	}()
	for {
		if err := f.look(); err != nil {
			return err
		}
		more := false
		var left []*printed
		for _, p := range f.shown {
			rest, err := f.show(p)
			if err != nil {
				return err
			}
			if p.ended && !rest {
				f.end(p)
				continue
			}
			left = append(left, p)
			more = more || rest
		}
		f.shown = left
		f.over = slices.DeleteFunc(f.over, func(o over) bool {
			if slices.ContainsFunc(f.shown, func(p *printed) bool { return p.host == o.host }) {
				return false
			}
			f.say("the execution on " + outputs.Clean(o.host) + " " + o.how)
			return true
		})
		if len(f.shown) == 0 && (f.only || len(f.hosts) == 0) {
			return nil
		}
		switch {
		case more:
		case len(f.shown) > 1:
			time.Sleep(turnPace)
		default:
			time.Sleep(followPace)
		}
	}
}

// look takes in what has begun and ended.
func (f *follower) look() error {
	alive := map[string]bool{}
	var hosts []*followed
	for _, h := range f.hosts {
		pid, running := f.folder.Executor(h.host) // before the journal is read, so that this is all that it has written
		running = running && pid == h.pid
		how := "was killed"
		events, err := h.tail.Next()
		if err != nil {
			return err
		}
		for _, e := range events {
			switch e.Event {
			case outputs.Started:
				f.take(e, h.host, false)
			case outputs.Finished, outputs.Failed, outputs.Interrupted:
				f.take(e, h.host, true)
			case outputs.End:
				running, how = false, "has ended"
			}
		}
		if running {
			alive[h.host] = true
			hosts = append(hosts, h)
		} else if !f.only {
			f.over = append(f.over, over{h.host, how})
		}
	}
	f.hosts = hosts
	for _, p := range f.shown {
		p.ended = p.ended || !alive[p.host]
	}
	return nil
}

// take takes in that a run has started, or ended: maybe without a start.
func (f *follower) take(e outputs.Event, host string, ended bool) {
	if e.Run != "" && !f.known[e.Run] && !f.only {
		f.known[e.Run] = true
		f.shown = append(f.shown, &printed{run: e.Run, host: host, name: outputs.Clean(pipeline.Name(e.Model, e.Version)), lines: -1})
	}
	for _, p := range f.shown {
		if p.run == e.Run {
			p.ended = p.ended || ended
		}
	}
}

// show shows what p has printed since it was called last, and reports whether there is more.
func (f *follower) show(p *printed) (more bool, err error) {
	if p.file == nil {
		file, err := f.folder.OpenPrinted(p.run)
		if errors.Is(err, os.ErrNotExist) {
			return false, nil // it is made for the first line
		}
		if err != nil {
			return false, fmt.Errorf("read output: %w", err)
		}
		p.file = file
		if p.lines >= 0 {
			if p.offset, err = lastLines(file, p.lines, f.buffer); err != nil {
				return false, fmt.Errorf("read output: %w", err)
			}
		}
	}
	for turn := 0; turn < followTurn; {
		n, err := p.file.ReadAt(f.buffer, p.offset)
		if err != nil && err != io.EOF {
			return false, fmt.Errorf("read output: %w", err)
		}
		part := f.buffer[:n]
		end := n < len(f.buffer)
		if whole := bytes.LastIndexByte(part, '\n') + 1; whole > 0 {
			part = part[:whole]
		} else if end && !p.ended {
			part = nil // the rest of the line is still to come
		}
		if len(part) == 0 {
			return false, nil
		}
		if err := f.write(p, part); err != nil {
			return false, err
		}
		p.offset += int64(len(part))
		turn += len(part)
	}
	return true, nil
}

// write shows a part of what p has printed.
func (f *follower) write(p *printed, part []byte) error {
	var text []byte
	if f.several && f.last != p {
		if f.last != nil {
			text = append(text, '\n')
		}
		text = fmt.Appendf(text, "==> %s (%s) <==\n", p.name, outputs.Clean(p.run))
	}
	f.last = p
	if f.terminal { // the files are clean when they are written, but anybody may have written to them since
		lines := outputs.NewLineWriter(func(line string) { text = append(append(text, line...), '\n') })
		lines.Write(part)
		lines.Close()
		part = nil
	}
	if _, err := f.app.stdout.Write(text); err != nil {
		return err
	}
	_, err := f.app.stdout.Write(part)
	return err
}

// end is called when all of p has been shown.
func (f *follower) end(p *printed) {
	p.file.Close()
	if p.offset > 0 {
		return
	}
	who := fmt.Sprintf("%s (%s)", p.name, outputs.Clean(p.run))
	switch _, err := os.Stat(f.folder.RunDir(p.run)); {
	case p.goesOn:
		f.say(who + " has printed nothing yet")
	case errors.Is(err, os.ErrNotExist):
		f.say("what " + who + " printed has been deleted")
	default:
		f.say(who + " has printed nothing")
	}
}

// lastLines returns where the last n lines of a file begin. A last line may have no newline.
func lastLines(file *os.File, n int, buffer []byte) (int64, error) {
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil || n == 0 {
		return size, err
	}
	for end := size; end > 0; {
		start := max(0, end-int64(len(buffer)))
		block := buffer[:end-start]
		if _, err := file.ReadAt(block, start); err != nil {
			return 0, err
		}
		if end == size && block[len(block)-1] == '\n' {
			n++ // it ends the last line
		}
		for {
			nl := bytes.LastIndexByte(block, '\n')
			if nl < 0 {
				break
			}
			if n--; n == 0 {
				return start + int64(nl) + 1, nil
			}
			block = block[:nl]
		}
		end = start
	}
	return 0, nil
}
