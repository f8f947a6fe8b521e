package doctor

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/pipeline/local"
)

// locks says which hosts execute this project now. The lock file of one that does not is nothing: the kernel has given the
// lock back.
func (d *Doctor) locks(context.Context) []Finding {
	var findings []Finding
	executing := d.executing()
	for _, host := range slices.Sorted(maps.Keys(executing)) {
		who := executing[host]
		if host == d.folder.Host {
			findings = append(findings, say(Info, "lock", "a second execution here is refused until that has ended",
				"this project is being executed by %s", who))
		} else {
			findings = append(findings, say(Info, "lock", "", "this project is being executed on %s by %s", host, who))
		}
	}
	if findings == nil {
		return []Finding{say(OK, "lock", "", "nobody is executing this project")}
	}
	return findings
}

// executing returns who holds the lock of each host that executes this project.
func (d *Doctor) executing() map[string]string {
	files, _ := filepath.Glob(filepath.Join(escaped(d.folder.Dir), ".lock-*"))
	holders := map[string]string{}
	for _, file := range files {
		host := strings.TrimPrefix(filepath.Base(file), ".lock-")
		if d.folder.Executing(host) {
			holders[host] = d.folder.Holder(host)
		}
	}
	return holders
}

// escaped is dir in a pattern that means dir alone.
func escaped(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

// leftFiles looks for files that were to replace another when their writer was killed.
func (d *Doctor) leftFiles(context.Context) []Finding {
	dir := escaped(d.folder.Dir)
	files, _ := filepath.Glob(filepath.Join(dir, "status-*.new"))
	more, _ := filepath.Glob(filepath.Join(dir, "runs", "*", "run.json.new"))
	files = append(files, more...)
	if len(files) > 0 && len(d.executing()) > 0 {
		return nil // that is writing them
	}
	if len(files) == 0 {
		return []Finding{say(OK, "leftovers", "", "no half-written files")}
	}
	text := "1 file was half written"
	if len(files) > 1 {
		text = fmt.Sprintf("%d files were half written", len(files))
	}
	return []Finding{say(Info, "leftovers", "", "%s when an execution was killed; nothing reads them: rm %s", text, strings.Join(files[:min(len(files), 3)], " "))}
}

// leftProcesses looks for processes of runs whose pipeline is gone. It can on Linux only: elsewhere the environment of a
// process cannot be read.
func (d *Doctor) leftProcesses(ctx context.Context) []Finding {
	if _, err := os.Stat("/proc/self/environ"); err != nil {
		return nil
	}
	left := local.Left()
	if len(left) > 0 { // those of a pipeline that has just been killed are about to be killed, too
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
		}
		still := local.Left()
		left = slices.DeleteFunc(left, func(p local.LeftProcess) bool { return !slices.Contains(still, p) })
	}
	if len(left) == 0 {
		return []Finding{say(OK, "processes", "", "none is left of earlier runs")}
	}
	var findings []Finding
	const most = 10
	for _, p := range left[:min(len(left), most)] {
		level, of := Warning, "a run in "+p.Dir
		if d.Dir != "" && p.Of(d.Dir) {
			level, of = Problem, "a run of this project"
		}
		findings = append(findings, say(level, "processes", fmt.Sprintf("kill %d; if it stays, kill -9 %d", p.PID, p.PID),
			"pid %d of %s has outlived its pipeline: %s", p.PID, of, p.Command))
	}
	if more := len(left) - most; more > 0 {
		findings = append(findings, say(Warning, "processes", "", "and %d more", more))
	}
	return findings
}
