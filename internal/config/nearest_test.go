package config

import (
	"slices"
	"testing"
)

func TestNearest(t *testing.T) {
	keys := projectForm[0].names()
	models := []string{"softmax", "vision/resnet.py", "sample_model.py", "cnn"}
	for _, c := range []struct {
		name  string
		known []string
		want  string
	}{
		{"model_dir", keys, "models_dir"},
		{"JOBS", keys, "jobs"},
		{"job", keys, "jobs"},
		{"time", keys, "timeout"},
		{"workers", keys, ""},
		{"", keys, ""},
		{"MPL", []string{"MLP"}, "MLP"},
		{"WHITELIST", queueForm.sections(), whitelist},
		{"BLACKLISTED", queueForm.sections(), blacklist},
		{"softmx", models, "softmax"},
		{"SoftMax", models, "softmax"},
		{"softmax.py", models, "softmax"},
		{"sample", models, "sample_model.py"},
		{"vision/resnet", models, "vision/resnet.py"},
		{"gan", models, ""},
		{"é", []string{"è"}, ""},
		{"ab", []string{"abc", "abd"}, "abc"},
		{"x", nil, ""},
	} {
		if got := Nearest(c.name, c.known); got != c.want {
			t.Errorf("Nearest(%q) = %q, want %q", c.name, got, c.want)
		}
	}
}

func FuzzNearest(f *testing.F) {
	f.Add("models_dir", "model_dri")
	f.Add("\xff", "é")
	f.Fuzz(func(t *testing.T, name, known string) {
		if len(name)+len(known) > 2000 {
			t.Skip()
		}
		list := []string{"jobs", known}
		if got := Nearest(name, list); got != "" && !slices.Contains(list, got) {
			t.Errorf("Nearest(%q) = %q, which is not known", name, got)
		}
		if known != "" && Nearest(known, []string{known}) != known {
			t.Errorf("%q is not nearest to itself", known)
		}
	})
}
