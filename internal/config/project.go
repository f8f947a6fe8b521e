package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const projectFile = "mlp.config"

// Project is a parsed mlp.config. Its paths are absolute.
type Project struct {
	Dir              string   // folder that holds mlp.config
	ModelsDir        string   // exists
	OutputsDir       string   // may have to be made
	Jobs             int      // 1 or more, or AutoJobs
	GPUs             []string // those that versions get: by number or UUID, none of them, AllGPUs alone, or nil: it is not said
	GPUsPerVersion   int      // 1 or more
	Pin              bool
	Timeout          time.Duration // 0: none
	Stall            time.Duration // 0: none
	Grace            time.Duration
	KeepOnCodeChange bool   // on_code_change=keep
	Python           string // a name to be found on PATH, or a path
	ForkPython       bool   // python_start=fork
	Metric           string // what versions are judged by, as test.accuracy; empty: what the runs suggest
	MetricGoal       string // min or max; empty: what the name of the metric suggests
	OnFinish         string // commands for sh, or empty
	OnFailure        string
}

// AutoJobs is as many versions at once as the machine has room for.
const AutoJobs = 0

// AllGPUs stands for all that there are.
const AllGPUs = "auto"

var projectForm = form{{"MLP", []key{
	{name: "models_dir", example: "models"},
	{name: "outputs_dir", example: "outputs"},
	{name: "jobs", example: "1"},
	{name: "gpus", example: "auto"},
	{name: "gpus_per_version", example: "1"},
	{name: "pin", example: "true"},
	{name: "timeout", example: "8h", optional: true},
	{name: "stall", example: "30m", optional: true},
	{name: "grace", example: "30s"},
	{name: "on_code_change", example: "rerun"},
	{name: "python", example: "python3"},
	{name: "python_start", example: "fresh"},
	{name: "metric", example: "test.accuracy", optional: true},
	{name: "on_finish", optional: true, command: true},
	{name: "on_failure", optional: true, command: true},
}}}

const missingProject = "mlpipeline init makes a project; or create the file (empty will do), or name the folder of one with -C DIR"

// Find is the nearest folder, start or one above it, that holds an mlp.config.
func Find(start string) (dir string, err error) {
	start, err = filepath.Abs(start)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", projectFile, err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		// What is no readable file is found too: Load says what is wrong with it.
		if _, err := os.Lstat(filepath.Join(dir, projectFile)); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", &Error{File: projectFile, Msg: "not found in " + show(start) + " or a folder above it", Hint: missingProject}
		}
	}
}

// Load reads the mlp.config in dir.
func Load(dir string) (Project, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Project{}, fmt.Errorf("find %s: %w", projectFile, err)
	}
	data, err := readFile(filepath.Join(dir, projectFile), missingProject)
	if err != nil {
		return Project{}, err
	}
	return parseProject(dir, data)
}

func parseProject(dir string, data []byte) (Project, error) {
	src, err := parse(projectFile, data, projectForm)
	if err != nil {
		return Project{}, err
	}
	p := Project{Dir: dir, Jobs: 1, GPUsPerVersion: 1, Grace: 30 * time.Second, Python: "python3"}
	fail := func(line int, hint, format string, args ...any) (Project, error) {
		return Project{}, &Error{File: projectFile, Line: line, Msg: fmt.Sprintf(format, args...), Hint: hint}
	}

	models, line := src.value("MLP", "models_dir")
	if line == 0 {
		models = "models"
	}
	if p.ModelsDir, err = expand(dir, models); err != nil {
		return fail(line, "write the whole path", "models_dir: %v", err)
	}
	hint := "create it, or name the folder of the models: models_dir=path/to/models below [MLP]"
	switch info, err := os.Stat(p.ModelsDir); {
	case errors.Is(err, fs.ErrNotExist):
		return fail(line, hint, "models_dir: there is no folder %s", show(p.ModelsDir))
	case err != nil:
		return fail(line, hint, "models_dir: %s: %v", show(p.ModelsDir), errors.Unwrap(err))
	case !info.IsDir():
		return fail(line, "name the folder that holds the models", "models_dir: %s is not a folder", show(p.ModelsDir))
	}

	p.OutputsDir = filepath.Join(p.ModelsDir, "outputs")
	if value, line := src.value("MLP", "outputs_dir"); line > 0 {
		if p.OutputsDir, err = expand(dir, value); err != nil {
			return fail(line, "write the whole path", "outputs_dir: %v", err)
		}
		if info, err := os.Stat(p.OutputsDir); err == nil && !info.IsDir() {
			return fail(line, "name a folder; it is made when it does not exist", "outputs_dir: %s is not a folder", show(p.OutputsDir))
		}
	}

	if value, line := src.value("MLP", "jobs"); line > 0 {
		if p.Jobs, err = ParseJobs(value); err != nil {
			return fail(line, "write a whole number, 1 or more, or auto", "jobs=%s is not a number of jobs", show(value))
		}
	}
	if value, line := src.value("MLP", "gpus"); line > 0 {
		if p.GPUs, err = parseGPUs(value); err != nil {
			return fail(line, "write auto, none, or numbers or UUIDs with commas: 0,1", "gpus=%s: %v", show(value), err)
		}
	}
	if value, line := src.value("MLP", "gpus_per_version"); line > 0 {
		n, err := strconv.Atoi(value)
		switch listed := len(p.GPUs); {
		case err != nil || n < 1:
			return fail(line, "write a whole number, 1 or more", "gpus_per_version=%s is not a number of GPUs", show(value))
		case p.GPUs == nil:
			return fail(line, "write gpus=auto, or gpus=0,1", "gpus_per_version says how many of the gpus a version gets, and there is no gpus")
		case n > listed && listed > 0 && p.GPUs[0] != AllGPUs:
			return fail(line, "list more, or write a smaller number", "gpus_per_version=%d is more than gpus lists: %d", n, listed)
		}
		p.GPUsPerVersion = n
	}
	if value, line := src.value("MLP", "pin"); line > 0 {
		var ok bool
		if p.Pin, ok = parseBool(value); !ok {
			return fail(line, "write pin=True or pin=False", "pin=%s is neither true nor false", show(value))
		}
	}
	for _, limit := range []struct {
		key string
		to  *time.Duration
	}{{"timeout", &p.Timeout}, {"stall", &p.Stall}} {
		value, line := src.value("MLP", limit.key)
		if value == "" || strings.EqualFold(value, "none") {
			continue
		}
		if *limit.to, err = time.ParseDuration(value); err != nil {
			return fail(line, "write 90s, 30m or 8h", "%s=%s is not a duration", limit.key, show(value))
		}
		if *limit.to <= 0 {
			return fail(line, "write "+limit.key+"=none for no limit", "%s=%s leaves no time", limit.key, show(value))
		}
	}
	if value, line := src.value("MLP", "grace"); line > 0 {
		if p.Grace, err = time.ParseDuration(value); err != nil || p.Grace < 0 {
			return fail(line, "write 0s, 30s or 5m", "grace=%s is not a duration of 0 or more", show(value))
		}
	}
	for _, choice := range []struct {
		key, usual, other string
		to                *bool
	}{{"on_code_change", "rerun", "keep", &p.KeepOnCodeChange}, {"python_start", "fresh", "fork", &p.ForkPython}} {
		value, line := src.value("MLP", choice.key)
		if line == 0 || value == choice.usual {
			continue
		}
		if *choice.to = value == choice.other; !*choice.to {
			hint := "write " + choice.usual + " or " + choice.other
			if near := Nearest(value, []string{choice.usual, choice.other}); near != "" {
				hint = "did you mean " + near + "?"
			}
			return fail(line, hint, "%s=%s is neither %s nor %s", choice.key, show(value), choice.usual, choice.other)
		}
	}
	if value, line := src.value("MLP", "python"); line > 0 {
		p.Python = value
		if strings.Contains(value, "/") {
			if p.Python, err = expand(dir, value); err != nil {
				return fail(line, "write the whole path", "python: %v", err)
			}
		}
	}
	if value, line := src.value("MLP", "metric"); value != "" {
		var ok bool
		if p.MetricGoal, p.Metric, ok = parseMetric(value); !ok {
			return fail(line, "write test.accuracy, train.loss or training.loss; with its goal: min test.loss", "metric=%s is no metric of a result", show(value))
		}
	}
	p.OnFinish, _ = src.value("MLP", "on_finish")
	p.OnFailure, _ = src.value("MLP", "on_failure")
	return p, nil
}

// ParseJobs takes a number of jobs, 1 or more, or auto.
func ParseJobs(value string) (int, error) {
	if strings.EqualFold(value, "auto") {
		return AutoJobs, nil
	}
	n, err := strconv.Atoi(value)
	if err == nil && n < 1 {
		err = strconv.ErrRange
	}
	return n, err
}

// gpu fits the number of a GPU, and a UUID as the tools of the makers write it.
var gpu = regexp.MustCompile(`^([0-9]+|(GPU|MIG)-[-/0-9A-Za-z]+)$`)

// parseGPUs takes a list of GPUs apart. It is not nil.
func parseGPUs(value string) ([]string, error) {
	switch {
	case strings.EqualFold(value, AllGPUs):
		return []string{AllGPUs}, nil
	case strings.EqualFold(value, "none"):
		return []string{}, nil
	}
	var gpus []string
	for name := range strings.SplitSeq(value, ",") {
		name = strings.TrimSpace(name)
		if n, err := strconv.Atoi(name); err == nil && n >= 0 {
			name = strconv.Itoa(n) // 00 is 0
		}
		switch {
		case !gpu.MatchString(name):
			return nil, fmt.Errorf("%q is no GPU", name)
		case slices.Contains(gpus, name):
			return nil, fmt.Errorf("%s is listed twice", name)
		}
		gpus = append(gpus, name)
	}
	return gpus, nil
}

// parseBool takes a truth value in one of the ways in which people write it.
func parseBool(value string) (truth, ok bool) {
	switch strings.ToLower(value) {
	case "0", "no", "false", "off":
		return false, true
	case "1", "yes", "true", "on":
		return true, true
	}
	return false, false
}

// parseMetric takes "min test.loss" apart; the goal may be left out.
func parseMetric(value string) (goal, metric string, ok bool) {
	goal, metric, _ = strings.Cut(value, " ")
	if goal != "min" && goal != "max" {
		goal, metric = "", value
	}
	metric = strings.TrimSpace(metric)
	set, name, _ := strings.Cut(metric, ".")
	return goal, metric, name != "" && slices.Contains([]string{"test", "train", "training"}, set)
}

// expand makes a path from a file in dir absolute.
func expand(dir, path string) (string, error) {
	if path == "~" || strings.HasPrefix(path, "~/") {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("~ is not known: %w", err)
		}
		return filepath.Join(home, path[1:]), nil
	}
	if filepath.IsAbs(path) {
		return filepath.Clean(path), nil
	}
	return filepath.Join(dir, path), nil
}
