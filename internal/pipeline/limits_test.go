package pipeline

import (
	"os"
	"testing"
	"time"
)

// tick lets limits live through as many ticks as there are until one has passed, at most n, and returns them.
func tick(l *limits, n int, each func()) (ticks int, timedOut, stalled bool) {
	for ticks < n && !timedOut && !stalled {
		l.next()
		each()
		timedOut, stalled = l.passed()
		ticks++
	}
	return ticks, timedOut, stalled
}

func TestLimits(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	talk := &talk{}
	heard := &listener{Reader: r, pulse: &talk.pulse}
	said := make(chan bool)
	go func() {
		defer close(said)
		for buf := make([]byte, 100); ; said <- true {
			if _, err := heard.Read(buf); err != nil {
				return
			}
		}
	}()
	silence := func() {}
	say := func() {
		w.Write([]byte("x"))
		<-said
		for talk.pulse.busy.Load() > 0 { // until it reads again
			time.Sleep(time.Millisecond)
		}
	}
	for _, c := range []struct {
		name              string
		timeout, stall    time.Duration
		each              func()
		ticks             int
		timedOut, stalled bool
	}{
		{"silent", 0, 90 * time.Second, silence, 90, false, true},
		{"silent for less than a second", 0, 300 * time.Millisecond, silence, 1, false, true},
		{"talkative", 0, 2 * time.Second, say, 100, false, false},
		{"talkative, but late", 10 * time.Second, 2 * time.Second, say, 10, true, false},
		{"late", 90 * time.Minute, 0, silence, 5400, true, false},
	} {
		l := talk.limits(c.timeout, c.stall)
		ticks, timedOut, stalled := tick(l, max(c.ticks, 100), c.each)
		if ticks != c.ticks || timedOut != c.timedOut || stalled != c.stalled {
			t.Errorf("%s: %d ticks, timed out %t, stalled %t", c.name, ticks, timedOut, stalled)
		}
		l.stop()
	}

	l := talk.limits(0, 2*time.Second)
	w.Write([]byte("x")) // what it says is not taken in for long
	for talk.pulse.busy.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	if _, _, stalled := tick(l, 100, silence); stalled {
		t.Error("a process counts as stalled because it is not listened to")
	}
	<-said
	if l := talk.limits(0, 0); l.next() != nil {
		t.Error("without limits there are ticks")
	}
}
