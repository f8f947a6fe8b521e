package local

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mlpipeline/mlpipeline/internal/config"
	"github.com/mlpipeline/mlpipeline/internal/pipeline"
)

// surround gives the test an environment with these variables of GPUs and threads and no others, and a PATH with these tools.
func surround(t *testing.T, variables map[string]string, tools map[string]string) {
	t.Helper()
	names := []string{"CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"}
	for _, name := range append(names, threadLimits...) {
		t.Setenv(name, "") // to have it put back
		if value, set := variables[name]; set {
			t.Setenv(name, value)
		} else {
			os.Unsetenv(name)
		}
	}
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	for name, script := range tools {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o777); err != nil {
			t.Fatal(err)
		}
	}
}

const threeNVIDIA = "echo '0, GPU-a, H100, 550, 81559, 1'; echo '1, GPU-b, H100, 550, 81559, 1'; echo '2, GPU-c, H100, 550, 81559, 1'"

func divide(t *testing.T, project config.Project) *Slots {
	t.Helper()
	s, err := Divide(t.Context(), project)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWhichGPUs(t *testing.T) {
	auto := []string{config.AllGPUs}
	const amd = "echo device,Card Series; echo card0,MI250X; echo card1,MI250X"
	for name, c := range map[string]struct {
		gpus      []string
		variables map[string]string
		tools     map[string]string
		want      string // the variables of the first place
		warning   bool
	}{
		"left out":         {nil, map[string]string{"CUDA_VISIBLE_DEVICES": "3"}, map[string]string{"nvidia-smi": threeNVIDIA}, "", false},
		"none":             {[]string{}, nil, map[string]string{"nvidia-smi": threeNVIDIA}, "CUDA_VISIBLE_DEVICES=-1 HIP_VISIBLE_DEVICES=-1 CUDA_DEVICE_ORDER=PCI_BUS_ID", false},
		"listed":           {[]string{"2", "GPU-a"}, map[string]string{"CUDA_VISIBLE_DEVICES": "1"}, map[string]string{"nvidia-smi": "exit 1"}, "CUDA_VISIBLE_DEVICES=2,GPU-a HIP_VISIBLE_DEVICES=2,GPU-a CUDA_DEVICE_ORDER=PCI_BUS_ID", false},
		"order is set":     {[]string{"0"}, map[string]string{"CUDA_DEVICE_ORDER": "FASTEST_FIRST"}, nil, "CUDA_VISIBLE_DEVICES=0 HIP_VISIBLE_DEVICES=0", false},
		"by nvidia-smi":    {auto, nil, map[string]string{"nvidia-smi": threeNVIDIA, "rocm-smi": amd}, "CUDA_VISIBLE_DEVICES=0,1,2 HIP_VISIBLE_DEVICES=0,1,2 CUDA_DEVICE_ORDER=PCI_BUS_ID", false},
		"by rocm-smi":      {auto, nil, map[string]string{"nvidia-smi": "echo No devices were found; exit 6", "rocm-smi": amd}, "CUDA_VISIBLE_DEVICES=0,1 HIP_VISIBLE_DEVICES=0,1 CUDA_DEVICE_ORDER=PCI_BUS_ID", false},
		"another works":    {auto, nil, map[string]string{"nvidia-smi": "exit 9", "rocm-smi": amd}, "CUDA_VISIBLE_DEVICES=0,1 HIP_VISIBLE_DEVICES=0,1 CUDA_DEVICE_ORDER=PCI_BUS_ID", false},
		"shown by CUDA":    {auto, map[string]string{"CUDA_VISIBLE_DEVICES": "GPU-b, 4,-1,0", "HIP_VISIBLE_DEVICES": "7"}, map[string]string{"nvidia-smi": threeNVIDIA}, "CUDA_VISIBLE_DEVICES=GPU-b,4 HIP_VISIBLE_DEVICES=GPU-b,4", false},
		"shown by HIP":     {auto, map[string]string{"HIP_VISIBLE_DEVICES": "1,0", "ROCR_VISIBLE_DEVICES": "5,6,7"}, nil, "CUDA_VISIBLE_DEVICES=1,0 HIP_VISIBLE_DEVICES=1,0", false},
		"shown by ROCr":    {auto, map[string]string{"ROCR_VISIBLE_DEVICES": "5,GPU-7"}, nil, "CUDA_VISIBLE_DEVICES=0,1 HIP_VISIBLE_DEVICES=0,1", false},
		"all hidden":       {auto, map[string]string{"CUDA_VISIBLE_DEVICES": ""}, map[string]string{"nvidia-smi": threeNVIDIA}, "", true},
		"no tool":          {auto, nil, nil, "", true},
		"none is found":    {auto, nil, map[string]string{"nvidia-smi": "echo No devices were found; exit 6"}, "", true},
		"tool that is odd": {auto, nil, map[string]string{"nvidia-smi": "echo hello"}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			surround(t, c.variables, c.tools)
			s := divide(t, config.Project{Jobs: 1, GPUs: c.gpus, GPUsPerVersion: 1})
			n := s.GPUs()
			if len(c.gpus) == 0 || n == 0 {
				n = pipeline.UsualGPUs
			}
			place, ok := s.Reserve(n)
			if got := strings.Join(place.Env, " "); got != c.want || !ok {
				t.Errorf("%q, want %q", got, c.want)
			}
			if len(s.Warnings) > 0 != c.warning {
				t.Errorf("warnings: %q", s.Warnings)
			}
		})
	}
}

func TestDivideRefuses(t *testing.T) {
	surround(t, nil, map[string]string{"nvidia-smi": "echo Failed to initialize NVML; exit 18"})
	_, err := Divide(t.Context(), config.Project{Jobs: 1, GPUs: []string{"auto"}, GPUsPerVersion: 1})
	if want := "gpus=auto: nvidia-smi does not work: exit status 18: Failed to initialize NVML"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	surround(t, nil, map[string]string{"nvidia-smi": threeNVIDIA})
	_, err = Divide(t.Context(), config.Project{Jobs: 1, GPUs: []string{"auto"}, GPUsPerVersion: 4})
	if want := "gpus_per_version=4, but there are only 3 GPUs"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Divide(ctx, config.Project{Jobs: 1, GPUs: []string{"auto"}, GPUsPerVersion: 1}); err == nil || !strings.Contains(err.Error(), "it does not answer") {
		t.Error(err)
	}
}

func TestAutoJobs(t *testing.T) {
	surround(t, nil, map[string]string{"nvidia-smi": threeNVIDIA})
	cores := usableCores()
	for _, c := range []struct {
		gpus []string
		each int
		want int
	}{
		{[]string{"auto"}, 1, 3},
		{[]string{"auto"}, 2, 1},
		{[]string{"0", "1", "2", "3"}, 2, 2},
		{nil, 1, cores},
		{[]string{}, 2, cores},
	} {
		s := divide(t, config.Project{Jobs: config.AutoJobs, GPUs: c.gpus, GPUsPerVersion: c.each})
		if s.Jobs() != c.want {
			t.Errorf("%v by %d: %d jobs, want %d", c.gpus, c.each, s.Jobs(), c.want)
		}
	}
}

// A reservation takes the slot and the GPUs of one, and no other has them until it is released.
func TestReserve(t *testing.T) {
	surround(t, nil, nil)
	s := divide(t, config.Project{Jobs: 3, GPUs: []string{"3", "1", "0"}, GPUsPerVersion: 1})
	reserve := func(gpus int, slot int, want ...string) pipeline.Place {
		t.Helper()
		p, ok := s.Reserve(gpus)
		if !ok || p.Slot != slot || !slices.Equal(p.GPUs, want) || p.GPUs == nil {
			t.Errorf("slot %d with %q, %v; want slot %d with %q", p.Slot, p.GPUs, ok, slot, want)
		}
		return p
	}
	refuse := func(gpus int) {
		t.Helper()
		if p, ok := s.Reserve(gpus); ok {
			t.Errorf("%+v, although there is none", p)
		}
	}
	first := reserve(pipeline.UsualGPUs, 0, "3")
	refuse(3)
	two := reserve(2, 1, "1", "0")
	refuse(1)
	none := reserve(0, 2)
	refuse(0) // no slot
	s.Release(first)
	reserve(1, 0, "3")
	s.Release(none)
	refuse(1)
	s.Release(two)
	reserve(2, 1, "1", "0")
}

func TestThreads(t *testing.T) {
	cores := usableCores()
	surround(t, map[string]string{"MKL_NUM_THREADS": "7"}, nil)
	for _, jobs := range []int{1, 2, 1000, 1_000_000_000} {
		s := divide(t, config.Project{Jobs: jobs, GPUsPerVersion: 1})
		var want []string
		for _, name := range threadLimits {
			if jobs > 1 && name != "MKL_NUM_THREADS" {
				want = append(want, fmt.Sprintf("%s=%d", name, max(1, cores/jobs)))
			}
		}
		p, _ := s.Reserve(pipeline.UsualGPUs)
		if d := cmp.Diff(want, p.Env); d != "" || p.GPUs != nil {
			t.Errorf("%d jobs, GPUs %v (-want +got)\n%s", jobs, p.GPUs, d)
		}
	}
	// A limit for the models is none for what is shared among them.
	t.Setenv("GOMAXPROCS", "1")
	now := runtime.GOMAXPROCS(0)
	if got := usableCores(); got != cores || runtime.GOMAXPROCS(0) != now {
		t.Errorf("%d cores, want %d; GOMAXPROCS %d, was %d", got, cores, runtime.GOMAXPROCS(0), now)
	}
}

func TestShare(t *testing.T) {
	cores := []int{0, 4, 1, 5, 2}
	for _, c := range []struct {
		n    int
		want string
	}{
		{1, "[[0 4 1 5 2]]"},
		{2, "[[0 4] [1 5 2]]"},
		{5, "[[0] [4] [1] [5] [2]]"},
		{7, "[[0] [0] [4] [1] [1] [5] [2]]"},
	} {
		var parts [][]int
		for i := range c.n {
			parts = append(parts, share(cores, c.n, i))
		}
		if got := fmt.Sprint(parts); got != c.want {
			t.Errorf("%d parts: %s, want %s", c.n, got, c.want)
		}
	}
}
