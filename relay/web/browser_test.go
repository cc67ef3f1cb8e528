package web_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"

	"sallyport/relay/hub"
)

func TestAConnectionIsFilledInTestedMendedAndSavedInABrowser(t *testing.T) {
	r := newRig(t)
	app := warehouse(t)
	tb := r.tab()
	tb.Look(1280, "light")
	tb.signIn(r)
	tb.Open("/connections/new")

	// Mistakes: at their fields, focus on the first, nothing saved.
	tb.Fill("auth.cookie.successStatusCode", "abc")
	tb.Press(`.bar button[value="save"]`)
	tb.WaitFor(`document.getElementById("e-name").textContent !== ""`)
	tb.WaitFor(`document.activeElement.name === "name"`)
	tb.WaitFor(`document.getElementById("e-auth.cookie.successStatusCode").textContent.includes("number") && document.getElementById("e-baseUri").textContent !== ""`)
	if !tb.JS(`document.querySelectorAll(".rail .has-error").length === 3 && document.querySelector('[name="auth.cookie.successStatusCode"]').value === "abc"`) {
		t.Error("the rail does not show the mistakes, or what was typed is gone")
	}
	if len(r.saved()) != 0 {
		t.Fatal("something was saved")
	}

	// Fields that don't apply are not shown.
	shown := func(name string) bool {
		return tb.JS(fmt.Sprintf(`document.querySelector('[name="%s"]').getClientRects().length > 0`, name))
	}
	if shown("agentId") || shown("ping.body") || !shown("auth.cookie.body") {
		t.Error("the wrong fields are shown")
	}
	tb.Choose("auth.cookie.method", "GET")
	tb.Choose("ping.method", "PUT")
	if shown("auth.cookie.body") || !shown("ping.body") {
		t.Error("the wrong fields are shown after a change")
	}
	tb.Choose("auth.cookie.method", "POST")

	tb.Fill("name", "Warehouse")
	tb.Fill("baseUri", app.URL+"/api")
	tb.Fill("auth.cookie.successStatusCode", "")
	tb.Fill("auth.cookie.uri", "/session")
	tb.Fill("auth.cookie.body", `{"password": "{{secret.password}}"}`)
	tb.Press(`[data-add="secret-template"]`)
	tb.Fill("secrets.name", "password")
	tb.Fill("secrets.value", password)
	tb.Fill("ping.uri", "/me")
	tb.Choose("ping.method", "POST")

	// The ping is refused; one click mends the method.
	test := func(outcome string) {
		t.Helper()
		tb.Press(`.bar button[value="test"]`)
		tb.WaitFor(fmt.Sprintf(`document.querySelector("#test-result .result-head")?.textContent.includes("Test %s")`, outcome))
		tb.WaitFor(`!document.querySelector(".bar [aria-busy]")`)
	}
	test("failed")
	tb.Keep("browser-failed-with-fix")
	tb.Press(`#test-result .hint button`)
	tb.WaitFor(`document.querySelector('[name="ping.method"]').value === "GET"`)
	test("passed")
	if len(r.saved()) != 0 {
		t.Fatal("Test saved the connection")
	}

	// A value of the response becomes the success path.
	tb.Press(`[data-step="ping"] summary`)
	tb.Press(`[data-step="ping"] button.pick[value^="pick:data.ok"]`)
	tb.WaitFor(`document.querySelector('[name="ping.successPath"]').value === "data.ok"`)
	tb.Fill("ping.successValues", "True")
	test("failed") // exact, case-sensitive
	tb.Press(`#test-result .hint button`)
	test("passed")
	tb.Keep("browser-passed")

	tb.Press(`.bar button[value="save"]`)
	tb.WaitFor(`/^\/connections\/con_/.test(location.pathname)`)
	saved := r.saved()
	if len(saved) != 1 || saved[0].Ping.SuccessPath != "data.ok" || saved[0].Ping.SuccessValues[0] != "true" || saved[0].Ping.Method != "GET" {
		t.Fatalf("saved: %+v", saved)
	}

	// And is used.
	tb.Press(`#test-saved button`)
	tb.WaitFor(`document.querySelector("#test-result .result-head")?.textContent.includes("Test passed")`)
	tb.Fill("path", "/me")
	tb.Press(`#send-form .button.primary`)
	tb.WaitFor(`document.querySelector("#answer")?.textContent.includes("12.50")`)
	tb.WaitFor(`document.querySelector("#live-session").textContent.includes("ses_")`)
	tb.Keep("browser-saved-and-used")
}

func TestLeavingWithUnsavedChangesAsks(t *testing.T) {
	r := newRig(t)
	tb := r.tab()
	tb.signIn(r)
	tb.Open("/connections/new")
	tb.Fill("name", "Half done")
	tb.Press(`.bar a.button`)
	select {
	case kind := <-tb.Asked:
		if kind != page.DialogTypeBeforeunload {
			t.Errorf("asked by %s", kind)
		}
	case <-time.After(10 * time.Second):
		t.Error("it did not ask")
	}
	tb.WaitFor(`location.pathname === "/connections"`)
}

func TestTheAgentDropdownAndTheInstallPageFollowAgentsLive(t *testing.T) {
	r := newRig(t)
	agent, machines := r.agent("Plant 2", "erp-gw-01", "erp-gw-02")
	tb := r.tab()
	tb.signIn(r)
	tb.Open("/connections/new")
	tb.Press(`.choice:nth-child(2)`)
	tb.WaitFor(`document.querySelector("[data-agents]").getClientRects().length > 0`)
	tb.Choose("agentId", agent.ID)
	tb.WaitFor(`document.querySelector("[data-agents]").selectedOptions[0].textContent.includes("Never connected")`)
	online := hub.Instance{ID: machines[0].InstanceID, Hostname: "erp-gw-01", ConnectedAt: time.Now(), LastSeenAt: time.Now(), Latency: 34 * time.Millisecond}
	r.connect(agent.ID, online)
	tb.WaitFor(`document.querySelector("[data-agents]").selectedOptions[0].textContent.includes("● Online · 1 machine · 34 ms")`)
	online.ID, online.Hostname = machines[1].InstanceID, "erp-gw-02"
	r.connect(agent.ID, online)
	tb.WaitFor(`document.querySelector("[data-agents]").selectedOptions[0].textContent.includes("2 machines")`)
	if tb.JS(`document.querySelector("[data-agents]").value !== ` + fmt.Sprintf("%q", agent.ID)) {
		t.Error("the choice was lost")
	}
	if !tb.JS(`[...document.querySelector("[data-agents]").options].at(-1).textContent === "Install a new agent…"`) {
		t.Error("the last entry does not install one")
	}
	tb.Open("/agents/new")
	tb.Fill("name", "Office Vienna")
	tb.Press(`main .button.primary`)
	tb.WaitFor(`document.querySelector(".command") !== null`)
	agents, _, err := r.registry.Agents(context.Background(), r.admin, allAgents)
	must(t, err)
	code := tb.Text(".panel-linux pre")
	vienna := agents[0]
	if vienna.Name != "Office Vienna" {
		t.Fatalf("made %+v", agents)
	}
	enrolled := r.enrol(between(code, "--code ", " "), "vie-01")
	tb.WaitFor(`document.querySelector("#live-install").textContent.includes("Waiting")`)
	r.connect(vienna.ID, hub.Instance{ID: enrolled.InstanceID, Hostname: "vie-01", ConnectedAt: time.Now(), LastSeenAt: time.Now()})
	tb.WaitFor(`document.querySelector("#live-install").textContent.includes("Online")`)
}
