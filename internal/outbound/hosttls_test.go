package outbound

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/proto"
)

// secureServer answers over TLS with that certificate.
func secureServer(t *testing.T, cert tls.Certificate, change func(*tls.Config)) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto)
		if len(r.TLS.PeerCertificates) > 0 {
			_, _ = io.WriteString(w, " "+r.TLS.PeerCertificates[0].Subject.CommonName)
		}
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are what is tested
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.EnableHTTP2 = true
	if change != nil {
		change(s.TLS)
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// pinning is the settings that pin certificates to host:port.
func pinning(pins map[string]tls.Certificate) func(host, port string) HostTLS {
	known := map[string]*Fingerprint{}
	for address, c := range pins {
		f := FingerprintOf(c.Certificate[0])
		known[address] = &f
	}
	return func(host, port string) HostTLS { return HostTLS{Pin: known[host+":"+port]} }
}

func addressOf(t *testing.T, s *httptest.Server) string {
	t.Helper()
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

func mustAnswer(t *testing.T, tr *Transport, url string) string {
	t.Helper()
	resp, err := tr.RoundTrip(request(t, "GET", url, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestPinnedCertificateIsAcceptedAndNoOther(t *testing.T) {
	ours, others := selfSigned(t), selfSigned(t)
	pinned, changed := secureServer(t, ours, nil), secureServer(t, others, nil)
	elsewhere := secureServer(t, ours, nil) // the same certificate at another port
	tr := transport(t, Options{TrustCommand: "agent trust", HostTLS: pinning(map[string]tls.Certificate{addressOf(t, pinned): ours, addressOf(t, changed): ours})})
	for range 3 { // anew, kept alive
		if got := mustAnswer(t, tr, pinned.URL); got != "HTTP/2.0" {
			t.Errorf("answered %q", got)
		}
	}
	e := mustFail(t, tr, request(t, "POST", changed.URL, "x"))
	if e.Code != proto.CodeTargetTLS || e.Reason != proto.ReasonPinMismatch || e.Outcome != proto.OutcomeNotSent {
		t.Fatalf("got %+v", e)
	}
	for _, c := range []tls.Certificate{ours, others} {
		if f := FingerprintOf(c.Certificate[0]).String(); !strings.Contains(e.Detail, f) {
			t.Errorf("%q does not name %s", e.Detail, f)
		}
	}
	if !strings.Contains(e.Hint, "`agent trust "+changed.URL+"`") || e.Facts["pinned"] == "" || e.Facts["shown"] == "" {
		t.Errorf("hint %q, facts %v", e.Hint, e.Facts)
	}
	e = mustFail(t, tr, request(t, "GET", elsewhere.URL, ""))
	if e.Reason != proto.ReasonSelfSigned && e.Reason != proto.ReasonWrongHost || !strings.Contains(e.Hint, "`agent trust "+elsewhere.URL+"`") {
		t.Errorf("a host that is not pinned: %+v", e)
	}
}

// A pin holds for later connections as well: no session is resumed, in which a
// server shows no certificate.
func TestPinHoldsForLaterConnections(t *testing.T) {
	ours, others := selfSigned(t), selfSigned(t)
	var current atomic.Pointer[tls.Config]
	current.Store(&tls.Config{Certificates: []tls.Certificate{ours}})
	s := secureServer(t, ours, func(c *tls.Config) {
		c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return current.Load(), nil }
	})
	tr := transport(t, Options{HostTLS: pinning(map[string]tls.Certificate{addressOf(t, s): ours})})
	for range 3 {
		req := request(t, "GET", s.URL, "")
		req.Close = true
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	current.Store(&tls.Config{Certificates: []tls.Certificate{others}})
	if e := mustFail(t, tr, request(t, "POST", s.URL, "x")); e.Reason != proto.ReasonPinMismatch {
		t.Errorf("got %+v", e)
	}
}

func TestPinStandsInPlaceOfNamesAndDates(t *testing.T) {
	a := newAuthority(t, "Old")
	expired := a.issue(t, func(c *x509.Certificate) {
		c.DNSNames, c.IPAddresses = []string{"appliance"}, nil
		c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
	})
	s := secureServer(t, expired, nil)
	if got := mustAnswer(t, transport(t, Options{HostTLS: pinning(map[string]tls.Certificate{addressOf(t, s): expired})}), s.URL); got != "HTTP/2.0" {
		t.Errorf("answered %q", got)
	}
	if e := mustFail(t, transport(t, Options{RootCAs: a.pool()}), request(t, "GET", s.URL, "")); e.Code != proto.CodeTargetTLS {
		t.Errorf("without the pin: %+v", e)
	}
}

func TestClientCertificateIsShownToItsHost(t *testing.T) {
	servers, clients := newAuthority(t, "Servers"), newAuthority(t, "Clients")
	own := clients.issue(t, func(c *x509.Certificate) {
		c.Subject.CommonName = "plant-2"
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	})
	for name, version := range map[string]uint16{"TLS 1.3": tls.VersionTLS13, "TLS 1.2": tls.VersionTLS12} {
		t.Run(name, func(t *testing.T) {
			s := secureServer(t, servers.issue(t, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} }), func(c *tls.Config) {
				c.ClientAuth, c.ClientCAs, c.MaxVersion = tls.RequireAndVerifyClientCert, clients.pool(), version
			})
			address := addressOf(t, s)
			tr := transport(t, Options{RootCAs: servers.pool(), HostTLS: func(host, port string) HostTLS {
				if host+":"+port == address {
					return HostTLS{Certificate: &own}
				}
				return HostTLS{}
			}})
			if got := mustAnswer(t, tr, s.URL); !strings.HasSuffix(got, " plant-2") {
				t.Errorf("answered %q", got)
			}
			e := mustFail(t, transport(t, Options{RootCAs: servers.pool()}), request(t, "GET", s.URL, ""))
			if e.Code != proto.CodeTargetTLS || e.Reason != proto.ReasonClientCertificate || !strings.Contains(e.Hint, "clientCertificates") {
				t.Errorf("without it: %+v", e)
			}
		})
	}
}
