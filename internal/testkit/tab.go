package testkit

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// Tab is a page in a real browser, used as a person does: by what it shows.
// Whatever the browser itself finds wrong with the page fails the test.
type Tab struct {
	t    testing.TB
	ctx  context.Context
	base string
	// Asked receives each dialog that the page opened.
	Asked chan page.DialogType
	// disturbed is how often the browser gave a request up because the machine's
	// network had changed, which it does even at loopback: other tests make and
	// remove network interfaces. That is no fault of the page.
	disturbed atomic.Int64
}

// NewTab opens a browser for the pages below base, such as
// http://127.0.0.1:8080. It ends with the test, or after the timeout.
func NewTab(t testing.TB, base string, timeout time.Duration) *Tab {
	t.Helper()
	var listeners sync.WaitGroup
	t.Cleanup(listeners.Wait) // runs after the browser's own cleanup, which ends them
	tb := &Tab{t: t, ctx: Browser(t, timeout), base: base, Asked: make(chan page.DialogType, 16)}
	listeners.Go(tb.complain)
	listeners.Go(tb.agree)
	return tb
}

// Context is the tab's, for chromedp.
func (tb *Tab) Context() context.Context { return tb.ctx }

// agree answers yes to whatever the page asks, and notes that it asked.
func (tb *Tab) agree() {
	for e, err := range chromedp.Events(tb.ctx, page.JavascriptDialogOpening) {
		if err != nil {
			return
		}
		tb.Asked <- e.Type
		_, _ = chromedp.Call(tb.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true})
	}
}

// complain fails the test for whatever the browser itself finds wrong: scripts
// that throw, and what the Content-Security-Policy had to block.
func (tb *Tab) complain() {
	for m, err := range chromedp.Console(tb.ctx) {
		if err != nil || tb.ctx.Err() != nil {
			return
		}
		if strings.Contains(fmt.Sprint(m), "responded with a status of 4") {
			continue // a form with mistakes is answered with 422: that is no fault of the page
		}
		if strings.Contains(fmt.Sprint(m), "Cross-Origin-Opener-Policy header has been ignored") {
			continue // a test's relay is not always at loopback, nor under https
		}
		if strings.Contains(fmt.Sprint(m), "net::ERR_NETWORK_CHANGED") {
			tb.disturbed.Add(1)
			continue
		}
		if m.Type == "error" && tb.ctx.Err() == nil {
			tb.t.Errorf("the browser's console: %v", m)
		}
	}
}

// Do takes steps of chromedp, all of them within 20 seconds.
func (tb *Tab) Do(steps ...chromedp.Action[chromedp.Void]) {
	tb.t.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, 20*time.Second)
	defer cancel()
	for i, step := range steps {
		if _, err := chromedp.Run(ctx, step); err != nil {
			tb.Keep("failed")
			tb.t.Fatalf("step %d: %v\nthe page says: %.1500s", i+1, err, tb.Text("body"))
		}
	}
}

// Open goes to a path, and once more where the browser was disturbed meanwhile.
func (tb *Tab) Open(path string) {
	tb.t.Helper()
	for range 5 {
		before := tb.disturbed.Load()
		tb.Do(chromedp.Navigate(tb.base + path))
		if tb.disturbed.Load() == before {
			return
		}
	}
}

// Text is what an element shows, "" where there is none.
func (tb *Tab) Text(css string) string {
	ctx, cancel := context.WithTimeout(tb.ctx, 5*time.Second)
	defer cancel()
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](fmt.Sprintf("document.querySelector(%q)?.innerText ?? ''", css)))
	return text
}

// JS is the value of an expression.
func (tb *Tab) JS(expression string) bool {
	tb.t.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, 10*time.Second)
	defer cancel()
	ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression))
	if err != nil {
		tb.t.Fatal(err)
	}
	return ok
}

// WaitFor waits until the expression is true.
func (tb *Tab) WaitFor(expression string) {
	tb.t.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, 15*time.Second)
	defer cancel()
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression))
		if err == nil && ok {
			return
		}
		select {
		case <-ctx.Done():
			tb.Keep("failed")
			tb.t.Fatalf("never became true: %s (%v)\nthe page says: %.1500s", expression, err, tb.Text("body"))
		case <-time.After(30 * time.Millisecond): // a page that is being replaced can't be polled from within
		}
	}
}

// Look sets the width of the window and the theme, light or dark.
func (tb *Tab) Look(width int64, theme string) {
	tb.t.Helper()
	height := int64(860)
	if width < 500 {
		height = 780
	}
	tb.Do(chromedp.EmulateViewport(width, height))
	_, err := chromedp.Call(tb.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
	if err != nil {
		tb.t.Fatal(err)
	}
}

// Wider names what sticks out of the window; empty where nothing does.
func (tb *Tab) Wider() string {
	tb.t.Helper()
	wide, err := chromedp.Run(tb.ctx, chromedp.Evaluate[string](`document.scrollingElement.scrollWidth <= innerWidth ? "" :
		[...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > innerWidth).map((e) => e.outerHTML.slice(0, 120)).join("\n") || "something"`))
	if err != nil {
		tb.t.Fatal(err)
	}
	return wide
}

// Keep writes a screenshot of the whole page, in a window as high as the page:
// what sticks to an edge of the window is then where a reader sees it.
func (tb *Tab) Keep(name string) {
	tb.t.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, 20*time.Second)
	defer cancel()
	size, err := chromedp.Run(ctx, chromedp.Evaluate[[]int64](`[innerWidth, innerHeight, Math.max(innerHeight, document.scrollingElement.scrollHeight)]`))
	if err == nil {
		_, _ = chromedp.Run(ctx, chromedp.EmulateViewport(size[0], size[2]))
		defer func() { _, _ = chromedp.Run(ctx, chromedp.EmulateViewport(size[0], size[1])) }()
	}
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		tb.t.Logf("no screenshot of %s: %v", name, err)
		return
	}
	if err := os.WriteFile(filepath.Join(Screenshots(tb.t), name+".png"), picture, 0o644); err != nil {
		tb.t.Fatal(err)
	}
}

// Fill types into a field of the form as a person does.
func (tb *Tab) Fill(name, text string) {
	tb.t.Helper()
	field := chromedp.CSS(fmt.Sprintf(`[name=%q]`, name))
	tb.Centre(string(field))
	tb.Do(chromedp.Click(field))
	tb.JS(fmt.Sprintf(`{const f = document.querySelector('[name="%s"]'); f.value = ""; f.dispatchEvent(new Event("input", {bubbles: true})); true}`, name))
	if text != "" {
		tb.Do(chromedp.SendKeys(field, text))
	}
}

// Choose picks an entry of a list and tells the page.
func (tb *Tab) Choose(name, value string) {
	tb.t.Helper()
	tb.JS(fmt.Sprintf(`{const f = document.querySelector('[name="%s"]'); f.value = %q; f.dispatchEvent(new Event("change", {bubbles: true})); true}`, name, value))
}

// Centre brings an element to where no bar covers it.
func (tb *Tab) Centre(css string) {
	tb.t.Helper()
	tb.WaitFor(fmt.Sprintf(`(document.querySelector(%q)?.scrollIntoView({block: "center", behavior: "instant"}), document.querySelector(%[1]q) !== null)`, css))
}

// Press clicks an element.
func (tb *Tab) Press(css string) {
	tb.t.Helper()
	tb.Centre(css)
	tb.Do(chromedp.Click(chromedp.CSS(css)))
}
