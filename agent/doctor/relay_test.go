package doctor

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/agent/config"
	"sallyport/agent/egress"
	"sallyport/internal/testkit"
	"sallyport/proto"
)

func TestNothingIsHeldAgainstAGoodRelay(t *testing.T) {
	a := newAuthority(t, "Plant Authority")
	relay := serveTLS(t, &fakeRelay{trial: upgradeTo(proto.TrialSubprotocol)}, a.issue(t, nil))
	r := examineWith(t, relay, a.file, func(o *Options) { o.Idle = 50 * time.Millisecond })
	for name, want := range map[string]Status{
		CheckConfiguration: Pass, CheckEnrolment: Skip, CheckAgent: Skip, CheckProxy: Pass, CheckDNS: Pass, CheckTCP4: Pass,
		CheckTLS: Pass, CheckHTTP: Pass, CheckClock: Pass, CheckWebsocket: Pass, CheckRoundTrip: Pass, CheckDownloads: Pass, CheckIdle: Pass,
	} {
		expect(t, r, name, want)
	}
	if !r.OK || r.Summary != (Summary{Pass: 11, Skip: 2}) {
		t.Errorf("ok %v, summary %+v", r.OK, r.Summary)
	}
	chain := r.find(t, CheckTLS).Facts["chain"].([]Certificate)
	if len(chain) != 1 || !strings.Contains(chain[0].Issuer, "Plant Authority") || len(chain[0].SHA256) != 64 {
		t.Errorf("chain %+v", chain)
	}
	if got := r.find(t, CheckRoundTrip).Facts["newConnections"]; got != 0 {
		t.Errorf("%v new connections: they are not kept", got)
	}
}

func TestEveryResultThatDoesNotPassHasARemedy(t *testing.T) {
	for _, relay := range []string{"", "ftp://x", "http://relay.invalid", "https://127.0.0.1:1"} {
		r := examineWith(t, relay, "", nil)
		if r.OK {
			t.Errorf("%q: passed", relay)
		}
		for _, c := range r.Checks {
			if (c.Status == Warn || c.Status == Fail) && c.Remedy == "" {
				t.Errorf("%q: %s has no remedy: %s", relay, c.Name, c.Message)
			}
			if c.Message == "" {
				t.Errorf("%q: %s says nothing", relay, c.Name)
			}
		}
	}
}

// TestTheJSONShapeIsStable: programs rely on these names (docs/agent.md).
func TestTheJSONShapeIsStable(t *testing.T) {
	raw, err := json.Marshal(examineWith(t, "https://127.0.0.1:1", "", nil))
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		OK      *bool
		Summary map[string]int
		Relay   string
		Machine map[string]string
		Checks  []map[string]any
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	if doc.OK == nil || *doc.OK || doc.Relay != "https://127.0.0.1:1" || doc.Summary["fail"] != 1 || doc.Machine["os"] == "" {
		t.Errorf("%s", raw)
	}
	for _, c := range doc.Checks {
		for _, key := range []string{"name", "status", "message", "durationMs"} {
			if _, ok := c[key]; !ok {
				t.Errorf("a check without %q: %v", key, c)
			}
		}
	}
}

func TestCertificatesAreExplained(t *testing.T) {
	plant, proxy := newAuthority(t, "Plant Authority"), newAuthority(t, "mitmproxy")
	now := time.Now()
	for _, c := range []struct {
		name   string
		by     *authority
		trust  bool
		change func(*x509.Certificate)
		status Status
		says   []string
		error  string
	}{
		{name: "unknown authority", by: plant, status: Fail, error: "unknown_authority", says: []string{`issued by "CN=Plant Authority`, "does not trust", "--ca-file"}},
		{name: "known inspector, not trusted", by: proxy, status: Fail, error: "unknown_authority", says: []string{"mitmproxy inspects TLS", "--ca-file", "exempted"}},
		{name: "known inspector, trusted", by: proxy, trust: true, status: Warn, says: []string{"mitmproxy on the way", "signs it anew", "exempted"}},
		{name: "private authority", by: plant, trust: true, status: Pass, says: []string{"no public authority"}},
		{name: "another host", by: plant, trust: true, status: Fail, error: "wrong_host_name", says: []string{"for another host", "erp.test, mail.test", "Plant Authority"},
			change: func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"erp.test", "mail.test"} }},
		{name: "expired", by: plant, trust: true, status: Fail, error: "expired", says: []string{"expired on", "clock says", "renewed"},
			change: func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.Add(-100*time.Hour), now.Add(-time.Hour) }},
		{name: "not yet valid", by: plant, trust: true, status: Fail, error: "not_yet_valid", says: []string{"not valid before", "NTP"},
			change: func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.Add(time.Hour), now.Add(100*time.Hour) }},
		{name: "expires soon", by: plant, trust: true, status: Warn, says: []string{"expires on", "renewed"},
			change: func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.Add(-1000*time.Hour), now.Add(100*time.Hour) }},
		{name: "short-lived, but not near its end", by: plant, trust: true, status: Pass,
			change: func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.Add(-time.Hour), now.Add(100*time.Hour) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			relay, caFile := serveTLS(t, &fakeRelay{}, c.by.issue(t, c.change)), ""
			if c.trust {
				caFile = c.by.file
			}
			r := examineWith(t, relay, caFile, nil)
			got := expect(t, r, CheckTLS, c.status, c.says...)
			if c.error != "" && got.Facts["error"] != c.error {
				t.Errorf("error %v, want %s", got.Facts["error"], c.error)
			}
			if len(got.Facts["chain"].([]Certificate)) != 1 {
				t.Errorf("chain %v", got.Facts["chain"])
			}
			if c.status == Fail {
				expect(t, r, CheckWebsocket, Skip, "needs tls")
			}
		})
	}
}

// date makes a relay whose clock is off.
func date(off time.Duration) *fakeRelay {
	return &fakeRelay{all: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
	}}
}

func TestTheClockIsComparedWithTheRelays(t *testing.T) {
	for _, c := range []struct {
		off    time.Duration
		status Status
		says   string
	}{
		{0, Pass, "agrees"},
		{10 * time.Second, Pass, "behind the relay's"},
		{-2 * time.Minute, Warn, "ahead of the relay's"},
		{2 * time.Minute, Warn, "NTP"},
		{time.Hour, Fail, "behind the relay's"},
		{-time.Hour, Fail, "ahead of the relay's"},
	} {
		t.Run(c.off.String(), func(t *testing.T) {
			r := examineWith(t, serve(t, date(c.off)), "", nil)
			got := expect(t, r, CheckClock, c.status, c.says)
			ahead := time.Duration(got.Facts["aheadMs"].(int64)) * time.Millisecond
			// Uncertain by half a second, and by what a busy machine takes.
			if off := ahead + c.off; off.Abs() > 15*time.Second {
				t.Errorf("ahead by %v, want %v", ahead, -c.off)
			}
		})
	}
}

// TestAWrongClockIsFoundBehindACertificate: the dates of a certificate fail, and
// the reason is this machine's clock, which is a day slow.
func TestAWrongClockIsFoundBehindACertificate(t *testing.T) {
	a := newAuthority(t, "Plant Authority")
	cert := a.issue(t, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(23*time.Hour), time.Now().Add(1000*time.Hour)
	})
	r := examineWith(t, serveTLS(t, date(24*time.Hour), cert), a.file, nil)
	expect(t, r, CheckTLS, Fail, "not valid before")
	expect(t, r, CheckClock, Fail, "24h0m", "behind", "NTP")
	expect(t, r, CheckHTTP, Skip)
}

func TestWhoAnswersInTheRelaysPlaceIsTold(t *testing.T) {
	page := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(status)
			_, _ = fmt.Fprint(w, "<html><h1>Welcome, guest</h1></html>")
		}
	}
	for _, c := range []struct {
		name   string
		relay  http.Handler
		status Status
		says   []string
	}{
		{"a captive portal's page", page(200), Fail, []string{"web page", "guests' network"}},
		{"a captive portal's redirect", http.RedirectHandler("https://login.test/?token=hush", http.StatusFound), Fail, []string{"redirects", "guests' network"}},
		{"a filter", page(403), Fail, []string{"denies access (403", "Ask the network team"}},
		{"another server", http.NotFoundHandler(), Fail, []string{"does not answer as a Sallyport relay (404", "Check the relay's URL"}},
		{"a server that is ready too", &fakeRelay{tunnel: http.NotFound}, Fail, []string{"not as a Sallyport relay", "status 404 at /tunnel"}},
		{"a relay that is not ready", &fakeRelay{readyz: func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "the database does not answer", http.StatusServiceUnavailable)
		}}, Warn, []string{"not ready (503): the database"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := examineWith(t, serve(t, c.relay), "", nil)
			expect(t, r, CheckHTTP, c.status, c.says...)
			if raw, _ := json.Marshal(r); strings.Contains(string(raw), "hush") {
				t.Errorf("a query is shown: %s", raw)
			}
		})
	}
}

func TestWebsocketsThatDoNotPassAreToldFromRequestsThatDo(t *testing.T) {
	only := func(h http.HandlerFunc) http.HandlerFunc { // for upgrades; the door itself looks as it should
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Upgrade") == "" {
				openTunnel(w, r)
				return
			}
			h(w, r)
		}
	}
	release := make(chan struct{})
	for _, c := range []struct {
		name   string
		tunnel http.HandlerFunc
		status Status
		says   []string
	}{
		{"refused by a filter", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "no websockets here", http.StatusForbidden)
		}, Fail, []string{"403", "exempted"}},
		{"the upgrade is dropped", func(w http.ResponseWriter, r *http.Request) { r.Header.Del("Upgrade"); openTunnel(w, r) }, Fail, []string{"426", "exempted"}},
		{"cut off", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, Fail, []string{"answers requests, but not the upgrade", "exempted"}},
		{"busy", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "later", http.StatusServiceUnavailable) }, Fail, []string{"again in a minute"}},
		{"another subprotocol", upgradeTo("chat"), Fail, []string{"does not speak sallyport.v1"}},
		{"what is sent is held up", func(w http.ResponseWriter, r *http.Request) {
			conn, err := swallow(w, r, proto.Subprotocol)
			if err != nil {
				return
			}
			<-release
			_ = conn.Close()
		}, Warn, []string{"does not come back", "exempted"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := examineWith(t, serve(t, &fakeRelay{tunnel: only(c.tunnel)}), "", nil)
			expect(t, r, CheckHTTP, Pass)
			expect(t, r, CheckWebsocket, c.status, c.says...)
			if c.status == Warn {
				close(release)
			}
		})
	}
}

// swallow upgrades, and then neither reads nor answers.
func swallow(w http.ResponseWriter, r *http.Request, subprotocol string) (net.Conn, error) {
	ws, err := upgrader(subprotocol).Upgrade(w, r, nil)
	if err != nil {
		return nil, err
	}
	return ws.NetConn(), nil
}

func TestConnectionsThatAreNotKeptAreTold(t *testing.T) {
	r := examineWith(t, serve(t, &fakeRelay{all: func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") }}), "", nil)
	expect(t, r, CheckRoundTrip, Warn, "needed a new connection")
}

func TestCutConnectionsAreCounted(t *testing.T) {
	asked := 0 // one connection, so one request at a time
	r := examineWith(t, serve(t, &fakeRelay{all: func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			if asked++; asked == 3 {
				w.Header().Set("Connection", "close")
			}
		}
	}}), "", nil)
	if got := expect(t, r, CheckRoundTrip, Warn, "1 of 7 requests found the connection cut"); got.Facts["newConnections"] != 1 {
		t.Errorf("facts %v", got.Facts)
	}
}

func TestLostRequestsAreCounted(t *testing.T) {
	lose := func(which func(int) bool) Report {
		asked := 0
		return examineWith(t, serve(t, &fakeRelay{all: func(_ http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/healthz" {
				if asked++; which(asked) {
					panic(http.ErrAbortHandler)
				}
			}
		}}), "", nil)
	}
	// net/http asks once more where a kept connection breaks, so two in a row.
	expect(t, lose(func(n int) bool { return n == 3 || n == 4 }), CheckRoundTrip, Warn, "of 7 requests were lost")
	expect(t, lose(func(int) bool { return true }), CheckRoundTrip, Fail, "None of 7")
}

func TestSilence(t *testing.T) {
	t.Run("a relay that is too old", func(t *testing.T) {
		r := examineWith(t, serve(t, &fakeRelay{}), "", func(o *Options) { o.Idle = time.Millisecond })
		expect(t, r, CheckIdle, Skip, "version")
	})
	t.Run("a relay that holds enough of them", func(t *testing.T) {
		busy := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "later", http.StatusTooManyRequests) }
		r := examineWith(t, serve(t, &fakeRelay{trial: busy}), "", func(o *Options) { o.Idle = time.Millisecond })
		expect(t, r, CheckIdle, Skip, "enough")
	})
	t.Run("cut", func(t *testing.T) {
		cut := func(w http.ResponseWriter, r *http.Request) {
			if conn, err := swallow(w, r, proto.TrialSubprotocol); err == nil {
				_ = conn.Close()
			}
		}
		r := examineWith(t, serve(t, &fakeRelay{trial: cut}), "", func(o *Options) { o.Idle = time.Minute })
		expect(t, r, CheckIdle, Warn, "was cut after", "every 4 s")
	})
	t.Run("forgotten without a word", func(t *testing.T) {
		var road *testkit.Forwarder
		relay := serve(t, &fakeRelay{trial: func(w http.ResponseWriter, r *http.Request) {
			ws, err := upgrader(proto.TrialSubprotocol).Upgrade(w, r, nil)
			if err != nil {
				return
			}
			defer ws.Close()
			_ = ws.SetReadDeadline(time.Now().Add(time.Minute))
			// The road falls silent with the ping, whose answer so never comes.
			answer := ws.PingHandler()
			ws.SetPingHandler(func(payload string) error {
				road.Silence(true)
				return answer(payload)
			})
			_, _, _ = ws.NextReader()
		}})
		road = newForwarder(t, relay)
		r := examineWith(t, "http://"+road.Addr(), "", func(o *Options) { o.Idle, o.Step = time.Millisecond, 3*time.Second })
		road.Silence(false)
		expect(t, r, CheckIdle, Warn, "without a word")
	})
}

// TestAnExaminationThatIsStoppedMakesNothingUp: what fails since nobody waits
// any more is no finding.
func TestAnExaminationThatIsStoppedMakesNothingUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	relay := serve(t, &fakeRelay{readyz: func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}})
	way, err := egress.New(egress.Options{Proxy: egress.ProxyNone})
	if err != nil {
		t.Fatal(err)
	}
	c := config.Defaults()
	c.Relay = relay
	r := Run(ctx, Options{Config: c, Egress: way})
	if last := r.Checks[len(r.Checks)-1]; last.Name != CheckTLS || r.Summary.Fail != 0 {
		t.Errorf("%s", r.Text())
	}
}
