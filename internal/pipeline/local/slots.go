package local

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/config"
	"github.com/mlpipeline/mlpipeline/internal/pipeline"
)

// Slots are the places that this machine has for versions. They are safe for use by several goroutines.
type Slots struct {
	// Warnings say what the user may not expect.
	Warnings []string

	mu      sync.Mutex
	jobs    int    // how many there are
	taken   []bool // by number, of those that have been taken
	gpus    []gpu  // in the order in which they are handed out
	managed bool   // no version has others
	usual   int    // how many a version gets that asks for no other number
	order   bool   // GPUs have the numbers of nvidia-smi
	cores   int    // how many all versions together may use
	pinned  []int  // those that are shared out, when processes are pinned
}

type gpu struct {
	name  string // as CUDA_VISIBLE_DEVICES has it
	taken bool
}

// Divide divides this machine as a project wishes. For that it may ask the tools of the makers of GPUs. The error is a
// pipeline.UsageError.
func Divide(ctx context.Context, project config.Project) (*Slots, error) {
	s := &Slots{managed: project.GPUs != nil, order: true, cores: usableCores()}
	names := project.GPUs
	if slices.Equal(names, []string{config.AllGPUs}) {
		var err error
		if names, s.order, err = findGPUs(ctx); err != nil {
			return nil, &pipeline.UsageError{Msg: "gpus=auto: " + err.Error(), Hint: "mend that, or write in mlp.config which there are: gpus=0,1, or gpus=none"}
		}
		if s.managed = len(names) > 0; !s.managed {
			s.Warnings = append(s.Warnings, "gpus=auto: no GPU was found, so versions see what there is")
		}
	}
	for _, name := range names {
		s.gpus = append(s.gpus, gpu{name: name})
	}
	if s.usual = project.GPUsPerVersion; len(names) == 0 {
		s.usual = 0
	}
	if s.usual > len(names) {
		return nil, &pipeline.UsageError{Msg: fmt.Sprintf("gpus_per_version=%d, but there are only %d GPUs", s.usual, len(names)), Hint: "write a smaller number into mlp.config"}
	}
	switch s.jobs = project.Jobs; {
	case s.jobs != config.AutoJobs:
	case s.usual > 0:
		s.jobs = len(names) / s.usual
	default:
		s.jobs = s.cores
	}
	if project.Pin {
		var err error
		if s.pinned, err = affinity(); err != nil {
			return nil, &pipeline.UsageError{Msg: "pin=true: " + err.Error(), Hint: "take it out of mlp.config"}
		}
	}
	return s, nil
}

// Jobs is how many places there are.
func (s *Slots) Jobs() int { return s.jobs }

// GPUs implements pipeline.Executor.
func (s *Slots) GPUs() int { return len(s.gpus) }

// Reserve implements pipeline.Executor.
func (s *Slots) Reserve(gpus int) (pipeline.Place, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	managed := s.managed || gpus != pipeline.UsualGPUs
	if gpus == pipeline.UsualGPUs {
		gpus = s.usual
	}
	p := pipeline.Place{Slot: slices.Index(s.taken, false)}
	var free []*gpu
	for i := range s.gpus {
		if g := &s.gpus[i]; !g.taken {
			free = append(free, g)
		}
	}
	if p.Slot < 0 && len(s.taken) < s.jobs {
		p.Slot, s.taken = len(s.taken), append(s.taken, false)
	}
	if p.Slot < 0 || gpus > len(free) {
		return pipeline.Place{}, false
	}
	s.taken[p.Slot] = true
	if managed {
		p.GPUs = []string{}
	}
	for _, g := range free[:gpus] {
		g.taken = true
		p.GPUs = append(p.GPUs, g.name)
	}
	if s.pinned != nil && s.jobs > 1 {
		p.Cores = share(s.pinned, s.jobs, p.Slot)
	}
	p.Env = s.env(p)
	return p, true
}

// Release implements pipeline.Executor.
func (s *Slots) Release(p pipeline.Place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken[p.Slot] = false
	for i := range s.gpus {
		if g := &s.gpus[i]; slices.Contains(p.GPUs, g.name) {
			g.taken = false
		}
	}
}

// threadLimits are the variables that say how many threads the runtime of Go, OpenMP and the libraries for linear algebra use.
var threadLimits = []string{
	"GOMAXPROCS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "BLIS_NUM_THREADS",
}

// env are the variables of a place. What the user has set is left alone, but for which GPUs there are.
func (s *Slots) env(p pipeline.Place) (env []string) {
	set := func(name, value string) {
		if os.Getenv(name) == "" {
			env = append(env, name+"="+value)
		}
	}
	if p.GPUs != nil {
		visible := strings.Join(p.GPUs, ",")
		if len(p.GPUs) == 0 {
			visible = "-1" // what is no GPU hides all behind it, in CUDA and in ROCm
		}
		// ROCm heeds one of these. ROCR_VISIBLE_DEVICES is not set besides: it filters first, and they count what it has left.
		env = append(env, "CUDA_VISIBLE_DEVICES="+visible, "HIP_VISIBLE_DEVICES="+visible)
		if s.order {
			set("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
		}
	}
	if s.jobs > 1 {
		threads := strconv.Itoa(max(1, s.cores/s.jobs))
		for _, name := range threadLimits {
			set(name, threads)
		}
	}
	return env
}

// usableCores is how many cores this process may use: its affinity and the quota of its control group are heeded.
func usableCores() int {
	now := runtime.GOMAXPROCS(0)
	if os.Getenv("GOMAXPROCS") == "" {
		return now
	}
	runtime.SetDefaultGOMAXPROCS()
	return runtime.GOMAXPROCS(now)
}

// share is the i-th of n parts of cores, which are side by side. Where there are too few, several parts have the same one.
func share(cores []int, n, i int) []int {
	first := i * len(cores) / n
	return cores[first:max(first+1, (i+1)*len(cores)/n)]
}

// gpuName fits what CUDA_VISIBLE_DEVICES may hold.
var gpuName = regexp.MustCompile(`^([0-9]+|(GPU|MIG)-.+)$`)

// findGPUs returns all GPUs: those that the user's environment shows, as a cluster sets it, or else those that the tools of the
// makers know. order is set when they have the numbers of these tools.
func findGPUs(ctx context.Context) (names []string, order bool, err error) {
	for _, variable := range []string{"CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"} {
		value, set := os.LookupEnv(variable)
		if !set {
			continue
		}
		for name := range strings.SplitSeq(value, ",") {
			if name = strings.TrimSpace(name); !gpuName.MatchString(name) {
				break // what follows is hidden
			}
			if variable == "ROCR_VISIBLE_DEVICES" { // those that it shows are counted anew
				name = strconv.Itoa(len(names))
			}
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		return names, false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, toolPatience)
	defer cancel()
	for told := range AskTools(ctx) {
		for _, card := range told.Cards {
			names = append(names, card.Index)
		}
		switch {
		case len(names) > 0:
			return names, true, nil
		case told.Err != nil && err == nil:
			err = fmt.Errorf("%s does not work: %w", told.Tool, told.Err)
		}
	}
	return nil, false, err
}

// toolPatience is how long the tools are waited for. Where no driver is kept loaded one takes seconds for each GPU.
const toolPatience = time.Minute
