package outputs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"go.uber.org/zap"
)

// A Recorder holds what one execution writes: the log, the journal, and the records of its runs.
type Recorder struct {
	Folder
	*Journal
	Log *zap.Logger
	// AfterKill is set when the last execution on this host has not ended in order, and Recovered says what had to be done
	// about it.
	AfterKill bool
	Recovered []string

	Held    *Lock // that of the folder; unless it is nil it is checked before each run
	log     *logFile
	reserve reserve
	limit   int64 // on the size of a file

	ends   sync.Mutex // held while the end of a run is written: what it takes from the reserve is no other's
	ending sync.Mutex // held while a block and its line are written
	blocks int64      // size of the output file
}

// OpenRecorder opens the files of this host. The caller holds the lock of the folder. Who has read the history with the lock
// held hands it over; unless the history has it all, the journal has had to be changed.
func (f Folder) OpenRecorder(known *History) (*Recorder, error) {
	last, err := f.readStatus(f.Host) // one of a newer format must not be replaced
	if err != nil {
		return nil, err
	}
	// Not after a night of training is the time to notice.
	if file, err := openOwn(f.OutputFile(), os.O_WRONLY|os.O_APPEND); err == nil {
		file.Close()
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("write output: %w", err)
	}
	journal, torn, err := f.openJournal(known)
	if err != nil {
		return nil, err
	}
	log, err := openLog(f.LogFile(), journal.Check)
	if err != nil {
		journal.Close()
		return nil, err
	}
	r := &Recorder{Folder: f, Journal: journal, Log: log.logger(), log: log, reserve: reserve{dir: filepath.Join(f.Dir, ".reserve-"+f.Host)}, limit: largest()}
	if torn != "" {
		r.Log.Warn("the last line of the history was torn and has been taken off: " + torn)
	}
	if r.AfterKill, r.Recovered, err = f.recover(journal, last); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	if info, err := os.Stat(f.OutputFile()); err == nil {
		r.blocks = info.Size()
	}
	return r, nil
}

// What is kept free for the end of a run: room and files, and below the limit on the size of a file what it adds to one. It takes
// less, unless the run has very many parameters or results.
const (
	reserved      = 36 << 10
	reservedFiles = 3 // the output file, should it be the first, what the run printed, and its metrics; run.json.new comes before
	reservedIn    = 4 << 10
)

// Reserve has Begin keep room for the end of so many runs. It is called before the first.
func (r *Recorder) Reserve(runs int) { r.reserve.runs = runs }

// checkLimit fails when a file may not become as large as it takes for the end of another run.
func (r *Recorder) checkLimit() error {
	r.ending.Lock()
	defer r.ending.Unlock()
	room := int64(r.reserve.runs * reservedIn)
	for file, size := range map[string]int64{r.HistoryFile(): r.Size(), r.OutputFile(): r.blocks} {
		if size > r.limit-room {
			return fmt.Errorf("no room for another result: %w", &fs.PathError{Op: "write", Path: file, Err: syscall.EFBIG})
		}
	}
	return nil
}

// Begin makes the record of a run that is about to begin, if it is Ready.
func (r *Recorder) Begin(run Run) (*Record, error) {
	r.reserve.lent.Lock()
	defer r.reserve.lent.Unlock()
	if err := r.ready(); err != nil {
		return nil, err
	}
	return r.Folder.Record(run)
}

// Ready fails when the end of another run could not be recorded as things stand: without room in reserve, or when history or
// lock are no longer there.
func (r *Recorder) Ready() error {
	r.reserve.lent.Lock()
	defer r.reserve.lent.Unlock()
	return r.ready()
}

func (r *Recorder) ready() error {
	if err := r.Check(); err != nil {
		return err
	}
	if r.Held != nil {
		if err := r.Held.check(); err != nil {
			return err
		}
	}
	if err := r.checkLimit(); err != nil {
		return err
	}
	return r.reserve.take()
}

// End writes how a run ended: its record, which is made when there is none, the block of one that has finished and, last, the
// line of the history that makes it count, unless last is nil. It takes from the reserve where it must. When it fails,
// nothing but the record tells of the end.
func (r *Recorder) End(record *Record, run Run, last *Event) (missing, err error) {
	r.ends.Lock()
	defer r.ends.Unlock()
	if err := r.Check(); err != nil {
		if record != nil { // nothing is put where the outputs folder was mounted, say, but what is there shall tell what it can
			record.settle(run)
		}
		return nil, err
	}
	lent := false
	defer func() {
		if lent {
			r.reserve.lent.Unlock()
		}
	}()
	write := func(write func() error) error {
		err := write()
		if Full(err) && !lent {
			lent = true
			r.reserve.lent.Lock() // nobody else takes what it gives
			r.reserve.give()
			err = write()
		}
		return err
	}
	if record == nil {
		err = write(func() (err error) {
			record, err = r.Folder.Record(run)
			return err
		})
	} else {
		_, _ = record.metrics.write(), record.printed.write() // if not, they come last: the reserve is for the results
		err = write(func() error { return record.Close(run) })
	}
	if err == nil && last != nil {
		err = write(func() error { return r.conclude(run, *last) })
	}
	if record != nil {
		missing = record.Missing()
	}
	return missing, err
}

// conclude writes the block of a run that has finished and the last line of it, or neither.
func (r *Recorder) conclude(run Run, last Event) error {
	if last.Event != Finished {
		return r.Append(last)
	}
	r.ending.Lock()
	defer r.ending.Unlock()
	undo, size, err := r.appendBlock(run)
	if err != nil {
		return err
	}
	if err := r.Append(last); err != nil {
		return errors.Join(err, undo())
	}
	r.blocks = size
	return nil
}

// Done is to be called when no run goes on or will begin: room is no longer kept.
func (r *Recorder) Done() { r.reserve.drop() }

// Trouble says what is wrong with the log at present, but what it has said before.
func (r *Recorder) Trouble() error { return r.log.trouble() }

// Close closes the files, and says what of the log is missing.
func (r *Recorder) Close() error {
	r.reserve.drop()
	_ = os.RemoveAll(r.newRuns())
	return errors.Join(r.Journal.Close(), r.log.close())
}
