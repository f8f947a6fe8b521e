package outputs

import (
	"fmt"
	"os"

	"go.uber.org/zap"
	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"
)

// openLog opens a log for appending. Each record is one line: [<time>]::<LEVEL> - <message>.
func openLog(path string) (*zap.Logger, *os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666)
	if err != nil {
		return nil, nil, fmt.Errorf("open log: %w", err)
	}
	core := zapcore.NewCore(lineEncoder{zapcore.NewJSONEncoder(zapcore.EncoderConfig{})}, zapcore.Lock(file), zapcore.DebugLevel)
	return zap.New(core), file, nil
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
