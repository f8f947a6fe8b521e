package config

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Watcher keeps the last good queue of a queue file that is edited while it is in use. Its methods may be called from
// several goroutines; Reload makes the others wait while a save settles.
type Watcher struct {
	// Settle is how long the file must stay the same before a change is believed: 250 ms unless set before the first Reload.
	Settle time.Duration

	file     string
	wait     func(ctx context.Context, d time.Duration) error
	changed  chan struct{}
	notifier func() (*fsnotify.Watcher, error)
	notify   *fsnotify.Watcher // once it is there it belongs to the goroutine that reads it
	closing  chan struct{}
	close    sync.Once
	done     chan struct{} // closed when that goroutine has ended

	mu       sync.Mutex
	silent   string // why Changed will stay silent, until it is said
	queue    Queue
	seen     content // what was last taken or refused
	restless bool    // that the file does not settle has been said
}

// Change is what a Reload found.
type Change struct {
	Taken    bool     // the queue in force is another: its names, their order or its mode
	Switched bool     // use_blacklist is another; Added and Removed are empty then, as the lists cannot be compared
	Added    []string // models that may run now and could not before: new in a whitelist, gone from a blacklist
	Removed  []string // the reverse
	Warnings []string // lines to show: why the file was not taken, or the Warnings of the queue that was
}

// A save in small parts is over when the file has stayed the same for one Settle; after this many it is left for later.
const maxSettles = 20

// Events come in bursts: Changed speaks once, this long after the first.
const burst = 100 * time.Millisecond

// The folder is watched only after so long: a process that watches anything needs some 6 ms longer to end (Linux 6.18), and one
// that ends before reads the file often enough.
const late = 200 * time.Millisecond

// Watch reads a queue file, and watches it. An error is that of the first read. The caller calls Close.
func Watch(file string) (*Watcher, error) { return watch(file, fsnotify.NewWatcher) }

func watch(file string, notifier func() (*fsnotify.Watcher, error)) (*Watcher, error) {
	file, err := filepath.Abs(file)
	if err != nil {
		return nil, fmt.Errorf("watch queue: %w", err)
	}
	w := &Watcher{
		Settle:   250 * time.Millisecond,
		file:     file,
		wait:     sleep,
		changed:  make(chan struct{}, 1),
		notifier: notifier,
		closing:  make(chan struct{}),
		done:     make(chan struct{}),
	}
	w.seen = w.read()
	if w.queue, err = w.seen.parse(file); err != nil {
		return nil, err
	}
	go w.watch()
	return w, nil
}

// Queue is the queue in force.
func (w *Watcher) Queue() Queue {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.queue
}

// Changed receives after something was saved in the folder of the queue file: the time to call Reload. It may receive for
// nothing, and never does on a network file system: Reload before every version as well. It is not closed.
func (w *Watcher) Changed() <-chan struct{} { return w.changed }

// Reload reads the file again and makes what it holds the queue in force, once it has settled. It takes no time when the
// file is the same as at the last Reload, at least one Settle when it is not, and twenty at most. A file that is gone or
// does not parse leaves the queue in force, with one warning until it changes again; so does it warn, once, that Changed will stay
// silent. When ctx ends first, nothing changes.
func (w *Watcher) Reload(ctx context.Context) (Queue, Change) {
	w.mu.Lock()
	defer w.mu.Unlock()

	queue, change := w.reload(ctx)
	if w.silent != "" {
		change.Warnings = slices.Concat([]string{w.silent}, change.Warnings)
		w.silent = ""
	}
	return queue, change
}

// reload is Reload without that. The caller holds mu.
func (w *Watcher) reload(ctx context.Context) (Queue, Change) {
	now := w.read()
	if now.same(w.seen) {
		return w.queue, Change{}
	}
	for range maxSettles {
		if w.wait(ctx, w.Settle) != nil {
			return w.queue, Change{}
		}
		next := w.read()
		if next.same(now) {
			w.restless = false
			return w.take(next)
		}
		now = next
	}
	if w.restless {
		return w.queue, Change{}
	}
	w.restless = true
	return w.queue, w.refused(show(filepath.Base(w.file)) + ": it changes all the time")
}

// take judges a settled content. The caller holds mu.
func (w *Watcher) take(c content) (Queue, Change) {
	if c.same(w.seen) {
		return w.queue, Change{}
	}
	w.seen = c
	next, err := c.parse(w.file)
	if err != nil {
		return w.queue, w.refused(err.Error())
	}
	last := w.queue
	w.queue = next

	var change Change
	if !slices.Equal(next.Warnings, last.Warnings) {
		change.Warnings = next.Warnings
	}
	change.Switched = next.Blacklist != last.Blacklist
	change.Taken = change.Switched || !slices.Equal(next.Names, last.Names)
	if !change.Switched {
		change.Added, change.Removed = without(next.Names, last.Names), without(last.Names, next.Names)
		if next.Blacklist {
			change.Added, change.Removed = change.Removed, change.Added
		}
	}
	return next, change
}

func (w *Watcher) refused(why string) Change {
	return Change{Warnings: []string{why + " (the queue stays as it was)"}}
}

// Close ends the watching; Reload goes on to work.
func (w *Watcher) Close() {
	w.close.Do(func() { close(w.closing) })
	<-w.done
}

// watch watches from late on until Close.
func (w *Watcher) watch() {
	defer close(w.done)
	select {
	case <-time.After(late):
	case <-w.closing:
		return
	}
	var err error
	if w.notify, err = w.notifier(); err == nil {
		defer w.notify.Close()
		err = w.notify.Add(filepath.Dir(w.file))
	}
	if err != nil {
		w.mu.Lock()
		w.silent = fmt.Sprintf("%s: a change is seen only before the next version: %v", show(filepath.Base(w.file)), err)
		w.mu.Unlock()
		w.speak()
		return
	}
	w.follow()
	w.speak() // of what was saved before
	w.listen()
}

func (w *Watcher) speak() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

func (w *Watcher) listen() {
	timer := time.NewTimer(0)
	timer.Stop()
	pending := false
	for {
		select {
		case <-w.notify.Events:
		case <-w.notify.Errors: // events were lost, perhaps ours
		case <-timer.C:
			pending = false
			w.follow()
			w.speak()
			continue
		case <-w.closing:
			return
		}
		// From the first event on: a folder that is written to all the time must not put it off for ever.
		if !pending {
			pending = true
			timer.Reset(burst)
		}
	}
}

// follow also watches the folder that the file is linked to, as far as there is one. Where it was linked to before
// stays watched; that only makes Changed speak for nothing.
func (w *Watcher) follow() {
	if target, err := filepath.EvalSymlinks(w.file); err == nil {
		_ = w.notify.Add(filepath.Dir(target))
	}
}

// content is a file as it was read, or why it could not be.
type content struct {
	data []byte
	err  error
}

func (w *Watcher) read() content {
	data, err := readQueue(w.file)
	return content{data, err}
}

func (c content) same(d content) bool {
	if c.err != nil || d.err != nil {
		return c.err != nil && d.err != nil && c.err.Error() == d.err.Error()
	}
	return bytes.Equal(c.data, d.data)
}

func (c content) parse(file string) (Queue, error) {
	if c.err != nil {
		return Queue{}, c.err
	}
	return ParseQueue(filepath.Base(file), c.data)
}

// without is names less those in others, in order.
func without(names, others []string) []string {
	drop := map[string]bool{}
	for _, o := range others {
		drop[o] = true
	}
	var rest []string
	for _, n := range names {
		if !drop[n] {
			rest = append(rest, n)
		}
	}
	return rest
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
