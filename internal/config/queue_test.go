package config

import (
	"errors"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const white = "[MLP]\nuse_blacklist=False\n[WHITELISTED_MODELS]\n"

func TestParseQueue(t *testing.T) {
	for _, c := range []struct {
		about, text string
		want        Queue
	}{
		{"the example of the manual",
			"[MLP]\nuse_blacklist=False\n[WHITELISTED_MODELS]\nsoftmax\nsample_model.py        ; a comment\n[BLACKLISTED_MODELS]\nold_idea.py\n",
			Queue{Names: []string{"softmax", "sample_model.py"}}},
		{"blacklist", "[MLP]\nuse_blacklist: ON\n[BLACKLISTED_MODELS]\nold_idea.py\n",
			Queue{Blacklist: true, Names: []string{"old_idea.py"}}},
		{"the other list is not judged", white + "a\n[BLACKLISTED_MODELS]\n../b\nc\nc\n", Queue{Names: []string{"a"}}},
		{"empty list", white, Queue{}},
		{"empty blacklist at the end of the file", "[MLP]\nuse_blacklist=1\n[BLACKLISTED_MODELS]", Queue{Blacklist: true}},
		{"lists first, a mark, CRLF, no last line end", "\ufeff[WHITELISTED_MODELS]\r\na\r\n\r\n[MLP]\r\nuse_blacklist = no", Queue{Names: []string{"a"}}},
		{"comments", "; x\n# y\n[MLP] ; z\n use_blacklist=off\t# w\n[ WHITELISTED_MODELS ]\n\t; v\n  a ; b # c\nd #\n#e\n", Queue{Names: []string{"a", "d"}}},
		{"Latin-1 in a comment", white + "a ; caf\xe9\n", Queue{Names: []string{"a"}}},
		{"hard names",
			white + "a=b.py\na:b.py\nc#.py\nd;e\nmy model.py\nSoftMax\nsoftmax\n-\n%(a)s\n`q\n\"\"\"q\n\"x\" = y\nend\\\nmodèle.py\n...\n~/x\nx]\n",
			Queue{Names: []string{"a=b.py", "a:b.py", "c#.py", "d;e", "my model.py", "SoftMax", "softmax", "-", "%(a)s", "`q", `"""q`, `"x" = y`, `end\`, "modèle.py", "...", "~/x", "x]"}}},
		{"cleaned", white + "./softmax/\nvision//resnet.py\na/../b\n", Queue{Names: []string{"softmax", "vision/resnet.py", "b"}}},
		{"twice", white + "softmax\na\nsoftmax/\n", Queue{Names: []string{"softmax", "a"},
			Warnings: []string{"models.config:6: softmax/ is listed twice; it counts once"}}},
		{"outside", white + "../x\n/abs/x\na/../../x\n..\n.\nb\n", Queue{Names: []string{"b"}, Warnings: []string{
			"models.config:4: ../x is left out: it is not in the models folder",
			"models.config:5: /abs/x is left out: write its path from the models folder",
			"models.config:6: a/../../x is left out: it is not in the models folder",
			"models.config:7: .. is left out: it is not in the models folder",
			"models.config:8: . is left out: it is not in the models folder",
		}}},
	} {
		got, err := ParseQueue("models.config", []byte(c.text))
		if err != nil {
			t.Errorf("%s: %v", c.about, err)
		} else if d := cmp.Diff(c.want, got, namesAlone); d != "" {
			t.Errorf("%s: (-want +got)\n%s", c.about, d)
		}
	}
}

func TestUseBlacklist(t *testing.T) {
	lists := "\n[WHITELISTED_MODELS]\n[BLACKLISTED_MODELS]\n"
	for value, want := range map[string]bool{
		"1": true, "yes": true, "TRUE": true, "tRue": true, "On": true, `"true"`: true,
		"0": false, "NO": false, "False": false, "off": false, "'off'": false,
	} {
		q, err := ParseQueue("q", []byte("[MLP]\nuse_blacklist="+value+lists))
		if err != nil || q.Blacklist != want {
			t.Errorf("use_blacklist=%s: %v, %v", value, q.Blacklist, err)
		}
	}
}

func TestQueueErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "models.config: there is no [MLP]; write the lines [MLP] and use_blacklist=False at its top"},
		{"[WHITELISTED_MODELS]\na\n", "models.config: there is no [MLP]; write the lines [MLP] and use_blacklist=False at its top"},
		{"\n[MLP]\n", "models.config:2: [MLP] has no use_blacklist; write use_blacklist=False below it"},
		{"[MLP]\nuse_blacklist=\n", "models.config:2: use_blacklist has no value; write use_blacklist=False"},
		{"[MLP]\nuse_blacklist\n", "models.config:2: use_blacklist has no value; write use_blacklist=False"},
		{"[MLP]\nuse_blacklist= ; False\n", "models.config:2: use_blacklist has no value; write use_blacklist=False"},
		{"[MLP]\nuse_blacklist=''\n", "models.config:2: use_blacklist has no value; write use_blacklist=False"},
		{"[MLP]\nuse_blacklist=maybe\n", "models.config:2: use_blacklist=maybe is neither true nor false; write use_blacklist=True or use_blacklist=False"},
		{"[MLP]\nuse_blacklist=no\n[BLACKLISTED_MODELS]\n", "models.config:2: use_blacklist=no, but there is no [WHITELISTED_MODELS]; write [WHITELISTED_MODELS] and below it the models to run, one a line"},
		{"[MLP]\nuse_blacklist=1\n[WHITELISTED_MODELS]\n", "models.config:2: use_blacklist=1, but there is no [BLACKLISTED_MODELS]; write [BLACKLISTED_MODELS] and below it the models to leave out, one a line"},
		{"[MLP]\nuse_blaklist=1\n", "models.config:2: unknown key use_blaklist; did you mean use_blacklist?"},
		{"[MLP]\nuse_blacklist=1\nsoftmax\n", "models.config:3: unknown key softmax; the names of models go below [WHITELISTED_MODELS]"},
		{"[mlp]\n", "models.config:1: unknown section [mlp]; did you mean [MLP]?"},
		{"[WHITELIST]\n", "models.config:1: unknown section [WHITELIST]; did you mean [WHITELISTED_MODELS]?"},
		{"[]\n", "models.config:1: unknown section []; known are [MLP], [WHITELISTED_MODELS], [BLACKLISTED_MODELS]"},
		{"[DEFAULT]\n", "models.config:1: unknown section [DEFAULT]; known are [MLP], [WHITELISTED_MODELS], [BLACKLISTED_MODELS]"},
		{"[MLP\nuse_blacklist=1\n", "models.config:1: section [MLP is not closed; write [MLP]"},
		{"[MLP] use_blacklist=1\n", "models.config:1: use_blacklist=1 follows a section; write it on a line of its own, or after a ;"},
		{"use_blacklist=1\n[MLP]\n", "models.config:1: use_blacklist stands before any section; write [MLP] above it"},
		{"softmax\n", "models.config:1: softmax stands before any section; write [WHITELISTED_MODELS] above it"},
		{"[MLP]\nuse_blacklist=1\nuse_blacklist=0\n", "models.config:3: use_blacklist is given twice, first in line 2; keep one of them"},
		{white + "[MLP]\n", "models.config:4: [MLP] is given twice, first in line 1; join the two"},
		{white + "a\x1b[31m\n", `models.config:4: "a\x1b[31m" holds a control character; delete it`},
		{white + "a\tb\n", `models.config:4: "a\tb" holds a control character; delete it`},
		{white + "a\rb\n", `models.config:4: "a\rb" holds a control character; delete it`},
		{white + "a\u2028b\n", `models.config:4: "a\u2028b" holds a control character; delete it`},
		{white + "caf\xe9.py\n", "models.config:4: holds bytes that are not UTF-8; save the file as UTF-8"},
		{"\xff\xfe[\x00", "models.config: is in UTF-16; save it as UTF-8"},
		{strings.Repeat("x", maxSize+1), "models.config: is larger than 1 MiB; it cannot be a configuration file"},
	} {
		_, err := ParseQueue("models.config", []byte(c.text))
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%.50q: error %v", c.text, err)
		} else if d := cmp.Diff(c.want, err.Error()); d != "" {
			t.Errorf("%.50q: (-want +got)\n%s", c.text, d)
		}
	}
}

func TestLoadQueue(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "models_test.config")
	_, err := LoadQueue(file)
	wantError(t, err, "models_test.config: not found in "+dir+"; create it with the lines [MLP], use_blacklist=False and [WHITELISTED_MODELS], and below them the models to run, one a line")

	write(t, file, "[MLP]\nx=1\n")
	_, err = LoadQueue(file)
	wantError(t, err, "models_test.config:2: unknown key x; the names of models go below [WHITELISTED_MODELS]")

	write(t, file, white+"a\na\n")
	q, err := LoadQueue(file)
	want := Queue{Names: []string{"a"}, Lines: []int{4}, Warnings: []string{"models_test.config:5: a is listed twice; it counts once"}}
	if d := cmp.Diff(want, q); err != nil || d != "" {
		t.Errorf("%v (-want +got)\n%s", err, d)
	}
}

func TestNotAFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "models.config")
	for _, c := range []struct {
		about, want string
		make        func(t *testing.T) error
	}{
		{"folder", "models.config: is a folder, not a file; write a file of that name",
			func(*testing.T) error { return os.Mkdir(file, 0o755) }},
		{"pipe", "models.config: is not an ordinary file; write a text file of that name",
			func(*testing.T) error { return syscall.Mkfifo(file, 0o644) }},
		{"link to itself", "models.config: cannot be read: too many levels of symbolic links",
			func(*testing.T) error { return os.Symlink(file, file) }},
		{"1 GB", "models.config: is larger than 1 MiB; it cannot be a configuration file",
			func(t *testing.T) error { write(t, file, ""); return os.Truncate(file, 1<<30) }},
		{"unreadable", "models.config: cannot be read: permission denied",
			func(t *testing.T) error {
				if os.Geteuid() == 0 {
					t.Skip("root may read everything")
				}
				write(t, file, white)
				return os.Chmod(file, 0)
			}},
	} {
		t.Run(c.about, func(t *testing.T) {
			if err := c.make(t); err != nil {
				t.Fatal(err)
			}
			defer os.Remove(file)
			_, err := LoadQueue(file)
			wantError(t, err, c.want)
		})
	}
}

func FuzzParseQueue(f *testing.F) {
	for _, s := range []string{
		"", white + "a\n", white + "../x\n./a\na\n/b\n..\n", "[MLP]\nuse_blacklist=`\n\n", "[MLP]\nuse_blacklist=\"\"\"1\"\"\"\n[BLACKLISTED_MODELS]\nx",
		"\ufeff" + white + "a\r\n\r\nb ; c", "[MLP", "]\n[\n[]", "=\n:", white + "a\x00b\n", "\xff\xfe", white + "\x85a\u00a0\n\u00a0#\n", "[MLP]\nuse_blacklist='\n",
		"[MLP]\nuse_blacklist=\"\"\"\"\n", "[MLP]\nuse_blacklist=1\\\n[BLACKLISTED_MODELS]\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		q, err := ParseQueue("models.config", data)
		oneLine(t, q.Warnings...)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Errorf("error of type %T", err)
			}
			oneLine(t, err.Error())
			return
		}
		seen := map[string]bool{}
		for _, n := range q.Names {
			if n == "" || n != path.Clean(n) || path.IsAbs(n) || n == ".." || strings.HasPrefix(n, "../") || seen[n] {
				t.Errorf("name %q", n)
			}
			seen[n] = true
		}
		for _, n := range q.Names {
			if strings.ContainsFunc(n, breaksLine) {
				t.Errorf("name %q", n)
			}
		}
	})
}

func oneLine(t *testing.T, lines ...string) {
	t.Helper()
	for _, l := range lines {
		if strings.ContainsFunc(l, breaksLine) || strings.ToValidUTF8(l, "") != l {
			t.Errorf("not fit for a terminal: %q", l)
		}
	}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Errorf("error %v of type %T, want %s", err, err, want)
	} else if d := cmp.Diff(want, err.Error()); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// namesAlone leaves the lines of the names out of a comparison.
var namesAlone = cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "Lines" }, cmp.Ignore())
