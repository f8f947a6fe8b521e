//go:build real

package real

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// A browser shows one page, and keeps what it must not do.
type browser struct {
	t     *testing.T
	ctx   context.Context
	mu    sync.Mutex
	wrong []string // requests that left the page, and what the console said
}

// browse opens a file in Chromium, on a screen of this size.
func browse(t *testing.T, file string, width, height int64, dark bool) *browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	b := &browser{t: t, ctx: ctx}
	b.must(chromedp.Do(ctx)) // the browser starts, and lives as long as this context
	b.must(chromedp.Listen(ctx, func(event any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			if to := e.Request.URL; !strings.HasSuffix(to, file) && !strings.HasPrefix(to, "data:") {
				b.wrong = append(b.wrong, "request of "+to)
			}
		case *runtime.EventExceptionThrown:
			b.wrong = append(b.wrong, "exception "+e.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			b.wrong = append(b.wrong, fmt.Sprint("console.", e.Type))
		case *log.EventEntryAdded:
			b.wrong = append(b.wrong, "console: "+e.Entry.Text)
		}
	}))
	for _, enable := range []func() error{
		func() error { _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); return err },
		func() error { _, err := chromedp.Call(ctx, runtime.Enable, cdp.Empty{}); return err },
		func() error { _, err := chromedp.Call(ctx, log.Enable, cdp.Empty{}); return err },
		func() error {
			_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
			})
			return err
		},
	} {
		b.must(enable())
	}
	b.must(chromedp.Do(ctx, chromedp.EmulateViewport(width, height, chromedp.EmulateScale(2)), chromedp.Navigate((&url.URL{Scheme: "file", Path: file}).String())))
	return b
}

func (b *browser) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// eval is the value of an expression in the page.
func eval[T any](b *browser, expression string, options ...chromedp.EvaluateOption) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, options...))
	b.must(err)
	return value
}

// drawn counts, for each chart, the pixels that are not those of its background.
const drawn = `[...document.querySelectorAll(".plot canvas")].map(c => {
	const copy = new OffscreenCanvas(c.width, c.height).getContext("2d", {willReadFrequently: true});
	copy.drawImage(c, 0, 0);
	const p = copy.getImageData(0, 0, c.width, c.height).data;
	let n = 0;
	for (let i = 3; i < p.length; i += 4) if (p[i] > 0) n++;
	return c.clientWidth > 100 && c.clientHeight > 100 ? n : 0;
})`

func TestReportInABrowser(t *testing.T) {
	dir := project(t, map[string]string{"curves.py": read(t, "testdata/curves.py")})
	run(t, dir, "sh", "-c", binary+" -r -u; test $? = 1")
	run(t, dir, binary, "report")
	page := filepath.Join(dir, "report.html")
	for _, look := range []struct {
		name          string
		width, height int64
		dark          bool
	}{{"desktop", 1280, 900, false}, {"phone", 390, 844, true}} {
		t.Run(look.name, func(t *testing.T) {
			b := browse(t, page, look.width, look.height, look.dark)
			pixels := eval[[]int](b, drawn)
			if len(pixels) != 2 || slices.Min(pixels) < 1000 {
				t.Errorf("pixels of charts: %v, want two charts", pixels)
			}
			if wide := eval[int64](b, `document.documentElement.scrollWidth`); wide > look.width {
				t.Errorf("the page is %d pixels wide on a screen of %d", wide, look.width)
			}
			light := eval[float64](b, `getComputedStyle(document.body).backgroundColor.match(/\d+/g).reduce((a, v) => a + Number(v), 0) / 3`)
			if look.dark != (light < 128) {
				t.Errorf("dark %t: the background has the brightness %v", look.dark, light)
			}
			// A click on a title sorts: numbers from the highest, what has none at the end, and the other way round.
			column := `[...document.querySelectorAll("table.sortable tbody tr")].map(r => r.cells[2].textContent)`
			const click = `document.querySelectorAll("table.sortable thead button")[2].click() ?? true`
			eval[bool](b, click)
			if got, want := eval[[]string](b, column), []string{"0.9", "0.8", "", "NaN"}; !slices.Equal(got, want) {
				t.Errorf("sorted: %q, want %q", got, want)
			}
			eval[bool](b, click)
			if got, want := eval[[]string](b, column), []string{"0.8", "0.9", "", "NaN"}; !slices.Equal(got, want) {
				t.Errorf("sorted again: %q, want %q", got, want)
			}
			// A click in the legend takes a curve off.
			eval[bool](b, `document.querySelectorAll(".legend button").forEach(b => b.click()) ?? true`)
			eval[bool](b, `new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`, chromedp.EvalAwaitPromise)
			if without := eval[[]int](b, drawn); slices.Max(without) >= slices.Max(pixels) {
				t.Errorf("pixels without curves: %v, with: %v", without, pixels)
			}
			if got := eval[int](b, `document.querySelectorAll("img, b i, main b").length`); got != 0 {
				t.Errorf("%d elements come from a name", got)
			}
			b.mu.Lock()
			if len(b.wrong) > 0 {
				t.Errorf("the page did: %q", b.wrong)
			}
			b.mu.Unlock()
			if keep := os.Getenv("KEEP_SCREENSHOTS"); keep != "" {
				picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(90))
				b.must(err)
				write(t, filepath.Join(keep, look.name+".jpg"), string(picture))
			}
		})
	}
}
