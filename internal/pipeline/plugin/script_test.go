package plugin

import (
	"go/version"
	"path/filepath"
	"strings"
	"testing"
)

func TestHasMODEL(t *testing.T) {
	for source, want := range map[string]bool{
		"MODEL = Net(versions)\n":                                     true,
		"MODEL: Model = Net(versions)":                                true,
		"import x\r\nMODEL = Net(versions)\r\n":                       true,
		"model = MODEL = Net(v)\n":                                    true,
		"x, MODEL = 1, Net(v)\n":                                      true,
		"(x, MODEL) = 1, Net(v)\n":                                    true,
		"v = 1; MODEL = Net(v)\n":                                     true,
		"if deep:\n    MODEL = Net(v)\nelse:\n\tMODEL = Other(v)\n":   true,
		"try:\n  MODEL = Net(v)\nexcept ImportError:\n  pass\n":       true,
		"def main():\n    global MODEL\n    MODEL = Net(v)\nmain()\n": true,
		"def main():\n    global x, MODEL\n":                          true,
		"MODEL = \\\n    Net(v)\n":                                    true,
		"MODEL = Net(\n    name='MODEL',\n)\n":                        true,
		"class A:\n    def f(self):\n        pass\nMODEL = A()\n":     true,
		"x = '# \"\"\"'\nMODEL = Net(v)\n":                            true,
		"MODEL = 'a' if b else Net(v)\n":                              true,
		"":                                                            false,
		"MODEL\n":                                                     false,
		"MODEL: Model\n":                                              false,
		"MODEL == 1\n":                                                false,
		"MODEL += 1\n":                                                false,
		"MODEL = 'resnet50'\n":                                        false,
		"MODEL = r\"resnet50\"  # the network\n":                      false,
		"MODELS = Net(v)\n":                                           false,
		"x.MODEL = Net(v)\n":                                          false,
		"d['MODEL'] = Net(v)\n":                                       false,
		"f(MODEL=Net(v))\n":                                           false,
		"x = f(1,\n  MODEL=2)\n":                                      false,
		"# MODEL = Net(v)\n":                                          false,
		"\"\"\"Docs:\n\nMODEL = Net(v)\n\"\"\"\n":                     false,
		"'''\nMODEL = Net(v)\n":                                       false,
		"def f():\n    MODEL = Net(v)\n\n    if x:\n        MODEL = 1\n": false,
		"class A:\n    MODEL = Net(v)\n":                                 false,
		"def f(MODEL=1):\n    pass\n":                                    false,
		"from net import MODEL\n":                                        false,
		"'MODEL = ":                                                      false,
		"(((MODEL = 1":                                                   false,
	} {
		file := filepath.Join(write(t, t.TempDir(), map[string]string{"m.py": source}), "m.py")
		if got, err := hasMODEL(file); got != want || err != nil {
			t.Errorf("%q: %v, %v", source, got, err)
		}
	}
}

func FuzzStatements(f *testing.F) {
	f.Add("MODEL = Net(v)\n")
	f.Add("x = '''\\")
	f.Add("(]]\"\\\n;;= =")
	f.Fuzz(func(t *testing.T, src string) {
		size := 0
		for indent, s := range statements(src) {
			assignsMODEL(s)
			size += len(s)
			if indent < 0 || indent > len(src) || strings.HasPrefix(s, " ") || strings.Contains(s, "\n") {
				t.Errorf("%q has a statement %q with indentation %d", src, s, indent)
			}
		}
		if size > 2*len(src) {
			t.Errorf("the statements of %d bytes have %d", len(src), size)
		}
	})
}

// FuzzLanguage: the version of the language is one that Go knows, or none.
func FuzzLanguage(f *testing.F) {
	for _, s := range []string{"go1.26.8", "devel go1.27-0123456789 Mon", "go1.21rc2", "go", "", "devel +abc", "go1.26.8 X:boringcrypto"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if l := (toolchain{version: text}).language(); l != "" && (!version.IsValid(l) || version.Lang(l) != l) {
			t.Errorf("%q has %q", text, l)
		}
	})
}
