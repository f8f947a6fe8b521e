package doctor

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/mlpipeline/mlpipeline/internal/pipeline/local"
)

// machine tells of cores and memory.
func machine(ctx context.Context) []Finding {
	text := fmt.Sprintf("%d cores", runtime.NumCPU())
	if runtime.NumCPU() == 1 {
		text = "1 core"
	}
	if total, free := memory(ctx); total > 0 {
		text += ", " + size(total) + " of memory"
		if free > 0 {
			text += ", " + size(free) + " of it free"
		}
	}
	return []Finding{say(Info, "machine", "", "%s", text)}
}

// memory returns how much there is, and how much of it a program could have now; 0 when that is not known.
func memory(ctx context.Context) (total, free uint64) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil { // macOS
		out, _ := local.Tool(ctx, "sysctl", "-n", "hw.memsize").Output()
		total, _ = strconv.ParseUint(strings.TrimSpace(string(out)), 10, 64)
		return total, 0
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			continue
		}
		n, _ := strconv.ParseUint(fields[1], 10, 64)
		switch fields[0] {
		case "MemTotal:":
			total = n << 10
		case "MemAvailable:":
			free = n << 10
		}
	}
	return total, free
}

// power warns of a machine that runs on its battery. dir is where Linux tells of its power supplies.
func power(dir string) []Finding {
	supplies, _ := filepath.Glob(filepath.Join(dir, "*"))
	read := func(supply, name string) string {
		text, _ := os.ReadFile(filepath.Join(supply, name))
		return strings.TrimSpace(string(text))
	}
	for _, supply := range supplies {
		if read(supply, "type") != "Battery" || read(supply, "scope") == "Device" { // that of a mouse
			continue
		}
		if read(supply, "status") == "Discharging" {
			return []Finding{say(Warning, "power", "plug it in", "this machine runs on its battery, %s %% full", read(supply, "capacity"))}
		}
		return []Finding{say(Info, "power", "", "a machine with a battery may go to sleep: systemd-inhibit mlpipeline -r -u keeps it awake")}
	}
	return nil
}

// limits looks at what the system allows a process. The limit of open files is that of a child: Go raises its own.
func limits(ctx context.Context) []Finding {
	var findings []Finding
	warn := func(hint, format string, args ...any) {
		findings = append(findings, say(Warning, "limits", hint, format, args...))
	}
	out, _ := local.Tool(ctx, "sh", "-c", "ulimit -n").Output()
	files, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err == nil && files < 256 {
		warn("ulimit -n 1024 in this shell", "a model may open %d files at once", files)
	}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_FSIZE, &limit) == nil && limited(limit) {
		warn("ulimit -f unlimited in this shell", "no file may be larger than %s", size(limit.Cur))
	}
	if unix.Getrlimit(unix.RLIMIT_CPU, &limit) == nil && limited(limit) {
		warn("ulimit -t unlimited in this shell", "a process that has computed for %d s is killed", limit.Cur)
	}
	if findings != nil {
		return findings
	}
	text := "no limit on open files, size of files or time"
	if err == nil {
		text = fmt.Sprintf("%d open files; no limit on size of files or time", files)
	}
	return []Finding{say(OK, "limits", "", "%s", text)}
}

// limited reports whether there is a limit: that there is none is the largest number of its kind, signed or not.
func limited(limit unix.Rlimit) bool { return limit.Cur < 1<<62 }

// hostName looks at the name that tells the files of machines apart.
func (d *Doctor) hostName(context.Context) []Finding {
	switch d.host {
	case "", "localhost", "localhost.localdomain":
		return []Finding{say(Warning, "host", "give it a name of its own: hostnamectl set-hostname NAME",
			"this machine is called %q: others of that name that share the project would write the same files", d.host)}
	}
	return []Finding{say(OK, "host", "", "%s", d.host)}
}

// device is the file system that a file is on.
func device(path string) (uint64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(s.Dev), nil
	}
	return 0, nil
}
