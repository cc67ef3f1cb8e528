package testkit

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// What each protocol costs is known: that it is counted right shows that the
// count can be trusted where it is not known.
func TestCrossingsCountRoundTrips(t *testing.T) {
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	plain, secure := httptest.NewServer(answer), httptest.NewTLSServer(answer)
	defer plain.Close()
	defer secure.Close()
	for _, c := range []struct {
		name    string
		server  *httptest.Server
		version uint16
		times   int // requests one after the other
		want    int // round trips; the TCP handshake is with this end of the path
	}{
		{"a request", plain, 0, 1, 1},
		{"three requests", plain, 0, 3, 3},
		{"a request with TLS 1.3", secure, tls.VersionTLS13, 1, 2},
		{"a request with TLS 1.2", secure, tls.VersionTLS12, 1, 3},
		{"two requests with TLS 1.3", secure, tls.VersionTLS13, 2, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			path, err := NewCrossings(c.server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer path.Close()
			transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: c.version, MaxVersion: c.version}}
			defer transport.CloseIdleConnections()
			scheme, _, _ := strings.Cut(c.server.URL, ":")
			path.Reset()
			for range c.times {
				res, err := (&http.Client{Transport: transport}).Post(scheme+"://"+path.Addr(), "text/plain", strings.NewReader("hello"))
				if err != nil {
					t.Fatal(err)
				}
				if b, err := io.ReadAll(res.Body); err != nil || string(b) != "hello" {
					t.Fatalf("%q, %v", b, err)
				}
				_ = res.Body.Close()
			}
			if got := path.AtDialler(); got != 2*c.want {
				t.Errorf("%d crossings, want %d", got, 2*c.want)
			}
			if got := path.AtTarget(); got < 2*c.want-1 {
				t.Errorf("%d crossings led to what the target knows, want %d", got, 2*c.want-1)
			}
		})
	}
}

// A connection knows what came over another, as one end holds both.
func TestCrossingsCountOverAllConnections(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") }))
	defer server.Close()
	path, err := NewCrossings(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer path.Close()
	for range 3 {
		res, err := http.Get("http://" + path.Addr())
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
	}
	if got := path.AtDialler(); got != 6 {
		t.Errorf("%d crossings, want 6", got)
	}
	path.Reset()
	if got := path.AtDialler() + path.AtTarget(); got != 0 {
		t.Errorf("%d after a reset", got)
	}
}
