package outputs

import (
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"
)

// A logFile is the file of a log. Each record is one line: [<time>]::<LEVEL> - <message>. What cannot be written waits, as in
// every lineFile; a file that was moved or deleted is followed by a new one.
type logFile struct {
	intact func() error // fails when the folder is not there any more
	mu     sync.Mutex
	lineFile
	info   os.FileInfo
	looked time.Time
	now    atomic.Pointer[error] // for trouble
}

// openLog opens a log for appending.
func openLog(path string, intact func() error) (*logFile, error) {
	l := &logFile{intact: intact, lineFile: lineFile{path: path}, looked: time.Now()}
	if err := l.reopen(); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return l, nil
}

func (l *logFile) logger() *zap.Logger {
	return zap.New(zapcore.NewCore(lineEncoder{zapcore.NewJSONEncoder(zapcore.EncoderConfig{})}, l, zapcore.DebugLevel))
}

func (l *logFile) reopen() error {
	if err := l.open(); err != nil {
		return err
	}
	info, err := l.file.Stat()
	l.info = info
	return err
}

// logLook is how often it is looked whether the log is still there.
const logLook = time.Second

// Write takes one line. It does not fail: trouble tells.
func (l *logFile) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.Sub(l.looked) > logLook {
		l.looked = now
		l.follow()
	}
	err := l.line(line[:len(line)-1])
	if ferr := l.flush(); ferr != nil {
		err = ferr
	}
	if err != nil {
		l.now.Store(&err)
	}
	return len(line), nil
}

// follow begins a new file where the log was moved or deleted.
func (l *logFile) follow() {
	if sameFile(l.path, l.info, 0) == nil || l.intact() != nil {
		return
	}
	old := l.file
	if l.reopen() == nil {
		old.Close()
		var err error = &fs.PathError{Op: "write", Path: l.path, Err: fmt.Errorf("it was moved or deleted; a new one is begun")}
		l.now.Store(&err)
	}
}

// Sync does nothing: the log is not worth waiting for the disk.
func (l *logFile) Sync() error { return nil }

func (l *logFile) trouble() error {
	if l.now.Load() == nil {
		return nil
	}
	if err := l.now.Swap(nil); err != nil {
		return *err
	}
	return nil
}

func (l *logFile) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lineFile.close()
}

// lineEncoder writes an entry in the form of the log. It has no place for fields.
type lineEncoder struct{ zapcore.Encoder }

var logBuffers = buffer.NewPool()

func (e lineEncoder) Clone() zapcore.Encoder { return e }

func (lineEncoder) EncodeEntry(entry zapcore.Entry, _ []zapcore.Field) (*buffer.Buffer, error) {
	b := logBuffers.Get()
	b.AppendByte('[')
	b.AppendTime(entry.Time, logTime)
	b.AppendString("]::")
	b.AppendString(entry.Level.CapitalString())
	b.AppendString(" - ")
	b.AppendString(Clean(entry.Message))
	b.AppendByte('\n')
	return b, nil
}

// logTime is RFC 3339 with milliseconds.
const logTime = "2006-01-02T15:04:05.000Z07:00"
