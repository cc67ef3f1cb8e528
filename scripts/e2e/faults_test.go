package e2e

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// TestEachFaultHasItsOwnCode takes away one thing at a time, and looks at what
// Test and a request through the connection say.
func TestEachFaultHasItsOwnCode(t *testing.T) {
	s := newStage(t, "")
	s.site.ServeDNS(t, [4]byte{127, 0, 0, 1}, "erp.plant2.internal")
	sample := s.startSample(8090)

	serveTLS := func(address string, certificate tls.Certificate) {
		serve(t, tls.NewListener(s.site.Listen(t, address), &tls.Config{Certificates: []tls.Certificate{certificate}}),
			http.NotFoundHandler())
	}
	foreign := testkit.NewAuthority(t, t.TempDir())
	serveTLS("127.0.0.1:8443", foreign.Certificate(t, "erp.plant2.internal", time.Now().Add(time.Hour)))
	serveTLS("127.0.0.1:8444", s.authority.Certificate(t, "another.plant2.internal", time.Now().Add(time.Hour)))
	serveTLS("127.0.0.1:8445", s.authority.Certificate(t, "erp.plant2.internal", time.Now().Add(-time.Hour)))
	serveTLS("127.0.0.1:8446", s.authority.Certificate(t, "erp.plant2.internal", time.Now().Add(time.Hour)))
	notHTTP := s.site.Listen(t, "127.0.0.1:8025")
	go func() {
		for {
			c, err := notHTTP.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "220 mail.plant2.internal ESMTP\r\n")
			_ = c.Close()
		}
	}()

	none := object{"type": "none"}
	cases := []struct {
		name    string
		change  object
		status  int
		code    string
		outcome string
		hint    string // part of what Test says
	}{
		{"wrong port", object{"baseUri": "http://127.0.0.1:9", "auth": none}, 502, "target_refused", "not_sent", "port"},
		{"wrong host", object{"baseUri": "http://erp.plant3.internal:8090/api", "auth": none}, 502, "target_dns", "not_sent", "erp.plant3.internal"},
		{"unknown authority", object{"baseUri": "https://erp.plant2.internal:8443", "auth": none}, 502, "target_tls", "not_sent", "Plant 2 Test Authority"},
		{"certificate of another host", object{"baseUri": "https://erp.plant2.internal:8444", "auth": none}, 502, "target_tls", "not_sent", "another.plant2.internal"},
		{"expired certificate", object{"baseUri": "https://erp.plant2.internal:8445", "auth": none}, 502, "target_tls", "not_sent", "expired"},
		{"https to a plain port", object{"baseUri": "https://127.0.0.1:8090", "auth": none}, 502, "target_tls", "not_sent", "http://"},
		{"no way there", object{"baseUri": "http://192.0.2.1:80", "auth": none}, 502, "target_unreachable", "not_sent", "192.0.2.1"},
		{"not HTTP", object{"baseUri": "http://127.0.0.1:8025", "auth": none}, 502, "target_unreachable", "", "HTTP"},
		{"wrong password", object{"secrets": object{"password": "wrong"}}, 502, "sign_in_failed", "", "password"},
		{"cloud mode to a private address", object{"mode": "cloud", "agentId": "", "auth": none,
			"baseUri": "http://" + s.site.Outside.String() + ":8090"}, 403, "address_forbidden", "not_sent", "public"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			connection := s.sampleConnection(sample).with(c.change)
			r := s.test(t, connection)
			failed := -1
			for i, step := range r.Steps {
				if step.Status == "failed" {
					failed = i
				}
			}
			if r.OK || failed < 0 {
				t.Fatalf("Test: %+v", r)
			}
			step := r.Steps[failed]
			said := step.Message
			if step.Hint != "" {
				said += " " + step.Hint
			}
			if !strings.Contains(said, c.hint) || step.Hint == "" {
				t.Errorf("Test says %q, hint %v; want it to speak of %q", said, step.Hint, c.hint)
			}
			a := s.get(t, s.save(t, connection), "/me")
			if a.StatusCode != c.status || a.code() != c.code {
				t.Errorf("proxy: %d %s, want %d %s: %s", a.StatusCode, a.code(), c.status, c.code, a.body)
			}
			if c.outcome != "" && !strings.Contains(a.body, fmt.Sprintf(`"outcome":%q`, c.outcome)) {
				t.Errorf("proxy: want the outcome %s in %s", c.outcome, a.body)
			}
			if got := a.Header.Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("proxy: Content-Type %q", got)
			}
		})
	}

	t.Run("the agent trusts the authority that it is told to", func(t *testing.T) {
		// Its --target-ca-file, as the company's own authority is in the trust
		// store of a machine on its premises.
		r := s.test(t, s.sampleConnection("https://erp.plant2.internal:8446").with(object{"auth": none, "ping": object{}}))
		for _, step := range r.Steps {
			if step.Code == "target_tls" {
				t.Errorf("got %+v", step)
			}
		}
	})

	t.Run("a site whose cable is pulled is noticed", func(t *testing.T) {
		id := s.save(t, s.sampleConnection(sample))
		if a := s.get(t, id, "/me"); a.StatusCode != http.StatusOK {
			t.Fatalf("before: %d %s", a.StatusCode, a.body)
		}
		s.site.Unplug(t, true)
		r := s.proxyRequest(t, "POST", id, "/orders", strings.NewReader(`{"customer":"Elm","item":"Crate","quantity":1}`))
		a := s.send(t, r)
		if a.code() != "tunnel_lost" && a.code() != "agent_offline" {
			t.Errorf("got %d %s %s", a.StatusCode, a.code(), a.body)
		}
		s.site.Unplug(t, false)
		s.awaitAgent(t, "online")
		testkit.Eventually(t, time.Minute, "requests pass again", func() error {
			if a := s.get(t, id, "/me"); a.StatusCode != http.StatusOK {
				return fmt.Errorf("%d %s", a.StatusCode, a.body)
			}
			return nil
		})
	})
}

// serve serves HTTP on a listener for the length of the test.
func serve(t *testing.T, l net.Listener, handler http.Handler) {
	t.Helper()
	server := &http.Server{Handler: handler, ErrorLog: silent()}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}
