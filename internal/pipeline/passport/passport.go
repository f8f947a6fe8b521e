package passport

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// A Passport is what is remembered of one model.
type Passport struct {
	Codes    []Code    // that versions have passed with
	Versions []Version // all that the model told at its last test, in their order

	place map[string]int // of a version in Versions
}

// Code is what a model is made of.
type Code struct {
	Fingerprint string            `json:"fingerprint"`
	Files       map[string]string `json:"files,omitempty"` // hash of each of the user's files
}

// A Hash is the hash of the parameters of a version. It is written as 16 hex digits.
type Hash uint64

// MarshalText implements encoding.TextMarshaler.
func (h Hash) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%016x", uint64(h)), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hash) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 16, 64)
	*h = Hash(n)
	return err
}

// A Version is what is remembered of a version. There may be very many.
type Version struct {
	Name       string `json:"version"`
	Parameters Hash   `json:"parameters"`       // those that it was told with last
	Failed     bool   `json:"failed,omitempty"` // when it was tested last
	// What follows is about the test that it passed last.
	Code   int32 `json:"code,omitempty"`   // its code then: a place in Codes
	Passed int64 `json:"passed,omitempty"` // when, in milliseconds since 1970; 0 when it has passed none, or failed since
	With   Hash  `json:"with,omitempty"`   // its parameters then, when they were not Parameters
	Pace
}

// A Pace is what a test tells of how long the version will take when it is run for real.
type Pace struct {
	Step    float64 `json:"step,omitempty"`    // seconds that its one step of training took, loading the data included
	Seconds float64 `json:"seconds,omitempty"` // that all of the test took
	Steps   int64   `json:"steps,omitempty"`   // of training that a run from scratch has; 0 when it is not known
}

// A State is how a version is to the last test of it.
type State string

// The states.
const (
	Passed            State = "passed" // with its present code and parameters
	Never             State = "never"
	Failed            State = "failed"
	CodeChanged       State = "code changed"       // since it passed
	ParametersChanged State = "parameters changed" // since it passed
)

// Version returns what is remembered of a version.
func (p *Passport) Version(name string) (Version, bool) {
	i, ok := p.place[name]
	if !ok {
		return Version{}, false
	}
	return p.Versions[i], true
}

// State says how the version called name, that now has these parameters, is to its last test. same says whether a code is
// the model's present one.
func (p *Passport) State(name string, parameters Hash, same func(Code) bool) State {
	v, ok := p.Version(name)
	switch {
	case ok && v.Failed:
		return Failed
	case !ok || v.Passed == 0:
		return Never
	case !same(p.Codes[v.Code]):
		return CodeChanged
	case v.with() != parameters:
		return ParametersChanged
	}
	return Passed
}

// with are the parameters that v passed with.
func (v Version) with() Hash {
	if v.With != 0 {
		return v.With
	}
	return v.Parameters
}

// A Told is a version as a model tells it.
type Told struct {
	Name       string
	Parameters Hash
}

// Tell takes in what versions there are. Those that are no longer told are forgotten.
func (p *Passport) Tell(versions []Told) {
	before := *p
	p.Versions, p.place = make([]Version, 0, len(versions)), make(map[string]int, len(versions))
	for _, t := range versions {
		v, _ := before.Version(t.Name)
		with := v.with()
		v.Name, v.Parameters, v.With = t.Name, t.Parameters, 0
		if v.Passed != 0 && with != v.Parameters {
			v.With = with
		}
		p.set(v)
	}
}

// Pass takes in that a version has passed.
func (p *Passport) Pass(name string, parameters Hash, code Code, when time.Time, pace Pace) {
	p.set(Version{Name: name, Parameters: parameters, Passed: when.UnixMilli(), Code: p.codeOf(code), Pace: pace})
}

// Fail takes in that a version has failed: that it had passed before is forgotten.
func (p *Passport) Fail(name string, parameters Hash) {
	p.set(Version{Name: name, Parameters: parameters, Failed: true})
}

func (p *Passport) set(v Version) {
	if i, known := p.place[v.Name]; known {
		p.Versions[i] = v
		return
	}
	if p.place == nil {
		p.place = map[string]int{}
	}
	p.place[v.Name] = len(p.Versions)
	p.Versions = append(p.Versions, v)
}

// codeOf returns the place of code in Codes. There are few.
func (p *Passport) codeOf(code Code) int32 {
	i := slices.IndexFunc(p.Codes, func(c Code) bool { return c.Fingerprint == code.Fingerprint })
	if i < 0 {
		i = len(p.Codes)
		p.Codes = append(p.Codes, code)
	}
	return int32(i)
}

// tidy forgets the codes that no version has passed with.
func (p *Passport) tidy() {
	now := make([]int32, len(p.Codes)) // the new place of each, from 1
	var codes []Code
	for i := range p.Versions {
		v := &p.Versions[i]
		if v.Passed == 0 {
			continue
		}
		if now[v.Code] == 0 {
			codes = append(codes, p.Codes[v.Code])
			now[v.Code] = int32(len(codes))
		}
		v.Code = now[v.Code] - 1
	}
	p.Codes = codes
}
