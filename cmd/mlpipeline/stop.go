package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
)

func newStop(app *app) *cobra.Command {
	var project string
	var now bool
	cmd := &cobra.Command{
		Use:   "stop",
		Short: "end the execution that runs here, from another terminal",
		Long: `stop is Ctrl-C for the execution of this project on this machine, wherever it was started: what is running finishes, and
nothing else starts. With --now it is the second Ctrl-C: the running versions are asked to save and stop, have grace (of
mlp.config) for it, and are recorded as interrupted; mlpipeline -r -u goes on with them. To call either again does no more.

It does not wait for the end, and succeeds when nothing is running. Of an execution on another machine it only says where.`,
		Example: "  mlpipeline stop\n  mlpipeline stop --now -C ~/experiments",
		Args:    noArgs,
		RunE:    func(*cobra.Command, []string) error { return runStop(app, project, now) },
	}
	cmd.Flags().BoolVar(&now, "now", false, "ask what is running to save and stop")
	projectFlag(cmd, &project)
	return cmd
}

func runStop(app *app, named string, now bool) error {
	folder, project, err := openFolder(named)
	if err != nil {
		return err
	}
	process, err := executing(folder)
	if err != nil {
		return err
	}
	if process == nil {
		text := "nothing is running on " + folder.Host
		for _, host := range folder.Hosts() {
			if host != folder.Host && folder.Executing(host) {
				text += "; on " + outputs.Clean(host) + " there is " + folder.Holder(host) + ": call mlpipeline stop there"
			}
		}
		_, err = fmt.Fprintln(app.stdout, text)
		return err
	}
	defer process.Release()
	status := ownStatus(folder, process.Pid)
	sig, text := finishSignal, "what is running finishes, nothing else starts"
	if now {
		sig, text = syscall.SIGTERM, fmt.Sprintf("what is running has %v to save and stop", project.Grace)
	}
	switch {
	case status.Ended != nil && now:
		text = "the queue has ended already; the hooks of mlp.config are ended too"
	case status.Ended != nil:
		text, sig = "the queue has ended already; hooks of mlp.config are still running", 0
	case status.Stopping == "finishing" && !now:
		text = "it was asked before: " + text
	case status.Stopping == "killing", status.Stopping == "stopping":
		text = fmt.Sprintf("it was asked before: what is running has %v to save and stop", project.Grace)
	}
	if err := process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop pid %d: %w", process.Pid, err)
	}
	lines := []string{fmt.Sprintf("pid %d: %s", process.Pid, text)}
	for _, run := range status.Running {
		lines = append(lines, "  "+runText(run, time.Now()))
	}
	switch {
	case status.Ended != nil:
	case now, status.Stopping == "stopping", status.Stopping == "killing":
		lines = append(lines, "watch it: mlpipeline status, mlpipeline logs -f")
	default:
		lines = append(lines, "watch it: mlpipeline status, mlpipeline logs -f; to stop it at once: mlpipeline stop --now")
	}
	_, err = fmt.Fprintln(app.stdout, strings.Join(lines, "\n"))
	return err
}

// executing returns the process that executes in folder on this machine, or nil. A process is only returned if it is seen to
// hold the lock: a number in a file may be that of a stranger.
func executing(folder outputs.Folder) (*os.Process, error) {
	for try := 0; ; try++ {
		pid, ok := folder.Executor(folder.Host)
		if !ok {
			return nil, nil
		}
		process, err := os.FindProcess(pid) // from now on it is this one, though its number be used again
		if err == nil && pid > 0 {
			var is bool
			if is, err = holds(pid, folder.LockFile(folder.Host)); is {
				return process, nil
			}
			process.Release()
			if errors.Is(err, os.ErrPermission) {
				return nil, &hintError{fmt.Errorf("it is another user's: %s", folder.Holder(folder.Host)), "call mlpipeline stop as that user"}
			}
		}
		if try == 20 { // one that has just begun has not yet written who it is
			return nil, &hintError{fmt.Errorf("the lock is held, but by no process that can be seen here: %s", folder.Holder(folder.Host)),
				"call mlpipeline stop where it was started, in the same container, say"}
		}
		time.Sleep(50 * time.Millisecond)
	}
}
