package pipeline

import (
	"context"
	"sync"
)

// A Level is how urgently the user wants the pipeline to stop.
type Level int

// The levels. Each includes those before it.
const (
	Going     Level = iota
	Finishing       // the running versions finish, no other starts
	Stopping        // the running versions are asked to stop
	Killing         // they are killed
)

// A Stop carries the user's wish to stop to everything that runs. It only ever rises. It is safe for use by several
// goroutines.
type Stop struct {
	mu      sync.Mutex
	level   Level
	reached [Killing + 1]chan struct{}
	ctx     context.Context // ends when the level is no longer Going
	cancel  context.CancelFunc
}

// NewStop returns a Stop at Going.
func NewStop() *Stop {
	s := &Stop{}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	for l := range s.reached {
		s.reached[l] = make(chan struct{})
	}
	return s
}

// Raise raises the level to at least l.
func (s *Stop) Raise(l Level) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.level < l {
		s.level++
		close(s.reached[s.level])
		s.cancel()
	}
}

// Level returns the level.
func (s *Stop) Level() Level {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.level
}

// Reached returns a channel that is closed once the level is at least l.
func (s *Stop) Reached(l Level) <-chan struct{} { return s.reached[l] }
