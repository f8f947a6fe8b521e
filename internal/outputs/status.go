package outputs

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// StatusFormat is the version of the status file. Older ones stay readable.
const StatusFormat = 1

const statusPrefix = "status-"

// maxStatus is far more than a Status takes.
const maxStatus = 16 << 20

// A Status is what an execution says of itself while it runs, and with its last breath: what only it knows, because the
// journal tells of what has begun or ended. All durations are in seconds.
type Status struct {
	Format   int     `json:"format"`
	Host     string  `json:"host"`
	PID      int     `json:"pid"`
	User     string  `json:"user,omitempty"`
	Command  string  `json:"command"`
	Jobs     int     `json:"jobs"` // how many versions run at once
	Started  Time    `json:"started"`
	Updated  Time    `json:"updated"`
	Ended    *Time   `json:"ended,omitempty"`
	Seconds  float64 `json:"seconds,omitempty"`  // from Started to Updated, or Ended, whatever the clock was set to meanwhile
	Stopping string  `json:"stopping,omitempty"` // finishing, stopping or killing: the user's wish
	Queue    Tally   `json:"queue"`
	Running  []Live  `json:"running,omitempty"`  // in the order in which they were started
	Next     []Next  `json:"next,omitempty"`     // the first that will run, at most MaxNext
	Failures []Fault `json:"failures,omitempty"` // the last, at most MaxNext
}

// MaxNext is how many versions a Status names of those that will run, and of those that have failed.
const MaxNext = 20

// A Tally counts the versions of a queue.
type Tally struct {
	Finished    int `json:"finished"`
	Failed      int `json:"failed"` // versions, and models that could not be run at all
	Interrupted int `json:"interrupted"`
	Skipped     int `json:"skipped"`
	Running     int `json:"running"`
	Waiting     int `json:"waiting"` // that are known to be due
	// Unknown counts models whose turn has not come, of which it is not known what versions they have.
	Unknown int `json:"unknown"`
	// Ends is about when the last one will be done, as far as it can be told.
	Ends *Time `json:"ends,omitempty"`
}

// Due is how many versions this execution runs or has run, as far as it is known.
func (t Tally) Due() int { return t.Done() + t.Running + t.Waiting }

// Done is how many of them are over.
func (t Tally) Done() int { return t.Finished + t.Failed + t.Interrupted }

// A Live is a run that has not ended.
type Live struct {
	Run     string   `json:"run"`
	Model   string   `json:"model"`
	Version string   `json:"version"`
	Reason  string   `json:"reason"`         // why it is due
	GPUs    []string `json:"gpus,omitempty"` // that it was given
	Started Time     `json:"started"`
	Seconds float64  `json:"seconds,omitempty"` // since then
	Phase   string   `json:"phase,omitempty"`   // of wire
	Before  int64    `json:"before,omitempty"`
	Step    int64    `json:"step"`  // of Total, in the phase; in training those of earlier runs, Before of them, included
	Total   int64    `json:"total"` // 0 when it is not known
	// Epoch, from 1, of Epochs; 0 when it is not known. Only in training.
	Epoch  int64 `json:"epoch,omitempty"`
	Epochs int64 `json:"epochs,omitempty"`
	// Rate is steps a second, lately; 0 when it is not known.
	Rate float64 `json:"rate,omitempty"`
	// Left is how long the phase will take at that rate; 0 when it is not known.
	Left    float64               `json:"left,omitempty"`
	Metrics map[string]wire.Float `json:"metrics,omitempty"` // the last value of each
}

// A Next is a version that will run.
type Next struct {
	Model   string `json:"model"`
	Version string `json:"version,omitempty"` // empty: the model has not been asked for its versions yet
	Reason  string `json:"reason,omitempty"`
}

// A Fault is a version, or with an empty Version a model, that failed.
type Fault struct {
	Run     string `json:"run,omitempty"`
	Model   string `json:"model"`
	Version string `json:"version,omitempty"`
	Cause   string `json:"cause"`
}

// StatusFile is where the execution on this host writes its Status.
func (f Folder) StatusFile() string { return filepath.Join(f.Dir, statusPrefix+f.Host) }

// WriteStatus replaces the status file of this host. Readers see the old one or the new one.
func (f Folder) WriteStatus(s Status) error {
	s.Format, s.Updated = StatusFormat, Time{time.Now()}
	text, err := json.MarshalIndent(s, "", "  ")
	if err == nil {
		err = writeOwn(f.StatusFile()+".new", append(text, '\n'))
	}
	if err == nil {
		err = os.Rename(f.StatusFile()+".new", f.StatusFile())
	}
	if err != nil {
		_ = os.Remove(f.StatusFile() + ".new")
		return fmt.Errorf("write status: %w", err)
	}
	return nil
}

// ReadStatuses returns the last Status of each host, by name of the host. It does not say whether that host's execution is
// alive; see Executing.
func (f Folder) ReadStatuses() ([]Status, error) {
	entries, err := os.ReadDir(f.Dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read status: %w", err)
	}
	var all []Status
	for _, e := range entries {
		host, ok := strings.CutPrefix(e.Name(), statusPrefix)
		if !ok || !e.Type().IsRegular() {
			continue
		}
		s, err := f.readStatus(host)
		if err != nil {
			return nil, err
		}
		if s.Host != "" {
			all = append(all, s)
		}
	}
	return all, nil
}

// readStatus returns the last Status of a host. It is empty when there is none.
func (f Folder) readStatus(host string) (s Status, err error) {
	path := filepath.Join(f.Dir, statusPrefix+host)
	text, err := read(path, maxStatus)
	if err != nil {
		return Status{}, nil // it was about to replace another, or is none
	}
	if err := checkFormat(path, text, StatusFormat); err != nil {
		return Status{}, err
	}
	if json.Unmarshal(text, &s) != nil || s.Host != host {
		return Status{}, nil // it is being replaced on a file system that cannot rename, or a copy
	}
	return s, nil
}
