package web_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// answers is an application without a sign-in that has a list, and an XML
// document.
func answers(t *testing.T) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/list", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"items": [{"name": "db", "state": "down"}, {"name": "app server", "state": "up", "a.b": {"c d": 12.50}}], "total": 2}`)
	})
	mux.HandleFunc("GET /api/xml", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		fmt.Fprint(w, `<response code="0"><service>db</service><service>app</service></response>`)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

func TestValuesAreChosenByMouseAndKeyboardInABrowser(t *testing.T) {
	r := newRig(t)
	app := answers(t)
	tb := r.tab()
	tb.Look(1280, "light")
	tb.signIn(r)
	tb.Open("/connections/new")
	tb.Fill("name", "Answers")
	tb.Fill("baseUri", app.URL+"/api")
	tb.Choose("auth.type", "none")
	test := func(uri string) {
		t.Helper()
		tb.Fill("ping.uri", uri)
		tb.Fill("ping.successPath", "")
		tb.Fill("ping.successValues", "")
		tb.Press(`.bar button[value="test"]`)
		tb.WaitFor(`document.querySelector("#test-result .result-head") !== null && !document.querySelector(".bar [aria-busy]")`)
		tb.Press(`[data-step="ping"] summary`)
	}
	passes := func() {
		t.Helper()
		tb.Press(`.bar button[value="test"]`)
		tb.WaitFor(`document.querySelector("#said")?.textContent.includes("Test passed")`)
	}
	chosen := func(path, values string) {
		t.Helper()
		tb.WaitFor(fmt.Sprintf(`document.querySelector('[name="ping.successPath"]').value === %q && document.querySelector('[name="ping.successValues"]').value === %q`, path, values))
	}

	// By mouse: an element of a list is found by what it is called.
	test("/list")
	tb.Press(`button.pick[value^="pick:items[?@.name=='app server'].state"]`)
	chosen(`items[?@.name=='app server'].state`, "up")
	tb.WaitFor(`document.querySelectorAll("#ways button").length === 2`)
	tb.Keep("pick-ways")
	passes()
	tb.WaitFor(`document.querySelector("#ways") !== null`)
	tb.Press(`#ways button`)
	chosen(`items[1].state`, "up")
	passes()

	// By keyboard: one stop, then arrow keys; a key with a dot.
	test("/list")
	if !tb.JS(`document.querySelectorAll('.pick[tabindex="0"]').length === 1 && document.querySelectorAll('.pick[tabindex="-1"]').length > 3`) {
		t.Error("each value is a stop of its own")
	}
	tb.JS(`document.querySelector('.pick').focus(), true`)
	tb.Do(chromedp.KeyEvent(kb.End), chromedp.KeyEvent(kb.ArrowUp))
	tb.WaitFor(`document.activeElement.textContent === "12.50"`)
	tb.Do(chromedp.KeyEvent(kb.Enter))
	chosen(`items[?@.name=='app server']['a.b']['c d']`, "12.50")
	passes()

	// XML.
	test("/xml")
	tb.Press(`button.pick[value^="pick:/response/service[2]"]`)
	chosen("/response/service[2]", "app")
	passes()
	tb.Keep("pick-xml")
}
