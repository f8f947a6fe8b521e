package passport

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var when = time.UnixMilli(1795385931228)

func is(fingerprint string) func(Code) bool {
	return func(c Code) bool { return c.Fingerprint == fingerprint }
}

func update(t *testing.T, f Folder, project, model string, change func(*Passport)) *Passport {
	t.Helper()
	p, err := f.Update(project, model, change)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func read1(t *testing.T, f Folder, project, model string) *Passport {
	t.Helper()
	p, err := f.Read(project, model)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func states(p *Passport, code string, params map[string]Hash) map[string]State {
	all := map[string]State{}
	for name, hash := range params {
		all[name] = p.State(name, hash, is(code))
	}
	return all
}

func TestStates(t *testing.T) {
	f := Folder{filepath.Join(t.TempDir(), "tested")}
	now := map[string]Hash{"a": 1, "b": 2, "c": 3}
	check := func(step, code string, want map[string]State) {
		t.Helper()
		if diff := cmp.Diff(want, states(read1(t, f, "/p", "m"), code, now)); diff != "" {
			t.Errorf("%s: %s", step, diff)
		}
	}
	check("before any test", "x", map[string]State{"a": Never, "b": Never, "c": Never})

	tell := func(p *Passport) { p.Tell([]Told{{"a", now["a"]}, {"b", now["b"]}, {"c", now["c"]}}) }
	update(t, f, "/p", "m", func(p *Passport) {
		tell(p)
		p.Pass("a", 1, Code{Fingerprint: "x", Files: map[string]string{"m.go": "0"}}, when, Pace{Step: 0.5, Seconds: 1, Steps: 100})
		p.Fail("b", 2)
	})
	check("a test that b has halted", "x", map[string]State{"a": Passed, "b": Failed, "c": Never})
	check("other code", "y", map[string]State{"a": CodeChanged, "b": Failed, "c": Never})

	// The parameters of a change: it is told with them, but has not passed with them.
	now["a"] = 11
	check("before it is told", "x", map[string]State{"a": ParametersChanged, "b": Failed, "c": Never})
	update(t, f, "/p", "m", tell)
	check("once it is told", "x", map[string]State{"a": ParametersChanged, "b": Failed, "c": Never})
	now["a"] = 1
	update(t, f, "/p", "m", tell)
	check("put back", "x", map[string]State{"a": Passed, "b": Failed, "c": Never})

	// Each version has the code that it passed with, in whatever order.
	update(t, f, "/p", "m", func(p *Passport) { p.Pass("b", 2, Code{Fingerprint: "y"}, when, Pace{}) })
	check("the code of a", "x", map[string]State{"a": Passed, "b": CodeChanged, "c": Never})
	check("the code of b", "y", map[string]State{"a": CodeChanged, "b": Passed, "c": Never})
	update(t, f, "/p", "m", func(p *Passport) { p.Fail("a", 1) })
	check("a has failed", "x", map[string]State{"a": Failed, "b": CodeChanged, "c": Never})
	if p := read1(t, f, "/p", "m"); len(p.Codes) != 1 || p.Codes[0].Fingerprint != "y" {
		t.Errorf("codes %v are kept", p.Codes)
	}

	// What is no longer told is forgotten, also if it comes back.
	update(t, f, "/p", "m", func(p *Passport) { p.Tell([]Told{{"a", 1}}) })
	update(t, f, "/p", "m", tell)
	check("b was gone", "y", map[string]State{"a": Failed, "b": Never, "c": Never})
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	f := Folder{t.TempDir()}
	want := update(t, f, "/p", "m", func(p *Passport) {
		p.Tell([]Told{{"a", 1}, {`<"\` + "\u2028", 2}, {"c", 3}})
		p.Pass("c", 3, Code{"x", map[string]string{"m.go": "0"}}, when, Pace{Step: 0.25, Seconds: 1.5, Steps: 860})
		p.Fail("a", 1)
	})
	if diff := cmp.Diff(want, read1(t, f, "/p", "m"), cmpopts.IgnoreUnexported(Passport{})); diff != "" {
		t.Error(diff)
	}
	if v, ok := read1(t, f, "/p", "m").Version("c"); !ok || v.Steps != 860 {
		t.Errorf("c is %+v", v)
	}
}

func TestProjectsAndModelsAreApart(t *testing.T) {
	f := Folder{t.TempDir()}
	project := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(project, link); err != nil {
		t.Fatal(err)
	}
	update(t, f, project, "m", func(p *Passport) { p.Fail("a", 1) })
	for _, other := range []struct {
		project, model string
		known          bool
	}{{project, "m", true}, {link, "m", true}, {project, "n", false}, {project + "m", "", false}, {t.TempDir(), "m", false}} {
		if _, known := read1(t, f, other.project, other.model).Version("a"); known != other.known {
			t.Errorf("%v: known is %v", other, known)
		}
	}
}

// Several test modes at once: nothing that one of them wrote is lost.
func TestSideBySide(t *testing.T) {
	f := Folder{filepath.Join(t.TempDir(), "tested")}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 25 {
				name := fmt.Sprint(w, "-", i)
				if _, err := f.Update("/p", "m", func(p *Passport) { p.Pass(name, 1, Code{Fingerprint: "x"}, when, Pace{}) }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(read1(t, f, "/p", "m").Versions); n != 100 {
		t.Errorf("%d versions are known, not 100", n)
	}
	if left, _ := filepath.Glob(filepath.Join(f.Dir, ".new-*")); len(left) > 0 {
		t.Errorf("%v were left behind", left)
	}
}

func TestDamagedAndNewer(t *testing.T) {
	f := Folder{t.TempDir()}
	update(t, f, "/p", "m", func(p *Passport) { p.Pass("a", 1, Code{Fingerprint: "x"}, when, Pace{}) })
	path, _ := f.file("/p", "m")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"", "garbage", string(good[:len(good)-3]), `{"format":1}` + "\n[]\n",
		`{"format":1}` + "\n" + `{"version":"a","passed":1}` + "\n", `{"format":1}` + "\n" + `{"version":"a","passed":1,"code":-1}` + "\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		p, err := f.Read("/p", "m")
		if err == nil || !strings.Contains(err.Error(), path) || p.State("a", 1, is("x")) != Never {
			t.Errorf("%q: %v", text, err)
		}
		update(t, f, "/p", "m", func(p *Passport) { p.Fail("b", 1) })
		read1(t, f, "/p", "m")
	}

	newer := `{"format":2,"versions":["in another way"]}`
	if err := os.WriteFile(path, []byte(newer), 0o666); err != nil {
		t.Fatal(err)
	}
	var e *NewerError
	if p, err := f.Read("/p", "m"); !errors.As(err, &e) || p.State("a", 1, is("x")) != Never {
		t.Error(err)
	}
	if _, err := f.Update("/p", "m", func(p *Passport) { p.Fail("b", 1) }); !errors.As(err, &e) {
		t.Error(err)
	}
	if text, _ := os.ReadFile(path); string(text) != newer {
		t.Errorf("it was replaced by %q", text)
	}
}

// Passports are kept as long as their projects are there.
func TestTrim(t *testing.T) {
	f := Folder{t.TempDir()}
	here, gone := t.TempDir(), filepath.Join(t.TempDir(), "gone")
	old := time.Now().Add(-2 * keep)
	for _, project := range []string{here, gone, gone + "-lately"} {
		update(t, f, project, "m", func(p *Passport) { p.Fail("a", 1) })
		if path, _ := f.file(project, "m"); !strings.HasSuffix(project, "lately") {
			if err := os.Chtimes(path, old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	litter, newer := filepath.Join(f.Dir, ".new-1"), filepath.Join(f.Dir, "newer.json")
	if err := errors.Join(os.WriteFile(newer, []byte(`{"format":2,"project":["of another kind"]}`), 0o666), os.Chtimes(newer, old, old), os.WriteFile(litter, nil, 0o666), os.Chtimes(litter, old, old), os.Chtimes(filepath.Join(f.Dir, ".trimmed"), old, old)); err != nil {
		t.Fatal(err)
	}
	update(t, f, here, "other", func(p *Passport) {})
	for project, want := range map[string]bool{here: true, gone: false, gone + "-lately": true} {
		if _, known := read1(t, f, project, "m").Version("a"); known != want {
			t.Errorf("%s: known is %v", project, known)
		}
	}
	if _, err := os.Stat(litter); err == nil {
		t.Error("what a killed writer left is still there")
	}
	if _, err := os.Stat(newer); err != nil {
		t.Errorf("what a newer mlpipeline wrote is removed: %v", err)
	}
}

// testdata/v1 was written by the first version of the program. It is never changed, and every later version reads it.
func TestFormat1IsStillRead(t *testing.T) {
	p := read1(t, Folder{filepath.Join("testdata", "v1")}, "/home/ann/digits", "slope")
	v, _ := p.Version("early")
	if want := (Version{Name: "early", Parameters: 0x6a601d9d15c49168, Passed: 1795743524068, Pace: Pace{0.099253, 0.115915, 15}}); v != want {
		t.Errorf("%+v", v)
	}
	want := map[string]State{"done": Passed, "más allá": Never, "wide": Failed}
	params := map[string]Hash{"done": 0x79f3e1365d439d41, "más allá": 0x87861f1300a542a9, "wide": 0x993287eb837aa135}
	if diff := cmp.Diff(want, states(p, "64e032323fa9377b", params)); diff != "" {
		t.Error(diff)
	}
}

func TestManyVersionsAreFewBytes(t *testing.T) {
	f := Folder{t.TempDir()}
	const n = 1000
	files := map[string]string{}
	for i := range 100 {
		files[fmt.Sprintf("models/file%d.go", i)] = "0123456789abcdef"
	}
	update(t, f, "/p", "m", func(p *Passport) {
		for i := range n {
			p.Pass(fmt.Sprint("v", i), 0x0123456789abcdef, Code{"x", files}, when, Pace{Step: 0.001234, Seconds: 0.012345, Steps: 860})
		}
	})
	path, _ := f.file("/p", "m")
	info, err := os.Stat(path)
	if err != nil || info.Size() > n*150 {
		t.Errorf("%d bytes for %d versions, %v", info.Size(), n, err)
	}
}

func BenchmarkRead100000(b *testing.B) {
	f := Folder{b.TempDir()}
	if _, err := f.Update("/p", "m", func(p *Passport) {
		for i := range 100000 {
			p.Pass(fmt.Sprint("version-", i), 0x0123456789abcdef, Code{Fingerprint: "x"}, when, Pace{Step: 0.001234, Seconds: 0.012345, Steps: 860})
		}
	}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := f.Read("/p", "m"); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(`{"format":1,"codes":[{"fingerprint":"x"}]}` + "\n" + `{"version":"a","parameters":"1","passed":1}` + "\n")
	f.Add(`{"format":9}`)
	path := filepath.Join(f.TempDir(), "x")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		p, err := read(path)
		if err != nil {
			return
		}
		for _, v := range p.Versions {
			p.State(v.Name, v.Parameters, is("x"))
		}
		p.tidy()
	})
}
