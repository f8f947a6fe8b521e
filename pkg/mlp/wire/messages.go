package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
)

const (
	// Protocol is the version of the protocol that this package speaks.
	Protocol = 1
	// EnvProtocol is set to the pipeline's Protocol in the environment of a model. A program without it was started by hand.
	EnvProtocol = "MLPIPELINE_PROTOCOL"
	// EnvVersion is set, in a process that is started to run a version, to the name of that: it will be asked for no other, and
	// need not make them.
	EnvVersion = "MLPIPELINE_VERSION"
	// EnvRun names the process tree that a process belongs to. It is left in place for the children of a model, so that
	// those that it leaves behind can be found.
	EnvRun = "MLPIPELINE_RUN"

	// CommandFD is the descriptor that a model reads commands from.
	CommandFD = 3
	// EventFD is the descriptor that a model writes events to.
	EventFD = 4

	// MaxMessage is the longest line in bytes, its newline included. A longer one is dropped with a warning.
	MaxMessage = 1 << 20
)

// Types of Command.
const (
	List       = "list"    // tell your versions
	AskTrained = "trained" // how many steps has Version been trained in Dir?
	Execute    = "run"     // run Version
)

// A Command is what the pipeline asks of a model.
type Command struct {
	Type string `json:"type"`
	// Model is the name of the model in the queue.
	Model   string `json:"model,omitempty"`
	Version string `json:"version,omitempty"`
	// Mode is "test" (one step of training and of each evaluation) or "execution".
	Mode string `json:"mode,omitempty"`
	// Dir is the model directory, absolute. It exists.
	Dir string `json:"dir,omitempty"`
	// Clean is set when the version starts from scratch: the model may empty Dir first.
	Clean bool `json:"clean,omitempty"`
}

// Modes of a run.
const (
	ModeTest      = "test"
	ModeExecution = "execution"
)

// Types of Event.
const (
	Hello       = "hello"
	VersionInfo = "version"
	Listed      = "listed"
	Trained     = "trained"
	Code        = "code"
	Phase       = "phase"
	MetricPoint = "metric"
	Progress    = "progress"
	Log         = "log"
	Summary     = "summary"
	Result      = "result"
	End         = "end"
)

// Phases of a run, in their order.
const (
	PhaseClean         = "clean"
	PhaseSetup         = "setup"
	PhaseTrain         = "train"
	PhaseEvaluateTrain = "evaluate_train"
	PhaseEvaluateTest  = "evaluate_test"
	PhaseFinish        = "finish"
)

// Phases lists them.
var Phases = []string{PhaseClean, PhaseSetup, PhaseTrain, PhaseEvaluateTrain, PhaseEvaluateTest, PhaseFinish}

// What a Result is measured on.
const (
	SetTraining = "training" // what training itself returned
	SetTrain    = "train"    // the evaluation on the training data
	SetTest     = "test"     // the evaluation on the test data
)

// How a run ends.
const (
	Finished    = "finished"
	Failed      = "failed"
	Interrupted = "interrupted"
)

// An Event is what a model tells. Type says which of the other fields count.
type Event struct {
	Type string `json:"type"`

	// hello: the version of the protocol, and a free text that names the SDK.
	Protocol int    `json:"protocol,omitempty"`
	SDK      string `json:"sdk,omitempty"`

	// version: one version. Error is set on one that is refused, with the field and the reason.
	Version *Version `json:"version,omitempty"`

	// listed: the options of the model. Forks is set by a process that was asked whether it can fork one for each version, and
	// can; Error is why it cannot.
	AllowDeleteModelDir bool `json:"allow_delete_model_dir,omitempty"`
	ResetSteps          bool `json:"reset_steps,omitempty"`
	Forks               bool `json:"forks,omitempty"`

	// code: files of the user's that the model has loaded as code: the first 16 hex digits of the SHA-256 of their content,
	// by absolute path. Each is told once.
	Files map[string]string `json:"files,omitempty"`

	// trained: Step steps are trained already. Error is why that could not be told, Step is 0 then.
	// phase: Phase begins; in "train", Step are trained already and Total is where training ends; in an evaluation Total
	// steps are to be made.
	// progress: Step of Total are done.
	Phase string `json:"phase,omitempty"`
	Step  int64  `json:"step,omitempty"`
	Total int64  `json:"total,omitempty"`

	// metric: the Value of metric Name after step Step, at Time (milliseconds since 1970, 0 or absent: now).
	Name  string `json:"name,omitempty"`
	Value *Float `json:"value,omitempty"`
	Time  int64  `json:"time,omitempty"`

	// log: Level is debug, info, warn or error. summary: Source is model, data or run.
	Level   string `json:"level,omitempty"`
	Message string `json:"message,omitempty"`
	Source  string `json:"source,omitempty"`

	// result: Metrics measured on Set.
	Set     string           `json:"set,omitempty"`
	Metrics map[string]Float `json:"metrics,omitempty"`

	// phase, in "train": how many samples the data loader has.
	TrainSamples int64 `json:"train_samples,omitempty"`
	TestSamples  int64 `json:"test_samples,omitempty"`

	// end: Status is finished, failed or interrupted; a failure has its cause and, when there is one, its stack trace.
	Status string `json:"status,omitempty"`
	Error  string `json:"error,omitempty"`
	Trace  string `json:"trace,omitempty"`
}

// A Version is one set of parameters as a model tells it.
type Version struct {
	Name           string  `json:"name"`
	Order          int     `json:"order"`
	BatchSize      int     `json:"batch_size"`
	Epochs         int     `json:"epochs"`
	LearningRate   Float   `json:"learning_rate"`
	ModelDirSuffix string  `json:"model_dir_suffix,omitempty"`
	DataLoader     string  `json:"dataloader"` // what the data loader is: its type, or any name
	Params         RawJSON `json:"params,omitempty"`
}

// UnmarshalJSON implements json.Unmarshaler. It takes 2.0 and 1e1 for the whole numbers that they are: not every language
// writes them without a point.
func (v *Version) UnmarshalJSON(b []byte) error {
	type plain Version
	w := struct {
		*plain
		Order     float64 `json:"order"`
		BatchSize float64 `json:"batch_size"`
		Epochs    float64 `json:"epochs"`
	}{plain: (*plain)(v)}
	if err := json.Unmarshal(b, &w); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) && kind.Field != "" {
			return fmt.Errorf("%s is a %s", kind.Field, kind.Value)
		}
		return err
	}
	for _, f := range []struct {
		name string
		from float64
		to   *int
	}{{"order", w.Order, &v.Order}, {"batch_size", w.BatchSize, &v.BatchSize}, {"epochs", w.Epochs, &v.Epochs}} {
		if f.from != math.Trunc(f.from) || math.Abs(f.from) > 1<<53 {
			return fmt.Errorf("%s is %v; it must be a whole number", f.name, f.from)
		}
		*f.to = int(f.from)
	}
	return nil
}

// RawJSON is an object of free parameters, kept as it was written.
type RawJSON = json.RawMessage

// Float is a float64 that survives JSON: NaN and the infinities are the strings "NaN", "Infinity" and "-Infinity".
type Float float64

// MarshalJSON implements json.Marshaler.
func (f Float) MarshalJSON() ([]byte, error) { return AppendFloat(nil, float64(f)), nil }

// UnmarshalJSON implements json.Unmarshaler.
func (f *Float) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case `"NaN"`:
		*f = Float(math.NaN())
	case `"Infinity"`:
		*f = Float(math.Inf(1))
	case `"-Infinity"`:
		*f = Float(math.Inf(-1))
	default:
		v, err := strconv.ParseFloat(string(b), 64)
		if err != nil {
			return fmt.Errorf("%s is no number", b)
		}
		*f = Float(v)
	}
	return nil
}

// AppendFloat appends f to b as Float writes it.
func AppendFloat(b []byte, f float64) []byte {
	switch {
	case f != f:
		return append(b, `"NaN"`...)
	case f > math.MaxFloat64:
		return append(b, `"Infinity"`...)
	case f < -math.MaxFloat64:
		return append(b, `"-Infinity"`...)
	}
	return strconv.AppendFloat(b, f, 'g', -1, 64)
}
