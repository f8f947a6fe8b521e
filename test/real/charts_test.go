//go:build real

package real

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// A label is a text on a chart.
type label struct {
	Text        string
	Left, Right float64 // in pixels of the chart
	Y           float64
	Room        float64 // how wide the chart is
}

// change changes the scale of the n-th chart, and returns the texts that are on it then.
func (b *browser) change(n int) []label {
	b.t.Helper()
	return eval[[]label](b, `(async n => {
		const place = CanvasRenderingContext2D.prototype, original = place.fillText;
		const labels = new Map();
		place.fillText = function(text, x, y) {
			const width = this.measureText(text).width, at = this.textAlign;
			const left = x - (at === "center" ? width / 2 : at === "right" || at === "end" ? width : 0);
			labels.set(text + y, {Text: text, Left: left, Right: left + width, Y: y, Room: this.canvas.width});
			return original.apply(this, arguments);
		};
		const button = document.querySelectorAll(".log")[n];
		const frame = () => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
		button.click();
		await frame();
		place.fillText = original;
		return [...labels.values()];
	})(`+string(rune('0'+n))+`)`, chromedp.EvalAwaitPromise)
}

func TestChartsInABrowser(t *testing.T) {
	dir := project(t, map[string]string{"odd.py": read(t, "testdata/odd.py")})
	run(t, dir, binary, "-r", "-u")
	run(t, dir, binary, "report")
	for _, width := range []int64{320, 1280} {
		b := browse(t, filepath.Join(dir, "report.html"), width, 800, false)
		titles := eval[[]string](b, `[...document.querySelectorAll("figcaption span")].map(t => t.textContent)`)
		if strings.Join(titles, ", ") != "loss by step, late by step, level by step" {
			t.Fatalf("charts: %q", titles)
		}
		for n := range 2 * len(titles) { // each with a logarithmic scale, and without again
			title := titles[n/2]
			labels := b.change(n / 2)
			if len(labels) < 4 || len(labels) > 30 {
				t.Errorf("%d pixels: %s has the labels %v", width, title, labels)
			}
			for i, a := range labels {
				if a.Left < 0 || a.Right > a.Room {
					t.Errorf("%d pixels: %s: %q is cut off", width, title, a.Text)
				}
				for _, other := range labels[:i] {
					if a.Y == other.Y && a.Left < other.Right && other.Left < a.Right {
						t.Errorf("%d pixels: %s: %q and %q overlap", width, title, a.Text, other.Text)
					}
					if a.Text == other.Text && a.Left == other.Left {
						t.Errorf("%d pixels: %s: two labels are %q", width, title, a.Text)
					}
				}
			}
		}
		// Without the curve that has diverged the other one is seen, with the keyboard alone.
		eval[bool](b, `[...document.querySelectorAll(".legend button")].find(b => b.textContent.includes("diverged")).focus() ?? true`)
		b.must(chromedp.Do(b.ctx, chromedp.KeyEvent(" ")))
		if pressed := eval[string](b, `document.activeElement.getAttribute("aria-pressed")`); pressed != "false" {
			t.Errorf("the curve is still on: %q", pressed)
		}
		b.change(0)
		for _, l := range b.change(0) {
			if strings.Contains(l.Text, "e+") {
				t.Errorf("%d pixels: without the curve that has diverged there is the label %q", width, l.Text)
			}
		}
		// A chart is as wide as its place, whatever becomes of the window.
		b.must(chromedp.Do(b.ctx, chromedp.EmulateViewport(600, 800)))
		eval[bool](b, `new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`, chromedp.EvalAwaitPromise)
		if wide := eval[int](b, `Math.max(...[...document.querySelectorAll("canvas")].map(c => c.clientWidth - c.closest(".plot").clientWidth))`); wide > 0 {
			t.Errorf("after a resize a chart is %d pixels wider than its place", wide)
		}
		b.mu.Lock()
		if len(b.wrong) > 0 {
			t.Errorf("the page did: %q", b.wrong)
		}
		b.mu.Unlock()
	}
}

// What would become an element if an escape were forgotten neither runs nor loads anything.
func TestPolicyOfAPage(t *testing.T) {
	dir := project(t, map[string]string{"odd.py": read(t, "testdata/odd.py")})
	run(t, dir, binary, "-r", "-u")
	run(t, dir, binary, "report")
	page := read(t, filepath.Join(dir, "report.html"))
	write(t, filepath.Join(dir, "other.js"), "window.broken = 'a file beside the page'")
	for _, injected := range []string{
		`<script>window.broken = "a script"</script>`,
		`<script src="other.js"></script>`,
		`<script src="data:text/javascript,window.broken='data'"></script>`,
		`<script type="module">window.broken = "a module"</script>`,
		`<img src="nothing.png" onerror="window.broken = 'a handler'">`,
		`<svg onload="window.broken = 'svg'"></svg>`,
		`<base href="https://example.com/"><a id="away" href="x">x</a>`,
		`<iframe srcdoc="<script>parent.broken = 'a frame'</script>"></iframe>`,
		`<link rel="stylesheet" href="https://example.com/x.css">`,
		`<style>body { background: url(https://example.com/x.png) }</style>`,
		`<form id="form" action="https://example.com/"><input name="x"></form>`,
		`<object data="https://example.com/x"></object>`,
	} {
		hostile := filepath.Join(dir, "hostile.html")
		if err := os.WriteFile(hostile, []byte(strings.Replace(page, "<main>", "<main>"+injected, 1)), 0o666); err != nil {
			t.Fatal(err)
		}
		b := browse(t, hostile, 800, 600, false)
		eval[bool](b, `document.getElementById("form")?.submit() ?? true`)
		eval[bool](b, `new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`, chromedp.EvalAwaitPromise)
		if broken := eval[string](b, `String(window.broken)`); broken != "undefined" {
			t.Errorf("%s: %s ran", injected, broken)
		}
		if at := eval[string](b, `document.baseURI`); strings.HasPrefix(at, "http") {
			t.Errorf("%s: addresses are now of %s", injected, at)
		}
		if drawn := eval[int](b, `document.querySelectorAll(".plot canvas").length`); drawn != 3 {
			t.Errorf("%s: %d charts are drawn", injected, drawn)
		}
		blocked := 0
		b.mu.Lock()
		for _, wrong := range b.wrong {
			if strings.Contains(wrong, "Content Security Policy") {
				blocked++
			}
		}
		if blocked == 0 {
			t.Errorf("%s: nothing was blocked: %q", injected, b.wrong)
		}
		b.mu.Unlock()
	}
}

// Without scripts the page still tells what it can.
func TestReportWithoutScripts(t *testing.T) {
	dir := project(t, map[string]string{"odd.py": read(t, "testdata/odd.py")})
	run(t, dir, binary, "-r", "-u")
	run(t, dir, binary, "report")
	b := browse(t, filepath.Join(dir, "report.html"), 390, 800, false)
	_, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.must(err)
	b.must(chromedp.Do(b.ctx, chromedp.Reload()))
	text := eval[string](b, `document.body.innerText`)
	if !strings.Contains(text, "save this page and open it in a browser") || !strings.Contains(text, "odd.py/fine") {
		t.Errorf("the page says %q", text)
	}
	if tall := eval[int](b, `Math.max(...[...document.querySelectorAll(".plot")].map(p => p.clientHeight))`); tall > 0 {
		t.Errorf("a chart that is not drawn takes %d pixels", tall)
	}
}
