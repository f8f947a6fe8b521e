package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/mlpipeline/mlpipeline/internal/pipeline"
)

// finishSignal is how mlpipeline stop wishes what one Ctrl-C does. It is none that means more when it comes again.
const finishSignal = syscall.SIGUSR1

// signals turns the signals that the program gets into the user's wish to stop.
type signals struct {
	incoming chan os.Signal
	done     chan struct{}
	mu       sync.Mutex
	first    syscall.Signal // that asked to stop, or 0
}

func watchSignals(p *pipeline.Pipeline, screen *screen) *signals {
	s := &signals{incoming: make(chan os.Signal, 8), done: make(chan struct{})}
	// A pipe that nobody reads any more must not end the night: with SIGPIPE caught, the write fails instead.
	signal.Notify(s.incoming, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGPIPE)
	if p.Execute {
		signal.Notify(s.incoming, finishSignal)
	}
	if p.Execute || !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(s.incoming, syscall.SIGHUP)
	}
	screen.onLost(func(err error) {
		if p.Execute {
			p.LogLostTerminal(err)
		} else {
			p.Stop.Raise(pipeline.Killing)
		}
	})
	go func() {
		defer close(s.done)
		for sig := range s.incoming {
			s.handle(sig.(syscall.Signal), p, screen)
		}
	}()
	return s
}

func (s *signals) handle(sig syscall.Signal, p *pipeline.Pipeline, screen *screen) {
	level := p.Stop.Level()
	who := sig.String()
	switch {
	case sig == finishSignal && level >= pipeline.Finishing:
		return
	case sig == finishSignal:
		level, sig, who = pipeline.Finishing, syscall.SIGINT, "mlpipeline stop"
	case sig == syscall.SIGPIPE:
		return
	case sig == syscall.SIGHUP && p.Execute:
		p.LogLostTerminal(errors.New("SIGHUP"))
		return
	case sig == syscall.SIGHUP, sig == syscall.SIGQUIT:
		level = pipeline.Killing
	case sig == syscall.SIGTERM && level < pipeline.Stopping:
		level = pipeline.Stopping
	case sig == syscall.SIGTERM: // timeout(1), and others, send it twice
		return
	default:
		level = min(level+1, pipeline.Killing)
	}
	s.mu.Lock()
	if s.first == 0 {
		s.first = sig
	}
	s.mu.Unlock()
	p.Stop.Raise(level)
	if p.Over() {
		screen.say("stopping: on_failure and on_finish of mlp.config are ended.")
		return
	}
	switch level {
	case pipeline.Finishing:
		screen.say("stopping: what is running will finish, nothing else starts. Ctrl-C again asks it to stop now.")
	case pipeline.Stopping:
		screen.say(fmt.Sprintf("stopping: what is running has %v to save and stop. Ctrl-C again kills it.", p.Project.Grace))
	case pipeline.Killing:
		screen.say("stopping: what is running is killed.")
	}
	p.LogStop(who, level)
}

func (s *signals) close() {
	signal.Stop(s.incoming)
	close(s.incoming)
	<-s.done
}

// status turns what came of a call into its error; lost is why its results could not be shown.
func (s *signals) status(summary pipeline.Summary, err, lost error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil:
		return err
	case s.first != 0:
		return statusError(128 + int(s.first))
	case lost != nil:
		return fmt.Errorf("results cannot be shown: %w", lost)
	case summary.Failed > 0:
		return statusError(exitFailed)
	}
	return nil
}
