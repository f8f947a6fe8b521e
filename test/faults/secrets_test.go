//go:build linux

package faults

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// secret is in the value of each variable that holds a secret.
const secret = "open-sesame"

// secrets are variables that people keep secrets in, and what the programs that mlpipeline calls take theirs from.
var secrets = []string{
	"AWS_SECRET_ACCESS_KEY=" + secret, "AWS_SESSION_TOKEN=" + secret, "AZURE_STORAGE_KEY=" + secret, "GOOGLE_API_KEY=" + secret,
	"OPENAI_API_KEY=" + secret, "HF_TOKEN=" + secret, "HUGGING_FACE_HUB_TOKEN=" + secret, "KAGGLE_KEY=" + secret,
	"WANDB_API_KEY=" + secret, "MLFLOW_TRACKING_TOKEN=" + secret, "MLFLOW_TRACKING_PASSWORD=" + secret, "COMET_API_KEY=" + secret,
	"NEPTUNE_API_TOKEN=" + secret, "GITHUB_TOKEN=" + secret, "GITLAB_TOKEN=" + secret, "SLACK_WEBHOOK=https://hooks.slack.com/" + secret,
	"DATABASE_URL=postgres://me:" + secret + "@db/x", "REDIS_URL=redis://:" + secret + "@r:6379", "PGPASSWORD=" + secret,
	"http_proxy=http://me:" + secret + "@127.0.0.1:1", "HTTPS_PROXY=http://me:" + secret + "@127.0.0.1:1", "ALL_PROXY=socks5://me:" + secret + "@127.0.0.1:1",
	"PIP_INDEX_URL=https://me:" + secret + "@127.0.0.1:1/simple", "NETRC=" + secret, "SSH_ASKPASS=" + secret, "KUBECONFIG=/home/" + secret,
	"GOPRIVATE=none", "GONOSUMDB=*", "GOSUMDB=off", "GOPROXY=http://" + secret + "@127.0.0.1:1/,http://me:" + secret + "@127.0.0.1:1/", "GOAUTH=off",
	"GIT_ASKPASS=" + secret, "GH_TOKEN=" + secret, "MLPIPELINE_TOKEN=" + secret, secret + "=1",
	"CUDA_VISIBLE_DEVICES=0", "VIRTUAL_ENV=/venv",
}

// No secret of the environment is in anything that is recorded, kept or shown, however a version ends.
func TestNoSecretIsRecorded(t *testing.T) {
	t.Parallel()
	p := newProject(t,
		"on_failure=curl -sS -H 'Authorization: Bearer "+secret+"' http://127.0.0.1:1/ || exit 3",
		"on_finish=nosuchcommand --token "+secret, "grace=1s")
	p.actor("a", `version fine suffix=1
train: metric loss 1 0.5
version panics suffix=2
train: panic at the disco
version error suffix=3
train: error no
version dies suffix=4
train: segfault
version exits suffix=5
train: exit 3
`)
	p.write("models/fails.py", pythonModel+"\nversions.versions[\"v1\"].pop(\"batch_size\", None)\n")
	p.write("models/imports.py", "import nosuchmodule\nMODEL = 1\n")
	p.write("models/child.py", "import subprocess\nsubprocess.check_call(['false'])\nMODEL = 1\n")
	p.write("models/wrong.go", "package main\n\nfunc main() { x }\n")
	p.write("models/own/go.mod", "module example.com/own\n\ngo 1.22\n\nrequire github.com/nobody/such v1.2.3\n")
	p.write("models/own/go.sum", "github.com/nobody/such v1.2.3 h1:4DBwDE0NGyQoBHbLQYPwSUPoCMWR5BEzIk/f1lZbAQM=\ngithub.com/nobody/such v1.2.3/go.mod h1:4DBwDE0NGyQoBHbLQYPwSUPoCMWR5BEzIk/f1lZbAQM=\n")
	p.write("models/own/main.go", "package main\n\nimport _ \"github.com/nobody/such\"\n\nfunc main() {}\n")
	p.queue("a", "fails.py", "imports.py", "child.py", "wrong.go", "own", "missing")
	if _, err := exec.LookPath("git"); err == nil {
		out, err := exec.Command("sh", "-c", `cd "$0" && git init -q && git remote add origin https://me:`+secret+`@127.0.0.1:1/x && git add models &&
			git -c user.name=x -c user.email=x@x commit -qm x`, p.dir).CombinedOutput()
		if err != nil {
			t.Fatalf("git: %v\n%s", err, out)
		}
	}

	env := append([]string{"env", "XDG_CACHE_HOME=" + p.path("cache"), "GOMODCACHE=" + p.path("mod"), "GOCACHE=" + p.goCache()}, secrets...)
	said := 0
	for _, args := range [][]string{
		{}, {"--model", "own"}, {"-r"}, {"-r", "-u", "--json"}, {"-r", "-u", "--dry-run"}, {"ls", "--json"}, {"show", "a/dies"}, {"show", "a/panics", "--json"},
		{"show", "own"}, {"status", "--json"}, {"logs"}, {"compare"}, {"report"}, {"doctor", "--json"},
	} {
		c := p.startIn(env, args...)
		c.wait()
		for _, text := range [][]byte{c.stdout.Bytes(), c.stderr.Bytes()} {
			said += len(text)
			if at := bytes.Index(text, []byte(secret)); at >= 0 {
				t.Errorf("mlpipeline %v says %q", args, text[max(0, at-200):min(len(text), at+20)])
			}
		}
	}
	files := 0
	for _, dir := range []string{p.path("models"), p.path("cache"), p.path("report.html")} {
		p.check(filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			files++
			text, err := os.ReadFile(path)
			if at := bytes.Index(text, []byte(secret)); at >= 0 {
				t.Errorf("%s has %q", path, text[max(0, at-200):min(len(text), at+20)])
			}
			return err
		}))
	}
	log, err := os.ReadFile(p.outputs("log-" + p.host))
	p.check(err)
	for _, what := range []string{"panic in Train: at the disco", "SIGSEGV", "exit status 3", "No module named", "CalledProcessError", "undefined: x", "build own: ", "on_failure in mlp.config: exit status 3", "on_finish in mlp.config: exit status 127", "there is no model"} {
		if !bytes.Contains(log, []byte(what)) {
			t.Errorf("%q is not in the log: it does not try what it is to try", what)
		}
	}
	if out, _ := exec.Command("grep", "-rl", `"VIRTUAL_ENV": "/venv"`, p.outputs("runs")).Output(); len(out) == 0 {
		t.Error("no run has recorded an environment")
	}
	t.Logf("%s: in none of %d files, nor in %d bytes that were shown", fmt.Sprint(len(secrets), " variables"), files, said)
}
