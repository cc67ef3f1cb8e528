package doctor

import (
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"sallyport/agent/config"
	"sallyport/agent/control"
	"sallyport/agent/link"
)

// enrolledAt makes a data directory as enrolment leaves it.
func enrolledAt(t *testing.T, relay string) string {
	t.Helper()
	dir := t.TempDir()
	place, err := config.Reserve(dir, config.IdentityFile)
	if err == nil {
		err = place.Write(config.Identity{AgentID: "agt_1", InstanceID: "ins_1", AgentName: "Plant 2", Relay: relay, Seed: make([]byte, 32)})
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestTheAgentThatRunsIsAskedHowItIs(t *testing.T) {
	const relay = "http://127.0.0.1:1"
	for _, c := range []struct {
		name   string
		is     control.Status
		status Status
		says   []string
	}{
		{"online", control.Status{State: link.StateOnline, Since: time.Now().Add(-time.Hour), Tunnels: make([]control.Tunnel, 2), LatencyMs: 12.3}, Pass, []string{"online for 1h0m", "2 tunnels, 12.3 ms"}},
		{"just started", control.Status{State: link.StateConnecting}, Warn, []string{"begun to connect"}},
		{"refused", control.Status{State: link.StateRefused, LastError: "relay refused the tunnel: revoked"}, Fail, []string{"revoked", "enroll --replace"}},
		{"offline", control.Status{State: link.StateOffline, LastError: "the proxy wants a login"}, Fail, []string{"offline: the proxy wants a login", "checks below"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := enrolledAt(t, relay)
			server, err := control.Serve(dir, control.Agent{Status: func() control.Status { return c.is }})
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			r := examineWith(t, "", "", func(o *Options) { o.Config.DataDir = dir })
			got := expect(t, r, CheckAgent, c.status, c.says...)
			if got.Facts["state"] != c.is.State {
				t.Errorf("facts %v", got.Facts)
			}
			expect(t, r, CheckConfiguration, Pass, "from the enrolment")
			expect(t, r, CheckEnrolment, Pass, `agent "Plant 2"`)
		})
	}
}

func TestTheEnrolmentIsLookedAt(t *testing.T) {
	dir := enrolledAt(t, "http://127.0.0.1:1")
	in := func(o *Options) { o.Config.DataDir = dir }
	expect(t, examineWith(t, "", "", in), CheckAgent, Warn, "not running", "sallyport-agent run")
	expect(t, examineWith(t, "http://127.0.0.1:2", "", in), CheckEnrolment, Warn, "not the relay looked at here", "--replace")
	if err := os.WriteFile(filepath.Join(dir, config.IdentityFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect(t, examineWith(t, "http://127.0.0.1:1", "", in), CheckEnrolment, Fail, "damaged", "--replace")
	if runtime.GOOS != "windows" {
		dir = enrolledAt(t, "http://127.0.0.1:1")
		if err := os.Chmod(filepath.Join(dir, config.IdentityFile), 0o644); err != nil {
			t.Fatal(err)
		}
		expect(t, examineWith(t, "", "", in), CheckEnrolment, Fail, "can be read by other users", "chmod 600")
	}
	dir = t.TempDir()
	expect(t, examineWith(t, "http://127.0.0.1:1", "", in), CheckEnrolment, Warn, "not enrolled", "--code CODE --data "+dir)
}

func TestPlainTextIsSpokenOf(t *testing.T) {
	expect(t, examineWith(t, "http://relay.invalid", "", func(o *Options) { o.Step = time.Second }), CheckConfiguration, Fail, "allowPlaintextRelay")
	r := examineWith(t, "http://relay.invalid", "", func(o *Options) { o.Config.AllowPlaintextRelay, o.Step = true, time.Second })
	expect(t, r, CheckConfiguration, Warn, "without TLS", "https address")
}

// TestBothFamiliesAreTried: a relay that listens on IPv4 alone, under a name
// with addresses of both.
func TestBothFamiliesAreTried(t *testing.T) {
	relay := mustURL(t, serve(t, &fakeRelay{}))
	e := &examination{Options: Options{Step: 10 * time.Second}, relay: relay, stopped: func() bool { return false },
		addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}}
	e.connect(t.Context())
	expect(t, e.report, CheckTCP4, Pass, "127.0.0.1:"+relay.Port())
	expect(t, e.report, CheckTCP6, Warn, "[::1]:"+relay.Port(), "IPv4 works")
	if e.blocked != "" {
		t.Errorf("blocked by %s, though IPv4 works", e.blocked)
	}
}
