package mlp

import (
	"fmt"
	"hash/fnv"
	"math"
	"reflect"
	"strings"
)

// An Axis is a parameter of a grid and the values that it takes.
//
// Param is a key of Params, or, in any case and with or without underscores, one of LearningRate, BatchSize, Epochs (also
// epoc_count and epoch_count), which are the fields of Version. Values of those are numbers of any Go type; a BatchSize
// and an Epochs are whole. A zero among them is a zero: it takes no default.
type Axis struct {
	Param  string
	Values []any
}

// maxGrid keeps a grid from filling the memory.
const maxGrid = 1_000_000

// Grid adds a version for each combination of a value of each axis, the last axis changing fastest. Their names are
// <prefix>-<param>=<value>-<param>=<value>..., without the first dash when prefix is empty, and the same at each start.
// Each has a model directory of its own, whose suffix is its name as far as a file name can hold it. Everything else is
// a default. A grid that cannot be made is refused as one version, with the reason.
func (vs *Versions) Grid(prefix string, axes ...Axis) {
	total, err := checkAxes(axes)
	if err != nil {
		if prefix == "" {
			prefix = "grid"
		}
		if v := (Version{Name: prefix}); vs.counts(v) {
			vs.add(vs.withDefaults(v), "Grid: "+err.Error())
		}
		return
	}
	suffixes := map[string]bool{}
	for _, c := range vs.added {
		suffixes[strings.ToLower(c.ModelDirSuffix)] = true
	}
	for _, suffix := range vs.passed {
		suffixes[strings.ToLower(suffix)] = true
	}
	parts := make([][]string, len(axes)) // of names
	for i, axis := range axes {
		for _, value := range axis.Values {
			parts[i] = append(parts[i], axis.Param+"="+valueText(value))
		}
	}
	for n := range total {
		var name []string
		if prefix != "" {
			name = append(name, prefix)
		}
		at := make([]int, len(axes)) // of the values
		for i, rest := len(axes)-1, n; i >= 0; i-- {
			at[i] = rest % len(axes[i].Values)
			rest /= len(axes[i].Values)
		}
		for i := range axes {
			name = append(name, parts[i][at[i]])
		}
		v := Version{Name: strings.Join(name, "-")}
		v.ModelDirSuffix = suffixOf(v.Name, suffixes)
		if !vs.counts(v) {
			continue
		}
		v = vs.withDefaults(v)
		var problem string
		for i, axis := range axes {
			if err := v.set(axis.Param, axis.Values[at[i]]); err != nil && problem == "" {
				problem = err.Error()
			}
		}
		vs.add(v, problem)
	}
}

// checkAxes returns how many combinations of values axes have.
func checkAxes(axes []Axis) (total int, err error) {
	total = 1
	params := map[string]bool{}
	for i, axis := range axes {
		key := axis.Param
		if field := fieldOf(axis.Param); field != "" {
			key = field
		}
		switch {
		case axis.Param == "":
			return 0, fmt.Errorf("axis %d has no Param", i+1)
		case params[key]:
			return 0, fmt.Errorf("axis %q is there twice", key)
		case len(axis.Values) == 0:
			return 0, fmt.Errorf("axis %q has no values", axis.Param)
		case total > maxGrid/len(axis.Values):
			return 0, fmt.Errorf("there are more than %d versions", maxGrid)
		}
		params[key] = true
		total *= len(axis.Values)
	}
	return total, nil
}

// fieldOf returns which field of Version an axis sets, or "".
func fieldOf(param string) string {
	switch strings.ToLower(strings.ReplaceAll(param, "_", "")) {
	case "learningrate":
		return "LearningRate"
	case "batchsize":
		return "BatchSize"
	case "epochs", "epoccount", "epochcount":
		return "Epochs"
	}
	return ""
}

// set gives param a value.
func (v *Version) set(param string, value any) error {
	field := fieldOf(param)
	if field == "" {
		if v.Params == nil {
			v.Params = Params{}
		}
		v.Params[param] = value
		return nil
	}
	var number float64
	switch r := reflect.ValueOf(value); {
	case r.IsValid() && r.CanInt():
		number = float64(r.Int())
	case r.IsValid() && r.CanUint():
		number = float64(r.Uint())
	case r.IsValid() && r.CanFloat():
		number = r.Float()
	default:
		return fmt.Errorf("%s is the %T %.100q; it must be a number", field, value, valueText(value))
	}
	if field == "LearningRate" {
		v.LearningRate = number
		return nil
	}
	if number != math.Trunc(number) || math.Abs(number) > 1<<53 { // also NaN
		return fmt.Errorf("%s is %v; it must be a whole number", field, number)
	}
	if field == "BatchSize" {
		v.BatchSize = int(number)
	} else {
		v.Epochs = int(number)
	}
	return nil
}

// valueText is value in a name: without quotes, never an address.
func valueText(value any) string {
	if s, ok := value.(string); ok {
		return s
	}
	text, _ := encodeParams(Params{"": value}, maxName)
	return strings.Trim(strings.TrimSuffix(strings.TrimPrefix(string(text), `{"":`), "}"), `"`)
}

// suffixOf returns a suffix for the version called name that is not in used, and puts it there. Names that differ only
// in characters that a file name cannot hold, or in their case, are told apart by a hash.
func suffixOf(name string, used map[string]bool) string {
	suffix := strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || strings.ContainsRune("+,-.=_", r) {
			return r
		}
		return '_'
	}, name)
	if suffix != name || badSuffix(suffix) != "" || used[strings.ToLower(suffix)] {
		h := fnv.New64a()
		h.Write([]byte(name))
		suffix = fmt.Sprintf("%.80s-%016x", suffix, h.Sum64())
	}
	used[strings.ToLower(suffix)] = true
	return suffix
}
