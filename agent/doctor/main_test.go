package doctor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"sallyport/agent/config"
	"sallyport/agent/egress"
	"sallyport/internal/testkit"
	"sallyport/proto"
)

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // servers write there what the tests provoke
	goleak.VerifyTestMain(m)
}

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // PEM
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name, Organization: []string{name}},
		NotBefore: time.Now().Add(-1000 * time.Hour), NotAfter: time.Now().Add(10000 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.file = filepath.Join(t.TempDir(), "authority.pem")
	if err := os.WriteFile(a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue makes a certificate for 127.0.0.1, unless change makes it another.
func (a *authority) issue(t *testing.T, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "relay.test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(2000 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(template)
	}
	key := newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// fakeRelay answers as a relay does, except where a test replaces a path. The
// real relay is examined in scripts/e2e; what it never does is shown here.
type fakeRelay struct {
	tunnel, readyz http.HandlerFunc // nil: as a relay
	trial          http.HandlerFunc // nil: none, as a relay that is too old
	all            http.HandlerFunc // before everything; nil: nothing
}

func (f *fakeRelay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.all != nil {
		f.all(w, r)
	}
	switch {
	case r.URL.Path == "/healthz":
		_, _ = io.WriteString(w, "ok\n")
	case r.URL.Path == "/readyz" && f.readyz != nil:
		f.readyz(w, r)
	case r.URL.Path == "/readyz":
		_, _ = io.WriteString(w, "ready\n")
	case r.URL.Path != proto.TunnelPath:
		http.NotFound(w, r)
	case f.trial != nil && slices.Contains(websocket.Subprotocols(r), proto.TrialSubprotocol):
		f.trial(w, r)
	case f.tunnel != nil:
		f.tunnel(w, r)
	default:
		openTunnel(w, r)
	}
}

// openTunnel upgrades as a relay does, and waits for the other end to close.
func openTunnel(w http.ResponseWriter, r *http.Request) {
	if !websocket.IsWebSocketUpgrade(r) || !slices.Contains(websocket.Subprotocols(r), proto.Subprotocol) {
		w.Header().Set("Sec-WebSocket-Protocol", proto.Subprotocol)
		http.Error(w, "This is where agents open their tunnels.", http.StatusUpgradeRequired)
		return
	}
	upgradeTo(proto.Subprotocol)(w, r)
}

// upgradeTo accepts a websocket with this subprotocol and reads until its end.
func upgradeTo(subprotocol string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ws, err := upgrader(subprotocol).Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer ws.Close()
		_ = ws.SetReadDeadline(time.Now().Add(time.Minute))
		_, _, _ = ws.NextReader()
	}
}

func upgrader(subprotocol string) *websocket.Upgrader {
	return &websocket.Upgrader{Subprotocols: []string{subprotocol}}
}

// newForwarder puts a bad network before a server.
func newForwarder(t *testing.T, server string) *testkit.Forwarder {
	t.Helper()
	f, err := testkit.NewForwarder("127.0.0.1:0", mustURL(t, server).Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// serve runs a server without TLS and returns its URL.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// serveTLS runs a server with a certificate and returns its URL.
func serveTLS(t *testing.T, h http.Handler, cert tls.Certificate) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

// examineWith examines a relay, with no proxy unless change sets one.
func examineWith(t *testing.T, relay, caFile string, change func(*Options)) Report {
	t.Helper()
	c := config.Defaults()
	c.Relay, c.CAFile, c.Proxy = relay, caFile, egress.ProxyNone
	o := Options{Config: c, RelayFrom: "--relay", Step: 10 * time.Second}
	if change != nil {
		change(&o)
	}
	if o.Egress == nil {
		var err error
		if o.Egress, err = egress.New(egress.Options{Proxy: o.Config.Proxy, CAFile: o.Config.CAFile}); err != nil {
			t.Fatal(err)
		}
	}
	return Run(t.Context(), o)
}

// find returns the result of a check; the last, where there are several.
func (r Report) find(t *testing.T, name string) Result {
	t.Helper()
	for _, c := range slices.Backward(r.Checks) {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no check %q in\n%s", name, r.Text())
	return Result{}
}

// expect fails the test where a result is not as it should be. says is text
// that must stand in the message or the remedy.
func expect(t *testing.T, r Report, name string, status Status, says ...string) Result {
	t.Helper()
	got := r.find(t, name)
	if got.Status != status {
		t.Errorf("%s: status %s, want %s", name, got.Status, status)
	}
	for _, text := range says {
		if !strings.Contains(got.Message+" → "+got.Remedy, text) {
			t.Errorf("%s does not say %q", name, text)
		}
	}
	if t.Failed() {
		t.Logf("%s", r.Text())
	}
	return got
}

func mustURL(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
