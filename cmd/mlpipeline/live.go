package main

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
)

const (
	livePace = 200 * time.Millisecond // how often what runs is looked at
	drawPace = 50 * time.Millisecond  // how often the terminal is written to at most
)

// A live shows what runs now at the bottom of a terminal. All but takeStops belongs to the goroutine that draws.
type live struct {
	footer
	file          *os.File
	state         func() outputs.Status
	colour        bool
	width, height int
	stopped       bool // by Ctrl-Z
}

func newLive(file *os.File, state func() outputs.Status, colour bool) *live {
	return &live{footer: footer{terminal: file}, file: file, state: state, colour: colour}
}

// draw brings the terminal up to date: what was written and, if show, what runs now below it.
func (l *live) draw(show bool) error {
	width, height, err := term.GetSize(int(l.file.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		width, height = 81, 24
	}
	again := l.lines != nil && (width != l.width || height != l.height)
	l.width, l.height = width, height
	var lines []string
	if show && !l.stopped && l.foreground() {
		// In the last column a terminal may wrap all the same.
		lines = liveLines(l.state(), width-1, height-1, time.Now(), l.colour)
	}
	return l.footer.draw(lines, again)
}

// foreground reports whether the terminal is this program's: behind a shell's prompt nothing is drawn.
func (l *live) foreground() bool {
	group, err := unix.IoctlGetInt(int(l.file.Fd()), unix.TIOCGPGRP)
	return err != nil || group == unix.Getpgrp()
}

// takeStops has nothing left on the terminal while Ctrl-Z stops the program, until the returned function is called. It
// touches l through later, in the goroutine that draws.
func (l *live) takeStops(later func(func())) (end func()) {
	session, err := unix.Getsid(0)
	if err != nil || session == unix.Getpgrp() || signal.Ignored(syscall.SIGTSTP) {
		return func() {} // no shell is there to let it go on: then Ctrl-Z does nothing
	}
	signals, quit, done := make(chan os.Signal, 2), make(chan struct{}), make(chan struct{})
	signal.Notify(signals, syscall.SIGTSTP, syscall.SIGCONT)
	go func() {
		defer close(done)
		for {
			select {
			case sig := <-signals:
				if sig == syscall.SIGTSTP {
					l.stop(quit, later)
					continue
				}
			case <-quit:
				return
			}
			later(func() {
				l.stopped = false
				l.width = 0 // the shell has written to the terminal
			})
		}
	}()
	return func() {
		close(quit)
		<-done
		signal.Stop(signals)
	}
}

// stop stops the program once nothing is left on the terminal.
func (l *live) stop(quit chan struct{}, later func(func())) {
	cleared := make(chan struct{})
	later(func() {
		l.stopped = true
		l.draw(false)
		close(cleared)
	})
	select {
	case <-cleared:
	case <-quit:
	case <-time.After(time.Second): // a terminal that takes nothing
	}
	syscall.Kill(syscall.Getpid(), syscall.SIGSTOP) // Go cannot give SIGTSTP its meaning back
}
