package outbound

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"testing"

	"sallyport/proto"
)

func TestTheCertificateIsToldToWhoAsks(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header[proto.HeaderCertificate] != nil {
			t.Error("the target was told that it is asked for")
		}
	}))
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	transport := New(Options{RootCAs: roots})
	defer transport.Close()
	sum := sha256.Sum256(server.Certificate().Raw)
	for i, asks := range []bool{true, false, true} { // on a new connection, and on one that was kept
		req, err := http.NewRequestWithContext(t.Context(), "GET", server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		if asks {
			req.Header.Set(proto.HeaderCertificate, "1")
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		timing, err := proto.ParseTiming(resp.Header.Get(proto.HeaderTiming))
		if err != nil || asks != (timing.Certificate != nil) {
			t.Errorf("%d: %+v, %v", i, timing, err)
		}
		if c := timing.Certificate; c != nil && (c.Fingerprint != hex.EncodeToString(sum[:]) || !c.NotAfter.Equal(server.Certificate().NotAfter) || c.Issuer != "Acme Co") {
			t.Errorf("%+v", c)
		}
	}
}
