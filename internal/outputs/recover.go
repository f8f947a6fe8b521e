package outputs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// Killed is the cause of the end of a run whose pipeline was killed.
const Killed = "the pipeline was killed"

// recover gives each run an end that an execution on this host has left without: because it was killed, because the last lines
// of the journal were lost in a power cut, or because the disk was full. A run whose record has its end is completed with
// what is missing, the block of output-<host> and the last line of the journal. The others were killed: they are interrupted
// from now on. last is what the last execution said of itself. killed reports whether it has not ended in order, did says,
// for people, what was done about it.
//
// It may be killed itself at any moment, and is done again then. When the last execution has ended in order it costs the
// same however long the journal is, else as much as that execution has written.
func (f Folder) recover(j *Journal, last Status) (killed bool, did []string, err error) {
	if j.made || endedInOrder(j.file, last) {
		return false, nil, nil // a history that the user has deleted is not made again
	}
	fail := func(err error) (bool, []string, error) {
		return true, did, fmt.Errorf("recover what a killed execution has left: %w", err)
	}
	_ = os.RemoveAll(f.newRuns())
	left, err := f.openRuns(j, last)
	if err != nil {
		return fail(err)
	}
	finished := map[string]Run{} // those whose block may be missing
	for _, o := range left {
		if o.run.Status == Finished {
			finished[o.run.ID] = o.run
		}
	}
	if err := f.mendBlocks(finished); err != nil {
		return fail(err)
	}
	for _, o := range left {
		text, err := f.settle(j, o, last)
		if err != nil {
			return fail(err)
		}
		if text != "" {
			did = append(did, text)
		}
	}
	return true, did, nil
}

// endedInOrder reports whether the last line of a journal ends the last execution. last is what that says of itself: the
// lines of all of it may have been lost.
func endedInOrder(file *os.File, last Status) bool {
	info, err := file.Stat()
	if err != nil {
		return false
	}
	tail := make([]byte, min(info.Size(), 64<<10)) // the line that ends an execution is a short one
	if _, err := file.ReadAt(tail, info.Size()-int64(len(tail))); err != nil && err != io.EOF {
		return false
	}
	line := bytes.TrimSuffix(tail, []byte("\n"))
	line = line[bytes.LastIndexByte(line, '\n')+1:]
	var s scanner
	var e Entry
	if !s.entry(line, &e, false) || e.Event != End {
		return false
	}
	return last.Host == "" || last.Ended != nil && !last.Started.After(e.Time)
}

// An openRun is a run that has no end in the journal.
type openRun struct {
	run        Run    // as recorded, else as far as the journal tells
	started    bool   // the journal knows of it,
	parameters string // with these, as a hash,
	order      int64  // and this place
	// superseded: another run of its version has come since. What the journal tells of the version is of that.
	superseded bool
}

// openRuns returns the runs of the last execution that have no end, of all executions of an early journal, in their order.
func (f Folder) openRuns(j *Journal, last Status) (all []openRun, err error) {
	info, err := j.file.Stat()
	if err != nil {
		return nil, err
	}
	begin, err := lastLineWith(j.file, info.Size(), []byte(`{"event":"`+Begin+`"`))
	if err != nil {
		return nil, err
	}
	var since time.Time // runs without a line are looked for that were started after this
	if last.Host != "" && last.Ended == nil {
		since = last.Started.Time
	}
	type name struct{ model, version string }
	open := map[string]openRun{}
	ended := map[string]bool{}
	latest := map[name]string{}
	begin = max(0, begin)
	scan := func(s *scanner, at int64, text []byte) { s.scan(at, text, false) }
	err = inBlocks(io.NewSectionReader(j.file, begin, math.MaxInt64-begin), maxEvent, scan, func(s *scanner) error {
		for i := range s.entries {
			e := &s.entries[i]
			id := string(e.Run)
			switch e.Event {
			case Begin:
				since = e.Time
			case Started:
				run := Run{
					ID: id, Model: string(e.Model), Version: string(e.Version), Status: Running, Mode: wire.ModeExecution,
					Parameters: bytes.Clone(e.Params), ParametersHash: string(e.Parameters), Host: f.Host, Code: Code{Fingerprint: string(e.Code)},
					Dir: string(e.Dir), Resumes: string(e.Resumes), Started: Time{e.Time},
				}
				open[id] = openRun{run: run, started: true, parameters: run.ParametersHash, order: e.Order}
				latest[name{run.Model, run.Version}] = id
			case Finished, Failed, Interrupted:
				delete(open, id)
				ended[id] = true
				latest[name{string(e.Model), string(e.Version)}] = id
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for id, o := range open {
		o.superseded = latest[name{o.run.Model, o.run.Version}] != id
		if run, ok := f.recorded(id); ok {
			o.run = run
		}
		all = append(all, o)
	}
	for _, id := range f.runsSince(since) {
		if ended[id] || open[id].started {
			continue
		}
		if run, ok := f.recorded(id); ok {
			all = append(all, openRun{run: run, superseded: latest[name{run.Model, run.Version}] > id})
		}
	}
	slices.SortFunc(all, func(a, b openRun) int { return strings.Compare(a.run.ID, b.run.ID) })
	return all, nil
}

// recorded returns the record of a run of this host. A power cut may have left nothing of it, or a part: it is not synced.
func (f Folder) recorded(id string) (run Run, ok bool) {
	run, err := f.ReadRun(id)
	if err != nil || run.ID != id || run.Host != f.Host {
		return Run{}, false
	}
	var compact bytes.Buffer
	if json.Compact(&compact, run.Parameters) == nil {
		run.Parameters = compact.Bytes() // as it was before it was written indented
	}
	if run.Ended == nil || run.Status != Finished && run.Failure == nil {
		run.Status = Running
	}
	return run, true
}

// runsSince returns the names of the records of all hosts that were made after a time, of none when that is not known.
func (f Folder) runsSince(since time.Time) (ids []string) {
	if since.IsZero() {
		return nil
	}
	first := runStamp(since)
	entries, _ := os.ReadDir(filepath.Dir(f.RunDir("x"))) // there may be none yet
	for _, e := range entries {
		if e.IsDir() && e.Name() >= first {
			ids = append(ids, e.Name())
		}
	}
	return ids
}

// settle gives a run its end, and says so.
func (f Folder) settle(j *Journal, o openRun, last Status) (did string, err error) {
	run := o.run
	name := run.Model
	if run.Version != "" {
		name += "/" + run.Version
	}
	name = fmt.Sprintf("%s (run %s)", name, run.ID)
	line := !o.superseded
	switch run.Status {
	case Finished:
		has, err := f.hasBlock(run.ID)
		if err == nil && !has {
			_, _, err = f.appendBlock(run)
		}
		if err != nil {
			return "", err
		}
		did = name + " had finished, but not all of that was recorded: now it is"
	case Failed:
		// What was refused before a process was started for it is refused again.
		line = line && (o.started || run.Seconds > 0)
		did = name + " had failed, but not all of that was recorded: now it is"
	default:
		if run.Status != Interrupted {
			f.interrupt(&run, last)
		}
		// Without a line that it has started it may not have begun, or have been about to empty its model directory: it has to
		// start from scratch. One that has trained since had such a line.
		line = line && (o.started || f.LastStep(run.ID) > 0)
		did = fmt.Sprintf("%s was interrupted when the pipeline was killed", name)
		if run.Steps.Done > 0 {
			did += fmt.Sprintf(", after step %d", run.Steps.Done)
		}
	}
	if o.run.Status != run.Status {
		if err := f.rewrite(run); err != nil {
			did += fmt.Sprintf(" (%v)", err) // the journal counts
		}
	}
	if !line {
		if o.run.Status == run.Status {
			return "", nil
		}
		return did, nil
	}
	e := run.End()
	if !o.started || o.parameters != run.ParametersHash {
		e.Params, e.Order = run.Parameters, int(o.order)
	}
	return did, j.Append(e)
}

// interrupt makes a run that was killed an interrupted one: it has lived, as far as is known, until its files were last
// written to.
func (f Folder) interrupt(run *Run, last Status) {
	ended := run.Started.Time
	for _, name := range []string{runFile, metricsFile, printedFile} {
		if info, err := os.Stat(filepath.Join(f.RunDir(run.ID), name)); err == nil && info.ModTime().After(ended) {
			ended = info.ModTime()
		}
	}
	run.Status, run.Ended, run.Seconds = Interrupted, &Time{ended}, ended.Sub(run.Started.Time).Seconds()
	run.Failure = &Failure{Cause: Killed}
	for _, l := range last.Running {
		if l.Run != run.ID {
			continue
		}
		run.Failure.Phase = l.Phase
		if l.Phase == wire.PhaseTrain {
			run.Steps = Steps{Before: l.Before, Done: l.Step, Total: l.Total}
		}
	}
	run.Steps.Done = max(run.Steps.Done, f.LastStep(run.ID))
}

// rewrite replaces the record of a run, unless its folder was deleted.
func (f Folder) rewrite(run Run) error {
	dir := f.RunDir(run.ID)
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return (&Record{dir: dir}).Close(run)
}

// mendBlocks takes half a block off the end of output-<host>: SIGKILL tears a long one, a power cut any. finished are the
// runs whose block may be missing.
func (f Folder) mendBlocks(finished map[string]Run) error {
	file, err := openOwn(f.OutputFile(), os.O_RDWR|os.O_APPEND)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	size := info.Size()
	at, err := lastLineWith(file, size, []byte(strings.TrimSuffix(ruler, "\n")))
	if err != nil {
		return err
	}
	tail := make([]byte, size-max(0, at))
	if _, err := file.ReadAt(tail, max(0, at)); err != nil && err != io.EOF {
		return err
	}
	// The first line of a block may be all that there is of it, or less.
	if n := bytes.LastIndexByte(tail, '\n') + 1; n > 0 && n < len(tail) && strings.HasPrefix(ruler, string(tail[n:])) {
		tail = tail[:n]
		if err := file.Truncate(max(0, at) + int64(n)); err != nil {
			return err
		}
	}
	if at < 0 {
		if len(tail) > 0 && strings.HasPrefix(ruler, string(tail)) {
			return file.Truncate(0)
		}
		return nil // empty, or it holds something else
	}
	_, rest, _ := bytes.Cut(tail, []byte("\n"+blockRun))
	id, _, _ := bytes.Cut(rest, []byte("\n"))
	run, open := finished[string(id)]
	if open && string(tail) == block(run) || !open && len(id) > 0 && bytes.HasSuffix(tail, []byte("\n")) {
		return nil
	}
	if err := file.Truncate(at); err != nil || open || len(id) == 0 {
		return err
	}
	// The journal knows that it has finished: after a power cut the one file may be there and the other not.
	if run, ok := f.recorded(string(id)); ok && run.Status == Finished {
		_, err = file.WriteString(block(run))
		return err
	}
	return nil
}

// hasBlock reports whether output-<host> has the block of a run.
func (f Folder) hasBlock(id string) (bool, error) {
	file, err := open(f.OutputFile())
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return false, err
	}
	at, err := lastLineWith(file, info.Size(), []byte(blockRun+id+"\n"))
	return at >= 0, err
}

// lastLineWith returns where the last line of a file begins that begins with a prefix, or -1. It reads the file backwards.
func lastLineWith(file io.ReaderAt, size int64, prefix []byte) (int64, error) {
	const step = 1 << 20
	pattern := append([]byte("\n"), prefix...)
	block := make([]byte, step+len(pattern))
	for start := size; start > 0; {
		end := min(size, start+int64(len(pattern)))
		start = max(0, start-step)
		text := block[:end-start]
		if _, err := file.ReadAt(text, start); err != nil && err != io.EOF {
			return 0, err
		}
		if i := bytes.LastIndex(text, pattern); i >= 0 {
			return start + int64(i) + 1, nil
		}
		if start == 0 && bytes.HasPrefix(text, prefix) {
			return 0, nil
		}
	}
	return -1, nil
}
