package config

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/google/go-cmp/cmp"
)

// watched is a queue file with the models a and b, and its watcher.
func watched(t *testing.T) (string, *Watcher) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "models.config")
	write(t, file, white+"a\nb\n")
	w, err := Watch(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	// Nothing settles but where a test says so.
	w.wait = func(context.Context, time.Duration) error { return nil }
	return file, w
}

// during makes the steps happen in the pauses of the next Reload, one in each.
func (w *Watcher) during(t *testing.T, steps ...func()) {
	t.Helper()
	w.wait = func(_ context.Context, d time.Duration) error {
		if d != 250*time.Millisecond {
			t.Errorf("settles for %v", d)
		}
		if len(steps) > 0 {
			steps[0]()
			steps = steps[1:]
		}
		return nil
	}
}

func (w *Watcher) want(t *testing.T, names string, want Change) {
	t.Helper()
	q, got := w.Reload(t.Context())
	if d := cmp.Diff(want, got, namesAlone); d != "" {
		t.Errorf("change (-want +got)\n%s", d)
	}
	if in := strings.Join(q.Names, " "); in != names {
		t.Errorf("queue %q, want %q", in, names)
	}
	if d := cmp.Diff(q, w.Queue(), namesAlone); d != "" {
		t.Errorf("Queue() (-want +got)\n%s", d)
	}
}

// awaitChanged fails only by the test's own deadline.
func (w *Watcher) awaitChanged(t *testing.T) {
	t.Helper()
	select {
	case <-w.Changed():
	case <-t.Context().Done():
	}
}

func TestReload(t *testing.T) {
	for _, c := range []struct {
		about, text, names string
		want               Change
	}{
		{"added and removed", white + "c\nb\nd\n", "c b d", Change{Taken: true, Added: []string{"c", "d"}, Removed: []string{"a"}}},
		{"order", white + "b\na\n", "b a", Change{Taken: true}},
		{"comment", white + "a ; x\nb\n", "a b", Change{}},
		{"emptied", white, "", Change{Taken: true, Removed: []string{"a", "b"}}},
		{"mode", "[MLP]\nuse_blacklist=1\n[BLACKLISTED_MODELS]\na\nb\n", "a b", Change{Taken: true, Switched: true}},
		{"twice", white + "a\nb\na\n", "a b", Change{Warnings: []string{"models.config:6: a is listed twice; it counts once"}}},
		{"broken", white + "a\x00\n", "a b", Change{Warnings: []string{`models.config:4: "a\x00" holds a control character; delete it (the queue stays as it was)`}}},
		{"no byte left", "", "a b", Change{Warnings: []string{"models.config: there is no [MLP]; write the lines [MLP] and use_blacklist=False at its top (the queue stays as it was)"}}},
	} {
		t.Run(c.about, func(t *testing.T) {
			file, w := watched(t)
			w.want(t, "a b", Change{})
			write(t, file, c.text)
			w.want(t, c.names, c.want)
			w.during(t, func() { t.Error("waits for a file that is the same") })
			w.want(t, c.names, Change{})
		})
	}
}

func TestReloadBlacklist(t *testing.T) {
	file, w := watched(t)
	head := "[MLP]\nuse_blacklist=1\n[BLACKLISTED_MODELS]\n"
	write(t, file, head+"a\nb\n")
	w.want(t, "a b", Change{Taken: true, Switched: true})
	write(t, file, head+"b\nc\n")
	w.want(t, "b c", Change{Taken: true, Added: []string{"a"}, Removed: []string{"c"}})
}

func TestBrokenThenMended(t *testing.T) {
	file, w := watched(t)
	broken := Change{Warnings: []string{"models.config:1: section [MLP is not closed; write [MLP] (the queue stays as it was)"}}
	write(t, file, "[MLP\n")
	w.want(t, "a b", broken)
	w.want(t, "a b", Change{})
	write(t, file, white+"a\nb\n")
	w.want(t, "a b", Change{})
	write(t, file, "[MLP\n")
	w.want(t, "a b", broken)
	write(t, file, white+"a\nc\n")
	w.want(t, "a c", Change{Taken: true, Added: []string{"c"}, Removed: []string{"b"}})
}

func TestGone(t *testing.T) {
	file, w := watched(t)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	_, gone := LoadQueue(file)
	w.want(t, "a b", Change{Warnings: []string{gone.Error() + " (the queue stays as it was)"}})
	w.want(t, "a b", Change{})
	write(t, file, white+"c\n")
	w.want(t, "c", Change{Taken: true, Added: []string{"c"}, Removed: []string{"a", "b"}})
}

// Each is a save of the models a and c that Reload meets at its start, half done.
func TestHalfWritten(t *testing.T) {
	for _, c := range []struct {
		about string
		steps func(t *testing.T, file string) []func()
	}{
		{"truncated first", func(t *testing.T, file string) []func() {
			return []func(){
				func() { write(t, file, "") },
				func() { write(t, file, white+"a\nc\n") },
			}
		}},
		{"small writes", func(t *testing.T, file string) []func() {
			text := white + "a\nc\n"
			steps := []func(){func() { write(t, file, "") }}
			for i := 0; i < len(text); i += 5 {
				steps = append(steps, func() {
					f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
					if err != nil {
						t.Fatal(err)
					}
					defer f.Close()
					if _, err := f.WriteString(text[i:min(i+5, len(text))]); err != nil {
						t.Fatal(err)
					}
				})
			}
			return steps
		}},
		{"deleted and created", func(t *testing.T, file string) []func() {
			return []func(){
				func() {
					if err := os.Remove(file); err != nil {
						t.Fatal(err)
					}
				},
				func() { write(t, file, white) },
				func() { write(t, file, white+"a\nc\n") },
			}
		}},
		{"a copy moved away, then a new file", func(t *testing.T, file string) []func() {
			return []func(){
				func() {
					if err := os.Rename(file, file+"~"); err != nil {
						t.Fatal(err)
					}
				},
				func() { write(t, file, white+"a\nc\n") },
			}
		}},
	} {
		t.Run(c.about, func(t *testing.T) {
			file, w := watched(t)
			steps := c.steps(t, file)
			steps[0]()
			w.during(t, steps[1:]...)
			w.want(t, "a c", Change{Taken: true, Added: []string{"c"}, Removed: []string{"b"}})
		})
	}
}

func TestTakenBackWhileItSettles(t *testing.T) {
	file, w := watched(t)
	write(t, file, "")
	w.during(t, func() { write(t, file, white+"a\nb\n") })
	w.want(t, "a b", Change{})
}

func TestNeverSettles(t *testing.T) {
	file, w := watched(t)
	pauses := 0
	grow := func() { write(t, file, white+strings.Repeat("x", pauses+1)) }
	grow()
	w.wait = func(context.Context, time.Duration) error { pauses++; grow(); return nil }
	w.want(t, "a b", Change{Warnings: []string{"models.config: it changes all the time (the queue stays as it was)"}})
	if pauses != maxSettles {
		t.Errorf("%d pauses", pauses)
	}
	w.want(t, "a b", Change{})

	write(t, file, white+"a\n")
	w.during(t)
	w.want(t, "a", Change{Taken: true, Removed: []string{"b"}})
}

func TestReloadCancelled(t *testing.T) {
	file, w := watched(t)
	w.wait, w.Settle = sleep, time.Hour
	write(t, file, white+"c\n")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if q, change := w.Reload(ctx); len(q.Names) != 2 || change.Taken {
		t.Errorf("%+v, %+v", q, change)
	}
	w.Settle = time.Nanosecond
	w.want(t, "c", Change{Taken: true, Added: []string{"c"}, Removed: []string{"a", "b"}})
}

func TestChanged(t *testing.T) {
	for _, c := range []struct {
		about string
		save  func(t *testing.T, file, text string)
	}{
		{"in place", write},
		{"through a rename", func(t *testing.T, file, text string) {
			write(t, file+".tmp", text)
			if err := os.Rename(file+".tmp", file); err != nil {
				t.Fatal(err)
			}
		}},
		{"deleted and created", func(t *testing.T, file, text string) {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			write(t, file, text)
		}},
		{"a link swapped", func(t *testing.T, file, text string) {
			to := filepath.Join(t.TempDir(), "real.config")
			write(t, to, text)
			if err := os.Symlink(to, file+".tmp"); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(file+".tmp", file); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.about, func(t *testing.T) {
			file, w := watched(t)
			// Until the queue is the saved one: one save may be noticed in two parts.
			for _, name := range []string{"c", "d", "e"} {
				c.save(t, file, white+name+"\n")
				for {
					w.awaitChanged(t)
					if q, _ := w.Reload(t.Context()); strings.Join(q.Names, " ") == name {
						break
					}
				}
			}
		})
	}
}

func TestChangedBehindLink(t *testing.T) {
	dir := t.TempDir()
	real, file := filepath.Join(t.TempDir(), "real.config"), filepath.Join(dir, "models.config")
	write(t, real, white+"a\n")
	if err := os.Symlink(real, file); err != nil {
		t.Fatal(err)
	}
	w, err := Watch(file)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	w.Settle = time.Millisecond
	write(t, real, white+"b\n")
	w.awaitChanged(t)
	w.want(t, "b", Change{Taken: true, Added: []string{"b"}, Removed: []string{"a"}})
}

func TestWithoutNotifier(t *testing.T) {
	file := filepath.Join(t.TempDir(), "models.config")
	write(t, file, white+"a\n")
	w, err := watch(file, func() (*fsnotify.Watcher, error) { return nil, errors.New("too many open files") })
	if err != nil {
		t.Fatal(err)
	}
	w.Settle = time.Millisecond
	w.awaitChanged(t)
	w.want(t, "a", Change{Warnings: []string{"models.config: a change is seen only before the next version: too many open files"}})
	w.want(t, "a", Change{})
	write(t, file, white+"b\n")
	w.want(t, "b", Change{Taken: true, Added: []string{"b"}, Removed: []string{"a"}})
	w.Close()
	w.Close()
}

func TestWatchFirstQueue(t *testing.T) {
	file := filepath.Join(t.TempDir(), "models.config")
	_, want := LoadQueue(file)
	_, err := Watch(file)
	wantError(t, err, want.Error())
	write(t, file, "[MLP]\n")
	_, err = Watch(file)
	wantError(t, err, "models.config:1: [MLP] has no use_blacklist; write use_blacklist=False below it")
}

func TestReloadFromMany(t *testing.T) {
	file, w := watched(t)
	write(t, file, white+"c\n")
	taken := make(chan bool)
	for range 8 {
		go func() {
			_, change := w.Reload(context.Background())
			_ = w.Queue()
			taken <- change.Taken
		}()
	}
	n := 0
	for range 8 {
		if <-taken {
			n++
		}
	}
	if n != 1 {
		t.Errorf("taken %d times", n)
	}
}
