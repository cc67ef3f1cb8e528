package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
)

// TestARepeatedPostIsNotSentAgainAfterARestart of the relay, through its own
// database.
func TestARepeatedPostIsNotSentAgainAfterARestart(t *testing.T) {
	var orders atomic.Int64
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, "order %d: %s", orders.Add(1), body)
	}))
	t.Cleanup(app.Close)
	data := filepath.Join(t.TempDir(), "data")
	relay := startRelay(t, data)
	id := relay.expect(201, "POST", "/api/v1/connections", fmt.Sprintf(`{"name":"Shop","mode":"cloud","baseUri":%q,"auth":{"type":"none"},
		"requests":{"timeouts":{"connectMs":5000,"idleMs":60000},"retry":{"attempts":3},"limits":{"concurrent":10,"perSecond":50.5}}}`, app.URL)).text(t, "id")
	saved := relay.expect(200, "GET", "/api/v1/connections/"+id, "")
	if saved.json(t, "requests.limits.perSecond") != 50.5 || saved.json(t, "requests.timeouts.idleMs") != 60000.0 {
		t.Errorf("saved %s", saved.body)
	}
	path := "/api/v1/connections/" + id + "/proxy/orders"
	first := relay.expect(201, "POST", path, `{"item":7}`, `Idempotency-Key: "order-7"`)
	relay.stop()
	relay = startRelay(t, data)
	again := relay.expect(201, "POST", path, `{"item":7}`, `Idempotency-Key: "order-7"`)
	if again.body != first.body || again.header.Get("Idempotency-Replayed") != "true" || orders.Load() != 1 {
		t.Errorf("%q, %v; %d orders", again.body, again.header, orders.Load())
	}
	if other := relay.expect(422, "POST", path, `{"item":8}`, `Idempotency-Key: "order-7"`); other.text(t, "reason") != "idempotency_key_reused" {
		t.Errorf("%s", other.body)
	}
	token := relay.expect(201, "POST", "/api/v1/tokens", `{"name":"another","role":"editor"}`).text(t, "token")
	relay.expect(201, "POST", path, `{"item":7}`, `Idempotency-Key: "order-7"`, "Authorization: Bearer "+token)
	if orders.Load() != 2 {
		t.Errorf("%d orders, want one of each caller", orders.Load())
	}
	for _, faulty := range []string{`{"timeouts":{"totalMs":-1}}`, `{"retry":{"attempts":11}}`, `{"limits":{"perSecond":-2}}`, `{"limits":{"queue":5}}`, `{"retry":{"backoffMs":5}}`} {
		relay.expect(422, "POST", "/api/v1/connections", fmt.Sprintf(`{"name":"Shop","mode":"cloud","baseUri":%q,"auth":{"type":"none"},"requests":%s}`, app.URL, faulty))
	}
}
