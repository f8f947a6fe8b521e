package mlp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// Main is what the main function of a model ends with: it tells the pipeline the versions and executes the one that it
// asks for. Started by the pipeline it never returns. Started by hand it explains the model, or executes versions in test
// mode, and returns when that went well.
//
// Importing this package already greets the pipeline and catches SIGTERM; data that main loads before it calls Main is
// loaded each time that the model is asked for its versions.
func Main(model Model, versions *Versions, options ...Option) {
	if model == nil {
		panic("mlp.Main: model is nil")
	}
	p := &program{model: model, versions: versions}
	for _, option := range options {
		option(p)
	}
	if host != nil {
		p.crash = true
		os.Exit(host.serve(p))
	}
	if code := p.byHand(os.Args, os.Stdout, os.Stderr); code != 0 {
		os.Exit(code)
	}
}

// A connection is this process's end of the protocol.
type connection struct {
	ctx      context.Context // done when the process is asked to stop
	commands io.Reader
	events   *wire.Writer
}

// host is nil in a program that was started by hand.
var host *connection

// only is the name of the version that this process will be asked to run. It is empty in one that is asked for others too.
var only string

// The pipeline is greeted before main does anything that may take long, and its descriptors are kept from the children
// of the model: one that holds them would hide that the model has ended.
func init() {
	if os.Getenv(wire.EnvProtocol) == "" {
		return
	}
	os.Unsetenv(wire.EnvProtocol)
	only = os.Getenv(wire.EnvVersion)
	os.Unsetenv(wire.EnvVersion)
	if !isPipe(wire.CommandFD) || !isPipe(wire.EventFD) {
		return
	}
	syscall.CloseOnExec(wire.CommandFD)
	syscall.CloseOnExec(wire.EventFD)
	// Never undone: a second SIGTERM has to be caught too.
	ctx, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	host = &connection{
		ctx:      ctx,
		commands: os.NewFile(wire.CommandFD, "commands"),
		events:   wire.NewWriter(os.NewFile(wire.EventFD, "events")),
	}
	host.Send(wire.Event{Type: wire.Hello, Protocol: wire.Protocol, SDK: "mlpipeline Go SDK"})
}

// isPipe reports whether fd is open for the protocol. What else has that number is the program's own.
func isPipe(fd int) bool {
	var st syscall.Stat_t
	if syscall.Fstat(fd, &st) != nil {
		return false
	}
	kind := st.Mode & syscall.S_IFMT
	return kind == syscall.S_IFIFO || kind == syscall.S_IFSOCK
}

// Send implements sink. When the pipeline is gone so is the reason to go on: another may already have started the same
// version.
func (c *connection) Send(message any) error { return c.check(c.events.Send(message)) }

// Put implements sink.
func (c *connection) Put(message any) error { return c.check(c.events.Put(message)) }

func (c *connection) check(err error) error {
	if err != nil && c.events.Flush() != nil {
		os.Exit(1)
	}
	return err
}

// Metric implements sink.
func (c *connection) Metric(name string, step int64, value float64) error {
	if c.events.Metric(name, step, value) != nil {
		os.Exit(1)
	}
	return nil
}

// serve does what the pipeline asks for and returns the exit status.
func (c *connection) serve(p *program) int {
	// While nothing runs, a wish to stop ends the process.
	idle := context.AfterFunc(c.ctx, func() {
		c.Send(wire.Event{Type: wire.End, Status: wire.Interrupted})
		os.Exit(0)
	})
	lines := wire.NewReader(c.commands)
	for {
		line, err := lines.Next()
		if err != nil && !errors.Is(err, wire.ErrTooLong) {
			return 0
		}
		var cmd wire.Command
		if err == nil {
			err = json.Unmarshal(line, &cmd)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "mlp: a command is ignored:", err)
			continue
		}
		switch cmd.Type {
		case wire.List:
			c.list(p)
		case wire.AskTrained:
			c.Send(p.trainedEvent(c.ctx, c, cmd))
		case wire.Execute:
			if !idle() {
				select {} // it is ending
			}
			if p.execute(c.ctx, c, cmd) == wire.Failed {
				return 1
			}
			return 0
		}
	}
}

func (c *connection) list(p *program) {
	for _, v := range p.versions.checked() {
		if err := c.Put(v.event()); err != nil {
			c.Put(wire.Event{Type: wire.VersionInfo, Version: &wire.Version{Name: harmless(v.Name)}, Error: err.Error()})
		}
	}
	c.Send(wire.Event{Type: wire.Listed, AllowDeleteModelDir: p.allowDelete, ResetSteps: p.resetSteps})
}

// trainedEvent answers how many steps the version of cmd is trained: 0 when the model cannot tell.
func (p *program) trainedEvent(ctx context.Context, to sink, cmd wire.Command) (e wire.Event) {
	e.Type = wire.Trained
	counter, ok := p.model.(StepCounter)
	if !ok {
		return e
	}
	version, err := p.versions.find(cmd.Version)
	if err == nil {
		defer func() {
			if v := recover(); v != nil {
				e = wire.Event{Type: wire.Trained, Error: cutText(fmt.Sprintf("panic in TrainedSteps: %v", v))}
			}
		}()
		var n int
		n, err = counter.TrainedSteps(ctx, &Run{Model: cmd.Model, Version: version, Mode: Mode(cmd.Mode), Dir: cmd.Dir, to: to})
		e.Step = int64(max(n, 0))
	}
	if err != nil {
		e.Step, e.Error = 0, cutText(fmt.Sprint(err))
	}
	return e
}
