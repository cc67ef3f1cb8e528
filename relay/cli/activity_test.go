package cli

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

func TestAConnectionIsWatchedByTheRelay(t *testing.T) {
	relay, app := startRelay(t, ""), startApplication(t)
	posted := make(chan string, 8)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { posted <- r.Header.Get("webhook-id") }))
	defer hook.Close()
	made := relay.expect(201, "POST", "/api/v1/connections", app.connection(map[string]any{"health": map[string]any{"webhook": hook.URL}}))
	path := "/api/v1/connections/" + made.text(t, "id")
	if made.text(t, "status.state") != "unknown" {
		t.Errorf("at first: %s", made.body)
	}
	testkit.Eventually(t, 30*time.Second, "it is online", func() error {
		if read := relay.expect(200, "GET", path, ""); read.text(t, "status.state") != "online" || read.json(t, "latencyMs.0") == nil {
			return fmt.Errorf("%s", read.body)
		}
		return nil
	})
	got := relay.expect(200, "GET", path+"/health?results=1", "")
	if got.json(t, "availability.day.percent") != 100.0 || got.text(t, "changes.0.state") != "online" || got.text(t, "results.0.state") != "online" || got.json(t, "results.1") != nil {
		t.Errorf("%s", got.body)
	}
	sent := relay.expect(200, "POST", path+"/health/test-notice", "")
	if sent.json(t, "items.0.ok") != true || len(posted) != 1 {
		t.Errorf("%s, %d posts", sent.body, len(posted))
	}
	d := relay.described()
	for _, c := range []struct {
		method, path string
		got          answer
	}{{"get", "/connections/{id}/health", got}, {"post", "/connections/{id}/health/test-notice", sent}} {
		schema := d.at("paths", "/api/v1"+c.path, c.method, "responses", "200", "content", "application/json", "schema")
		for _, fault := range d.faults(schema, c.got.whole(t), "body") {
			t.Errorf("%s: %s", c.path, fault)
		}
	}
	relay.expect(404, "GET", "/api/v1/connections/none/health", "")
	if metrics := relay.call("GET", "/metrics", ""); !strings.Contains(metrics.body, `sallyport_connections{state="online"} 1`) || !strings.Contains(metrics.body, `sallyport_health_pings_total{found="online"} 1`) {
		t.Errorf("metrics lack the state of connections: %d", metrics.status)
	}
}

func TestPeopleAreInvitedChangedAndRemoved(t *testing.T) {
	relay := startRelay(t, "")
	made := relay.expect(201, "POST", "/api/v1/people", `{"email":"ada@example.com","role":"viewer"}`)
	path := "/api/v1/people/" + made.text(t, "id")
	if link := made.text(t, "signInLink"); !strings.HasPrefix(link, relay.url+"/sign-in/link/") || made.text(t, "name") != "ada" {
		t.Errorf("%s", made.body)
	}
	relay.expect(409, "POST", "/api/v1/people", `{"email":"ADA@example.com"}`)
	relay.expect(422, "POST", "/api/v1/people", `{"email":"nobody"}`)
	if changed := relay.expect(200, "PATCH", path, `{"role":"admin"}`); changed.text(t, "role") != "admin" || changed.json(t, "disabled") != false {
		t.Errorf("%s", changed.body)
	}
	if changed := relay.expect(200, "PATCH", path, `{"disabled":true}`); changed.text(t, "role") != "admin" || changed.json(t, "disabled") != true {
		t.Errorf("%s", changed.body)
	}
	relay.expect(409, "POST", path+"/sign-in-link", "") // disabled
	relay.expect(200, "PATCH", path, `{"disabled":false}`)
	if link := relay.expect(201, "POST", path+"/sign-in-link", ""); !strings.Contains(link.text(t, "signInLink"), "/sign-in/link/") {
		t.Errorf("%s", link.body)
	}
	all := relay.expect(200, "GET", "/api/v1/people?q=ADMIN", "") // the one of the first start
	first := "/api/v1/people/" + all.text(t, "items.0.id")
	if all.text(t, "items.0.email") != "admin@localhost" || all.json(t, "items.1") != nil {
		t.Errorf("%s", all.body)
	}
	relay.expect(204, "DELETE", first, "")
	for _, last := range []answer{relay.call("DELETE", path, ""), relay.call("PATCH", path, `{"role":"viewer"}`)} {
		if last.status != 409 || !strings.Contains(last.text(t, "detail"), "last administrator") {
			t.Errorf("%d: %s", last.status, last.body)
		}
	}
	relay.expect(404, "GET", first, "")
	for i := range 3 {
		relay.expect(201, "POST", "/api/v1/people", fmt.Sprintf(`{"email":"p%d@example.com"}`, i))
	}
	page := relay.expect(200, "GET", "/api/v1/people?limit=2", "")
	rest := relay.expect(200, "GET", "/api/v1/people?limit=2&cursor="+page.text(t, "nextCursor"), "")
	if page.text(t, "items.0.email") != "ada@example.com" || rest.text(t, "items.1.email") != "p2@example.com" || rest.json(t, "nextCursor") != nil {
		t.Errorf("%s\n%s", page.body, rest.body)
	}
	d := relay.described()
	for _, fault := range d.faults(d.at("paths", "/api/v1/people", "get", "responses", "200", "content", "application/json", "schema"), page.whole(t), "body") {
		t.Error(fault)
	}

	audit := relay.expect(200, "GET", "/api/v1/audit?objectType=user&objectId="+made.text(t, "id"), "")
	if n := strings.Count(audit.body, `"user.`); n != strings.Count(audit.body, made.text(t, "id")) || audit.text(t, "items.0.action") != "user.link" {
		t.Errorf("%s", audit.body)
	}
	if none := relay.expect(200, "GET", "/api/v1/audit?objectType=agent", ""); none.json(t, "items.0") != nil {
		t.Errorf("%s", none.body)
	}
}

func TestRequestsAreListedWithoutTheirQuery(t *testing.T) {
	relay, app := startRelay(t, ""), startApplication(t)
	id := relay.expect(201, "POST", "/api/v1/connections", app.connection(nil)).text(t, "id")
	relay.expect(200, "GET", "/api/v1/connections/"+id+"/proxy/orders?token=s3cret", "")
	relay.expect(418, "BREW", "/api/v1/connections/"+id+"/proxy/pot", "")
	all := relay.expect(200, "GET", "/api/v1/requests", "")
	if all.text(t, "items.0.method") != "BREW" || all.text(t, "items.1.path") != "/orders" || all.text(t, "items.1.caller.name") != "Bootstrap" || strings.Contains(all.body, "s3cret") {
		t.Errorf("%s", all.body)
	}
	failed := relay.expect(200, "GET", "/api/v1/requests?failed=true&connectionId="+id, "")
	if failed.json(t, "items.0.status") != 418.0 || failed.json(t, "items.1") != nil {
		t.Errorf("%s", failed.body)
	}
	relay.expect(422, "GET", "/api/v1/requests?cursor=another", "")
	if none := relay.expect(200, "GET", "/api/v1/requests?connectionId=other", ""); none.json(t, "items.0") != nil {
		t.Errorf("%s", none.body)
	}
}
