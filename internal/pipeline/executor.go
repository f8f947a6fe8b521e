package pipeline

import (
	"fmt"
	"io"
	"slices"
	"syscall"
)

// An Executor starts the processes of models: on this machine, or on another. What that machine has it divides among the
// versions that run at once.
type Executor interface {
	// GPUs is the most GPUs that one version can get.
	GPUs() int
	// Reserve returns a place for a version that needs so many GPUs, or UsualGPUs. ok is false while there is none. The caller
	// releases it when nothing runs there any more.
	Reserve(gpus int) (place Place, ok bool)
	Release(Place)
	// Start starts a process. It has no terminal and reads nothing on its standard input. That its program cannot be
	// started may show only at its end, by a *StartError.
	Start(Command) (Process, error)
}

// A StartError is why a process has never run.
type StartError struct{ Err error }

func (e *StartError) Error() string { return e.Err.Error() }
func (e *StartError) Unwrap() error { return e.Err }

// UsualGPUs is the number of GPUs of a version that asks for no other.
const UsualGPUs = -1

// A Place is what a version has of the machine that it runs on.
type Place struct {
	Slot  int      // which of the versions that run at once it is, from 0
	GPUs  []string // nil: nothing is said of them
	Cores []int    // that its processes are pinned to; nil: none in particular
	Env   []string // tells its processes so
}

// Same reports whether a process that was started at one place could as well have been started at the other.
func (p Place) Same(other Place) bool {
	return slices.Equal(p.Env, other.Env) && slices.Equal(p.Cores, other.Cores)
}

// A Command says what to start.
type Command struct {
	// ID tells the process and all that it starts from those of other runs.
	ID   string
	Path string
	Args []string // without the name of the program
	Env  []string // what is added to the environment of the pipeline, besides that of the place
	Dir  string
	// Place is where: the caller has reserved it, or lets a process look on that runs no version.
	Place Place
	// After is a process that has to be gone first, with all that it started, or nil.
	After Process
	// Forks starts a process that can fork others. Of is one that was started so, and this process is forked from it: of the rest
	// only ID and Env count then.
	Forks bool
	Of    Process
}

// A Process is a started process of a model, that speaks the protocol of package wire.
type Process interface {
	// Commands is what the process reads commands from. The caller closes it.
	Commands() io.WriteCloser
	// Events, Stdout and Stderr end when the process and all that it started are gone. The caller reads each to its
	// end, and then calls Wait.
	Events() io.Reader
	Stdout() io.Reader
	Stderr() io.Reader
	// Stop asks the process to stop, and Kill ends it together with all that it started. Both do nothing once it has
	// ended.
	Stop()
	Kill()
	// Done is closed when the process has ended and nothing that it started is left.
	Done() <-chan struct{}
	// Wait waits for Done, frees what the process held here, and says how it ended.
	Wait() Exit
}

// Exit says how a process ended.
type Exit struct {
	Code   int            // the exit status, when Signal is 0
	Signal syscall.Signal // that ended it, or 0
	OOM    bool           // the kernel has killed a process for want of memory meanwhile
	Err    error          // it has never run, a *StartError, or the executor has lost it: nothing is known of its end
}

// OK reports whether the process ended as one that succeeded does.
func (e Exit) OK() bool { return e.Err == nil && e.Signal == 0 && e.Code == 0 }

func (e Exit) String() string {
	switch {
	case e.Err != nil:
		return e.Err.Error()
	case e.Signal == syscall.SIGKILL && e.OOM:
		return "killed by the kernel: out of memory"
	case e.Signal != 0:
		return fmt.Sprintf("killed by signal %d (%v)", int(e.Signal), e.Signal)
	}
	return fmt.Sprintf("exit status %d", e.Code)
}
