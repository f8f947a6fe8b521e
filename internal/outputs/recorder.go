package outputs

import (
	"errors"
	"os"

	"go.uber.org/zap"
)

// A Recorder holds what one execution writes: the log, the journal, and the records of its runs.
type Recorder struct {
	Folder
	*Journal
	Log     *zap.Logger
	logFile *os.File
}

// OpenRecorder opens the files of this host. The caller holds the lock of the folder.
func (f Folder) OpenRecorder() (*Recorder, error) {
	log, logFile, err := openLog(f.LogFile())
	if err != nil {
		return nil, err
	}
	journal, torn, err := f.OpenJournal()
	if err != nil {
		logFile.Close()
		return nil, err
	}
	if torn != "" {
		log.Warn("the last line of the history was torn and has been taken off: " + torn)
	}
	return &Recorder{f, journal, log, logFile}, nil
}

// Close closes the files.
func (r *Recorder) Close() error { return errors.Join(r.Journal.Close(), r.logFile.Close()) }
