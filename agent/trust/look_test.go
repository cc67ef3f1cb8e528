package trust

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

func TestLookSendsNothing(t *testing.T) {
	var requests atomic.Int32
	cert := selfSigned(t, "appliance")
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.StartTLS()
	defer s.Close()
	host, err := HostOf(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxied := atomic.Int32{}
	proxy := func(*http.Request) (*url.URL, error) { proxied.Add(1); return nil, nil }
	seen, err := Look(t.Context(), host, proxy, nil)
	if err != nil || seen.Leaf().Subject.CommonName != "appliance" || seen.Refused == nil || proxied.Load() == 0 {
		t.Fatalf("%+v, %v", seen, err)
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(cert.Leaf)
	if seen, err := Look(t.Context(), host, nil, trusted); err != nil || seen.Refused != nil {
		t.Errorf("%+v, %v", seen, err)
	}
	if n := requests.Load(); n != 0 {
		t.Errorf("%d requests were sent to somebody who may be anybody", n)
	}
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	if _, err := Look(t.Context(), strings.TrimPrefix(plain.URL, "http://"), nil, nil); err == nil || !strings.Contains(err.Error(), "no certificate of") {
		t.Errorf("a server without TLS: %v", err)
	}
}
