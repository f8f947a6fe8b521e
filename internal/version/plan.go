package version

// Why says why a version is due, or why it is not.
type Why int

// The reasons, with what is done.
const (
	Asked         Why = iota // the history is not used: run
	New                      // never run before: run
	NewParameters            // its own parameters have changed since: run
	NewCode                  // it finished, but its model's code has changed since: run
	FailedBefore             // run
	Evicted                  // it was interrupted, but another version has used its model directory since: run
	Resumes                  // it was interrupted: go on where it stopped
	Done                     // finished, nothing has changed: skip
	Kept                     // finished, the code has changed, and the user keeps it: skip
	Elsewhere                // another host is running it: skip
	Passed                   // in test mode: it has passed as it is now: skip
	Refused                  // it cannot run: a failure
)

// Due reports whether a version is to be run for this reason.
func (w Why) Due() bool { return w <= Resumes }

// Status is how the last run of a version went.
type Status int

// The statuses.
const (
	Never Status = iota
	Finished
	Failed
	Interrupted // asked to stop, or its pipeline was killed
	Running     // on another host
)

// A Past is what the history knows of a version.
type Past struct {
	Status           Status
	Parameters, Code uint64 // of the last run
}

// Decide says what is to become of v, whose model's code is code now, under a used history. Versions that finished before
// the code changed are kept when keep is set.
func Decide(v Version, past Past, code uint64, keep bool) Why {
	switch {
	case v.Refused != "":
		return Refused
	case past.Status == Never:
		return New
	case past.Status == Running:
		return Elsewhere
	case past.Parameters != v.Hash:
		return NewParameters
	case past.Status == Failed:
		return FailedBefore
	case past.Status == Interrupted:
		return Resumes
	case past.Code == code:
		return Done
	case keep:
		return Kept
	}
	return NewCode
}
