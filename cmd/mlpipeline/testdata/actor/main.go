// Command actor is a model that does what a play tells it to: the file beside it with .play behind its name. It is
// written against the SDK like any other model, and takes the place of the many that the scripts would otherwise have to
// build.
//
//	option allow-delete          options: allow-delete, reset-steps, no-trained (it cannot tell how far it is)
//	list: print hello            acts before the first version: for all versions (clean knows no other)
//	version slow order=5 batch=2 epochs=3 suffix=s lr=0.1 samples=4 test=2 hidden=16
//	train: panic at the disco    acts of this version
//
// A name may be a Go string in quotes. Each act is preceded by when it is done: list (before anything else), clean, setup,
// train, step:N (before step N), saved:N (after it), stop (when asked to stop in training), evaluate-train, evaluate-test,
// finish.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/mlpipeline/mlpipeline/pkg/mlp"
)

type act struct{ when, what, text string }

type actor struct {
	acts      map[string][]act // by version; those of "" are for all
	noTrained bool
	result    mlp.Metrics
}

func main() {
	a := &actor{acts: map[string][]act{}, result: mlp.Metrics{}}
	versions := mlp.NewVersions(mlp.Version{})
	var options []mlp.Option
	play, err := os.ReadFile(os.Args[0] + ".play")
	if err != nil {
		play = []byte("version v1")
	}
	name := ""
	for line := range strings.Lines(string(play)) {
		line = strings.TrimSpace(line)
		word, rest, _ := strings.Cut(line, " ")
		switch {
		case line == "" || line[0] == '#':
		case word == "option" && rest == "allow-delete":
			options = append(options, mlp.AllowDeleteModelDir())
		case word == "option" && rest == "reset-steps":
			options = append(options, mlp.ResetSteps())
		case word == "option" && rest == "no-trained":
			a.noTrained = true
		case word == "version":
			v := parse(rest)
			name = v.Name
			versions.Add(v)
		case strings.HasSuffix(word, ":"):
			what, text, _ := strings.Cut(rest, " ")
			if quoted, err := strconv.Unquote(text); err == nil {
				text = quoted
			}
			a.acts[name] = append(a.acts[name], act{strings.TrimSuffix(word, ":"), what, text})
		default:
			panic("no part of a play: " + line)
		}
	}
	if err := a.perform(context.Background(), nil, "list"); err != nil {
		panic(err)
	}
	if a.noTrained {
		mlp.Main(a, versions, options...)
	} else {
		mlp.Main(resuming{a}, versions, options...)
	}
}

// parse takes a version from the line of a play.
func parse(line string) (v mlp.Version) {
	var rest string
	if quoted, err := strconv.QuotedPrefix(line); err == nil {
		v.Name, _ = strconv.Unquote(quoted)
		rest = line[len(quoted):]
	} else {
		v.Name, rest, _ = strings.Cut(line, " ")
	}
	data := &loader{train: 4, test: 2}
	v.DataLoader, v.BatchSize, v.Epochs = data, 1, 1
	for _, field := range strings.Fields(rest) {
		key, value, _ := strings.Cut(field, "=")
		if unquoted, err := strconv.Unquote(value); err == nil {
			value = unquoted
		}
		number, _ := strconv.Atoi(value)
		switch key {
		case "order":
			v.Order = number
		case "batch":
			v.BatchSize = number
		case "epochs":
			v.Epochs = number
		case "lr":
			v.LearningRate, _ = strconv.ParseFloat(value, 64)
		case "suffix":
			v.ModelDirSuffix = value
		case "samples":
			data.train = number
		case "test":
			data.test = number
		case "loader":
			v.DataLoader = nil
		default:
			if v.Params == nil {
				v.Params = mlp.Params{}
			}
			v.Params[key] = value
			if key == "gpus" && strconv.Itoa(number) == value {
				v.Params[key] = number
			}
		}
	}
	return v
}

type loader struct{ train, test int }

func (l *loader) TrainInput(context.Context, mlp.Phase) (any, error) { return "train", nil }
func (l *loader) TestInput(context.Context) (any, error)             { return "test", nil }
func (l *loader) TrainSampleCount() int                              { return l.train }
func (l *loader) TestSampleCount() int                               { return l.test }
func (l *loader) Summary() string                                    { return fmt.Sprintf("%d and %d samples", l.train, l.test) }

// checkpoint is where the steps that a version has been trained are kept.
func checkpoint(run *mlp.Run) string {
	return filepath.Join(run.Dir, url.PathEscape(run.Version.Name)+".step")
}

func trained(run *mlp.Run) int {
	text, _ := os.ReadFile(checkpoint(run))
	n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return n
}

type resuming struct{ *actor }

func (resuming) TrainedSteps(_ context.Context, run *mlp.Run) (int, error) { return trained(run), nil }

func (a *actor) CleanModelDir(ctx context.Context, dir string) error {
	fmt.Println("clean")
	if err := a.perform(ctx, nil, "clean"); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.step"))
	for _, f := range files {
		err = errors.Join(err, os.Remove(f))
	}
	return err
}

func (a *actor) Setup(ctx context.Context, run *mlp.Run) error {
	if _, err := os.Stat(run.Dir); err != nil {
		return err
	}
	fmt.Printf("setup %s in %s mode after %d steps\n", run.Version.Name, run.Mode, trained(run))
	return a.perform(ctx, run, "setup")
}

func (a *actor) Train(ctx context.Context, run *mlp.Run, in any, steps int) (mlp.Metrics, error) {
	fmt.Printf("train %d steps on %v\n", steps, in)
	if err := a.perform(ctx, run, "train"); err != nil {
		return nil, err
	}
	for range steps {
		step := trained(run) + 1
		if err := a.perform(ctx, run, fmt.Sprintf("step:%d", step)); err != nil {
			return nil, err
		}
		if ctx.Err() != nil {
			a.perform(context.Background(), run, "stop")
			return nil, ctx.Err()
		}
		run.Metric("loss", step, 1/float64(step))
		run.Progress(step, steps)
		if err := os.WriteFile(checkpoint(run), []byte(strconv.Itoa(step)), 0o666); err != nil {
			return nil, err
		}
		if err := a.perform(ctx, run, fmt.Sprintf("saved:%d", step)); err != nil {
			return nil, err
		}
	}
	return mlp.Metrics{"loss": 1 / float64(steps)}, nil
}

func (a *actor) Evaluate(ctx context.Context, run *mlp.Run, in any, steps int) (mlp.Metrics, error) {
	fmt.Printf("evaluate %d steps on %v\n", steps, in)
	a.result = mlp.Metrics{"accuracy": 0.5}
	err := a.perform(ctx, run, fmt.Sprintf("evaluate-%v", in))
	return a.result, err
}

func (a *actor) Finish(ctx context.Context, run *mlp.Run) error { return a.perform(ctx, run, "finish") }
func (a *actor) Summary() string                                { return "an actor" }

// perform does the acts of the version whose time it is.
func (a *actor) perform(ctx context.Context, run *mlp.Run, when string) error {
	acts := a.acts[""]
	if run != nil && run.Version.Name != "" {
		acts = append(acts[:len(acts):len(acts)], a.acts[run.Version.Name]...)
	}
	for _, act := range acts {
		if act.when == when {
			if err := a.do(ctx, run, act); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *actor) do(ctx context.Context, run *mlp.Run, act act) error {
	switch act.what {
	case "print":
		fmt.Println(act.text)
	case "eprint":
		fmt.Fprintln(os.Stderr, act.text)
	case "env":
		value, set := os.LookupEnv(act.text)
		fmt.Printf("%s=%s %v\n", act.text, value, set)
	case "cores": // on which it may run
		status, err := os.ReadFile("/proc/self/status")
		_, list, _ := strings.Cut(string(status), "Cpus_allowed_list:")
		list, _, _ = strings.Cut(list, "\n")
		fmt.Println("cores", strings.TrimSpace(list))
		return err
	case "log":
		run.Logf("%s", act.text)
	case "summary":
		run.Summaryf("%s", act.text)
	case "metric": // NAME STEP VALUE
		var name string
		var step int
		var value float64
		if _, err := fmt.Sscan(act.text, &name, &step, &value); err != nil {
			return err
		}
		run.Metric(name, step, value)
	case "result": // NAME VALUE
		name, value, _ := strings.Cut(act.text, " ")
		a.result[name], _ = strconv.ParseFloat(value, 64)
	case "error":
		return errors.New(act.text)
	case "panic":
		panic(act.text)
	case "nest": // a panic with a deep stack
		nest(100, act.text)
	case "goexit":
		runtime.Goexit()
	case "exit":
		code, _ := strconv.Atoi(act.text)
		os.Exit(code)
	case "kill":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "segfault":
		syscall.Kill(os.Getpid(), syscall.SIGSEGV)
	case "touch": // its content is the process
		return putPID(act.text, os.Getpid())
	case "note": // adds a line to the file notes; $NAME is a variable of the environment
		f, err := os.OpenFile("notes", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = fmt.Fprintf(f, "%s/%s %s\n", run.Model, run.Version.Name, os.ExpandEnv(act.text))
		return err
	case "wait": // for a file, or to be asked to stop
		await(ctx, act.text)
	case "insist": // wait for a file, whoever asks to stop
		await(context.Background(), act.text)
	case "spawn", "daemon": // a child that lives on; its pid goes into a file
		cmd := exec.Command("sleep", "1000")
		if act.what == "daemon" {
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		} else {
			cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		}
		if err := cmd.Start(); err != nil {
			return err
		}
		return putPID(act.text, cmd.Process.Pid)
	case "flood": // a line of so many MB on standard output
		flood(os.Stdout, act.text)
	case "flood-events": // a message of so many MB
		flood(events, act.text)
	case "many": // so many lines from several goroutines
		n, _ := strconv.Atoi(act.text)
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				for i := range n / 4 {
					fmt.Printf("line %d of %d\n", i, g)
				}
			})
		}
		wg.Wait()
	default:
		panic("no act: " + act.what)
	}
	return nil
}

// putPID writes a file that is whole as soon as it is there.
func putPID(file string, pid int) error {
	if err := os.WriteFile(file+".part", []byte(strconv.Itoa(pid)), 0o666); err != nil {
		return err
	}
	return os.Rename(file+".part", file)
}

func nest(n int, text string) {
	if n == 0 {
		panic(text)
	}
	nest(n-1, text)
}

// events is kept for good: collected as garbage it would close the descriptor, which is the SDK's.
var events = os.NewFile(4, "events")

// flood writes so many megabytes without a newline, and then one.
func flood(f *os.File, megabytes string) {
	n, _ := strconv.Atoi(megabytes)
	block := bytes.Repeat([]byte("x"), 1<<20)
	for range n {
		f.Write(block)
	}
	f.Write([]byte("\n"))
}

func await(ctx context.Context, file string) {
	for ctx.Err() == nil {
		if _, err := os.Stat(file); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}
