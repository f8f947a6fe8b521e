package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// project is a folder with models, a file plain.txt and an mlp.config that holds text.
func project(t testing.TB, text string) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"models", "src/my models"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"plain.txt": "", "mlp.config": text} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLoad(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	if err := os.Mkdir(filepath.Join(home, "m"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text string
		want func(p *Project)
	}{
		{"", func(*Project) {}},
		{"\ufeff; nothing\r\n[MLP]", func(*Project) {}},
		{"[MLP]\nmodels_dir = src/my models/ ; here\n", func(p *Project) {
			p.ModelsDir, p.OutputsDir = p.Dir+"/src/my models", p.Dir+"/src/my models/outputs"
		}},
		{"[MLP]\nmodels_dir='src/my models'\noutputs_dir=\"a $HOME %(b)s %d#c\"\n", func(p *Project) {
			p.ModelsDir, p.OutputsDir = p.Dir+"/src/my models", p.Dir+"/a $HOME %(b)s %d#c"
		}},
		{"[MLP]\nmodels_dir=~/m\noutputs_dir: /x/../out\n", func(p *Project) { p.ModelsDir, p.OutputsDir = home+"/m", "/out" }},
		{"[MLP]\njobs=4\ntimeout=1h30m\ngrace=0\non_code_change=keep\npython=python3.12\n", func(p *Project) {
			p.Jobs, p.Timeout, p.Grace, p.KeepOnCodeChange, p.Python = 4, 90*time.Minute, 0, true, "python3.12"
		}},
		{"[MLP]\njobs=Auto\ngpus=Auto\ngpus_per_version=2\npin=YES\n", func(p *Project) {
			p.Jobs, p.GPUs, p.GPUsPerVersion, p.Pin = AutoJobs, []string{AllGPUs}, 2, true
		}},
		{"[MLP]\ngpus_per_version=2\ngpus = 3, 00,GPU-8932f937-d72c-4106-c12f-20bd9faed9f6,MIG-GPU-1/1/0\npin=off\n", func(p *Project) {
			p.GPUs, p.GPUsPerVersion = []string{"3", "0", "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", "MIG-GPU-1/1/0"}, 2
		}},
		{"[MLP]\ngpus=none\ngpus_per_version=2\n", func(p *Project) { p.GPUs, p.GPUsPerVersion = []string{}, 2 }},
		{"[MLP]\ntimeout=None\ngrace=5m\non_code_change=rerun\npython=venv/bin/python\n", func(p *Project) {
			p.Grace, p.Python = 5*time.Minute, p.Dir+"/venv/bin/python"
		}},
		{"[MLP]\npython_start=fork\n", func(p *Project) { p.ForkPython = true }},
		{"[MLP]\npython_start=fresh\n", func(*Project) {}},
		{"[MLP]\ntimeout=\npython=/opt/py\n", func(p *Project) { p.Python = "/opt/py" }},
		{"[MLP]\nmetric=test.accuracy\n", func(p *Project) { p.Metric = "test.accuracy" }},
		{"[MLP]\nmetric = min  train.top 5 error ; %\n", func(p *Project) { p.MetricGoal, p.Metric = "min", "train.top 5 error" }},
		{"[MLP]\nmetric=\n", func(*Project) {}},
		{"[MLP]\non_failure=mail -s \"night\" me@x\non_finish = \"my script\" --why 'a=b;c' \"$MLPIPELINE_SUMMARY\" # or 'so\n", func(p *Project) {
			p.OnFailure, p.OnFinish = `mail -s "night" me@x`, `"my script" --why 'a=b;c' "$MLPIPELINE_SUMMARY"`
		}},
		{"[MLP]\non_failure=`which true` %(x)s \\\non_finish=\n", func(p *Project) { p.OnFailure = "`which true` %(x)s \\" }},
		{"[MLP]\non_failure='x\non_finish=: \\\" 'a\"' \"b'\\\"\" # \"\n", func(p *Project) { p.OnFailure, p.OnFinish = "'x", `: \" 'a"' "b'\""` }},
		{"[MLP]\npython=~/py/bin/python\n", func(p *Project) { p.Python = home + "/py/bin/python" }},
	} {
		dir := project(t, c.text)
		want := Project{Dir: dir, ModelsDir: dir + "/models", OutputsDir: dir + "/models/outputs", Jobs: 1, GPUsPerVersion: 1, Grace: 30 * time.Second, Python: "python3"}
		c.want(&want)
		got, err := Load(dir)
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("%q: %v (-want +got)\n%s", c.text, err, d)
		}
	}
}

func TestLoadErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"[MLP]\nmodel_dir=x\n", "mlp.config:2: unknown key model_dir; did you mean models_dir?"},
		{"[MLP]\n\nworkers=3\n", "mlp.config:3: unknown key workers; known keys: models_dir, outputs_dir, jobs, gpus, gpus_per_version, pin, timeout, stall, grace, on_code_change, python, python_start, metric, on_finish, on_failure"},
		{"[MLP]\nmetric=accuracy\n", "mlp.config:2: metric=accuracy is no metric of a result; write test.accuracy, train.loss or training.loss; with its goal: min test.loss"},
		{"[MLP]\nmetric=least test.loss\n", "mlp.config:2: metric=least test.loss is no metric of a result; write test.accuracy, train.loss or training.loss; with its goal: min test.loss"},
		{"[MLP]\nJobs=3\n", "mlp.config:2: unknown key Jobs; did you mean jobs?"},
		{"[MLP]\n=3\n", "mlp.config:2: =3 has no key; write key=value"},
		{"[LOGGER]\n", "mlp.config:1: unknown section [LOGGER]; known are [MLP]"},
		{"[MPL]\n", "mlp.config:1: unknown section [MPL]; did you mean [MLP]?"},
		{"jobs=1\n", "mlp.config:1: jobs stands before any section; write [MLP] above it"},
		{"[MLP\n", "mlp.config:1: section [MLP is not closed; write [MLP]"},
		{"[MLP]\njobs=1\njobs=2\n", "mlp.config:3: jobs is given twice, first in line 2; keep one of them"},
		{"[MLP]\n[MLP]\n", "mlp.config:2: [MLP] is given twice, first in line 1; join the two"},
		{"[MLP]\nmodels_dir=\n", "mlp.config:2: models_dir has no value; write models_dir=models"},
		{"[MLP]\nmodels_dir=\"\"\n", "mlp.config:2: models_dir has no value; write models_dir=models"},
		{"[MLP]\njobs\n", "mlp.config:2: jobs has no value; write jobs=1"},
		{"[MLP]\npython=`x\n", "mlp.config:2: the value of python starts with a quote of an unknown kind; write it without quotes"},
		{"[MLP]\npython=\"\"\"x\n\"\"\"\n", "mlp.config:2: the value of python starts with a quote of an unknown kind; write it without quotes"},
		{"[MLP]\npython=\"a # b\"\n", "mlp.config:2: the quote in the value of python is not closed; a # or ; after a space starts a comment, in quotes too"},
		{"[MLP]\non_finish=mail -s \"run #1 # done\"\n", "mlp.config:2: the quote in the value of on_finish is not closed; a # or ; after a space starts a comment, in quotes too"},
		{"[MLP]\npython=a\x07b\n", `mlp.config:2: "python=a\ab" holds a control character; delete it`},
		{"[MLP]\njobs=0\n", "mlp.config:2: jobs=0 is not a number of jobs; write a whole number, 1 or more, or auto"},
		{"[MLP]\njobs=1.5\n", "mlp.config:2: jobs=1.5 is not a number of jobs; write a whole number, 1 or more, or auto"},
		{"[MLP]\njobs=99999999999999999999\n", "mlp.config:2: jobs=99999999999999999999 is not a number of jobs; write a whole number, 1 or more, or auto"},
		{"[MLP]\ngpus=\n", "mlp.config:2: gpus has no value; write gpus=auto"},
		{"[MLP]\ngpus=0,1,\n", `mlp.config:2: gpus=0,1,: "" is no GPU; write auto, none, or numbers or UUIDs with commas: 0,1`},
		{"[MLP]\ngpus=all\n", `mlp.config:2: gpus=all: "all" is no GPU; write auto, none, or numbers or UUIDs with commas: 0,1`},
		{"[MLP]\ngpus=-1\n", `mlp.config:2: gpus=-1: "-1" is no GPU; write auto, none, or numbers or UUIDs with commas: 0,1`},
		{"[MLP]\ngpus=auto,1\n", `mlp.config:2: gpus=auto,1: "auto" is no GPU; write auto, none, or numbers or UUIDs with commas: 0,1`},
		{"[MLP]\ngpus=1,0,01\n", "mlp.config:2: gpus=1,0,01: 1 is listed twice; write auto, none, or numbers or UUIDs with commas: 0,1"},
		{"[MLP]\ngpus_per_version=2\n", "mlp.config:2: gpus_per_version says how many of the gpus a version gets, and there is no gpus; write gpus=auto, or gpus=0,1"},
		{"[MLP]\ngpus=auto\ngpus_per_version=0\n", "mlp.config:3: gpus_per_version=0 is not a number of GPUs; write a whole number, 1 or more"},
		{"[MLP]\ngpus=auto\ngpus_per_version=0.5\n", "mlp.config:3: gpus_per_version=0.5 is not a number of GPUs; write a whole number, 1 or more"},
		{"[MLP]\ngpus=3,1\ngpus_per_version=3\n", "mlp.config:3: gpus_per_version=3 is more than gpus lists: 2; list more, or write a smaller number"},
		{"[MLP]\npin=cores\n", "mlp.config:2: pin=cores is neither true nor false; write pin=True or pin=False"},
		{"[MLP]\ntimeout=30\n", "mlp.config:2: timeout=30 is not a duration; write 90s, 30m or 8h"},
		{"[MLP]\ntimeout=1d\n", "mlp.config:2: timeout=1d is not a duration; write 90s, 30m or 8h"},
		{"[MLP]\nstall=10\n", "mlp.config:2: stall=10 is not a duration; write 90s, 30m or 8h"},
		{"[MLP]\nstall=0s\n", "mlp.config:2: stall=0s leaves no time; write stall=none for no limit"},
		{"[MLP]\ntimeout=0\n", "mlp.config:2: timeout=0 leaves no time; write timeout=none for no limit"},
		{"[MLP]\ntimeout=-1h\n", "mlp.config:2: timeout=-1h leaves no time; write timeout=none for no limit"},
		{"[MLP]\ngrace=30\n", "mlp.config:2: grace=30 is not a duration of 0 or more; write 0s, 30s or 5m"},
		{"[MLP]\ngrace=-1s\n", "mlp.config:2: grace=-1s is not a duration of 0 or more; write 0s, 30s or 5m"},
		{"[MLP]\non_code_change=kep\n", "mlp.config:2: on_code_change=kep is neither rerun nor keep; did you mean keep?"},
		{"[MLP]\non_code_change=maybe\n", "mlp.config:2: on_code_change=maybe is neither rerun nor keep; write rerun or keep"},
		{"[MLP]\npython_start=forked\n", "mlp.config:2: python_start=forked is neither fresh nor fork; did you mean fork?"},
		{"[MLP]\npython_start=yes\n", "mlp.config:2: python_start=yes is neither fresh nor fork; write fresh or fork"},
		{"[MLP]\npython_start=\n", "mlp.config:2: python_start has no value; write python_start=fresh"},
		{"[MLP]\nmodels_dir=mods\n", "mlp.config:2: models_dir: there is no folder DIR/mods; create it, or name the folder of the models: models_dir=path/to/models below [MLP]"},
		{"[MLP]\nmodels_dir=plain.txt\n", "mlp.config:2: models_dir: DIR/plain.txt is not a folder; name the folder that holds the models"},
		{"[MLP]\nmodels_dir=plain.txt/x\n", "mlp.config:2: models_dir: DIR/plain.txt/x: not a directory; create it, or name the folder of the models: models_dir=path/to/models below [MLP]"},
		{"[MLP]\noutputs_dir=plain.txt\n", "mlp.config:2: outputs_dir: DIR/plain.txt is not a folder; name a folder; it is made when it does not exist"},
		{"\x7fELF\x02\x01\x01\x00\xff\n", "mlp.config:1: holds bytes that are not UTF-8; save the file as UTF-8"},
	} {
		dir := project(t, c.text)
		_, err := Load(dir)
		wantError(t, err, strings.ReplaceAll(c.want, "DIR", dir))
	}

	dir := project(t, "")
	if err := os.Remove(filepath.Join(dir, "models")); err != nil {
		t.Fatal(err)
	}
	_, err := Load(dir)
	wantError(t, err, "mlp.config: models_dir: there is no folder "+dir+"/models; create it, or name the folder of the models: models_dir=path/to/models below [MLP]")

	t.Setenv("HOME", "")
	_, err = Load(project(t, "[MLP]\nmodels_dir=~/m\n"))
	wantError(t, err, "mlp.config:2: models_dir: ~ is not known: $HOME is not defined; write the whole path")
}

func TestFind(t *testing.T) {
	dir := project(t, "")
	deep := filepath.Join(dir, "src", "my models")
	for _, start := range []string{dir, deep, deep + "/gone"} {
		if got, err := Find(start); got != dir || err != nil {
			t.Errorf("Find(%s) = %s, %v", start, got, err)
		}
	}
	t.Chdir(deep)
	if got, err := Find("."); got != dir || err != nil {
		t.Errorf("Find(.) = %s, %v", got, err)
	}

	if err := os.Remove(filepath.Join(dir, projectFile)); err != nil {
		t.Fatal(err)
	}
	_, err := Find(deep)
	wantError(t, err, "mlp.config: not found in "+deep+" or a folder above it; "+missingProject)
	_, err = Load(dir)
	wantError(t, err, "mlp.config: not found in "+dir+"; "+missingProject)

	if err := os.Mkdir(filepath.Join(dir, projectFile), 0o755); err != nil {
		t.Fatal(err)
	}
	if got, err := Find(deep); got != dir || err != nil {
		t.Errorf("Find = %s, %v", got, err)
	}
	_, err = Load(dir)
	wantError(t, err, "mlp.config: is a folder, not a file; write a file of that name")
}

func TestErrorParts(t *testing.T) {
	e := &Error{File: "a\nb", Line: 3, Msg: "what", Hint: "hint"}
	if got, want := e.Error(), `"a\nb":3: what; hint`; got != want {
		t.Errorf("Error() = %s, want %s", got, want)
	}
	if got, want := e.What(), `"a\nb":3: what`; got != want {
		t.Errorf("What() = %s, want %s", got, want)
	}
	if got := show(strings.Repeat("é", 1000)); got != strings.Repeat("é", 100)+"..." {
		t.Errorf("show = %s", got)
	}
}

func FuzzParseProject(f *testing.F) {
	for _, s := range []string{
		"", "[MLP]\nmodels_dir=models\njobs=2\ntimeout=8h\n", "[MLP]\npython=\"\"\"\n\n", "[MLP]\npython=`a`\n", "[MLP]\noutputs_dir='%(x)s'\n",
		"[MLP]\ngrace=-1s\n", "[MLP]\nmodels_dir=\x00\n", "[MLP]\nmodels_dir=''\ntimeout=''\n", "jobs", "[MLP]\n-=1\n-=2\n", "[MLP]\njobs=1\\\n", "[MLP]\nmodels_dir=~\n",
	} {
		f.Add([]byte(s))
	}
	dir := project(f, "")
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := parseProject(dir, data)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Errorf("error of type %T", err)
			}
			oneLine(t, err.Error())
			return
		}
		if p.Jobs < 0 || p.GPUsPerVersion < 1 || p.Timeout < 0 || p.Grace < 0 || p.Python == "" || !filepath.IsAbs(p.ModelsDir) || !filepath.IsAbs(p.OutputsDir) {
			t.Errorf("%+v", p)
		}
	})
}
