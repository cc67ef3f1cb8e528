package web_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"sallyport/relay/hub"
)

// fill types into a field of the form as a person does.
func (tb *tab) fill(name, text string) {
	tb.t.Helper()
	field := chromedp.CSS(fmt.Sprintf(`[name=%q]`, name))
	tb.centre(string(field))
	tb.do(chromedp.Click(field))
	tb.js(fmt.Sprintf(`{const f = document.querySelector('[name="%s"]'); f.value = ""; f.dispatchEvent(new Event("input", {bubbles: true})); true}`, name))
	if text != "" {
		tb.do(chromedp.SendKeys(field, text))
	}
}

// choose picks an entry of a list and tells the page.
func (tb *tab) choose(name, value string) {
	tb.t.Helper()
	tb.js(fmt.Sprintf(`{const f = document.querySelector('[name="%s"]'); f.value = %q; f.dispatchEvent(new Event("change", {bubbles: true})); true}`, name, value))
}

// centre brings an element to where no bar covers it.
func (tb *tab) centre(css string) {
	tb.t.Helper()
	tb.waitFor(fmt.Sprintf(`(document.querySelector(%q)?.scrollIntoView({block: "center", behavior: "instant"}), document.querySelector(%[1]q) !== null)`, css))
}

func (tb *tab) press(css string) {
	tb.t.Helper()
	tb.centre(css)
	tb.do(chromedp.Click(chromedp.CSS(css)))
}

func TestAConnectionIsFilledInTestedMendedAndSavedInABrowser(t *testing.T) {
	r := newRig(t)
	app := warehouse(t)
	tb := r.tab()
	tb.look(1280, "light")
	tb.signIn(r)
	tb.open("/connections/new")

	// Mistakes: at their fields, focus on the first, nothing saved.
	tb.fill("auth.cookie.successStatusCode", "abc")
	tb.press(`.bar button[value="save"]`)
	tb.waitFor(`document.getElementById("e-name").textContent !== ""`)
	tb.waitFor(`document.activeElement.name === "name"`)
	tb.waitFor(`document.getElementById("e-auth.cookie.successStatusCode").textContent.includes("number") && document.getElementById("e-baseUri").textContent !== ""`)
	if !tb.js(`document.querySelectorAll(".rail .has-error").length === 3 && document.querySelector('[name="auth.cookie.successStatusCode"]').value === "abc"`) {
		t.Error("the rail does not show the mistakes, or what was typed is gone")
	}
	if len(r.saved()) != 0 {
		t.Fatal("something was saved")
	}

	// Fields that don't apply are not shown.
	shown := func(name string) bool {
		return tb.js(fmt.Sprintf(`document.querySelector('[name="%s"]').getClientRects().length > 0`, name))
	}
	if shown("agentId") || shown("ping.body") || !shown("auth.cookie.body") {
		t.Error("the wrong fields are shown")
	}
	tb.choose("auth.cookie.method", "GET")
	tb.choose("ping.method", "PUT")
	if shown("auth.cookie.body") || !shown("ping.body") {
		t.Error("the wrong fields are shown after a change")
	}
	tb.choose("auth.cookie.method", "POST")

	tb.fill("name", "Warehouse")
	tb.fill("baseUri", app.URL+"/api")
	tb.fill("auth.cookie.successStatusCode", "")
	tb.fill("auth.cookie.uri", "/session")
	tb.fill("auth.cookie.body", `{"password": "{{secret.password}}"}`)
	tb.press(`[data-add="secret-template"]`)
	tb.fill("secrets.name", "password")
	tb.fill("secrets.value", password)
	tb.fill("ping.uri", "/me")
	tb.choose("ping.method", "POST")

	// The ping is refused; one click mends the method.
	test := func(outcome string) {
		t.Helper()
		tb.press(`.bar button[value="test"]`)
		tb.waitFor(fmt.Sprintf(`document.querySelector("#test-result .result-head")?.textContent.includes("Test %s")`, outcome))
		tb.waitFor(`!document.querySelector(".bar [aria-busy]")`)
	}
	test("failed")
	tb.keep("browser-failed-with-fix")
	tb.press(`#test-result .hint button`)
	tb.waitFor(`document.querySelector('[name="ping.method"]').value === "GET"`)
	test("passed")
	if len(r.saved()) != 0 {
		t.Fatal("Test saved the connection")
	}

	// A value of the response becomes the success path.
	tb.press(`[data-step="ping"] summary`)
	tb.press(`[data-step="ping"] button.pick[value$="=data.ok"]`)
	tb.waitFor(`document.querySelector('[name="ping.successPath"]').value === "data.ok"`)
	tb.fill("ping.successValues", "True")
	test("failed") // exact, case-sensitive
	tb.press(`#test-result .hint button`)
	test("passed")
	tb.keep("browser-passed")

	tb.press(`.bar button[value="save"]`)
	tb.waitFor(`/^\/connections\/con_/.test(location.pathname)`)
	saved := r.saved()
	if len(saved) != 1 || saved[0].Ping.SuccessPath != "data.ok" || saved[0].Ping.SuccessValues[0] != "true" || saved[0].Ping.Method != "GET" {
		t.Fatalf("saved: %+v", saved)
	}

	// And is used.
	tb.press(`#test-saved button`)
	tb.waitFor(`document.querySelector("#test-result .result-head")?.textContent.includes("Test passed")`)
	tb.fill("path", "/me")
	tb.press(`#send-form .button.primary`)
	tb.waitFor(`document.querySelector("#answer")?.textContent.includes("12.50")`)
	tb.waitFor(`document.querySelector("#live-session").textContent.includes("ses_")`)
	tb.keep("browser-saved-and-used")
}

func TestLeavingWithUnsavedChangesAsks(t *testing.T) {
	r := newRig(t)
	tb := r.tab()
	tb.signIn(r)
	tb.open("/connections/new")
	tb.fill("name", "Half done")
	tb.press(`.bar a.button`)
	select {
	case kind := <-tb.asked:
		if kind != page.DialogTypeBeforeunload {
			t.Errorf("asked by %s", kind)
		}
	case <-time.After(10 * time.Second):
		t.Error("it did not ask")
	}
	tb.waitFor(`location.pathname === "/connections"`)
}

func TestTheAgentDropdownAndTheInstallPageFollowAgentsLive(t *testing.T) {
	r := newRig(t)
	agent, machines := r.agent("Plant 2", "erp-gw-01", "erp-gw-02")
	tb := r.tab()
	tb.signIn(r)
	tb.open("/connections/new")
	tb.press(`.choice:nth-child(2)`)
	tb.waitFor(`document.querySelector("[data-agents]").getClientRects().length > 0`)
	tb.choose("agentId", agent.ID)
	tb.waitFor(`document.querySelector("[data-agents]").selectedOptions[0].textContent.includes("Never connected")`)
	online := hub.Instance{ID: machines[0].InstanceID, Hostname: "erp-gw-01", ConnectedAt: time.Now(), LastSeenAt: time.Now(), Latency: 34 * time.Millisecond}
	r.connect(agent.ID, online)
	tb.waitFor(`document.querySelector("[data-agents]").selectedOptions[0].textContent.includes("● Online · 1 machine · 34 ms")`)
	online.ID, online.Hostname = machines[1].InstanceID, "erp-gw-02"
	r.connect(agent.ID, online)
	tb.waitFor(`document.querySelector("[data-agents]").selectedOptions[0].textContent.includes("2 machines")`)
	if tb.js(`document.querySelector("[data-agents]").value !== ` + fmt.Sprintf("%q", agent.ID)) {
		t.Error("the choice was lost")
	}
	if !tb.js(`[...document.querySelector("[data-agents]").options].at(-1).textContent === "Install a new agent…"`) {
		t.Error("the last entry does not install one")
	}
	tb.open("/agents/new")
	tb.fill("name", "Office Vienna")
	tb.press(`main .button.primary`)
	tb.waitFor(`document.querySelector(".command") !== null`)
	agents, _, err := r.registry.Agents(context.Background(), r.admin, allAgents)
	must(t, err)
	code := tb.text(".panel-linux pre")
	vienna := agents[0]
	if vienna.Name != "Office Vienna" {
		t.Fatalf("made %+v", agents)
	}
	enrolled := r.enrol(between(code, "--code ", " "), "vie-01")
	tb.waitFor(`document.querySelector("#live-install").textContent.includes("Waiting")`)
	r.connect(vienna.ID, hub.Instance{ID: enrolled.InstanceID, Hostname: "vie-01", ConnectedAt: time.Now(), LastSeenAt: time.Now()})
	tb.waitFor(`document.querySelector("#live-install").textContent.includes("Online")`)
}
