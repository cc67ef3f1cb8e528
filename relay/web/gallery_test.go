package web_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"sallyport/internal/testkit"
	"sallyport/relay/hub"
	"sallyport/relay/probe"
	"sallyport/relay/registry"
)

// tab is a page in a real browser.
type tab struct {
	t    *testing.T
	ctx  context.Context
	base string
	// asked receives each dialog that the page opened.
	asked chan page.DialogType
}

func (r *rig) tab() *tab {
	r.t.Helper()
	tb := &tab{t: r.t, ctx: testkit.Browser(r.t, 4*time.Minute), base: r.url, asked: make(chan page.DialogType, 16)}
	go tb.complain()
	go tb.agree()
	return tb
}

// agree answers yes to whatever the page asks, and notes that it asked.
func (tb *tab) agree() {
	for e, err := range chromedp.Events(tb.ctx, page.JavascriptDialogOpening) {
		if err != nil {
			return
		}
		tb.asked <- e.Type
		_, _ = chromedp.Call(tb.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true})
	}
}

// complain fails the test for whatever the browser itself finds wrong: scripts
// that throw, and what the Content-Security-Policy had to block.
func (tb *tab) complain() {
	for m, err := range chromedp.Console(tb.ctx) {
		if err != nil || tb.ctx.Err() != nil {
			return
		}
		if strings.Contains(fmt.Sprint(m), "responded with a status of 4") {
			continue // a form with mistakes is answered with 422: that is no fault of the page
		}
		if m.Type == "error" && tb.ctx.Err() == nil {
			tb.t.Errorf("the browser's console: %v", m)
		}
	}
}

func (tb *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	tb.t.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, 20*time.Second)
	defer cancel()
	for i, step := range steps {
		if _, err := chromedp.Run(ctx, step); err != nil {
			tb.keep("failed")
			tb.t.Fatalf("step %d: %v\nthe page says: %.1500s", i+1, err, tb.text("body"))
		}
	}
}

func (tb *tab) open(path string) {
	tb.t.Helper()
	tb.do(chromedp.Navigate(tb.base + path))
}

func (tb *tab) text(css string) string {
	ctx, cancel := context.WithTimeout(tb.ctx, 5*time.Second)
	defer cancel()
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](fmt.Sprintf("document.querySelector(%q)?.innerText ?? ''", css)))
	return text
}

func (tb *tab) js(expression string) bool {
	tb.t.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, 10*time.Second)
	defer cancel()
	ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression))
	must(tb.t, err)
	return ok
}

// waitFor waits until the expression is true.
func (tb *tab) waitFor(expression string) {
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
			tb.keep("failed")
			tb.t.Fatalf("never became true: %s (%v)\nthe page says: %.1500s", expression, err, tb.text("body"))
		case <-time.After(30 * time.Millisecond): // a page that is being replaced can't be polled from within
		}
	}
}

func (tb *tab) look(width int64, theme string) {
	tb.t.Helper()
	height := int64(860)
	if width < 500 {
		height = 780
	}
	tb.do(chromedp.EmulateViewport(width, height))
	_, err := chromedp.Call(tb.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
	must(tb.t, err)
}

// wider names what sticks out of the window; empty where nothing does.
func (tb *tab) wider() string {
	tb.t.Helper()
	wide, err := chromedp.Run(tb.ctx, chromedp.Evaluate[string](`document.scrollingElement.scrollWidth <= innerWidth ? "" :
		[...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > innerWidth).map((e) => e.outerHTML.slice(0, 120)).join("\n") || "something"`))
	must(tb.t, err)
	return wide
}

// keep writes a screenshot of the whole page, in a window as high as the page:
// what sticks to an edge of the window is then where a reader sees it.
func (tb *tab) keep(name string) {
	tb.t.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, 20*time.Second)
	defer cancel()
	if size, err := chromedp.Run(ctx, chromedp.Evaluate[[]int64](`[innerWidth, Math.max(innerHeight, document.scrollingElement.scrollHeight)]`)); err == nil {
		_, _ = chromedp.Run(ctx, chromedp.EmulateViewport(size[0], size[1]))
	}
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		tb.t.Logf("no screenshot of %s: %v", name, err)
		return
	}
	must(tb.t, os.WriteFile(filepath.Join(testkit.Screenshots(tb.t), name+".png"), picture, 0o600))
}

func (tb *tab) signIn(r *rig) {
	tb.t.Helper()
	path, err := r.accounts.NewSignInLink(context.Background(), time.Hour)
	must(tb.t, err)
	tb.open(path)
	tb.do(chromedp.Click(chromedp.CSS("main button")))
	tb.waitFor(`location.pathname === "/connections"`)
}

// furnish gives the relay enough to show on every page.
func furnish(r *rig) (conn registry.Connection, agentID string) {
	ctx := context.Background()
	app := warehouse(r.t)
	plant, machines := r.agent("Plant 2", "erp-gw-01", "erp-gw-02")
	for i, m := range machines {
		in := hub.Instance{ID: m.InstanceID, Hostname: []string{"erp-gw-01", "erp-gw-02"}[i], OS: "linux", Arch: "amd64", Version: "0.1.0",
			ConnectedAt: time.Now().Add(-3 * time.Hour), LastSeenAt: time.Now(), Latency: time.Duration(34+i*5) * time.Millisecond, InFlight: i * 3, Tunnels: 2}
		must(r.t, r.registry.Connected(ctx, plant.ID, in))
		r.connect(plant.ID, in)
	}
	vienna, away := r.agent("Office Vienna", "WIN-7Q2")
	in := hub.Instance{ID: away[0].InstanceID, Hostname: "WIN-7Q2", OS: "windows", Arch: "amd64", Version: "0.1.0", ConnectedAt: time.Now().Add(-26 * time.Hour), LastSeenAt: time.Now().Add(-2 * time.Hour)}
	must(r.t, r.registry.Connected(ctx, vienna.ID, in))
	must(r.t, r.registry.Disconnected(ctx, vienna.ID, in.ID, time.Now().Add(-2*time.Hour), "the network connection was lost"))
	r.agent("Warehouse Graz")

	conn = r.connection(spec(app.URL))
	for i := range 14 {
		must(r.t, r.registry.RecordTest(ctx, r.admin, conn.ID, probe.Result{OK: true, DurationMs: 40, Steps: []probe.Step{{Name: probe.StepPing, Status: probe.OK, DurationMs: 30 + float64((i*37)%23)}}}))
	}
	erp := spec("https://erp.plant2.internal")
	erp.Name, erp.Mode, erp.AgentID = "Plant 2 ERP", "on-premise", plant.ID
	onPremise := r.connection(erp)
	must(r.t, r.registry.RecordTest(ctx, r.admin, onPremise.ID, probe.Result{Steps: []probe.Step{{Name: probe.StepSignIn, Status: probe.Failed, Message: "The sign-in was answered with 200, but no cookie was set."}}}))
	crm := spec("https://crm.example.com")
	crm.Name = "Customer relations, the new one for all of Europe, Middle East and Africa"
	r.connection(crm)
	return conn, plant.ID
}

func TestPagesLookRightInBothThemesAndWidths(t *testing.T) {
	r := newRig(t)
	tb := r.tab()
	type view struct {
		name, path string
		prepare    func()
	}
	show := func(views ...view) {
		t.Helper()
		for _, v := range views {
			for _, width := range []int64{1280, 390, 360} {
				tb.look(width, "light")
				tb.open(v.path)
				if v.prepare != nil {
					v.prepare()
				}
				if wide := tb.wider(); wide != "" {
					t.Errorf("%s at %d px is wider than the window: %s", v.name, width, wide)
				}
				if width == 360 {
					continue
				}
				tb.keep(fmt.Sprintf("%s-%d-light", v.name, width))
				tb.look(width, "dark")
				tb.keep(fmt.Sprintf("%s-%d-dark", v.name, width))
			}
		}
	}
	show(view{"sign-in", "/sign-in", nil}, view{"sign-in-link", r.signIn, nil})
	tb.signIn(r)
	show(view{"connections-empty", "/connections?notice=set-password", nil}, view{"agents-empty", "/agents", nil})
	conn, agentID := furnish(r)
	submit := func(selector, wait string) func() {
		return func() {
			tb.do(chromedp.Click(chromedp.CSS(selector)))
			tb.waitFor(wait)
		}
	}
	show(
		view{"connections", "/connections", nil},
		view{"connections-none-found", "/connections?q=zzz", nil},
		view{"connection", "/connections/" + conn.ID, nil},
		view{"connection-tested", "/connections/" + conn.ID, submit("#test-saved button", `document.querySelector("#test-result .result-head") !== null`)},
		view{"connection-sent", "/connections/" + conn.ID, func() {
			tb.do(chromedp.SetValue(chromedp.CSS("#send-path"), "/me"))
			submit("#send-form .button.primary", `document.querySelector("#answer .http") !== null`)()
		}},
		view{"connection-delete", "/connections/" + conn.ID + "/delete", nil},
		view{"form-new", "/connections/new", nil},
		view{"form-on-premise", "/connections/new?agent=" + agentID, nil},
		view{"form-mistakes", "/connections/new", submit(".bar .primary", `document.querySelector("#form-errors .note") !== null`)},
		view{"form-tested", "/connections/" + conn.ID + "/edit", submit(".bar button[value=test]", `document.querySelector("#test-result .result-head") !== null`)},
		view{"agents", "/agents", nil},
		view{"agent", "/agents/" + agentID, nil},
		view{"agent-new", "/agents/new", nil},
		view{"agent-install", "/agents/" + agentID + "/install", submit("main .card button", `document.querySelector(".systems") !== null`)},
		view{"agent-remove", "/agents/" + agentID + "/remove", nil},
		view{"settings", "/settings", nil},
		view{"not-found", "/nowhere", nil},
	)
}
