package egress

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scripted is an HTTP proxy that gives the next of its answers to each request,
// on one connection for as long as its answers keep that open.
type scripted struct {
	address string

	mu    sync.Mutex // guards the following
	asked []string   // what came as Proxy-Authorization, with the connection's number before it
}

// startScripted takes answers without their last empty line and the body, "no".
func startScripted(t *testing.T, answers ...string) *scripted {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &scripted{address: listener.Addr().String()}
	var serving sync.WaitGroup
	serving.Go(func() {
		for number := 1; ; number++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			reader := bufio.NewReader(conn)
			for {
				req, err := http.ReadRequest(reader)
				if err != nil {
					break
				}
				p.mu.Lock()
				p.asked = append(p.asked, fmt.Sprintf("%d %s", number, req.Header.Get("Proxy-Authorization")))
				n := len(p.asked)
				p.mu.Unlock()
				answer := answers[min(n, len(answers))-1]
				body := "Content-Length: 2\r\n\r\nno"
				if strings.HasPrefix(answer, "200") {
					body = "\r\n"
				}
				fmt.Fprintf(conn, "HTTP/1.1 %s\r\n%s", answer, body)
				if strings.Contains(answer, "Connection: close") || strings.Contains(answer, hangsUp) {
					break
				}
			}
			_ = conn.Close()
		}
	})
	t.Cleanup(func() { _ = listener.Close(); serving.Wait() })
	return p
}

func (p *scripted) log() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

const wants = "407 Proxy Authentication Required\r\nProxy-Authenticate: "

// hangsUp is a field by which the scripted proxy closes its connection.
const hangsUp = "\r\nX-Hangs-Up: yes"

// goThrough dials a target through the proxy.
func goThrough(t *testing.T, o Options) error {
	t.Helper()
	if o.Env == nil { // Kerberos is set up on no machine
		o.Env = func(name string) (string, bool) { return filepath.Join(t.TempDir(), "none"), name == "KRB5_CONFIG" }
	}
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn, err := e.Dial(ctx, &url.URL{Scheme: "https", Host: "relay.test"})
	if err != nil {
		return err
	}
	return conn.Close()
}

const ntlmChallenge = "TlRMTVNTUAACAAAACQAJAK6qqqoBgoig9xsPG0zhw8UAAAAAAAA6AFdPUktHUk9VUA=="

// TestConversationWithProxy: what is sent, on which connection, and how it ends.
func TestConversationWithProxy(t *testing.T) {
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("svc:s3cret"))
	for _, c := range []struct {
		name    string
		inURL   bool // the login stands in the proxy's URL
		answers []string
		asked   []string // prefixes
		fault   Fault    // "": gets through
		words   string
	}{
		{name: "no login wanted", answers: []string{"200 OK"}, asked: []string{"1 "}},
		{name: "asked first, on the same connection", answers: []string{wants + "Basic realm=x", "200 OK"}, asked: []string{"1 ", "1 " + basic}},
		{name: "asked first, and closed", answers: []string{wants + "Basic realm=x\r\nConnection: close", "200 OK"}, asked: []string{"1 ", "2 " + basic}},
		{name: "asked first, and closed without a word", answers: []string{wants + "Basic realm=x" + hangsUp, "200 OK"}, asked: []string{"1 ", "2 " + basic}},
		{name: "closed without a word in the middle of NTLM", answers: []string{wants + "NTLM" + hangsUp, wants + "NTLM " + ntlmChallenge + hangsUp},
			asked: []string{"1 ", "2 NTLM TlRMTVNTUAAB"}, fault: FaultProxyAuth, words: "in the middle of a login with NTLM"},
		{name: "in the URL", inURL: true, answers: []string{"200 OK"}, asked: []string{"1 " + basic}},
		{name: "in the URL, where Basic is not wanted", inURL: true, answers: []string{wants + "NTLM", wants + "NTLM " + ntlmChallenge, "200 OK"},
			asked: []string{"1 " + basic, "1 NTLM TlRMTVNTUAAB", "1 NTLM TlRMTVNTUAAD"}},
		{name: "the strongest", answers: []string{wants + "Basic realm=x, NTLM, Digest realm=x, nonce=y", wants + "NTLM " + ntlmChallenge, "200 OK"},
			asked: []string{"1 ", "1 NTLM TlRMTVNTUAAB", "1 NTLM TlRMTVNTUAAD"}},
		{name: "NTLM in place of Kerberos", answers: []string{wants + "Negotiate", wants + "Negotiate " + ntlmChallenge, "200 OK"},
			asked: []string{"1 ", "1 Negotiate TlRMTVNTUAAB", "1 Negotiate TlRMTVNTUAAD"}},
		{name: "closed in the middle of NTLM", answers: []string{wants + "NTLM\r\nConnection: close", wants + "NTLM " + ntlmChallenge + "\r\nConnection: close"},
			asked: []string{"1 ", "2 NTLM TlRMTVNTUAAB"}, fault: FaultProxyAuth, words: "in the middle of a login with NTLM"},
		{name: "refused", answers: []string{wants + "Basic realm=x"}, asked: []string{"1 ", "1 " + basic}, fault: FaultProxyAuth, words: `refuses the login of the user "svc" with Basic (407; it offers Basic realm="x")`},
		{name: "NTLM refused", answers: []string{wants + "NTLM", wants + "NTLM " + ntlmChallenge, wants + "NTLM, Basic realm=x"},
			asked: []string{"1 ", "1 NTLM ", "1 NTLM "}, fault: FaultProxyAuth, words: "with NTLM"},
		{name: "damaged challenge", answers: []string{wants + "NTLM", wants + "NTLM AAAA"}, asked: []string{"1 ", "1 NTLM "}, fault: FaultProxyAuth, words: "challenge can't be answered"},
		{name: "digest", answers: []string{wants + `Digest realm="x", nonce="y", qop="auth", algorithm=SHA-256`, "200 OK"},
			asked: []string{"1 ", `1 Digest username="svc", realm="x", nonce="y", uri="relay.test:443"`}},
		{name: "digest with a number that is too old", answers: []string{wants + `Digest realm="x", nonce="y"`, wants + `Digest realm="x", nonce="z", stale=true`, "200 OK"},
			asked: []string{"1 ", "1 Digest ", `1 Digest username="svc", realm="x", nonce="z"`}},
		{name: "digest for ever", answers: []string{wants + `Digest realm="x", nonce="y", stale=true`}, asked: []string{"1 ", "1 Digest ", "1 Digest "}, fault: FaultProxyAuth, words: "with Digest"},
		{name: "unknown ways", answers: []string{wants + "Hawk, Bearer"}, asked: []string{"1 "}, fault: FaultProxyAuth, words: "it offers Hawk, Bearer); the agent can do Negotiate, NTLM, Digest and Basic"},
		{name: "no way at all", answers: []string{wants[:strings.Index(wants, "\r")]}, asked: []string{"1 "}, fault: FaultProxyAuth, words: "it offers no way to log in"},
		{name: "forbidden", answers: []string{"403 Forbidden"}, asked: []string{"1 "}, fault: FaultProxy, words: "will not connect to relay.test:443 (403 Forbidden): no; ask whoever runs the proxy to allow CONNECT"},
		{name: "busy", answers: []string{"503 Service Unavailable\r\nRetry-After: 7"}, asked: []string{"1 "}, fault: FaultProxy, words: "503"},
		{name: "speaks first", answers: []string{"200 OK\r\n\r\nHello"}, asked: []string{"1 "}, fault: FaultProxy, words: "before it is spoken to"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := startScripted(t, c.answers...)
			o := Options{Proxy: "http://" + p.address, User: "svc", PasswordFile: secret(t, "s3cret\r\nand what follows\n")}
			if c.inURL {
				o = Options{Proxy: "http://svc:s3cret@" + p.address}
			}
			err := goThrough(t, o)
			var dial *DialError
			switch errors.As(err, &dial); {
			case c.fault == "" && err != nil:
				t.Error(err)
			case c.fault != "" && (dial == nil || dial.Fault != c.fault || !strings.Contains(dial.Error(), c.words)):
				t.Errorf("got %v, want the fault %s with %q", err, c.fault, c.words)
			case err != nil && strings.Contains(err.Error(), "s3cret"):
				t.Errorf("the password is told: %v", err)
			}
			if got := p.log(); !slices.EqualFunc(got, c.asked, strings.HasPrefix) {
				t.Errorf("asked %q,\nwant %q", got, c.asked)
			}
		})
	}
}

// TestRefusedLoginIsNotRepeated: two tunnels that dial for ever would lock the
// account.
func TestRefusedLoginIsNotRepeated(t *testing.T) {
	p := startScripted(t, wants+"Basic realm=x")
	file := secret(t, "old\n")
	e, err := New(Options{Proxy: "http://" + p.address, User: "svc", PasswordFile: file})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	e.lockout.clock = func() time.Time { return now }
	logins := func() (n int) {
		for _, asked := range p.log() {
			if strings.Contains(asked, "Basic") {
				n++
			}
		}
		return n
	}
	for attempt, wait := range []time.Duration{15 * time.Second, time.Minute, 4 * time.Minute, 15 * time.Minute, 15 * time.Minute} {
		for range 5 {
			_, err := e.Dial(t.Context(), &url.URL{Scheme: "https", Host: "relay.test"})
			var dial *DialError
			if !errors.As(err, &dial) || dial.Fault != FaultProxyAuth || !strings.Contains(dial.Text, "refuses the login") {
				t.Fatalf("attempt %d: %v", attempt, err)
			}
		}
		if n := logins(); n != attempt+1 {
			t.Fatalf("%d logins after attempt %d", n, attempt)
		}
		now = now.Add(wait)
	}
	now = now.Add(-time.Minute) // within the wait, but with another password
	if err := os.WriteFile(file, []byte("new\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := logins()
	if _, err := e.Dial(t.Context(), &url.URL{Scheme: "https", Host: "relay.test"}); err == nil || logins() != before+1 {
		t.Errorf("%v after %d logins, %d before", err, logins(), before)
	}
}

func TestProxyThatIsNotThere(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // the kernel connects; nobody answers
	if err != nil {
		t.Fatal(err)
	}
	mute := listener.Addr().String()
	for _, scheme := range []string{"http", "socks5"} {
		e, err := New(Options{Proxy: scheme + "://" + mute})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		_, err = e.Dial(ctx, &url.URL{Scheme: "https", Host: "relay.test"})
		cancel()
		var dial *DialError
		if !errors.As(err, &dial) || dial.Fault != FaultProxy || !strings.Contains(err.Error(), "did not answer in time") || !strings.Contains(dial.Remedy, "://") {
			t.Errorf("%s: %v", scheme, err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		cancel()
		if _, err = e.Dial(ctx, &url.URL{Scheme: "https", Host: "relay.test"}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", scheme, err)
		}
	}
	_ = listener.Close()
	for _, scheme := range []string{"http", "https", "socks5"} {
		err := goThrough(t, Options{Proxy: scheme + "://svc:hush@" + mute})
		var dial *DialError
		if !errors.As(err, &dial) || dial.Fault != FaultProxyUnreachable || strings.Contains(err.Error(), "hush") || !strings.Contains(dial.Remedy, "the agent's configuration") {
			t.Errorf("%s: %v", scheme, err)
		}
	}
}
