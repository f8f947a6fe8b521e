package pipeline

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/mlpipeline/mlpipeline/internal/config"
	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/version"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// FuzzModelDir: of whatever a queue and a model say, the model directory lies below the folder of all of them, and has the name
// of the model in it.
func FuzzModelDir(f *testing.F) {
	for _, s := range [][2]string{
		{"vision/resnet.py", "wide"}, {"../x", ".."}, {"a/./../b", "../c"}, {"/etc", "/"}, {"..", "."}, {"a\x00b", "\x00"}, {"a\\..\\b", "\\"}, {"-r", "~"}, {"a/...", "..."},
		{"[x]", "\u202e"}, {"a ", " "}, {"\u2028", "\u0085"}, {"a//b", ""}, {strings.Repeat("a", 300), strings.Repeat("b", 200)},
	} {
		f.Add(s[0], s[1])
	}
	folder := outputs.NewFolder("/project/outputs", "h")
	f.Fuzz(func(t *testing.T, name, suffix string) {
		queue, err := config.ParseQueue("models.config", []byte("[MLP]\nuse_blacklist=False\n[WHITELISTED_MODELS]\n"+name+"\n"))
		if err != nil || len(queue.Names) != 1 {
			return
		}
		var list version.List
		list.Add(wire.Version{Name: "v", BatchSize: 1, Epochs: 1, DataLoader: "d", ModelDirSuffix: suffix}, "")
		if list.Sorted()[0].Refused != "" {
			return
		}
		model := queue.Names[0]
		dir := folder.ModelDir(model, suffix)
		below, ok := strings.CutPrefix(dir, "/project/outputs/model_ckpts/")
		want := model
		if suffix != "" {
			want += "-" + suffix
		}
		if !ok || filepath.Clean(dir) != dir || below != want || strings.ContainsAny(below, "\x00\n") {
			t.Errorf("model %q with suffix %q has %q", model, suffix, dir)
		}
	})
}

// FuzzFact: what a hook is told are clean lines that fit into an environment.
func FuzzFact(f *testing.F) {
	f.Add("a\nb\r\n\x00\x1b[31m\u202e")
	f.Add(strings.Repeat("x", 100_000))
	f.Fuzz(func(t *testing.T, text string) {
		told := fact(text)
		if len(told) > hookFact+keptLine+100 {
			t.Fatalf("%d bytes", len(told))
		}
		for line := range strings.SplitSeq(told, "\n") {
			if outputs.Clean(line) != line {
				t.Fatalf("%q is told as %q", text, line)
			}
		}
	})
}
