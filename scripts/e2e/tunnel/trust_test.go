package tunnel

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/agent/forward"
	"sallyport/agent/trust"
	"sallyport/internal/outbound"
	"sallyport/internal/testkit"
	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/probe"
)

// pinned runs an agent with the pins of a data directory, as its program does;
// what it returns has it read them anew.
func (r *relay) pinned(dir string) (reload func()) {
	r.t.Helper()
	var now atomic.Pointer[outbound.Transport]
	reload = func() {
		hosts, err := trust.New(dir, nil)
		if err != nil {
			r.t.Fatal(err)
		}
		if old := now.Swap(outbound.New(outbound.Options{HostTLS: hosts.TLS, TrustCommand: "sallyport-agent trust"})); old != nil {
			old.Close()
		}
	}
	reload()
	r.t.Cleanup(func() { now.Load().Close() })
	serve := forward.New(forward.Options{Transport: roundTripper(func(req *http.Request) (*http.Response, error) { return now.Load().RoundTrip(req) })}).Serve
	r.agent(r.dir.enrol("agt_1", "ins_1"), serve, nil)
	r.awaitTunnels(2)
	return reload
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestCertificateIsPinnedAtTheSite(t *testing.T) {
	first, second := testkit.NewAuthority(t, t.TempDir()), testkit.NewAuthority(t, t.TempDir())
	var shown atomic.Pointer[tls.Config]
	show := func(a *testkit.Authority) {
		shown.Store(&tls.Config{Certificates: []tls.Certificate{a.Certificate(t, "appliance", time.Now().Add(time.Hour))}})
	}
	show(first)
	app := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, `{"ok":true}`) }))
	app.Config.ErrorLog = log.New(io.Discard, "", 0)
	app.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return shown.Load(), nil }}
	app.StartTLS()
	t.Cleanup(app.Close)
	host, err := trust.HostOf(app.URL)
	if err != nil {
		t.Fatal(err)
	}

	dir := t.TempDir()
	r := newRelay(t, false)
	reload := r.pinned(dir)
	c := &connection.Connection{ID: "con_1", WorkspaceID: "wsp_1", Spec: connection.Defaults(connection.Spec{
		Name: "Appliance", Mode: connection.OnPremise, AgentID: "agt_1", BaseURI: app.URL, Auth: connection.Auth{Type: connection.AuthNone},
		Ping: connection.Ping{URI: "/", SuccessPath: "ok"},
	})}
	test, _ := r.doors(c)
	ping := func() probe.Step { t.Helper(); return test().Steps[2] }
	command := "`sallyport-agent trust " + app.URL + "`"
	if s := ping(); s.Status != probe.Failed || s.Code != string(proto.CodeTargetTLS) || !strings.Contains(s.Hint, command) {
		t.Fatalf("before it is pinned: %+v", s)
	}

	pin := func() {
		t.Helper()
		seen, err := trust.Look(t.Context(), host, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := trust.Save(dir, []trust.Pin{trust.NewPin(host, seen.Leaf(), time.Now())}); err != nil {
			t.Fatal(err)
		}
		reload()
	}
	pin()
	if s := ping(); s.Status != probe.OK {
		t.Fatalf("pinned: %+v", s)
	}
	show(second)
	app.CloseClientConnections()
	s := ping()
	if s.Status != probe.Failed || s.HintID != "pin-mismatch" || !strings.Contains(s.Hint, command) {
		t.Errorf("changed: %+v", s)
	}
	for _, config := range []*tls.Config{shown.Load()} {
		if f := outbound.FingerprintOf(config.Certificates[0].Certificate[0]).String(); !strings.Contains(s.Message, f) || strings.Count(s.Message, ":") < 2*31 {
			t.Errorf("the fingerprints are not both in %q", s.Message)
		}
	}
	pin()
	if s := ping(); s.Status != probe.OK {
		t.Errorf("pinned anew: %+v", s)
	}
}
