package local

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"iter"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A Card is a GPU as the tool of its maker tells of it. What is not known is empty or 0.
type Card struct {
	Index       string
	UUID        string
	Name        string
	Driver      string
	Total, Used uint64 // bytes of memory
}

// Told is what a tool tells.
type Told struct {
	Tool  string
	Cards []Card
	Err   error // why it tells nothing
}

// AskTools asks those tools that are on PATH, one after the other.
func AskTools(ctx context.Context) iter.Seq[Told] {
	return func(yield func(Told) bool) {
		for _, maker := range []struct {
			tool string
			ask  func(context.Context, string) ([]Card, error)
		}{{"nvidia-smi", nvidia}, {"rocm-smi", amd}} {
			path, err := exec.LookPath(maker.tool)
			if err != nil {
				continue
			}
			cards, err := maker.ask(ctx, path)
			if !yield(Told{maker.tool, cards, err}) {
				return
			}
		}
	}
}

// Users returns what uses the GPUs, by UUID, as nvidia-smi tells.
func Users(ctx context.Context) map[string][]string {
	users := map[string][]string{}
	apps, _ := rows(ctx, "nvidia-smi", "--query-compute-apps=gpu_uuid,pid,process_name", "--format=csv,noheader,nounits")
	for _, app := range apps {
		if len(app) >= 3 {
			users[app[0]] = append(users[app[0]], "pid "+app[1]+" "+strings.Join(app[2:], ","))
		}
	}
	return users
}

// Tool is a command that ends with ctx, together with what it has started: a tool may be a script.
func Tool(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	return cmd
}

// rows runs a tool and returns the CSV that it prints.
func rows(ctx context.Context, tool string, args ...string) ([][]string, error) {
	out, err := Tool(ctx, tool, args...).Output()
	var failed *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, errors.New("it does not answer")
	case errors.As(err, &failed) && strings.Contains(string(out), "No devices were found"):
		return nil, nil
	case errors.As(err, &failed):
		first, _, _ := strings.Cut(strings.TrimSpace(string(out)+"\n"+string(failed.Stderr)), "\n")
		return nil, fmt.Errorf("%w: %s", err, first)
	case err != nil:
		return nil, err
	}
	in := csv.NewReader(bytes.NewReader(out))
	in.FieldsPerRecord, in.TrimLeadingSpace, in.LazyQuotes = -1, true, true
	return in.ReadAll()
}

func nvidia(ctx context.Context, tool string) (cards []Card, err error) {
	table, err := rows(ctx, tool, "--query-gpu=index,uuid,name,driver_version,memory.total,memory.used", "--format=csv,noheader,nounits")
	for _, row := range table {
		if len(row) >= 6 { // else: No devices were found
			cards = append(cards, Card{Index: row[0], UUID: row[1], Name: row[2], Driver: row[3], Total: mebibytes(row[4]), Used: mebibytes(row[5])})
		}
	}
	return cards, err
}

func mebibytes(text string) uint64 {
	n, _ := strconv.ParseUint(text, 10, 64) // [N/A] is not known
	return n << 20
}

func amd(ctx context.Context, tool string) (cards []Card, err error) {
	table, err := rows(ctx, tool, "--showproductname", "--showmeminfo", "vram", "--csv")
	if err != nil || len(table) < 2 {
		return nil, err
	}
	column := func(row []string, part string) string {
		for i, head := range table[0] {
			if strings.Contains(strings.ToLower(head), part) && i < len(row) {
				return row[i]
			}
		}
		return ""
	}
	for _, row := range table[1:] {
		total, _ := strconv.ParseUint(column(row, "total memory"), 10, 64)
		used, _ := strconv.ParseUint(column(row, "used memory"), 10, 64)
		cards = append(cards, Card{Index: strings.TrimPrefix(row[0], "card"), Name: column(row, "card series"), Total: total, Used: used})
	}
	return cards, nil
}
