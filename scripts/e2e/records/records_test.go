//go:build unix

package records

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sallyport/internal/testkit"
)

// TestSiteSeesAndStopsWhatTheRelaySends: the ledger and the pause, by the
// commands that the site's admin uses.
func TestSiteSeesAndStopsWhatTheRelaySends(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "orders")
	}))
	t.Cleanup(app.Close)
	s := newStage(t)
	status := fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t))
	s.startAgent("--status-listen", status)
	id := s.connection(app.URL)
	if code, text := s.send("POST", id, "orders?key=hush", "12345"); code != 200 {
		t.Fatalf("%d %s", code, text)
	}
	said := s.command("pause", "--reason", "month-end closing", "--for", "1h")
	if !strings.Contains(said, "Paused, until ") {
		t.Errorf("pause says %q", said)
	}
	s.await("paused")
	code, text := s.send("POST", id, "orders", "12345")
	if code != 503 || !strings.Contains(text, `"agent_paused"`) || !strings.Contains(text, "month-end closing") || !strings.Contains(text, `"not_sent"`) {
		t.Errorf("paused: %d %s", code, text)
	}
	if said := s.command("status"); !strings.Contains(said, "Paused     by the site for") { // online: its exit status is 0
		t.Errorf("status says %s", said)
	}
	if code, text := get(t, "http://"+status+"/healthz"); code != 200 || !strings.Contains(text, `"paused":true`) {
		t.Errorf("healthz: %d %s", code, text)
	}
	testkit.Eventually(t, patience, "the request is in the ledger", func() error {
		if said := s.command("ledger"); !strings.Contains(said, "200") || !strings.Contains(said, "/orders?key=***") {
			return fmt.Errorf("it says %q", said)
		}
		return nil
	})
	s.end(syscall.SIGKILL) // ledger and pause outlive even that
	s.restartPaused("--status-listen", status)
	s.command("resume")
	s.await("online")
	if code, text := s.send("GET", id, "orders", ""); code != 200 {
		t.Errorf("resumed: %d %s", code, text)
	}

	var entries []map[string]any
	testkit.Eventually(t, patience, "both requests are in the ledger", func() error {
		entries = nil
		for line := range strings.Lines(s.command("ledger", "--json", "-n", "0")) {
			var e map[string]any
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				return fmt.Errorf("%q: %w", line, err)
			}
			entries = append(entries, e)
		}
		if len(entries) != 2 { // the one while it was paused, the relay answered itself
			return fmt.Errorf("%d are", len(entries))
		}
		return nil
	})
	first := entries[0]
	if !strings.HasPrefix(fmt.Sprint(first["who"]), "token ") { // and nobody else, whatever the caller says
		t.Errorf("who: %v", first["who"])
	}
	if first["url"] != app.URL+"/orders?key=***" || first["bytesUp"] != 5.0 || first["bytesDown"] != 6.0 || first["connectionId"] != id || first["decision"] != "allowed" || first["requestId"] == nil {
		t.Errorf("got %v", first)
	}
	if _, text := get(t, "http://"+status+"/metrics"); !strings.Contains(text, `sallyport_agent_requests_total{decision="allowed",result="2xx"} 1`) {
		t.Errorf("metrics: %s", text)
	}
}

// restartPaused starts an agent whose site has paused it.
func (s *stage) restartPaused(args ...string) {
	s.t.Helper()
	s.agent = testkit.Start(s.t, testkit.ProcessOptions{Name: "agent", Path: bin + "/sallyport-agent", Log: s.log,
		Args: append([]string{"run", "--data", s.data}, args...)})
	s.await("paused")
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

// TestRelayShowsTheLogOfASiteThatSharesIt, and only then.
func TestRelayShowsTheLogOfASiteThatSharesIt(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.startAgent()
	if event, data := s.firstEvent("off"); event != "off" || !strings.Contains(data, `"hostname"`) {
		t.Errorf("got %s %s", event, data)
	}
	s.write("agent.yaml", "remoteLogs: true\n") // taken while it runs
	s.command("reload")
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Whatever the agent is told makes it say something.
		for range 20 { // that one fails shows in that no line comes
			_ = exec.Command(filepath.Join(bin, "sallyport-agent"), "logs", "level", "debug", "--data", s.data).Run()
		}
	}()
	event, data := s.firstEvent("log")
	<-done
	var line struct{ Level, Msg, Hostname, Logger string }
	if err := json.Unmarshal([]byte(data), &line); event != "log" || err != nil || line.Level == "" || line.Msg == "" || line.Hostname == "" {
		t.Errorf("got %s %s", event, data)
	}
	var audit struct{ Items []struct{ Action string } }
	if err := s.api.Do(t.Context(), "GET", "/api/v1/audit", nil, &audit); err != nil || !strings.Contains(fmt.Sprint(audit), "agent.logs") {
		t.Errorf("the audit trail has %v, %v", audit, err)
	}
}

// firstEvent reads the agent's log until an event of the kind.
func (s *stage) firstEvent(kind string) (event, data string) {
	s.t.Helper()
	r, err := s.api.Request(within(s.t), "GET", "/api/v1/agents/"+s.agentID+"/logs?level=debug", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := s.api.HTTP.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 200 {
		s.t.Fatal(res.Status)
	}
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			event = name
		}
		if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok && event == kind {
			return event, text
		}
	}
	s.t.Fatal(errors.Join(errors.New("no event "+kind), lines.Err()))
	return "", ""
}
