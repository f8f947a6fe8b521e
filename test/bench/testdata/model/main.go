// Command model is the model that is measured with. It does what the environment says, and unless told nothing.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mlpipeline/mlpipeline/pkg/mlp"
)

const edited = 0 // the line that is edited

// number is the value of a variable, or otherwise.
func number(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

func main() {
	if os.Getenv("BENCH_EXIT") != "" {
		os.Exit(0)
	}
	versions := mlp.NewVersions(mlp.Version{DataLoader: data{}, BatchSize: 1, Epochs: 1})
	apart := os.Getenv("BENCH_CPUS") != ""
	for i := range number("BENCH_VERSIONS", 1) {
		v := mlp.Version{Name: "v" + strconv.Itoa(i)}
		if apart {
			v.ModelDirSuffix = v.Name // only those with directories of their own run side by side
		}
		versions.Add(v)
	}
	mlp.Main(model{}, versions)
}

type data struct{}

func (data) TrainInput(context.Context, mlp.Phase) (any, error) { return nil, nil }
func (data) TestInput(context.Context) (any, error)             { return nil, nil }
func (data) TrainSampleCount() int                              { return 1 }
func (data) TestSampleCount() int                               { return 1 }

type model struct{}

// Setup ties the whole process to the CPU that BENCH_CPUS, a list, has for the version.
func (model) Setup(ctx context.Context, run *mlp.Run) error {
	cpus := strings.Split(os.Getenv("BENCH_CPUS"), ",")
	if len(cpus) < 2 {
		return nil
	}
	cpu := cpus[(run.Version.Order-1)%len(cpus)]
	out, err := exec.CommandContext(ctx, "taskset", "-a", "-c", "-p", cpu, strconv.Itoa(os.Getpid())).CombinedOutput()
	if err != nil {
		return fmt.Errorf("taskset: %w: %s", err, out)
	}
	return nil
}

func (model) Train(_ context.Context, run *mlp.Run, _ any, _ int) (mlp.Metrics, error) {
	x := uint64(1)
	for range number("BENCH_SPIN", 0) { // xorshift: nothing but the CPU
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	if os.Getenv("BENCH_KILL") != "" {
		return nil, killed(run)
	}
	if n := number("BENCH_METRICS", 0); n > 0 {
		return nil, metrics(run, n)
	}
	return mlp.Metrics{"x": float64(x)}, nil
}

// metrics writes what a call of run.Metric costs: nanoseconds, allocations.
func metrics(run *mlp.Run, n int) error {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	for i := range n {
		run.Metric("loss", i, 1/float64(i+1))
	}
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	text := fmt.Sprintln(float64(took)/float64(n), (after.Mallocs-before.Mallocs)/uint64(n))
	return os.WriteFile(os.Getenv("BENCH_REPORT"), []byte(text), 0o666)
}

// killed measures twice, waits as many milliseconds as its version has for a place, and kills itself. It writes how many seconds
// that was after the second.
func killed(run *mlp.Run) error {
	report, err := os.OpenFile(os.Getenv("BENCH_REPORT"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666)
	if err != nil {
		return err
	}
	time.Sleep(20 * time.Millisecond) // so that the first is written at once
	run.Metric("loss", 1, 0)
	run.Metric("loss", 2, 0)
	second := time.Now()
	time.Sleep(time.Duration(run.Version.Order) * time.Millisecond)
	fmt.Fprintln(report, time.Since(second).Seconds())
	return syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

func (model) Evaluate(context.Context, *mlp.Run, any, int) (mlp.Metrics, error) {
	return mlp.Metrics{"loss": 0.5}, nil
}
