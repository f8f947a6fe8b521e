package local

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// affinity returns the cores that this process may use, those side by side that share a socket or are threads of one core.
func affinity() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("which cores there are is not known: %w", err)
	}
	var cores []int
	for core := range len(set) * strconv.IntSize {
		if set.IsSet(core) {
			cores = append(cores, core)
		}
	}
	byPlace(cores, "/sys/devices/system/cpu")
	return cores, nil
}

// byPlace sorts cores by where they lie, as the files in dir tell. Those of which nothing is told stay as they are.
func byPlace(cores []int, dir string) {
	place := map[int][2]int{}
	for _, core := range cores {
		topology := filepath.Join(dir, fmt.Sprintf("cpu%d", core), "topology")
		place[core] = [2]int{number(filepath.Join(topology, "physical_package_id")), number(filepath.Join(topology, "core_id"))}
	}
	slices.SortFunc(cores, func(a, b int) int {
		pa, pb := place[a], place[b]
		return cmp.Or(cmp.Compare(pa[0], pb[0]), cmp.Compare(pa[1], pb[1]), cmp.Compare(a, b))
	})
}

func number(file string) int {
	text, _ := os.ReadFile(file)
	n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return n
}

// pin has the calling thread, and what it starts, run on cores alone, until unpin is called by the same thread.
func pin(cores []int) (unpin func(), err error) {
	var before, only unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, err
	}
	for _, core := range cores {
		only.Set(core)
	}
	if err := unix.SchedSetaffinity(0, &only); err != nil {
		return nil, err
	}
	return func() { unix.SchedSetaffinity(0, &before) }, nil
}
