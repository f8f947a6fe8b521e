package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// A Session is the conversation with the process of a model, wherever it runs. It is used by one goroutine.
type Session struct {
	w *wire.Writer
	r *wire.Reader
	// Warn is told of what the model says against the protocol: once of each thing, and of no more than maxWarnings. Log and
	// Code are told of what it logs and loads before a run.
	Warn func(string)
	Log  func(level, text string)
	Code func(files map[string]string)

	warned          map[string]bool
	codeMsgs, codes int // messages of code, and the files in them
}

// What a model may tell is bounded, so that one that runs wild costs neither the memory nor the night.
const (
	maxWarnings = 50       // of one process
	maxVersions = 250_000  // of one model,
	maxList     = 64 << 20 // and how many bytes what they say
	maxCodeMsgs = 1000     // of one process,
	maxCodes    = 20_000   // and how many files they may name
)

// Warning passes text on to Warn.
func (s *Session) Warning(text string) {
	switch {
	case s.warned[text] || len(s.warned) > maxWarnings:
		return
	case s.warned == nil:
		s.warned = map[string]bool{}
	case len(s.warned) == maxWarnings:
		text = "what else it says against the protocol is passed over without a word"
	}
	s.warned[text] = true
	s.Warn(text)
}

// NewSession returns a session that writes commands and reads events. It starts with Hello.
func NewSession(commands io.Writer, events io.Reader) *Session {
	return &Session{
		w: wire.NewWriter(commands), r: wire.NewReader(events),
		Warn: func(string) {}, Log: func(string, string) {}, Code: func(map[string]string) {},
	}
}

// ErrEnded is returned when the model has ended the conversation, or died, before it gave the answer.
var ErrEnded = errors.New("it ended before it answered")

// ErrNoModel is returned when a program ends without a word: it may be no model, or have died too early.
var ErrNoModel = errors.New("it said nothing of the plugin protocol")

// A FailedError is a model's own word that it cannot go on.
type FailedError struct {
	Msg   string
	Trace string // may be empty
}

func (e *FailedError) Error() string { return e.Msg }

// Hello waits for the model's first word. The error is ErrNoModel, or tells of a wrong one.
func (s *Session) Hello() error {
	line, err := s.r.Next()
	if errors.Is(err, wire.ErrTooLong) {
		return fmt.Errorf("it is no model: its first message is longer than %d bytes", wire.MaxMessage)
	}
	if err != nil {
		return ErrNoModel
	}
	e, err := wire.Decode(line)
	if err != nil || e.Type != wire.Hello {
		return fmt.Errorf(`it is no model: its first message is %q, not {"type":"hello","protocol":%d}`, cut(string(line), 80), wire.Protocol)
	}
	if e.Protocol != wire.Protocol {
		or := ""
		if e.Protocol > wire.Protocol {
			or = ", or install a newer mlpipeline"
		}
		return fmt.Errorf("it speaks version %d of the plugin protocol, and this mlpipeline version %d: build it with the SDK of this one%s", e.Protocol, wire.Protocol, or)
	}
	return nil
}

func cut(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "..."
	}
	return s
}

// AskList asks for the versions of the model. It may be called before Hello.
func (s *Session) AskList() { _ = s.ask(wire.Command{Type: wire.List}) } // List tells of an error

// List takes the answer to AskList, and hands each version to add, with the model's reason to refuse it, if it has one. There
// may be very many of them. It returns what the model says of itself.
func (s *Session) List(add func(v wire.Version, refused string)) (listed wire.Event, err error) {
	versions, size := 0, 0
	take := func(v wire.Version, refused string) {
		versions++
		size += len(v.Name) + len(v.ModelDirSuffix) + len(v.DataLoader) + len(v.Params) + len(refused)
		add(v, refused)
	}
	for versions <= maxVersions && size <= maxList {
		e, err := s.answer()
		var bad *messageError
		switch {
		case errors.As(err, &bad):
			name, ok := nameOf(bad.line)
			if !ok {
				return listed, fmt.Errorf("its list of versions cannot be read: %w", err)
			}
			take(wire.Version{Name: name}, "its message cannot be read: "+bad.err.Error())
		case err != nil:
			return listed, err
		case e.Type == wire.VersionInfo && e.Version != nil:
			take(*e.Version, e.Error)
		case e.Type == wire.Listed:
			return e, nil
		default:
			s.Warning(fmt.Sprintf("message %q does not answer a list; it is passed over", cut(e.Type, 80)))
		}
	}
	return listed, fmt.Errorf("its list of versions is too long: more than %d, or than %d MiB", maxVersions, maxList>>20)
}

// nameOf finds the name in a message of a version that cannot be read as a whole.
func nameOf(line []byte) (name string, ok bool) {
	var e struct {
		Type    string
		Version struct{ Name any }
	}
	err := json.Unmarshal(line, &e)
	name, _ = e.Version.Name.(string)
	return name, err == nil && e.Type == wire.VersionInfo
}

// Trained asks how many steps version has been trained in dir.
func (s *Session) Trained(model, version, dir string) (int64, error) {
	err := s.ask(wire.Command{Type: wire.AskTrained, Model: model, Version: version, Mode: wire.ModeExecution, Dir: dir})
	for err == nil {
		var e wire.Event
		if e, err = s.answer(); err == nil && e.Type == wire.Trained {
			if e.Error != "" {
				return 0, errors.New(e.Error)
			}
			return e.Step, nil
		}
	}
	return 0, err
}

// Run asks the model to run a version. Next returns what it tells of it.
func (s *Session) Run(c wire.Command) error {
	c.Type = wire.Execute
	return s.ask(c)
}

func (s *Session) ask(c wire.Command) error {
	if err := s.w.Send(c); err != nil {
		return ErrEnded
	}
	return nil
}

// answer returns the next event that answers a command. The error is a messageError, a FailedError or ErrEnded.
func (s *Session) answer() (wire.Event, error) {
	for {
		e, _, err := s.next()
		var bad *messageError
		switch {
		case errors.As(err, &bad):
			return e, bad
		case err != nil:
			return e, ErrEnded
		case e.Type == wire.End && e.Status == wire.Failed:
			return e, &FailedError{e.Error, e.Trace}
		case e.Type == wire.Log:
			s.Log(e.Level, e.Message)
		case e.Type == wire.Code:
			s.Code(e.Files)
		default:
			return e, nil
		}
	}
}

// Next returns the next event. A point of a metric comes as record instead, in the notation of wire.AppendPoint, with e.Type
// and e.Step set and nothing else; it is valid until the next call. The error is that of the reader: the end.
func (s *Session) Next() (e wire.Event, record []byte, err error) {
	for {
		e, record, err = s.next()
		var bad *messageError
		if !errors.As(err, &bad) {
			return e, record, err
		}
		text := bad.Error() + "; it is passed over"
		if len(bad.line) > 0 {
			text += fmt.Sprintf(": %q", cut(string(bad.line), 200))
		}
		s.Warning(text)
	}
}

// A messageError tells of a message that cannot be read.
type messageError struct {
	line []byte // as far as it is known
	err  error
}

func (e *messageError) Error() string { return e.err.Error() }

// next is Next for one message. The error is a messageError, after which it goes on, or that of the reader.
func (s *Session) next() (e wire.Event, record []byte, err error) {
	line, err := s.r.Next()
	if errors.Is(err, wire.ErrTooLong) {
		return e, nil, &messageError{nil, fmt.Errorf("a message is longer than %d bytes", wire.MaxMessage)}
	}
	if err != nil {
		return e, nil, err
	}
	if record, step, ok := wire.MetricRecord(line); ok {
		return wire.Event{Type: wire.MetricPoint, Step: step}, record, nil
	}
	if e, err = wire.Decode(line); err != nil {
		return e, nil, &messageError{line, err}
	}
	if e.Type == wire.Code {
		s.codeMsgs++
		s.codes += len(e.Files)
		if s.codeMsgs > maxCodeMsgs || s.codes > maxCodes {
			return e, nil, &messageError{nil, fmt.Errorf("more than %d messages of code, or %d files in them", maxCodeMsgs, maxCodes)}
		}
	}
	return e, nil, nil
}

// Waiting reports whether more events may have come already.
func (s *Session) Waiting() bool { return s.r.Waiting() }
