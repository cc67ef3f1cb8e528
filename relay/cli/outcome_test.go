package cli

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestEveryAnswerSaysWhatBecameOfTheRequest: the application's, the gateway's and
// the door's.
func TestEveryAnswerSaysWhatBecameOfTheRequest(t *testing.T) {
	relay, app := startRelay(t, ""), startApplication(t)
	id := relay.expect(201, "POST", "/api/v1/connections", app.connection(nil)).text(t, "id")
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	down := relay.expect(201, "POST", "/api/v1/connections", app.connection(map[string]any{"name": "Down", "baseUri": gone.URL, "auth": map[string]any{"type": "none"}})).text(t, "id")
	viewer := relay.expect(201, "POST", "/api/v1/tokens", `{"name":"watcher","role":"viewer"}`).text(t, "token")
	for _, c := range []struct {
		name, method, path, body string
		fields                   []string
		status                   int
		outcome                  string
	}{
		{"answered", "GET", id + "/proxy/me", "", nil, 200, "sent"},
		{"answered, and refused", "POST", id + "/proxy/session", "{}", nil, 200, "sent"},
		{"faulty path", "GET", id + "/proxy/../x", "", nil, 422, "not_sent"},
		{"method that can't be sent", "TRACE", id + "/proxy/me", "", nil, 422, "not_sent"},
		{"application that is down", "POST", down + "/proxy/me", "{}", nil, 502, "not_sent"},
		{"application that is down, head", "HEAD", down + "/proxy/me", "", nil, 502, "not_sent"},
		{"no such connection", "GET", "con_none/proxy/me", "", nil, 404, "not_sent"},
		{"no token", "GET", id + "/proxy/me", "", []string{"Authorization:"}, 401, "not_sent"},
		{"unknown token", "POST", id + "/proxy/me", "{}", []string{"Authorization: Bearer x"}, 401, "not_sent"},
		{"role that may not", "GET", id + "/proxy/me", "", []string{"Authorization: Bearer " + viewer}, 403, "not_sent"},
		{"faulty key", "POST", id + "/proxy/me", "{}", []string{"Idempotency-Key: \x22\x22"}, 422, "not_sent"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := relay.call(c.method, "/api/v1/connections/"+c.path, c.body, append(c.fields, "X-Request-Id: req-"+c.method)...)
			ours := a.header.Get("Sallyport-Error") != ""
			if a.status != c.status || a.header.Get("Sallyport-Outcome") != c.outcome || ours != (c.outcome != "sent") {
				t.Errorf("%d, %v", a.status, a.header)
			}
			if a.header.Get("X-Request-Id") != "req-"+c.method || !strings.Contains(a.header.Get("Server-Timing"), "total;dur=") {
				t.Errorf("id %q, timing %q", a.header.Get("X-Request-Id"), a.header.Get("Server-Timing"))
			}
			if ours && c.method != "HEAD" && (a.text(t, "outcome") != c.outcome || a.text(t, "requestId") == "" || a.text(t, "code") != a.header.Get("Sallyport-Error")) {
				t.Errorf("%s", a.body)
			}
		})
	}
}
