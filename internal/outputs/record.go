package outputs

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// RunFormat is the version of the files in a run's folder. Older ones stay readable.
const RunFormat = 1

// Names of the files in a run's folder.
const (
	runFile     = "run.json"
	metricsFile = "metrics.jsonl"
	printedFile = "output.log"
)

// Running is the status of a run that has not ended, or whose pipeline was killed. The others are Finished, Failed and
// Interrupted.
const Running = "running"

// A Run is what run.json holds: all that is known of one run but for its metrics by step and what it printed.
type Run struct {
	Format         int             `json:"format"`
	ID             string          `json:"run"`
	Model          string          `json:"model"`
	Version        string          `json:"version"`
	Status         string          `json:"status"`
	Mode           string          `json:"mode"`
	Parameters     json.RawMessage `json:"parameters"`
	ParametersHash string          `json:"parameters_hash"`
	Host           string          `json:"host"`
	User           string          `json:"user,omitempty"`
	Pipeline       string          `json:"pipeline"` // version of mlpipeline
	Command        []string        `json:"command"`  // of the model
	Code           Code            `json:"code"`
	Data           Data            `json:"data"`
	Dir            string          `json:"dir"`               // the model directory, relative to the outputs folder
	Resumes        string          `json:"resumes,omitempty"` // the run whose training this one continues
	Started        Time            `json:"started"`
	Ended          *Time           `json:"ended,omitempty"`
	Seconds        float64         `json:"seconds,omitempty"`
	Steps          Steps           `json:"steps"`
	Results        Results         `json:"results,omitempty"`
	Failure        *Failure        `json:"failure,omitempty"`
	Summary        Summary         `json:"summary"`

	// Environment has the variables that explain how the model behaved, as far as they are set: none where secrets are kept.
	Environment map[string]string `json:"environment,omitempty"`
}

// Code is what a run ran.
type Code struct {
	Fingerprint string            `json:"fingerprint"`
	Files       map[string]string `json:"files,omitempty"` // hash of each file, 16 hex digits
	Git         *Git              `json:"git,omitempty"`
}

// Git is the state of the repository that the models lie in.
type Git struct {
	Commit string `json:"commit"`
	Branch string `json:"branch,omitempty"`
	Dirty  bool   `json:"dirty"` // a tracked file differs from the commit
}

// Data is what a run was trained and evaluated on.
type Data struct {
	Loader       string `json:"loader"`
	TrainSamples int64  `json:"train_samples,omitempty"`
	TestSamples  int64  `json:"test_samples,omitempty"`
}

// Steps counts steps of training.
type Steps struct {
	Before int64 `json:"before"` // trained before this run began
	Done   int64 `json:"done"`   // the last step that is known of
	Total  int64 `json:"total"`  // where training ends
}

// Failure is why a run did not finish.
type Failure struct {
	Cause  string   `json:"cause"`
	Phase  string   `json:"phase,omitempty"`
	Exit   string   `json:"exit,omitempty"` // exit status or signal
	Trace  string   `json:"trace,omitempty"`
	Stderr []string `json:"stderr,omitempty"` // its last lines
}

// Summary is what the model, its data loader and the run said of themselves.
type Summary struct {
	Model string `json:"model,omitempty"`
	Data  string `json:"data,omitempty"`
	Run   string `json:"run,omitempty"`
}

// End is the line of the journal that tells of the end of the run.
func (run Run) End() Event {
	e := Event{
		Event: run.Status, Model: run.Model, Version: run.Version, Run: run.ID, Time: *run.Ended,
		Parameters: run.ParametersHash, Code: run.Code.Fingerprint, Step: run.Steps.Done, Seconds: run.Seconds, Git: run.Code.Git,
	}
	if run.Status == Finished {
		e.Results = run.Results
	} else {
		e.Cause = run.Failure.Cause
		if len(e.Cause) > maxCause {
			e.Cause = strings.ToValidUTF8(e.Cause[:maxCause], "") + "..."
		}
	}
	return e
}

// maxCause is the longest cause in the journal, in bytes. The record has all of it.
const maxCause = 2000

// A Record is the folder of a run that is being written. Its methods may be called from one goroutine each.
type Record struct {
	dir     string
	metrics *lineFile
	printed *lineFile
	gone    bool // the folder was deleted meanwhile
}

// Record makes the folder of a run with run.json in it. It appears whole.
func (f Folder) Record(run Run) (*Record, error) {
	dir := f.RunDir(run.ID)
	r := &Record{dir: dir, metrics: &lineFile{path: filepath.Join(dir, metricsFile)}, printed: &lineFile{path: filepath.Join(dir, printedFile)}}
	made := filepath.Join(f.newRuns(), filepath.Base(dir))
	err := os.Mkdir(made, 0o777)
	if errors.Is(err, os.ErrNotExist) {
		err = os.MkdirAll(made, 0o777)
	}
	if err != nil {
		return nil, fmt.Errorf("record run: %w", err)
	}
	if err := r.write(filepath.Join(made, runFile), run); err != nil {
		return nil, errors.Join(err, os.RemoveAll(made))
	}
	if err := os.Rename(made, dir); err != nil {
		return nil, errors.Join(fmt.Errorf("record run: %w", err), os.RemoveAll(made))
	}
	return r, nil
}

func (r *Record) write(path string, run Run) error {
	run.Format = RunFormat
	text, err := json.MarshalIndent(run, "", "  ")
	if err == nil {
		err = writeOwn(path, append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("record run: %w", err)
	}
	return nil
}

// Metric adds one point, in the notation of wire.AppendPoint. It may wait in memory for Flush. An error is why points cannot
// be written at present: they wait, and only Missing tells whether some of them are lost.
func (r *Record) Metric(point []byte) error { return r.metrics.line(point) }

// Printed adds a line that the model printed, as Metric does a point.
func (r *Record) Printed(line string) error { return r.printed.line([]byte(line)) }

// FlushMetrics writes the points that wait.
func (r *Record) FlushMetrics() error { return r.metrics.flush() }

// FlushPrinted writes the printed lines that wait.
func (r *Record) FlushPrinted() error { return r.printed.flush() }

// Close writes the final state of the run. Readers see the old run.json or the new one, never half of it. It may be called
// again when it has failed, and is to be followed by Missing.
func (r *Record) Close(run Run) error {
	final := filepath.Join(r.dir, runFile)
	err := r.write(final+".new", run)
	if errors.Is(err, os.ErrNotExist) {
		r.gone = true
		if err = os.MkdirAll(r.dir, 0o777); err == nil {
			err = r.write(final+".new", run)
		}
	}
	if err == nil {
		err = os.Rename(final+".new", final)
	}
	if err != nil {
		os.Remove(final + ".new")
	}
	return err
}

// Missing writes what still waits, closes the files, and says what of the metrics or the printed lines is lost.
func (r *Record) Missing() error {
	metrics, printed := r.metrics.close(), r.printed.close()
	switch {
	case r.gone:
		return fmt.Errorf("write %s: it was deleted while the run went on: metrics and what it printed are missing", r.dir)
	case metrics != nil && printed != nil:
		return fmt.Errorf("%w; %w", metrics, printed)
	}
	return cmp.Or(metrics, printed)
}

// settle is Close and Missing for the record of a run that nothing else can tell of.
func (r *Record) settle(run Run) {
	if _, err := os.Stat(filepath.Join(r.dir, runFile)); err == nil {
		_ = r.Close(run)
	}
	_ = r.Missing()
}

// Discard removes the record of a run that has not taken place.
func (r *Record) Discard() error {
	_, _ = r.metrics.close(), r.printed.close()
	return os.RemoveAll(r.dir)
}

// maxRun is far more than a run.json takes.
const maxRun = 64 << 20

// RunText is run.json as it stands there.
func (f Folder) RunText(id string) ([]byte, error) {
	text, err := read(f.RunFile(id), maxRun)
	if err != nil {
		return nil, fmt.Errorf("read run: %w", err)
	}
	return text, nil
}

// OpenPrinted opens what a run printed. There is none when it printed nothing.
func (f Folder) OpenPrinted(id string) (*os.File, error) { return open(f.PrintedFile(id)) }

// ReadRun reads the record of a run.
func (f Folder) ReadRun(id string) (Run, error) {
	var run Run
	path := f.RunFile(id)
	text, err := f.RunText(id)
	if err != nil {
		return Run{}, err
	}
	err = json.Unmarshal(text, &run)
	if err != nil || run.Format > RunFormat {
		err = cmp.Or(checkFormat(path, text, RunFormat), err)
	}
	if err != nil {
		return Run{}, fmt.Errorf("read run %s: %w", path, err)
	}
	return run, nil
}

// LastStep returns the step of the last metric that a run has recorded, or 0. It tells how far a run came whose pipeline
// was killed.
func (f Folder) LastStep(id string) int64 {
	file, err := open(f.MetricsFile(id))
	if err != nil {
		return 0
	}
	defer file.Close()
	const tail = 64 << 10
	if info, err := file.Stat(); err == nil && info.Size() > tail {
		file.Seek(-tail, io.SeekEnd)
	}
	var last int64
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var p struct {
			Step  int64       `json:"step"`
			Value *wire.Float `json:"value"`
		}
		if json.Unmarshal(lines.Bytes(), &p) == nil && p.Value != nil {
			last = max(last, p.Step)
		}
	}
	return last
}
