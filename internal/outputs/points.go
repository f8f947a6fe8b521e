package outputs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// MetricsFile, PrintedFile and RunFile are the files in the folder of a run. The first two are not there when there was
// nothing to put into them.
func (f Folder) MetricsFile(run string) string { return filepath.Join(f.RunDir(run), metricsFile) }
func (f Folder) PrintedFile(run string) string { return filepath.Join(f.RunDir(run), printedFile) }
func (f Folder) RunFile(run string) string     { return filepath.Join(f.RunDir(run), runFile) }

// longestPoint is far more than the longest line that is a point.
const longestPoint = 2 * wire.MaxMessage

// Metrics calls each with the points of a run in the order in which they came; another takes the place of a point when it returns.
// Lines that are no points are passed over. Memory does not grow with the file. It is no error that there is none.
func (f Folder) Metrics(run string, each func(p *wire.Point)) error {
	file, err := open(f.MetricsFile(run))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read metrics: %w", err)
	}
	defer file.Close()
	if err := readPoints(file, each); err != nil {
		return fmt.Errorf("read metrics %s: %w", file.Name(), err)
	}
	return nil
}

func readPoints(r io.Reader, each func(p *wire.Point)) error {
	return inBlocks(r, longestPoint, scanPoints, func(s *pointScanner) error {
		for i := range s.points {
			each(&s.points[i])
		}
		return nil
	})
}

func scanPoints(s *pointScanner, _ int64, text []byte) {
	s.points = s.points[:0]
	s.scanAll(text, func(p *wire.Point) { s.points = append(s.points, *p) })
}

// MetricsParts is Metrics for those to whom the order of points does not matter: the file is read in parts, each by a
// goroutine of its own, which asks for a function first and calls it with its points. Parts that follow each other in the
// file have numbers that do.
func (f Folder) MetricsParts(run string, parts int, each func(part int) func(p *wire.Point)) error {
	file, err := open(f.MetricsFile(run))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read metrics: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("read metrics: %w", err)
	}
	var readers sync.WaitGroup
	errs := make([]error, parts)
	from := int64(0)
	for part := range parts {
		to := info.Size()
		if part < parts-1 {
			to = lineAfter(file, max(to/int64(parts)*int64(part+1), 1))
		}
		if to > from {
			call, lines := each(part), io.NewSectionReader(file, from, to-from)
			readers.Go(func() { errs[part] = readPart(lines, call) })
		}
		from = max(from, to)
	}
	readers.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("read metrics %s: %w", file.Name(), err)
	}
	return nil
}

// lineAfter is where the first line begins that does so at from or later, or where the file ends.
func lineAfter(file io.ReaderAt, from int64) int64 {
	block := make([]byte, 4096)
	for at := from - 1; ; {
		n, err := file.ReadAt(block, at)
		if end := bytes.IndexByte(block[:n], '\n'); end >= 0 {
			return at + int64(end) + 1
		}
		if at += int64(n); err != nil {
			return at
		}
	}
}

func readPart(r io.Reader, each func(p *wire.Point)) error {
	var s pointScanner
	free := make(chan *lineBlock[struct{}], 1)
	return readBlocks(r, longestPoint, free, func(b *lineBlock[struct{}], _ int64, text []byte) bool {
		s.scanAll(text, each)
		free <- b
		return true
	})
}

// A pointScanner takes points from lines. It does not allocate for one in the notation of wire.AppendPoint, unless it is
// the first of its name.
type pointScanner struct {
	wire.Point // the last
	points     []wire.Point

	names  map[string]string
	recent []lineName
	next   int // the one in recent to try first

	stepDigits, timeDigits int // of the last point that scanWhole has looked at
}

// A lineName is a name that needs no escapes.
type lineName struct{ name, line string } // line: what lines with it begin with, up to the step

func named(name string) lineName { return lineName{name, nameKey + name + stepKey} }

// scanAll calls take with each point in text.
func (s *pointScanner) scanAll(text []byte, take func(p *wire.Point)) {
	if s.names == nil {
		s.names = map[string]string{}
	}
	for len(text) > 0 {
		if n := s.scanWhole(text); n > 0 {
			take(&s.Point)
			text = text[n:]
			continue
		}
		line := text
		if end := bytes.IndexByte(text, '\n'); end >= 0 {
			line, text = text[:end], text[end+1:]
		} else { // the last one, which may be whole
			text = nil
		}
		if s.scan(line) {
			take(&s.Point)
		}
	}
}

func (s *pointScanner) scan(line []byte) bool {
	return s.scanFast(line) || s.decode(line)
}

const (
	nameKey  = `{"name":"`
	stepKey  = `","step":`
	valueKey = `,"value":`
	timeKey  = `,"time":`
)

// scanFast is scan for the notation of wire.AppendPoint. It reports false for any other.
func (s *pointScanner) scanFast(line []byte) bool {
	if len(line) < len(nameKey) || string(line[:len(nameKey)]) != nameKey {
		return false
	}
	b := line[len(nameKey):]
	if n := s.recentName(line); n > 0 {
		b = line[n:]
	} else {
		end := 0
		for ; end < len(b) && b[end] != '"'; end++ {
			if c := b[end]; c < ' ' || c >= 0x7f || c == '\\' {
				return false
			}
		}
		if end == 0 || len(b) < end+len(stepKey) || string(b[end:end+len(stepKey)]) != stepKey {
			return false
		}
		s.Name = s.intern(b[:end])
		if len(s.recent) == maxRecent {
			s.recent, s.next = s.recent[:0], 0
		}
		s.recent = append(s.recent, named(s.Name))
		b = b[end+len(stepKey):]
	}
	var ok bool
	if s.Step, b, ok = cutWhole(b); !ok {
		return false
	}
	if len(b) < len(valueKey) || string(b[:len(valueKey)]) != valueKey {
		return false
	}
	if s.Value, b, ok = cutValue(b[len(valueKey):]); !ok {
		return false
	}
	if len(b) < len(timeKey) || string(b[:len(timeKey)]) != timeKey {
		return false
	}
	s.Time, b, ok = cutWhole(b[len(timeKey):])
	return ok && len(b) == 1 && b[0] == '}'
}

// maxRecent is how many names are tried before one is looked for.
const maxRecent = 8

// recentName sets name if line is of one of the last, and returns where its step begins. Mostly they come in turn.
func (s *pointScanner) recentName(line []byte) (n int) {
	for i := range s.recent {
		if i += s.next; i >= len(s.recent) {
			i -= len(s.recent)
		}
		recent := &s.recent[i]
		if n := len(recent.line); len(line) > n && string(line[:n]) == recent.line {
			s.Name = recent.name
			if s.next = i + 1; s.next == len(s.recent) {
				s.next = 0
			}
			return n
		}
	}
	return 0
}

// maxNames is how many names are kept: a model may make a new one for each point.
const maxNames = 10_000

func (s *pointScanner) intern(b []byte) string {
	if name, ok := s.names[string(b)]; ok {
		return name
	}
	if len(s.names) >= maxNames {
		s.names = map[string]string{}
	}
	name := string(b)
	s.names[name] = name
	return name
}

func (s *pointScanner) decode(line []byte) bool {
	var p struct {
		Name  string      `json:"name"`
		Step  int64       `json:"step"`
		Value *wire.Float `json:"value"`
		Time  int64       `json:"time"`
	}
	if json.Unmarshal(line, &p) != nil || p.Name == "" || p.Value == nil {
		return false
	}
	s.Name, s.Step, s.Value, s.Time = s.intern([]byte(p.Name)), p.Step, float64(*p.Value), p.Time
	return true
}
