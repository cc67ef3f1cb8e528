package e2e

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// TestThroughTheFirewall is the product's one sentence: an application behind a
// firewall that lets nothing in is signed in to, pinged and used from outside,
// whatever happens to the parts meanwhile.
func TestThroughTheFirewall(t *testing.T) {
	s := newStage(t, "")
	q := testkit.StartQBittorrent(t, s.site)
	connection := qbittorrentConnection(q, s.agentID)

	t.Run("the firewall drops what comes in", func(t *testing.T) {
		c, err := net.DialTimeout("tcp", net.JoinHostPort(s.site.Inside.String(), fmt.Sprint(q.Port)), 500*time.Millisecond)
		if err == nil {
			c.Close()
			t.Fatal("the application can be reached from outside")
		}
		if e, ok := err.(net.Error); !ok || !e.Timeout() {
			t.Fatalf("dialling in: %v, want a time-out", err)
		}
		if err := s.site.Dial(net.JoinHostPort(s.site.Inside.String(), fmt.Sprint(q.Port))); err != nil {
			t.Fatalf("from inside, the same address: %v", err)
		}
	})

	t.Run("Test is green with the right password", func(t *testing.T) {
		r := s.test(t, connection)
		if !r.OK || r.statuses() != "agent ok, sign-in ok, ping ok" || r.Session == nil || r.Session.ID == "" {
			t.Fatalf("got %+v", r)
		}
	})

	t.Run("Test is red with the wrong one, and says that no cookie was set", func(t *testing.T) {
		r := s.test(t, connection.with(object{"secrets": object{"password": "wrong", "company": "x"}}))
		if r.OK || r.statuses() != "agent ok, sign-in failed, ping skipped" {
			t.Fatalf("got %+v", r)
		}
		failed := r.Steps[1]
		if failed.Hint == "" || !strings.Contains(failed.Message+" "+failed.Hint, "no cookie") {
			t.Fatalf("got %+v, hint %+v", failed, failed.Hint)
		}
	})

	id := s.save(t, connection)
	t.Run("a request goes through the saved connection", func(t *testing.T) {
		a := s.get(t, id, "/app/version")
		if a.StatusCode != http.StatusOK || !strings.HasPrefix(a.body, "v") {
			t.Fatalf("got %d %q", a.StatusCode, a.body)
		}
		if a.Header.Get("Server-Timing") == "" || a.Header.Get("Set-Cookie") != "" {
			t.Errorf("header fields: %v", a.Header)
		}
		form := strings.NewReader(url.Values{"json": {`{"dht":false}`}}.Encode())
		r := s.proxyRequest(t, "POST", id, "/app/setPreferences", form)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if a := s.send(t, r); a.StatusCode != http.StatusOK {
			t.Fatalf("a POST: %d %q", a.StatusCode, a.body)
		}
		if a := s.get(t, id, "/app/preferences"); !strings.Contains(a.body, `"dht":false`) {
			t.Errorf("the POST had no effect: %.300s", a.body)
		}
	})

	t.Run("the application's own errors pass as they are", func(t *testing.T) {
		a := s.get(t, id, "/no/such/thing")
		if a.StatusCode != http.StatusNotFound || a.code() != "" {
			t.Fatalf("got %d, Sallyport-Error %q", a.StatusCode, a.code())
		}
	})

	session := s.sessionID(t, id)
	t.Run("a killed relay comes back with agent and session", func(t *testing.T) {
		s.killRelay(t)
		s.startRelay()
		s.awaitAgent(t, "online")
		if a := s.get(t, id, "/app/version"); a.StatusCode != http.StatusOK {
			t.Fatalf("got %d %s", a.StatusCode, a.body)
		}
		if now := s.sessionID(t, id); now != session {
			t.Fatalf("session %s became %s: it signed in again", session, now)
		}
	})

	t.Run("a killed agent comes back as itself", func(t *testing.T) {
		s.agent.Kill()
		s.awaitAgent(t, "offline")
		request := s.proxyRequest(t, "GET", id, "/app/version", nil)
		request.Header.Set("Prefer", "wait=1") // it was here a moment ago, and is waited for
		if a := s.send(t, request); a.StatusCode != http.StatusServiceUnavailable || a.code() != "agent_offline" || a.Header.Get("Preference-Applied") != "wait=1" {
			t.Fatalf("agent down: %d %s %s", a.StatusCode, a.code(), a.body)
		}
		if r := s.test(t, connection); r.statuses() != "agent failed, sign-in skipped, ping skipped" || r.Steps[0].Code != "agent_offline" {
			t.Fatalf("agent down: %+v", r)
		}
		s.startAgent()
		if a := s.get(t, id, "/app/version"); a.StatusCode != http.StatusOK {
			t.Fatalf("agent back: %d %s", a.StatusCode, a.body)
		}
	})

	t.Run("an application that is down says so, and is used again when it is back", func(t *testing.T) {
		q.Stop(t)
		if a := s.get(t, id, "/app/version"); a.StatusCode != http.StatusBadGateway || a.code() != "target_refused" {
			t.Fatalf("down: %d %s %s", a.StatusCode, a.code(), a.body)
		}
		q.Start()
		// It has forgotten its sessions and says 403 where others say 401, so
		// only its own word can be passed on. Signing out mends it.
		if a := s.get(t, id, "/app/version"); a.StatusCode != http.StatusForbidden || a.code() != "" {
			t.Fatalf("back, with the old cookie: %d %s %s", a.StatusCode, a.code(), a.body)
		}
		if err := s.api.Do(t.Context(), "DELETE", "/api/v1/connections/"+id+"/session", nil, nil); err != nil {
			t.Fatal(err)
		}
		if a := s.get(t, id, "/app/version"); a.StatusCode != http.StatusOK {
			t.Fatalf("signed in again: %d %s", a.StatusCode, a.body)
		}
		if now := s.sessionID(t, id); now == session {
			t.Error("the session is still that of before")
		}
	})

	t.Run("an application that answers 401 is signed in to again by itself, once", func(t *testing.T) {
		warehouse := s.save(t, s.sampleConnection(s.startSample(8090)))
		if a := s.get(t, warehouse, "/orders"); a.StatusCode != http.StatusOK {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
		before := s.sessionID(t, warehouse)
		s.sample.MustStop(t)
		s.startSample(8090)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				res, err := s.api.HTTP.Do(s.proxyRequest(t, "GET", warehouse, "/orders", nil))
				if err != nil {
					t.Error(err)
					return
				}
				defer res.Body.Close()
				if res.StatusCode != http.StatusOK {
					t.Errorf("after its restart: %s", res.Status)
				}
			})
		}
		all.Wait()
		if a := s.get(t, warehouse, "/me"); !strings.Contains(a.body, `"signIns":1,`) {
			t.Errorf("8 requests at once made more than 1 sign-in: %s", a.body)
		}
		if now := s.sessionID(t, warehouse); now == before {
			t.Error("the session is still that of before")
		}
	})

	t.Run("a request can be followed through both logs", func(t *testing.T) {
		r := s.proxyRequest(t, "GET", id, "/app/version", nil)
		const requestID = "follow-me-4711"
		r.Header.Set("X-Request-Id", requestID)
		a := s.send(t, r)
		if got := a.Header.Get("X-Request-Id"); got != requestID {
			t.Errorf("the answer's request id is %q", got)
		}
		testkit.Eventually(t, 10*time.Second, "the logs are written", func() error {
			if len(s.relayLog.Lines(requestID)) == 0 || len(s.agentLog.Lines(requestID)) == 0 {
				return fmt.Errorf("%d lines of the relay, %d of the agent", len(s.relayLog.Lines(requestID)), len(s.agentLog.Lines(requestID)))
			}
			return nil
		})
	})

	t.Run("a clean stop ends both without an error", func(t *testing.T) {
		s.agent.MustStop(t)
		s.relay.MustStop(t)
		if err := s.agent.Err(); err != nil {
			t.Errorf("agent: %v", err)
		}
		if err := s.relay.Err(); err != nil {
			t.Errorf("relay: %v", err)
		}
	})

	// At debug level, over everything that happened above.
	s.noSecrets(t, samplePassword, "warehouse_session=", q.Password, url.QueryEscape(q.Password), s.token, "company-"+q.Password, "SID=")
}

// noSecrets fails where a secret is in a log, in clear text or in base64.
func (s *stage) noSecrets(t *testing.T, secrets ...string) {
	t.Helper()
	for name, log := range map[string]*testkit.Log{"relay": s.relayLog, "agent": s.agentLog} {
		testkit.Eventually(t, 10*time.Second, "the "+name+"'s log shows something", func() error {
			if text := log.String(); !strings.Contains(text, `"debug"`) && !strings.Contains(text, `"DEBUG"`) {
				return errors.New("it has nothing at debug level")
			}
			return nil
		})
		for _, secret := range secrets {
			for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret))} {
				if found := log.Lines(form); len(found) > 0 {
					t.Errorf("the log of the %s holds a secret: %s", name, found[0])
				}
			}
		}
	}
}

// TestThroughTheFirewallOnPostgreSQL is the same main road with the other
// database: a relay that is killed finds all it needs there.
func TestThroughTheFirewallOnPostgreSQL(t *testing.T) {
	s := newStage(t, testkit.Postgres(t))
	connection := s.sampleConnection(s.startSample(8090))
	if r := s.test(t, connection); !r.OK {
		t.Fatalf("got %+v", r)
	}
	id := s.save(t, connection)
	if a := s.get(t, id, "/orders"); a.StatusCode != http.StatusOK || !strings.Contains(a.body, "Birch Foods") {
		t.Fatalf("got %d %s", a.StatusCode, a.body)
	}
	session := s.sessionID(t, id)
	s.killRelay(t)
	s.startRelay()
	s.awaitAgent(t, "online")
	a := s.get(t, id, "/me")
	if a.StatusCode != http.StatusOK || !strings.Contains(a.body, `"signIns":2`) {
		t.Errorf("after the restart: %d %s, want the 2 sign-ins of the test and the first request", a.StatusCode, a.body)
	}
	if now := s.sessionID(t, id); now != session {
		t.Errorf("session %s became %s", session, now)
	}
	s.awaitLog(t)
	s.noSecrets(t, samplePassword, s.token)
}

// awaitLog waits until the relay, which is running, has written its log.
func (s *stage) awaitLog(t *testing.T) {
	t.Helper()
	// Lines gather before they are written: the last one has all others before it.
	last := s.proxyRequest(t, "GET", "con_unknown", "/", nil)
	last.Header.Set("X-Request-Id", "the-last-of-all")
	s.send(t, last)
	testkit.Eventually(t, 10*time.Second, "the relay's log is written", func() error {
		if len(s.relayLog.Lines("the-last-of-all")) == 0 {
			return errors.New("its last line is not there")
		}
		return nil
	})
}
