// Package version knows the versions of a model on the host's side: which there are, in what order they run, and, held
// against the history, which of them are due and why. All of it is pure: nothing is read or written here.
package version

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// A Version is one set of parameters that a model is trained with.
type Version struct {
	wire.Version
	// Refused says why it cannot run; it is empty for a version that can.
	Refused string
	// Duplicate is set when its name is that of an earlier version, whose history is not its own.
	Duplicate bool
	// Parameters is the version's own parameters as one JSON object with sorted keys; its name and ORDER are no part of it.
	Parameters json.RawMessage
	// Hash is a hash of Parameters.
	Hash uint64
}

// Label names a version for people, one that has no name included.
func (v Version) Label() string {
	if v.Name == "" {
		return "(no name)"
	}
	return v.Name
}

// A List takes the versions that a model tells. The zero List is empty.
type List struct {
	versions []Version
	names    map[string]bool
	loader   string // the last data loader: versions mostly share one, and its name
}

// Add adds a version, with the model's own reason to refuse it, if it has one. It is checked again: a model may be written
// in any language.
func (l *List) Add(told wire.Version, refused string) {
	v := Version{Version: told, Refused: refused}
	if v.DataLoader == l.loader {
		v.DataLoader = l.loader
	}
	l.loader = v.DataLoader
	if err := v.setParameters(); err != nil && v.Refused == "" {
		v.Refused = err.Error()
	}
	if v.Refused == "" {
		v.Refused = check(v.Version)
	}
	if v.Duplicate = l.names[v.Name]; v.Duplicate && v.Refused == "" {
		v.Refused = "NAME is used by an earlier version"
	}
	if l.names == nil {
		l.names = map[string]bool{}
	}
	l.names[v.Name] = true
	l.versions = append(l.versions, v)
}

// Sorted returns the versions in the order in which they run.
func (l *List) Sorted() []Version {
	slices.SortStableFunc(l.versions, func(a, b Version) int { return cmp.Compare(a.Order, b.Order) })
	return l.versions
}

// maxSuffix is the longest suffix in bytes. File systems take names of 255, and the name of the model comes before it.
const maxSuffix = 150

func check(v wire.Version) string {
	switch {
	case v.Name == "":
		return "NAME is missing"
	case !utf8.ValidString(v.Name) || strings.ContainsFunc(v.Name, unicode.IsControl):
		return "NAME has control characters in it"
	case v.BatchSize <= 0:
		return fmt.Sprintf("BATCH_SIZE is %d; it must be greater than 0", v.BatchSize)
	case v.Epochs <= 0:
		return fmt.Sprintf("EPOC_COUNT is %d; it must be greater than 0", v.Epochs)
	case v.DataLoader == "":
		return "DATALOADER is missing"
	case strings.ContainsAny(v.ModelDirSuffix, `/\`) || !utf8.ValidString(v.ModelDirSuffix) || strings.ContainsFunc(v.ModelDirSuffix, unicode.IsControl):
		return fmt.Sprintf("MODEL_DIR_SUFFIX %q is no part of a file name", v.ModelDirSuffix)
	case len(v.ModelDirSuffix) > maxSuffix:
		return fmt.Sprintf("MODEL_DIR_SUFFIX is %d bytes long; at most %d make a file name", len(v.ModelDirSuffix), maxSuffix)
	}
	return ""
}

// setParameters sets Parameters and Hash.
func (v *Version) setParameters() error {
	all := map[string]any{}
	if len(v.Params) > 0 {
		d := json.NewDecoder(bytes.NewReader(v.Params))
		d.UseNumber()
		if err := d.Decode(&all); err != nil {
			return fmt.Errorf("params is no JSON object: %w", err)
		}
	}
	if all == nil { // null
		all = map[string]any{}
	}
	// A parameter of the model's own that has one of these names is kept apart from them.
	set := func(name string, value any) {
		if own, taken := all[name]; taken {
			all["params."+name] = own
		}
		all[name] = value
	}
	set("batch_size", v.BatchSize)
	set("epochs", v.Epochs)
	set("dataloader", v.DataLoader)
	if v.LearningRate != 0 {
		set("learning_rate", v.LearningRate)
	}
	if v.ModelDirSuffix != "" {
		set("model_dir_suffix", v.ModelDirSuffix)
	}
	var err error
	if v.Parameters, err = json.Marshal(all); err != nil {
		return err
	}
	sum := sha256.Sum256(v.Parameters)
	v.Hash = binary.BigEndian.Uint64(sum[:])
	v.Params = nil // a queue may have very many versions
	return nil
}

// A Selection is a list of patterns as path.Match knows them, except that * matches any text, "/" included. An empty one
// selects everything.
type Selection []string

// Check returns an error for a pattern that cannot be read.
func (s Selection) Check() error {
	for _, pattern := range s {
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("bad pattern %q", pattern)
		}
	}
	return nil
}

// Has reports whether name is selected.
func (s Selection) Has(name string) bool {
	hide := func(s string) string { return strings.ReplaceAll(s, "/", "\x00") }
	for _, pattern := range s {
		if ok, _ := path.Match(hide(pattern), hide(name)); ok {
			return true
		}
	}
	return len(s) == 0
}

// Changed names what is different between two sets of parameters, as "learning_rate 0.1 -> 0.01", by name.
func Changed(old, new json.RawMessage) []string {
	var before, after map[string]json.RawMessage
	if json.Unmarshal(old, &before) != nil || json.Unmarshal(new, &after) != nil {
		return nil
	}
	var changes []string
	for name, value := range after {
		if was, had := before[name]; !had {
			changes = append(changes, fmt.Sprintf("%s (none) -> %s", name, value))
		} else if compact(was) != compact(value) {
			changes = append(changes, fmt.Sprintf("%s %s -> %s", name, compact(was), compact(value)))
		}
	}
	for name, was := range before {
		if _, has := after[name]; !has {
			changes = append(changes, fmt.Sprintf("%s %s -> (none)", name, compact(was)))
		}
	}
	slices.Sort(changes)
	return changes
}

func compact(value json.RawMessage) string {
	var b bytes.Buffer
	if json.Compact(&b, value) != nil {
		return string(value)
	}
	return b.String()
}
