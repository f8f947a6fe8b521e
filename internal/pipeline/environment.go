package pipeline

import (
	"maps"
	"os"
	"slices"
	"strings"
)

// recordable are the variables of the environment whose values are recorded with a run, because they explain how it behaved. The
// environment is full of secrets: no other is recorded, and in none of these anybody keeps one.
var recordable = []string{
	"CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", // on which GPUs
	"OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", // how fast
	"VECLIB_MAXIMUM_THREADS", "BLIS_NUM_THREADS", "GOMAXPROCS",
	"GOGC", "GOMEMLIMIT", "PYTORCH_CUDA_ALLOC_CONF", // with how much memory
	"PYTHONHASHSEED", "CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE", "TF_DETERMINISTIC_OPS", "XLA_FLAGS", // the same again or not
	"CONDA_DEFAULT_ENV", "VIRTUAL_ENV", // with which packages
}

// recordedEnvironment returns those that are set.
func recordedEnvironment() map[string]string {
	set := map[string]string{}
	for _, name := range recordable {
		if value := os.Getenv(name); value != "" {
			set[name] = cut(value, keptLine)
		}
	}
	return set
}

// environment is what is recorded of the environment of a run at a place.
func (p *Pipeline) environment(place Place) map[string]string {
	if len(place.Env) == 0 {
		return p.env
	}
	set := maps.Clone(p.env)
	for _, e := range place.Env {
		if name, value, _ := strings.Cut(e, "="); slices.Contains(recordable, name) {
			set[name] = cut(value, keptLine)
		}
	}
	return set
}
