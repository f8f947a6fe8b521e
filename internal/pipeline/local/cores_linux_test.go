package local

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mlpipeline/mlpipeline/internal/pipeline"
)

// Threads of one core lie side by side, and cores of one socket.
func TestByPlace(t *testing.T) {
	dir := t.TempDir()
	for core, place := range map[int][2]int{0: {0, 0}, 1: {1, 0}, 2: {0, 1}, 3: {1, 1}, 4: {0, 0}, 5: {1, 0}, 6: {0, 1}, 7: {1, 1}} {
		topology := filepath.Join(dir, fmt.Sprintf("cpu%d", core), "topology")
		if err := os.MkdirAll(topology, 0o777); err != nil {
			t.Fatal(err)
		}
		for i, name := range []string{"physical_package_id", "core_id"} {
			if err := os.WriteFile(filepath.Join(topology, name), []byte(strconv.Itoa(place[i])+"\n"), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	cores := []int{0, 1, 2, 3, 4, 5, 6, 7}
	if byPlace(cores, dir); !slices.Equal(cores, []int{0, 4, 2, 6, 1, 5, 3, 7}) {
		t.Errorf("%v", cores)
	}
	cores = []int{0, 1, 2, 3}
	if byPlace(cores, filepath.Join(dir, "none")); !slices.Equal(cores, []int{0, 1, 2, 3}) {
		t.Errorf("%v, of which nothing is known", cores)
	}
}

// A process runs on the cores of its place; the next one, which has none in particular, on all. What cannot be is an error.
func TestPinned(t *testing.T) {
	all, err := affinity()
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	l := open(t)
	allowed := func(cores []int) []int {
		t.Helper()
		p, err := l.Start(pipeline.Command{ID: "run", Path: "/bin/sh", Args: []string{"-c", "grep Cpus_allowed_list /proc/self/status"}, Place: pipeline.Place{Cores: cores}})
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(p.Stdout())
		p.Wait()
		var list []int
		_, ranges, _ := strings.Cut(string(text), ":")
		for part := range strings.SplitSeq(strings.TrimSpace(ranges), ",") {
			first, last, _ := strings.Cut(part, "-")
			from, _ := strconv.Atoi(first)
			to, err := strconv.Atoi(last)
			if err != nil {
				to = from
			}
			for core := from; core <= to; core++ {
				list = append(list, core)
			}
		}
		return list
	}
	for range 3 {
		for _, core := range all[max(0, len(all)-2):] {
			if got := allowed([]int{core}); !slices.Equal(got, []int{core}) {
				t.Errorf("pinned to %d, it may use %v", core, got)
			}
		}
		if got := allowed(nil); !slices.Equal(got, all) {
			t.Errorf("not pinned, it may use %v, not %v", got, all)
		}
	}
	var none unix.CPUSet
	nowhere := len(none)*strconv.IntSize - 1
	p, err := l.Start(pipeline.Command{ID: "run", Path: "/bin/true", Place: pipeline.Place{Cores: []int{nowhere}}})
	if err != nil {
		t.Fatal(err)
	}
	if exit := p.Wait(); exit.Err == nil || !strings.Contains(exit.Err.Error(), "pin it to cores [1023]") {
		t.Errorf("pinned to a core that does not exist: %v", exit)
	}
	if got := allowed(nil); !slices.Equal(got, all) {
		t.Errorf("after that, it may use %v, not %v", got, all)
	}
}
