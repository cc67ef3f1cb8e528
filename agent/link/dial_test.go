package link_test

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"sallyport/agent/egress"
	"sallyport/agent/link"
	"sallyport/internal/testkit"
	"sallyport/internal/wsconn"
	"sallyport/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// way is the way out with the given proxy setting.
func way(t *testing.T, proxy string) *egress.Egress {
	t.Helper()
	e, err := egress.New(egress.Options{Proxy: proxy})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// try runs a link against a relay that can't be reached properly, until it has
// failed once, and returns its status then.
func try(t *testing.T, relay string, change func(*link.Options)) link.Status {
	t.Helper()
	u, err := url.Parse(relay)
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	opts := link.Options{
		Relay: u, Identity: link.Identity{AgentID: "agt_1", InstanceID: "ins_1", Key: key}, Tunnels: 1,
		Machine: link.Machine{Hostname: "erp", OS: "linux", Arch: "amd64", Version: "1"},
		Serve:   func(context.Context, net.Conn) {}, Log: zaptest.NewLogger(t),
		Egress:      way(t, egress.ProxyNone),
		StepTimeout: 8 * time.Second, RetryFirst: time.Minute, // so that the next attempt is not made at once
	}
	if change != nil {
		change(&opts)
	}
	ctx, cancel := context.WithCancel(t.Context())
	l := link.New(opts)
	var running sync.WaitGroup
	running.Go(func() {
		if err := l.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	defer running.Wait()
	defer cancel()
	var status link.Status
	testkit.Eventually(t, 10*time.Second, "the attempt has failed", func() error {
		// While the next attempt is under way, it is not said when the next one is.
		if status = l.Status(); status.LastError == "" || status.RetryAt.IsZero() {
			return errors.New("not yet")
		}
		return nil
	})
	return status
}

// TestEachWayToFailHasItsOwnWords: what a site admin reads must tell the ways
// apart.
func TestEachWayToFailHasItsOwnWords(t *testing.T) {
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
		want    string
		after   time.Duration
	}{
		{"forbidden", func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "blocked by category: tunnels", http.StatusForbidden)
		}, "denies access (403 Forbidden): blocked by category", 0},
		{"unauthorized", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, "denies access (401", 0},
		{"proxy wants a login", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusProxyAuthRequired) }, "wants a login (407)", 0},
		{"busy", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "100")
			w.WriteHeader(http.StatusServiceUnavailable)
		}, "come back later (503", 99 * time.Second},
		{"asks for a day", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "86400")
			w.WriteHeader(http.StatusTooManyRequests)
		}, "come back later (429", 4 * time.Minute},
		{"balancer without a relay", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusBadGateway)
			fmt.Fprint(w, "<html>nginx</html>")
		}, "the relay behind it is not (502 Bad Gateway)", 0},
		{"captive portal", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<html>Welcome to the hotel</html>")
		}, "login page of the network in between", 0},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://login.hotel/", http.StatusFound)
		}, `redirects to "https://login.hotel/"`, 0},
		{"another server", func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, "does not answer as a Sallyport relay (404", 0},
		{"another websocket", func(w http.ResponseWriter, r *http.Request) {
			ws, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
			if err == nil {
				_ = ws.Close()
			}
		}, "not a Sallyport relay of this version", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(c.handler)
			defer server.Close()
			st := try(t, server.URL, nil)
			if !strings.Contains(st.LastError, c.want) || st.State != link.StateOffline {
				t.Errorf("%s: %q, want %q", st.State, st.LastError, c.want)
			}
			if wait := time.Until(st.RetryAt); c.after > 0 && wait < c.after || wait > 6*time.Minute {
				t.Errorf("tries again in %s", wait)
			}
		})
	}
	if st := try(t, fmt.Sprintf("http://127.0.0.1:%d", testkit.FreePort(t)), nil); !strings.Contains(st.LastError, "connection refused") {
		t.Error(st.LastError)
	}
	mute, err := net.Listen("tcp", "127.0.0.1:0") // the kernel connects; nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	hasty := func(o *link.Options) { o.StepTimeout = 100 * time.Millisecond }
	if st := try(t, "http://"+mute.Addr().String(), hasty); !strings.Contains(st.LastError, "did not answer in time") {
		t.Error(st.LastError)
	}
	untrusted := httptest.NewTLSServer(http.NotFoundHandler())
	defer untrusted.Close()
	if st := try(t, untrusted.URL, nil); !strings.Contains(st.LastError, "does not trust") || !strings.Contains(st.LastError, "caFile") {
		t.Error(st.LastError)
	}
	if st := try(t, strings.Replace(untrusted.URL, "https", "http", 1), nil); st.LastError == "" {
		t.Error(st.LastError)
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	defer serving.Wait()
	defer plain.Close()
	serving.Go(func() {
		if conn, err := plain.Accept(); err == nil {
			fmt.Fprint(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
		}
	})
	if st := try(t, "https://"+plain.Addr().String(), nil); !strings.Contains(st.LastError, "does not speak TLS") {
		t.Error(st.LastError)
	}
}

func TestRefusalThatCannotHealSlowsDown(t *testing.T) {
	for code, want := range map[proto.Refusal]string{proto.RefusedUnknown: link.StateRefused, proto.RefusedVersion: link.StateRefused, proto.RefusedDraining: link.StateOffline} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ws, err := (&websocket.Upgrader{Subprotocols: []string{proto.Subprotocol}}).Upgrade(w, r, nil)
			if err != nil {
				return
			}
			defer ws.Close()
			raw, _ := proto.Encode(&proto.Refused{Code: code, Text: "No.", RetryAfterSeconds: 3})
			_ = wsconn.WriteText(ws, raw, time.Now().Add(time.Second))
			_, _, _ = ws.NextReader()
		}))
		st := try(t, server.URL, nil)
		server.Close()
		wait := time.Until(st.RetryAt)
		if st.State != want || !strings.Contains(st.LastError, "No.") || (want == link.StateRefused) != (wait > 2*time.Minute) || wait < 2*time.Second {
			t.Errorf("%s: %+v, again in %s", code, st, wait)
		}
	}
}

func TestRelayWithoutTLS(t *testing.T) {
	for _, c := range []struct {
		relay string
		allow bool
		ok    bool
	}{
		{"https://relay.example", false, true}, {"http://relay.example", false, false}, {"http://relay.example", true, true},
		{"http://127.0.0.1:8080", false, true}, {"http://localhost", false, true}, {"http://[::1]:80", false, true},
		{"http://127.0.0.1.evil.example", false, false}, {"ftp://relay.example", true, false}, {"https:///x", true, false},
	} {
		u, err := url.Parse(c.relay)
		if err != nil {
			t.Fatal(err)
		}
		if err := link.CheckRelay(u, c.allow); (err == nil) != c.ok {
			t.Errorf("%s, allowed %v: %v", c.relay, c.allow, err)
		}
	}
	u := &url.URL{Scheme: "http", Host: "relay.example"}
	err := link.New(link.Options{Relay: u, Log: zaptest.NewLogger(t)}).Run(t.Context())
	if !errors.Is(err, link.ErrPlaintext) || !strings.Contains(err.Error(), "allowPlaintextRelay") {
		t.Error(err)
	}
}

// connectProxy is an HTTP proxy that wants a login.
func connectProxy(t *testing.T) (address string, asked *[]string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var serving sync.WaitGroup
	asked = &[]string{}
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				req, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				mu.Lock()
				*asked = append(*asked, req.Method+" "+req.Host)
				mu.Unlock()
				want := "Basic " + base64.StdEncoding.EncodeToString([]byte("svc:s3cret"))
				if req.Header.Get("Proxy-Authorization") != want {
					fmt.Fprint(conn, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"corp\"\r\nContent-Length: 4\r\n\r\nnope")
					return
				}
				onward, err := net.Dial("tcp", req.Host)
				if err != nil {
					return
				}
				defer onward.Close()
				fmt.Fprint(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
				go func() { _, _ = io.Copy(onward, conn); _ = onward.Close() }()
				_, _ = io.Copy(conn, onward)
			})
		}
	})
	t.Cleanup(func() { _ = listener.Close(); serving.Wait() })
	return listener.Addr().String(), asked
}

func TestProxyWithLogin(t *testing.T) {
	address, asked := connectProxy(t)
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	through := func(user *url.Userinfo) func(*link.Options) {
		proxy := &url.URL{Scheme: "http", Host: address, User: user}
		return func(o *link.Options) { o.Egress = way(t, proxy.String()) }
	}
	st := try(t, server.URL, through(nil))
	if !strings.Contains(st.LastError, "wants a login (407") || !strings.Contains(st.LastError, "corp") {
		t.Error(st.LastError)
	}
	st = try(t, server.URL, through(url.UserPassword("svc", "wrong")))
	if !strings.Contains(st.LastError, "407") || strings.Contains(st.LastError, "wrong") {
		t.Errorf("%q", st.LastError)
	}
	st = try(t, server.URL, through(url.UserPassword("svc", "s3cret")))
	if !strings.Contains(st.LastError, "404") { // so it did get through
		t.Error(st.LastError)
	}
	// At least once each: the first wait before another attempt is a random one.
	want := "CONNECT " + server.Listener.Addr().String()
	if len(*asked) < 3 || slices.ContainsFunc(*asked, func(got string) bool { return got != want }) {
		t.Errorf("%v, want %s each time", *asked, want)
	}
}

func TestStopWhileDialling(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ctx, cancel := context.WithCancel(t.Context())
	l := link.New(link.Options{
		Relay: &url.URL{Scheme: "http", Host: listener.Addr().String()}, Log: zaptest.NewLogger(t),
		Egress: way(t, egress.ProxyNone),
	})
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("it does not stop")
	}
}
