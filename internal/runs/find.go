package runs

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/version"
)

// A NameError says that a name is that of no run, or of several.
type NameError struct {
	Name string
	// Candidates are the ids that begin with it.
	Candidates []string
}

func (e *NameError) Error() string {
	if len(e.Candidates) == 0 {
		return fmt.Sprintf("there is no run %q", e.Name)
	}
	const most = 5
	text := strings.Join(e.Candidates[:min(most, len(e.Candidates))], ", ")
	if more := len(e.Candidates) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("%q is the beginning of %d runs: %s", e.Name, len(e.Candidates), text)
}

// Find returns the run that is meant by a name: its id, a unique beginning of it, model/version for the latest run of that
// version, or model for the latest of its versions. It fails with a NameError.
func (x *Index) Find(name string) (*Run, error) {
	var byName, byModel *Run
	var begin []*Run
	for _, r := range slices.Backward(x.Runs) {
		if r.ID == name && name != "" {
			return r, nil
		}
		if strings.HasPrefix(r.ID, name) && name != "" {
			begin = append(begin, r)
		}
		if byName == nil && r.called(name) {
			byName = r
		}
		if byModel == nil && r.Model == name {
			byModel = r
		}
	}
	switch {
	case byName != nil:
		return byName, nil
	case byModel != nil:
		return byModel, nil
	case len(begin) == 1:
		return begin[0], nil
	}
	err := &NameError{Name: name}
	for _, r := range begin {
		err.Candidates = append(err.Candidates, r.ID)
	}
	return nil, err
}

// called reports whether name is model/version, without making it.
func (r *Run) called(name string) bool {
	rest, ok := strings.CutPrefix(name, r.Model)
	return ok && r.Version != "" && len(rest) == len(r.Version)+1 && rest[0] == '/' && rest[1:] == r.Version
}

// A Filter selects runs. The zero Filter selects all.
type Filter struct {
	Models, Versions version.Selection
	Statuses, Hosts  []string
	Since            time.Time // started then or later
	Where            []Condition
}

// Select returns the runs that fit f, oldest first.
func (x *Index) Select(f Filter) []*Run {
	var fit []*Run
	for _, r := range x.Runs {
		if f.fits(r) {
			fit = append(fit, r)
		}
	}
	return fit
}

func (f *Filter) fits(r *Run) bool {
	return !r.Started.Before(f.Since) &&
		(len(f.Statuses) == 0 || slices.Contains(f.Statuses, r.Status)) &&
		(len(f.Hosts) == 0 || slices.Contains(f.Hosts, r.Host)) &&
		f.Models.Has(r.Model) && f.Versions.Has(r.Version) &&
		!slices.ContainsFunc(f.Where, func(c Condition) bool { return !c.met(r) })
}

// Short is how much of the ids of some runs names them among all. It is no less than the second in which they started.
func (x *Index) Short(runs []*Run) int {
	const least = len("20060102-150405")
	shown := map[string][]string{}
	for _, r := range runs {
		if len(r.ID) > least {
			shown[r.ID[:least]] = append(shown[r.ID[:least]], r.ID)
		}
	}
	short := least
	for _, r := range x.Runs {
		if len(r.ID) <= least {
			continue
		}
		for _, id := range shown[r.ID[:least]] {
			same := 0
			for same < len(id) && same < len(r.ID) && id[same] == r.ID[same] {
				same++
			}
			if id != r.ID {
				short = max(short, same+1)
			}
		}
	}
	return short
}
