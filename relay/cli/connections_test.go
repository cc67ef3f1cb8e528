package cli

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

func TestConnectionIsSavedTestedAndUsed(t *testing.T) {
	relay, app := startRelay(t, ""), startApplication(t)

	draft := relay.expect(200, "POST", "/api/v1/connections/test", app.connection(nil))
	if draft.json(t, "ok") != true {
		t.Fatalf("test of the draft: %s", draft.body)
	}
	if list := relay.expect(200, "GET", "/api/v1/connections", ""); list.body != `{"items":[]}`+"\n" {
		t.Errorf("the test of a draft saved something: %s", list.body)
	}

	made := relay.expect(201, "POST", "/api/v1/connections", app.connection(nil))
	id := made.text(t, "id")
	path := "/api/v1/connections/" + id
	if made.header.Get("Location") != path || made.header.Get("ETag") != `"1"` {
		t.Errorf("Location %q, ETag %q", made.header.Get("Location"), made.header.Get("ETag"))
	}
	if strings.Contains(made.body, appPassword) || made.json(t, "secrets.password.set") != true {
		t.Errorf("secrets: %s", made.body)
	}

	tested := relay.expect(200, "POST", path+"/test", "")
	if tested.json(t, "ok") != true || tested.text(t, "steps.1.name") != "sign-in" {
		t.Fatalf("test: %s", tested.body)
	}
	if read := relay.expect(200, "GET", path, ""); read.json(t, "lastTest.ok") != true {
		t.Errorf("the test was not recorded: %s", read.body)
	}

	before := app.signIns.Load()
	used := relay.expect(200, "GET", path+"/proxy/orders?open=1", "")
	if used.header.Get("X-Seen-Uri") != "/api/orders?open=1" || !strings.Contains(used.header.Get("Server-Timing"), "total;dur=") {
		t.Errorf("header fields %v", used.header)
	}
	if used.header.Get("Set-Cookie") != "" || used.header.Get("Sallyport-Error") != "" {
		t.Errorf("header fields %v", used.header)
	}
	if app.signIns.Load() != before {
		t.Error("signed in again although the test had made a session")
	}

	stored := relay.expect(200, "GET", path+"/session", "")
	if stored.text(t, "id") == "" || stored.text(t, "cookies.0.name") != "sid" || strings.Contains(stored.body, appCookie) {
		t.Errorf("session: %s", stored.body)
	}
	relay.expect(204, "DELETE", path+"/session", "")
	if gone := relay.expect(404, "GET", path+"/session", ""); gone.text(t, "code") != "not_found" {
		t.Errorf("session: %s", gone.body)
	}

	relay.expect(204, "DELETE", path, "")
	relay.expect(404, "GET", path, "")
	relay.expect(404, "GET", path+"/proxy/orders", "")
}

func TestWrongPasswordIsARedTestWithAHint(t *testing.T) {
	relay, app := startRelay(t, ""), startApplication(t)
	a := relay.expect(200, "POST", "/api/v1/connections/test", app.connection(map[string]any{"secrets": map[string]any{"password": "wrong"}}))
	if a.json(t, "ok") != false || a.text(t, "steps.1.status") != "failed" || a.text(t, "steps.1.hint") == "" || a.text(t, "steps.2.status") != "skipped" {
		t.Errorf("%s", a.body)
	}
}

func TestDocumentThatWasReadCanBeSentBack(t *testing.T) {
	relay, app := startRelay(t, ""), startApplication(t)
	made := relay.expect(201, "POST", "/api/v1/connections", app.connection(nil))
	path := "/api/v1/connections/" + made.text(t, "id")

	read := relay.expect(200, "GET", path, "")
	relay.expect(200, "PUT", path, read.body, "If-Match: "+read.header.Get("ETag"))
	left := relay.expect(200, "PUT", path, app.connection(map[string]any{"secrets": nil, "name": "renamed"}))
	if left.json(t, "secrets.password.set") != true {
		t.Errorf("a secret that was left out is gone: %s", left.body)
	}
	if used := relay.expect(200, "POST", path+"/test", ""); used.json(t, "ok") != true {
		t.Errorf("the kept secret is another: %s", used.body)
	}
	removed := relay.expect(422, "PUT", path, app.connection(map[string]any{"secrets": map[string]any{"password": nil}}))
	if !strings.Contains(removed.body, "password") {
		t.Errorf("removing a secret that is in use: %s", removed.body)
	}
	if now := relay.expect(200, "GET", path, ""); now.json(t, "secrets.password.set") != true {
		t.Errorf("a refused change was half saved: %s", now.body)
	}
}

func TestSecondOfTwoWritersIsToldSo(t *testing.T) {
	relay, app := startRelay(t, ""), startApplication(t)
	made := relay.expect(201, "POST", "/api/v1/connections", app.connection(nil))
	path := "/api/v1/connections/" + made.text(t, "id")
	etag := made.header.Get("ETag")

	relay.expect(200, "PUT", path, app.connection(map[string]any{"name": "first"}), "If-Match: "+etag)
	second := relay.expect(412, "PUT", path, app.connection(map[string]any{"name": "second"}), "If-Match: "+etag)
	if second.text(t, "code") != "conflict" || second.text(t, "detail") == "" {
		t.Errorf("%s", second.body)
	}
	sentBack := relay.expect(409, "PUT", path, made.body) // its version is an old one
	if sentBack.text(t, "code") != "conflict" {
		t.Errorf("%s", sentBack.body)
	}
	relay.expect(412, "DELETE", path, "", "If-Match: "+etag)
	relay.expect(412, "DELETE", path, "", "If-Match: yesterday")
	if name := relay.expect(200, "GET", path, "").text(t, "name"); name != "first" {
		t.Errorf("name %q", name)
	}
	relay.expect(204, "DELETE", path, "", "If-Match: *")
}

func TestEditsAreTestedWithTheKeptSecret(t *testing.T) {
	relay, app := startRelay(t, ""), startApplication(t)
	made := relay.expect(201, "POST", "/api/v1/connections", app.connection(nil))
	path := "/api/v1/connections/" + made.text(t, "id")
	a := relay.expect(200, "POST", path+"/test", app.connection(map[string]any{"secrets": nil, "name": "edited"}))
	if a.json(t, "ok") != true {
		t.Errorf("%s", a.body)
	}
	if read := relay.expect(200, "GET", path, ""); read.text(t, "name") == "edited" || read.json(t, "lastTest") != nil {
		t.Errorf("the test of edits was saved: %s", read.body)
	}
}

func TestListsAreCutAndSearched(t *testing.T) {
	relay, app := startRelay(t, ""), startApplication(t)
	for _, name := range []string{"Alpha", "Beta", "Gamma", "Delta", "Alphabet"} {
		relay.expect(201, "POST", "/api/v1/connections", app.connection(map[string]any{"name": name}))
	}
	var names []string
	cursor := ""
	for range 5 {
		page := relay.expect(200, "GET", "/api/v1/connections?limit=2&cursor="+cursor, "")
		var body struct {
			Items      []struct{ Name string }
			NextCursor string
		}
		if err := json.Unmarshal([]byte(page.body), &body); err != nil {
			t.Fatal(err)
		}
		for _, c := range body.Items {
			names = append(names, c.Name)
		}
		if cursor = body.NextCursor; cursor == "" {
			break
		}
	}
	if strings.Join(names, " ") != "Alpha Alphabet Beta Delta Gamma" {
		t.Errorf("names %q", names)
	}
	found := relay.expect(200, "GET", "/api/v1/connections?q=ALPHA", "")
	if strings.Count(found.body, `"con_`) != 2 {
		t.Errorf("search: %s", found.body)
	}
}

func TestTestStreamsItsSteps(t *testing.T) {
	relay, app := startRelay(t, ""), startApplication(t)
	a := relay.expect(200, "POST", "/api/v1/connections/test", app.connection(nil), "Accept: text/event-stream")
	if got := a.header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("Content-Type %q", got)
	}
	var events []string
	for line := range strings.Lines(a.body) {
		if name, ok := strings.CutPrefix(line, "event: "); ok {
			events = append(events, strings.TrimSpace(name))
		}
	}
	if len(events) < 4 || events[0] != "step" || events[len(events)-1] != "result" {
		t.Errorf("events %q", events)
	}
	if !strings.Contains(a.body, `"status":"running"`) {
		t.Error("no step was told of while it ran")
	}
	refused := relay.expect(422, "POST", "/api/v1/connections/test", `{"name":"x"}`, "Accept: text/event-stream")
	if refused.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("a connection that can't be tested: %s", refused.header.Get("Content-Type"))
	}
}

func TestSessionThatEndedIsRenewedOnce(t *testing.T) {
	relay, app := startRelay(t, ""), startApplication(t)
	path := "/api/v1/connections/" + relay.expect(201, "POST", "/api/v1/connections", app.connection(nil)).text(t, "id")
	relay.expect(200, "GET", path+"/proxy/me", "")
	app.expired.Store(true)
	if a := relay.expect(200, "GET", path+"/proxy/me", ""); a.status != http.StatusOK || app.signIns.Load() != 2 {
		t.Errorf("%d sign-ins", app.signIns.Load())
	}
}

func TestSessionOutlivesTheRelay(t *testing.T) {
	app := startApplication(t)
	relay := startRelay(t, "")
	path := "/api/v1/connections/" + relay.expect(201, "POST", "/api/v1/connections", app.connection(nil)).text(t, "id")
	relay.expect(200, "GET", path+"/proxy/me", "")
	if status := relay.stop(); status != 0 {
		t.Fatalf("exit status %d: %s", status, relay.log)
	}
	again := startRelay(t, relay.data)
	again.expect(200, "GET", path+"/proxy/me", "")
	if n := app.signIns.Load(); n != 1 {
		t.Errorf("%d sign-ins, want the stored session used", n)
	}
}
