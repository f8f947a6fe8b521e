package mlp

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// Params are free parameters of a version: the model reads them from run.Version.Params, in the types that they were
// given, and the pipeline records and compares them as JSON. What JSON cannot hold is recorded as a string: NaN and
// infinities by name; functions, channels, complex numbers and uintptrs, and what is nested more than 16 deep, by type.
type Params map[string]any

// A Version is one set of parameters that a model is trained with. A zero field takes the default that NewVersions was
// given.
type Version struct {
	// Name is required: unique in its model, without control characters. It has no default.
	Name string
	// DataLoader is required.
	DataLoader DataLoader
	// BatchSize is required: the number of samples in a step, greater than 0.
	BatchSize int
	// Epochs is required: how often training passes over the training data, greater than 0.
	Epochs       int
	LearningRate float64
	// ModelDirSuffix gives the version a model directory of its own, <model>-<suffix>. It is a part of a file name: 100
	// bytes at most, no path separators, no control characters, no space at either end. Versions without it share one.
	ModelDirSuffix string
	// Order decides which version runs first: the lowest; of equal ones the one that was added first. Its last default is
	// the place in which the version was added, from 1.
	Order int
	// Params are merged with the default ones key by key.
	Params Params
}

// Versions are the versions of a model. A version that is not right is kept, and refused, with the field and the reason,
// when the pipeline asks for the list: before anything is trained. The others run.
type Versions struct {
	defaults Version
	count    int // of those that were added
	added    []candidate
	passed   []string // suffixes of those that were passed over
}

// A candidate is a version that was added.
type candidate struct {
	Version
	params  wire.RawJSON
	problem string // why it is refused
}

// NewVersions returns an empty set of versions, to which defaults will be applied.
func NewVersions(defaults Version) *Versions { return &Versions{defaults: defaults} }

// Add adds a version.
func (vs *Versions) Add(v Version) {
	if vs.counts(v) {
		vs.add(vs.withDefaults(v), "")
	}
}

// counts counts a version that is about to be added, and reports whether this process needs it: the process of each of very many
// must not pay for all.
func (vs *Versions) counts(v Version) bool {
	vs.count++
	if only == "" || v.Name == only {
		return true
	}
	if suffix := cmp.Or(v.ModelDirSuffix, vs.defaults.ModelDirSuffix); suffix != "" {
		vs.passed = append(vs.passed, suffix)
	}
	return false
}

func (vs *Versions) add(v Version, problem string) {
	if v.Order == 0 {
		v.Order = vs.count
	}
	vs.added = append(vs.added, candidate{Version: v, problem: problem})
}

func (vs *Versions) withDefaults(v Version) Version {
	d := vs.defaults
	if v.DataLoader == nil {
		v.DataLoader = d.DataLoader
	}
	v.BatchSize = cmp.Or(v.BatchSize, d.BatchSize)
	v.Epochs = cmp.Or(v.Epochs, d.Epochs)
	v.LearningRate = cmp.Or(v.LearningRate, d.LearningRate)
	v.ModelDirSuffix = cmp.Or(v.ModelDirSuffix, d.ModelDirSuffix)
	v.Order = cmp.Or(v.Order, d.Order)
	if len(d.Params)+len(v.Params) > 0 {
		params := make(Params, len(d.Params)+len(v.Params))
		maps.Copy(params, d.Params)
		maps.Copy(params, v.Params)
		v.Params = params
	}
	return v
}

// checked returns the versions in the order in which they run, each with its problem if it has one.
func (vs *Versions) checked() []candidate {
	if vs == nil {
		return nil
	}
	list := slices.Clone(vs.added)
	names := map[string]bool{}
	for i := range list {
		c := &list[i]
		if c.problem == "" {
			c.check(i+1, names)
			names[c.Name] = true
		}
	}
	slices.SortStableFunc(list, func(a, b candidate) int { return cmp.Compare(a.Order, b.Order) })
	return list
}

// Longest name and longest JSON of the parameters, so that a version fits into a message.
const (
	maxName   = 16 << 10
	maxParams = 512 << 10
)

// check sets c.params and c.problem. c was added as number place, after versions of these names.
func (c *candidate) check(place int, names map[string]bool) {
	var problems []string
	refuse := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	switch {
	case c.Name == "":
		refuse("version %d: Name is missing", place)
	case len(c.Name) > maxName:
		refuse("version %d: Name has %d bytes; it may have %d", place, len(c.Name), maxName)
	case unprintable(c.Name):
		refuse("version %d: Name %q has control characters or is not UTF-8", place, c.Name)
	case names[c.Name]:
		refuse("Name is used by an earlier version")
	}
	if c.DataLoader == nil {
		refuse("DataLoader is missing")
	} else if v := reflect.ValueOf(c.DataLoader); v.Kind() == reflect.Pointer && v.IsNil() {
		refuse("DataLoader is a nil %T", c.DataLoader)
	}
	if c.BatchSize <= 0 {
		refuse("BatchSize is %d; it must be greater than 0", c.BatchSize)
	}
	if c.Epochs <= 0 {
		refuse("Epochs is %d; it must be greater than 0", c.Epochs)
	}
	if reason := badSuffix(c.ModelDirSuffix); reason != "" {
		refuse("ModelDirSuffix %.200q %s", c.ModelDirSuffix, reason)
	}
	var fits bool
	if c.params, fits = encodeParams(c.Params, maxParams); !fits {
		refuse("Params are longer than %d bytes as JSON", maxParams)
	}
	c.problem = strings.Join(problems, "; also ")
}

// event tells the version to the pipeline.
func (c *candidate) event() wire.Event {
	v := &wire.Version{
		Name: c.Name, Order: c.Order, BatchSize: c.BatchSize, Epochs: c.Epochs, LearningRate: wire.Float(c.LearningRate),
		ModelDirSuffix: c.ModelDirSuffix, Params: c.params,
	}
	if c.DataLoader != nil {
		v.DataLoader = reflect.TypeOf(c.DataLoader).String()
	}
	if c.problem != "" {
		v.Name, v.ModelDirSuffix = harmless(c.Name), harmless(c.ModelDirSuffix)
	}
	return wire.Event{Type: wire.VersionInfo, Version: v, Error: cutText(c.problem)}
}

// find returns the version called name, or why it cannot be executed. It does not look at the others.
func (vs *Versions) find(name string) (Version, error) {
	if vs != nil {
		for i := range vs.added {
			if c := vs.added[i]; c.Name == name {
				if c.problem == "" {
					c.check(i+1, nil)
				}
				if c.problem != "" {
					return Version{}, fmt.Errorf("version %s: %s", harmless(name), c.problem)
				}
				return c.Version, nil
			}
		}
	}
	return Version{}, fmt.Errorf("version %s does not exist", harmless(name))
}

// badSuffix says what keeps s from being part of a file name.
func badSuffix(s string) string {
	switch {
	case len(s) > 100:
		return "is longer than 100 bytes"
	case s == "." || s == "..":
		return "is no name"
	case strings.ContainsAny(s, `/\`):
		return "has a path separator"
	case unprintable(s):
		return "has control characters or is not UTF-8"
	case strings.TrimSpace(s) != s:
		return "begins or ends with a space"
	}
	return ""
}

func unprintable(s string) bool {
	return !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl)
}

// harmless returns s as it can be shown: escaped when it has control characters, and not too long.
func harmless(s string) string {
	if len(s) > 200 {
		s = s[:runeBoundary(s, 200)] + "..."
	}
	if unprintable(s) {
		quoted := strconv.Quote(s)
		s = quoted[1 : len(quoted)-1]
	}
	return s
}
