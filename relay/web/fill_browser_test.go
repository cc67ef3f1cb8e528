package web_test

import (
	"fmt"
	"testing"
	"time"

	"sallyport/relay/hub"
)

func TestARecordedLoginIsPastedTestedAndComparedInABrowser(t *testing.T) {
	r := newRig(t)
	app := warehouse(t)
	agent, machines := r.agent("Plant 2", "erp-gw-01")
	r.agent("Office Vienna", "vie-01")
	tb := r.tab()
	tb.Look(1280, "light")
	tb.signIn(r)
	tb.Open("/connections/new")

	// A HAR file is read in the browser, and only what matters is sent.
	tb.Press("#fill summary")
	har := fmt.Sprintf(`{"log":{"entries":[
		{"request":{"method":"GET","url":"%[1]s/logo.png","headers":[]},"response":{"status":200,"headers":[],"content":{"mimeType":"image/png","text":"${"x".repeat(5e6)}"}}},
		{"request":{"method":"POST","url":"%[1]s/api/session","headers":[{"name":"Content-Type","value":"application/json"}],"postData":{"mimeType":"application/json","text":"{\\"password\\": \\"p\\\\\\"ss word\\"}"}},"response":{"status":200,"headers":[],"content":{}}},
		{"request":{"method":"GET","url":"%[1]s/api/me","headers":[]},"response":{"status":200,"headers":[],"content":{"mimeType":"application/json","text":"{\\"data\\":{\\"ok\\":true}}"}}}]}}`, app.URL)
	tb.JS("{const files = new DataTransfer(); files.items.add(new File([`" + har + "`], 'login.har')); const input = document.querySelector('[data-recording]'); input.files = files.files; input.dispatchEvent(new Event('change', {bubbles: true})); true}")
	tb.WaitFor(`document.getElementById("f-fill.text").value.includes("/api/session")`)
	if tb.JS(`document.getElementById("f-fill.text").value.length > 5000`) {
		t.Error("pictures are sent along")
	}
	tb.Press(`button[value="fill"]`)
	tb.WaitFor(`document.querySelector("#fill .filled") !== null`)
	tb.WaitFor(fmt.Sprintf(`document.querySelector('[name="baseUri"]').value === %q && document.querySelector('[name="ping.successPath"]').value === "data.ok"`, app.URL+"/api"))
	tb.Keep("fill-done-1280-light")
	select {
	case kind := <-tb.Asked:
		t.Errorf("filling in asked: %s", kind)
	default:
	}

	// The address looks like one of a site, but the cloud reaches it, as a
	// comparison shows.
	r.connect(agent.ID, hub.Instance{ID: machines[0].InstanceID, Hostname: "erp-gw-01", ConnectedAt: time.Now(), LastSeenAt: time.Now()})
	tb.Press(`button[value="compare"]`)
	tb.WaitFor(`document.querySelector("#said")?.textContent.includes("of 3 places")`)
	tb.WaitFor(`document.querySelector('[data-place="cloud"] .status')?.textContent.includes("reached")`)
	tb.Keep("compare-1280-light")
	tb.Look(390, "dark")
	if wide := tb.Wider(); wide != "" {
		t.Errorf("wider than the window: %s", wide)
	}
	tb.Keep("compare-390-dark")
	tb.Look(1280, "dark")
	tb.Keep("compare-1280-dark")
	tb.Press(`[data-place="cloud"] button`)
	tb.WaitFor(`document.querySelector('[name="mode"]:checked').value === "cloud"`)
	tb.Press(`.bar button[value="test"]`)
	tb.WaitFor(`document.querySelector("#said")?.textContent.includes("Test passed")`)
	if !tb.JS(`document.querySelector('[data-step="sign-in"] .command pre').textContent.includes("$SECRET_PASSWORD")`) {
		t.Error("the sign-in can't be copied as curl")
	}
	tb.Press(`.bar button[value="save"]`)
	tb.WaitFor(`/^\/connections\/con_/.test(location.pathname)`)

	// On its own page, an agent is one click away.
	tb.Press(`#compare-saved button`)
	tb.WaitFor(`document.querySelector(".compare .status.failed") !== null && document.querySelector("#test-result .result-head")?.textContent.includes("of 3 places")`)
	tb.Keep("compare-saved-1280-dark")
	if len(r.saved()) != 1 {
		t.Error("it was not saved")
	}

	// A mistake keeps what was pasted, at 390 px as well.
	tb.Open("/connections/new")
	tb.Look(390, "light")
	tb.Press("#fill summary")
	tb.Fill("fill.text", "hello")
	tb.Press(`button[value="fill"]`)
	tb.WaitFor(`document.getElementById("e-fill.text")?.textContent.includes("no curl command") && document.getElementById("f-fill.text").value === "hello"`)
	if wide := tb.Wider(); wide != "" {
		t.Errorf("wider than the window: %s", wide)
	}
	tb.Keep("fill-mistake-390-light")
}
