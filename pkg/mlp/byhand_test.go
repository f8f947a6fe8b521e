package mlp_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// byHand starts a model without a pipeline.
func byHand(t *testing.T, word string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.Command(self, args...)
	cmd.Env = append(modelEnv(word), "TMPDIR="+t.TempDir())
	return output(t, cmd)
}

func output(t *testing.T, cmd *exec.Cmd) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	for _, v := range cmd.Env {
		if dir, ok := strings.CutPrefix(v, "TMPDIR="); ok {
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("temporary folder: %v, %v", left, err)
			}
		}
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestByHandExplainsItself(t *testing.T) {
	out, errs, code := byHand(t, "versions")
	if code != 0 || errs != "" {
		t.Errorf("exit status %d, stderr %s", code, errs)
	}
	for _, want := range []string{
		"mlp.test is a model for mlpipeline", "mlp.test test [VERSION...]", "mlpipeline -r",
		"\n  first\n  bad  refused: BatchSize is -1", "\n  late  refused: Name is used", "Main returned",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
}

func TestByHandHelp(t *testing.T) {
	for _, args := range [][]string{{"-h"}, {"--help"}, {"test", "-h"}} {
		out, errs, code := byHand(t, "versions", args...)
		if code != 0 || errs != "" || !strings.Contains(out, "Usage:") || strings.Contains(out, "refused") {
			t.Errorf("%v: exit status %d, %s%s", args, code, out, errs)
		}
	}
}

func TestByHandUsageErrors(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"train"}, `unknown argument "train"`},
		{[]string{"-x"}, `unknown argument "-x"`},
		{[]string{"test", "nobody"}, `version "nobody" does not exist`},
	} {
		out, errs, code := byHand(t, "plain", test.args...)
		if code != 2 || out != "" || !strings.Contains(errs, test.want) {
			t.Errorf("%v: exit status %d, stdout %q, stderr %s", test.args, code, out, errs)
		}
	}
}

func TestByHandTest(t *testing.T) {
	out, errs, code := byHand(t, "prints", "test", "baseline")
	if code != 0 || errs != "" {
		t.Errorf("exit status %d, stderr %s", code, errs)
	}
	for _, want := range []string{
		"mlp.test/baseline\n", "\nsetup\n", "\n  info: Train training 1\n", "\n  metric loss after step 1 = 0.5\n",
		"\nevaluate test\n", "\n  result on train: steps = 1\n", "\n  summary of run: a \ufffd[31mred", "\nfinished\n", "Main returned",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
}

func TestByHandStopsAtTheFirstFailure(t *testing.T) {
	for _, test := range []struct{ word, want string }{
		{"error", "failed\ntrain: diverged\n"},
		{"panic", "failed\npanic in Train: index out of luck\ngoroutine 1 [running]"},
		{"no samples", "failed\nversion none: DataLoader: TrainSampleCount is 0; it must be greater than 0\n"},
		{"versions", "first\n"},
	} {
		out, errs, code := byHand(t, test.word, "test")
		if code != 1 || errs != "" || !strings.Contains(out, test.want) {
			t.Errorf("%s: exit status %d\n%s%s", test.word, code, out, errs)
		}
		if strings.Contains(out, "Main returned") || strings.Contains(out, "no test") {
			t.Errorf("%s: it went on\n%s", test.word, out)
		}
	}
}

// A program that inherits the variable but not the descriptors was started by hand.
func TestVariableWithoutDescriptors(t *testing.T) {
	for _, script := range []string{`exec "$0" 3<&- 4>&-`, `exec "$0" 3<"$0" 4>/dev/null`} {
		cmd := exec.Command("sh", "-c", script, self)
		cmd.Env = append(modelEnv("plain"), wire.EnvProtocol+"=1")
		out, errs, code := output(t, cmd)
		if code != 0 || errs != "" || !strings.Contains(out, "is a model for mlpipeline") {
			t.Errorf("%s: exit status %d\n%s%s", script, code, out, errs)
		}
	}
}
