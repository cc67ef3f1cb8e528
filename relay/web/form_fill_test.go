package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// untouched is the form of a new connection, as a browser posts it.
func untouched(do string) url.Values {
	return url.Values{"do": {do}, "version": {"0"}, "mode": {"cloud"}, "mediaType": {"json"}, "auth.type": {"cookie"},
		"auth.cookie.method": {"POST"}, "ping.method": {"GET"}}
}

func TestTheFormIsFilledFromARecordedLogin(t *testing.T) {
	r := newRig(t)
	c := r.client()
	app := warehouse(t)
	form := untouched("fill")
	form.Set("fill.text", "curl '"+app.URL+"/api/session' -H 'content-type: application/json' -H 'x-company: 4711' -H 'user-agent: x' --data-raw '{\"password\": \"p\\\"ss word\"}'")
	a := c.post("/connections/new", form)
	if a.status != http.StatusOK {
		t.Fatalf("answered %d", a.status)
	}
	a.contains(t, "The form was filled in", `value="`+app.URL+`/api"`, `value="/session"`, `{&#34;password&#34;: &#34;{{secret.password}}&#34;}`,
		`value="x-company"`, `value="p&#34;ss word"`, "What the browser adds by itself: user-agent", `value="on-premise" checked`)
	if strings.Contains(a.body, "--data-raw '{&#34;password") {
		t.Error("the recording is shown again, with its password")
	}
	if len(r.saved()) != 0 {
		t.Error("something was saved")
	}
}

func TestFillingKeepsWhatWasTyped(t *testing.T) {
	r := newRig(t)
	c := r.client()
	form := untouched("fill")
	form.Set("name", "My ERP")
	form.Set("baseUri", "https://typed.example/api")
	form["headers.name"], form["headers.value"] = []string{"X-Company", "X-Mine"}, []string{"1", "2"}
	form["secrets.name"], form["secrets.value"], form["secrets.set"] = []string{"password"}, []string{"typed-secret"}, []string{"0"}
	form.Set("fill.text", `curl https://erp.example.com/login -H 'x-company: 4711' -d 'user=svc&password=recorded'`)
	a := c.post("/connections/new", form)
	a.contains(t, `value="My ERP"`, `value="https://typed.example/api"`, `value="/login"`, `value="typed-secret"`, `value="X-Mine"`, `value="1"`,
		"What you had typed was kept", `value="set:baseUri=https://erp.example.com"`, "Secret password: <code>another value", "Header x-company: <code>4711", "curl https://erp.example.com/login")

	form.Set("do", "fill-over")
	a = c.post("/connections/new", form)
	a.contains(t, `value="https://erp.example.com"`, `value="recorded"`, `value="4711"`, `value="X-Mine"`)
	if strings.Contains(a.body, "typed.example") || strings.Contains(a.body, "What you had typed was kept") {
		t.Error("not all was taken over")
	}

	form.Set("do", "fill")
	form.Set("fill.text", "please <b>sign</b> in")
	a = c.post("/connections/new", form)
	if a.status != http.StatusUnprocessableEntity {
		t.Errorf("answered %d", a.status)
	}
	a.contains(t, "no curl command", "please &lt;b&gt;sign&lt;/b&gt; in", `value="https://typed.example/api"`, `value="typed-secret"`)
}

func TestPlacesAreComparedWithoutScripts(t *testing.T) {
	r := newRig(t)
	c := r.client()
	app := warehouse(t)
	agent, _ := r.agent("Plant 2", "erp-gw-01")
	form := filled(app.URL)
	form.Set("do", "compare")
	form.Set("mode", "on-premise")
	form.Set("agentId", agent.ID)
	a := c.post("/connections/new", form)
	a.contains(t, "From where the application is reached", "1 of 2 places", `data-place="cloud"`, "The application answered 401", "none of its machines is connected", `value="set:mode=cloud"`, `value="compare-sign-in"`)
	if len(r.saved()) != 0 {
		t.Error("something was saved")
	}
	form.Set("do", "compare-sign-in")
	c.post("/connections/new", form).contains(t, "Each place was tested with the sign-in", "data.ok is “true”")

	form.Set("do", "set:agentId="+agent.ID)
	form.Set("mode", "cloud")
	c.post("/connections/new", form).contains(t, `value="on-premise" checked`, `<option value="`+agent.ID+`" selected`)

	conn := r.connection(spec(app.URL))
	at := "/connections/" + conn.ID
	c.post(at+"/compare", nil).contains(t, "1 of 2 places", `name="signIn" value="1"`, "chosen")
	c.post(at+"/compare", url.Values{"signIn": {"1"}}).contains(t, "Each place was tested")
	c.get(at+"/edit?set=agentId&to="+agent.ID).contains(t, `value="on-premise" checked`)
	a = c.do(http.MethodPost, at+"/compare", nil, "text/event-stream")
	a.contains(t, "event: comparison\n", "event: place\n", "event: result\n")
}
