package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/outbound"
	"sallyport/internal/testkit"
	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/hub"
)

// Causes for hints: applications and servers that behave so.

// slashes redirects to the same path with a slash, as many frameworks do.
func slashes(a app, status int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/in":
			http.Redirect(w, r, "/api/in/", status)
		case "/api/in/":
			if r.Method != http.MethodPost {
				w.WriteHeader(http.StatusMethodNotAllowed)
				return
			}
			http.SetCookie(w, &a.cookie)
		default:
			a.ServeHTTP(w, r)
		}
	})
}

func pingMoved(from, to string, status int) http.Handler {
	a := workingApp()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == from:
			http.Redirect(w, r, to, status)
		case r.URL.Path == to && r.Method == http.MethodGet:
			w.WriteHeader(http.StatusMethodNotAllowed)
		default:
			a.ServeHTTP(w, r)
		}
	})
}

// elsewhere redirects to another origin, which wants a header.
func elsewhere(t *testing.T) http.Handler {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Key") == "" {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	t.Cleanup(other.Close)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+r.URL.Path, http.StatusPermanentRedirect)
	})
}

// below404 has the ping at another place than the connection says.
func below404(at string) http.Handler {
	a := workingApp()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case at:
			writeJSON(w, `{"ok":true}`)
		case "/api/me":
			http.NotFound(w, r)
		default:
			a.ServeHTTP(w, r)
		}
	})
}

// talker says the same to whoever connects, and closes.
func talker(t *testing.T, says string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
			// The request is read first: a reset would take the answer away.
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = io.WriteString(conn, says)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { listener.Close(); <-done })
	return "http://" + listener.Addr().String()
}

func selfSigned(t *testing.T, ip net.IP) string {
	t.Helper()
	none := authority{t: t}
	cert, key := none.issue(&x509.Certificate{Subject: pkix.Name{CommonName: "appliance"}, IPAddresses: []net.IP{ip},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return serveCertificate(t, workingApp(), &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}})
}

// serveMutual asks its callers for a certificate.
func (a authority) serveMutual(h http.Handler, ip net.IP) string {
	a.t.Helper()
	cert, key := a.issue(&x509.Certificate{Subject: pkix.Name{CommonName: "erp"}, IPAddresses: []net.IP{ip},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return serveCertificate(a.t, h, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.pool()})
}

func serveCertificate(t *testing.T, h http.Handler, c *tls.Config) string {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are what is tested
	srv.TLS = c
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv.URL
}

// Each stage at which the time can run out, by a server that goes silent there.
func TestTheHintOfATimeOutNamesItsStage(t *testing.T) {
	release := make(chan struct{})
	wait := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-r.Context().Done():
		case <-release:
		}
	}
	slow := app{signIn: wait}
	half := app{signIn: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		wait(w, r)
	}}
	t.Cleanup(func() { close(release) })
	at := func(base string) func(testing.TB) string { return func(testing.TB) string { return base } }
	for _, test := range []struct {
		stage    string
		base     func(testing.TB) string
		resolver *net.Resolver
		want     string
	}{
		{"dns", at("http://erp.invalid"), silentDNS(t), "while looking up the name. Check the DNS settings of the agent's machine"},
		{"connect", func(t testing.TB) string { return "http://" + testkit.Unanswered(t) }, nil, "while connecting: no answer came at all"},
		{"tls", at("https://" + silent(t)), nil, "while agreeing on TLS"},
		{"wait", at(serve(t, slow)), nil, "while waiting for the application's answer"},
		{"body", at(serve(t, half)), nil, "while reading the answer"},
	} {
		t.Run(test.stage, func(t *testing.T) {
			s := newSite(t, outbound.Options{Resolver: test.resolver})
			s.machines, s.hurry = oneMachine(), 300*time.Millisecond
			c := to(test.base(t))
			c.Mode, c.AgentID = connection.OnPremise, "agt_1"
			step := failed(t, s.test(c))
			check(t, step, StepSignIn, string(proto.CodeTargetTimeout), "timed-out", []string{test.want}, "")
		})
	}
}

// silent accepts connections and says nothing.
func silent(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() }) // the kernel's backlog accepts
	return listener.Addr().String()
}

// silentDNS asks a DNS server that never answers. A look-up goes on after its
// request has given up; it ends with the test.
func silentDNS(t *testing.T) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var asking []net.Conn
	over := false
	t.Cleanup(func() {
		server.Close()
		mu.Lock()
		defer mu.Unlock()
		over = true
		for _, conn := range asking {
			conn.Close()
		}
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		if over {
			return nil, net.ErrClosed
		}
		var d net.Dialer
		conn, err := d.DialContext(ctx, "udp", server.LocalAddr().String())
		if err == nil {
			asking = append(asking, conn)
		}
		return conn, err
	}}
}

// failingDNS answers every question with SERVFAIL.
func failingDNS(t *testing.T) *net.Resolver { return answeringDNS(t, 2) }

// The clock of the agent's machine, as its handshake told it.
func TestAnAgentsClockThatIsOffIsWarnedOf(t *testing.T) {
	for offset, want := range map[time.Duration]string{3 * time.Minute: "machine plc-7 is ahead of the relay's by 3m", -2 * time.Hour: "machine plc-7 is behind the relay's by 2h", 30 * time.Second: ""} {
		s := newSite(t, outbound.Options{})
		s.machines = []hub.Instance{{ID: "ins_1", Hostname: "plc-7", ClockOffset: offset}}
		c := to(serve(t, workingApp()))
		c.Mode, c.AgentID = connection.OnPremise, "agt_1"
		if warnings := strings.Join(s.test(c).Warnings, " "); !strings.Contains(warnings, want) || want == "" && warnings != "" {
			t.Errorf("%v: %q", offset, warnings)
		}
	}
}

// A JSON document in UTF-16, which some Windows services write, is read all the
// same.
func TestDocumentsInUTF16AreRead(t *testing.T) {
	for _, body := range []string{"\xff\xfe{\x00\"\x00o\x00k\x00\"\x00:\x001\x00}\x00", "\xfe\xff\x00{\x00\"\x00o\x00k\x00\"\x00:\x001\x00}", "\ufeff{\"ok\":1}"} {
		doc, err := readDocument("application/json", connection.JSON, []byte(body), false)
		if err != nil {
			t.Errorf("%q: %v", body, err)
			continue
		}
		if found, err := doc.find("ok"); err != nil || len(found) != 1 || found[0].text != "1" {
			t.Errorf("%q: %v %v", body, found, err)
		}
	}
}
