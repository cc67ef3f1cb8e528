package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// TestTheFormInARealBrowser goes the way of a new user: from the link that
// `make run` prints to a green Test and a first request, on-premise and cloud,
// filling in what the hint says.
func TestTheFormInARealBrowser(t *testing.T) {
	h := newHouse(t)
	h.start()
	tb := testkit.NewTab(t, h.api.Base, 4*time.Minute)
	tb.Look(1280, "light")
	link := signInLink(t, h)
	tb.Open(strings.TrimPrefix(link, h.api.Base))
	tb.Press("main button")
	tb.WaitFor(`location.pathname === "/connections"`)
	tb.Keep("e2e-1-no-connections-yet")

	tb.Open("/connections/new")
	fillFromHint(tb, h, "Warehouse")
	tb.Press(`input[name="mode"][value="on-premise"]`)
	// The agent is picked by what the list shows.
	tb.WaitFor(`(() => {
		const list = document.querySelector('[name="agentId"]');
		const entry = [...list.options].find((o) => o.text.includes("This machine") && o.text.includes("Online"));
		if (!entry) return false;
		list.value = entry.value;
		list.dispatchEvent(new Event("change", {bubbles: true}));
		return true;
	})()`)

	// Wrong first: the hint is at the step that failed.
	tb.Fill("secrets.value", "not-the-password")
	pressTest(tb, "failed")
	tb.WaitFor(`document.querySelector('[data-step="sign-in"] .hint')?.innerText.length > 0`)
	tb.Keep("e2e-2-on-premise-wrong-password")
	tb.Fill("secrets.value", h.shown(t, `Secret "password"`))
	pressTest(tb, "passed")
	for _, step := range []string{"agent", "sign-in", "ping"} {
		tb.WaitFor(fmt.Sprintf(`document.querySelector('[data-step=%q] .mark.ok') !== null`, step))
	}
	tb.Press(`[data-step="ping"] summary`)
	tb.Keep("e2e-3-on-premise-passed")
	saveAndSend(t, tb, "e2e-4-on-premise-used")

	// The same form, from the relay itself.
	tb.Open("/connections/new")
	fillFromHint(tb, h, "Warehouse from the cloud")
	tb.Press(`input[name="mode"][value="cloud"]`)
	tb.Fill("secrets.value", h.shown(t, `Secret "password"`))
	pressTest(tb, "passed")
	tb.Keep("e2e-5-cloud-passed")
	saveAndSend(t, tb, "e2e-6-cloud-used")

	tb.Open("/connections")
	tb.WaitFor(`document.body.innerText.includes("Warehouse from the cloud")`)
	tb.Keep("e2e-7-connections")
	tb.Look(390, "dark")
	tb.Open("/connections")
	if wide := tb.Wider(); wide != "" {
		t.Errorf("wider than the window: %s", wide)
	}
	tb.Keep("e2e-8-connections-narrow-dark")
}

// fillFromHint types what make run printed into the form.
func fillFromHint(tb *testkit.Tab, h *house, name string) {
	tb.Fill("name", name)
	tb.Choose("auth.type", "cookie")
	tb.Choose("mediaType", "json")
	tb.Choose("auth.cookie.method", h.shown(h.t, "Cookie method"))
	tb.Fill("baseUri", h.shown(h.t, "Base URI"))
	tb.Fill("auth.cookie.uri", h.shown(h.t, "Cookie URI"))
	tb.Fill("auth.cookie.body", h.shown(h.t, "Cookie body"))
	tb.Press(`[data-add="secret-template"]`)
	tb.Fill("secrets.name", "password")
	tb.Choose("ping.method", h.shown(h.t, "Ping method"))
	tb.Fill("ping.uri", h.shown(h.t, "Ping URI"))
	tb.Fill("ping.successPath", h.shown(h.t, "Ping success path"))
	tb.Fill("ping.successValues", h.shown(h.t, "Ping success values"))
}

// pressTest presses Test and waits for how it ends.
func pressTest(tb *testkit.Tab, outcome string) {
	tb.Press(`.bar button[value="test"]`)
	tb.WaitFor(fmt.Sprintf(`document.querySelector("#test-result .result-head")?.textContent.includes("Test %s")`, outcome))
	tb.WaitFor(`!document.querySelector(".bar [aria-busy]")`)
}

// saveAndSend saves the connection and sends a request through it.
func saveAndSend(t *testing.T, tb *testkit.Tab, picture string) {
	t.Helper()
	tb.Press(`.bar button[value="save"]`)
	tb.WaitFor(`/^\/connections\/con_/.test(location.pathname)`)
	tb.Fill("path", "/orders?state=picking")
	tb.Press(`#send-form .button.primary`)
	tb.WaitFor(`document.querySelector("#answer")?.textContent.includes("Birch Foods")`)
	if shown := tb.Text("#answer"); !regexp.MustCompile(`\b200\b`).MatchString(shown) {
		t.Errorf("the answer shows no status: %s", shown)
	}
	tb.Keep(picture)
}
