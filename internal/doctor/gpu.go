package doctor

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// gpus asks the tools of the makers what there is, and what occupies it.
func gpus(ctx context.Context) []Finding {
	var findings []Finding
	for _, maker := range []struct {
		tool string
		ask  func(context.Context, string) ([]Finding, error)
	}{{"nvidia-smi", nvidia}, {"rocm-smi", amd}} {
		path, err := exec.LookPath(maker.tool)
		if err != nil {
			continue
		}
		found, err := maker.ask(ctx, path)
		if err != nil {
			findings = append(findings, say(Warning, "gpu", "see what "+maker.tool+" says; after an update of the driver, restart the machine", "%s does not work: %v", maker.tool, err))
		}
		findings = append(findings, found...)
	}
	if findings == nil {
		return []Finding{say(Info, "gpu", "", "none is known: there is no nvidia-smi and no rocm-smi on PATH")}
	}
	return findings
}

// rows runs a tool and returns the CSV that it prints.
func rows(ctx context.Context, tool string, args ...string) ([][]string, error) {
	out, err := command(ctx, tool, args...).Output()
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

func nvidia(ctx context.Context, tool string) ([]Finding, error) {
	cards, err := rows(ctx, tool, "--query-gpu=index,uuid,name,driver_version,memory.total,memory.used", "--format=csv,noheader,nounits")
	if err != nil {
		return nil, err
	}
	users := map[string][]string{} // by uuid
	if apps, err := rows(ctx, tool, "--query-compute-apps=gpu_uuid,pid,process_name", "--format=csv,noheader,nounits"); err == nil {
		for _, app := range apps {
			if len(app) >= 3 {
				users[app[0]] = append(users[app[0]], "pid "+app[1]+" "+strings.Join(app[2:], ","))
			}
		}
	}
	var findings []Finding
	for _, card := range cards {
		if len(card) < 6 {
			continue // No devices were found
		}
		findings = append(findings, occupied(card[0], card[2]+", driver "+card[3], mebibytes(card[4]), mebibytes(card[5]), users[card[1]]))
	}
	if findings == nil {
		return []Finding{say(Info, "gpu", "", "nvidia-smi finds none")}, nil
	}
	return findings, nil
}

func mebibytes(text string) uint64 {
	n, _ := strconv.ParseUint(text, 10, 64) // [N/A] is not known
	return n << 20
}

func amd(ctx context.Context, tool string) ([]Finding, error) {
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
	var findings []Finding
	for _, row := range table[1:] {
		total, _ := strconv.ParseUint(column(row, "total memory"), 10, 64)
		used, _ := strconv.ParseUint(column(row, "used memory"), 10, 64)
		findings = append(findings, occupied(strings.TrimPrefix(row[0], "card"), column(row, "card series"), total, used, nil))
	}
	return findings, nil
}

// occupied tells of a card. A driver holds some memory for itself.
func occupied(index, name string, total, used uint64, users []string) Finding {
	text := index + ": " + name
	if total > 0 {
		text += ", " + size(total)
	}
	if len(users) > 0 {
		return say(Info, "gpu", "", "%s, %s of it used by %s", text, size(used), strings.Join(users, ", "))
	}
	if used > 0 {
		text += ", " + size(used) + " of it used"
	}
	return say(Info, "gpu", "", "%s", text)
}
