package pipeline

import (
	"io"
	"sync/atomic"
	"time"
)

// A pulse tells whether a process gives signs of life: each time that it says or prints something.
type pulse struct {
	signs atomic.Uint64
	// busy counts what keeps this program itself from hearing more: something said or printed that is being taken in (the disk
	// may be slow, or the terminal frozen).
	busy atomic.Int32
}

// A listener reads from a process and notes its signs of life.
type listener struct {
	io.Reader
	pulse *pulse
	busy  bool
}

func (l *listener) Read(b []byte) (int, error) {
	if l.busy {
		l.pulse.busy.Add(-1)
	}
	n, err := l.Reader.Read(b)
	l.pulse.signs.Add(1)
	if l.busy = err == nil; l.busy {
		l.pulse.busy.Add(1)
	}
	return n, err
}

// limits count how long a process may still take in all, and without a sign of life. They count the ticks that this program has
// lived through: while the machine sleeps, or a shell has stopped the program (Ctrl-Z), it hears nothing, and no time passes.
type limits struct {
	timeout, stall time.Duration // 0: none
	pulse          *pulse
	timer          *time.Timer
	tick           time.Duration // that the timer is set to
	took, silent   time.Duration
	signs          uint64 // that were heard at the last tick
}

func (t *talk) limits(timeout, stall time.Duration) *limits {
	return &limits{timeout: timeout, stall: stall, pulse: &t.pulse, signs: t.pulse.signs.Load()}
}

// next returns what the next tick comes through; after it, passed is called.
func (l *limits) next() <-chan time.Time {
	if l.timeout == 0 && l.stall == 0 {
		return nil
	}
	l.tick = time.Second
	if l.timeout > 0 {
		l.tick = min(l.tick, l.timeout-l.took)
	}
	if l.stall > 0 {
		l.tick = min(l.tick, l.stall-l.silent)
	}
	if l.timer == nil {
		l.timer = time.NewTimer(l.tick)
	} else {
		l.timer.Reset(l.tick)
	}
	return l.timer.C
}

// passed reports which limit has been passed, if any.
func (l *limits) passed() (timedOut, stalled bool) {
	l.took += l.tick
	if signs := l.pulse.signs.Load(); signs != l.signs || l.pulse.busy.Load() > 0 {
		l.signs, l.silent = signs, 0
	} else {
		l.silent += l.tick
	}
	timedOut = l.timeout > 0 && l.took >= l.timeout
	return timedOut, !timedOut && l.stall > 0 && l.silent >= l.stall
}

func (l *limits) stop() {
	if l.timer != nil {
		l.timer.Stop()
	}
}
