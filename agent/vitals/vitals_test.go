package vitals

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sallyport/agent/control"
	"sallyport/agent/ledger"
	"sallyport/agent/link"
	"sallyport/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func get(t *testing.T, s *Server, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+s.Addr().String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestVitals(t *testing.T) {
	st := control.Status{State: link.StateOffline, LastError: "no way out"}
	status := func() control.Status { return st }
	figures := NewFigures(status)
	s, err := Serve("127.0.0.1:0", status, figures)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if code, text := get(t, s, "/healthz"); code != 503 || !strings.Contains(text, `"state":"offline","paused":false,"lastError":"no way out"`) {
		t.Errorf("offline: %d %s", code, text)
	}
	st = control.Status{State: link.StateOnline, Version: "1.2", UptimeSeconds: 61, LatencyMs: 34, EarlierError: "the line broke", Requests: &control.Requests{Total: 9}, Tunnels: make([]control.Tunnel, 2), InFlight: 3, Since: time.Unix(1e9, 0),
		Paused: &proto.Paused{Since: time.Unix(1e9, 0)}, Policy: &control.Policy{Version: "0a1b", Rules: 2, Default: "deny"}, LostEntries: 7, LostLines: 8}
	code, text := get(t, s, "/healthz")
	for _, want := range []string{`"paused":true`, `"tunnels":2`, `"latencyMs":34`, `"inFlight":3`, `"total":9`, `"policyVersion":"0a1b"`, `"version":"1.2"`, `"uptimeSeconds":61`, `"lastError":"the line broke"`} {
		if code != 200 || !strings.Contains(text, want) {
			t.Errorf("paused: %d %s, want %s", code, text, want)
		}
	}
	figures.Note(ledger.Entry{Decision: ledger.Allowed, Status: 204, BytesUp: 5, DurationMs: 20})
	figures.Note(ledger.Entry{Decision: ledger.Denied, Code: "policy_denied"})
	_, text = get(t, s, "/metrics")
	for _, want := range []string{
		"sallyport_agent_online 1", "sallyport_agent_paused 1", "sallyport_agent_tunnels 2", "sallyport_agent_relay_latency_seconds 0.034",
		"sallyport_agent_requests_in_flight 3", "sallyport_agent_uptime_seconds 61", "sallyport_agent_ledger_lost_total 7", "sallyport_agent_log_lost_total 8",
		`sallyport_agent_policy_info{default="deny",rules="2",version="0a1b"} 1`, `sallyport_agent_requests_total{decision="allowed",result="2xx"} 1`,
		`sallyport_agent_requests_total{decision="denied",result="policy_denied"} 1`, `sallyport_agent_body_bytes_total{direction="up"} 5`,
		"sallyport_agent_request_duration_seconds_count 2", `version="1.2"`, "go_goroutines",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}

func TestOnlyLoopbackIsServed(t *testing.T) {
	status := func() control.Status { return control.Status{} }
	if s, err := Serve("0.0.0.0:0", status, NewFigures(status)); err == nil {
		s.Close()
		t.Error("it serves everybody")
	}
}
