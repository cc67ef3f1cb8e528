package egress

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
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
				if strings.Contains(answer, "Connection: close") {
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

func secret(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
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

func TestChallenges(t *testing.T) {
	for _, c := range []struct {
		lines []string
		want  string // each challenge as String, with its token and one parameter
	}{
		{[]string{"Negotiate", "NTLM", `Basic realm="corp, inc"`}, `Negotiate|NTLM|Basic realm="corp, inc"`},
		{[]string{`Negotiate, NTLM , basic Realm=corp, charset="UTF-8"`}, `Negotiate|NTLM|basic realm="corp"`},
		{[]string{"NTLM TlRMTVNTUAAC=="}, "NTLM<TlRMTVNTUAAC==>"},
		{[]string{`Digest qop="auth", realm="a \"b\"", nonce=n, Basic realm=x`}, `Digest realm="a "b""{n}|Basic realm="x"`},
		{[]string{"", ",", " , Basic"}, "Basic"},
		{[]string{`realm="nobody's"`}, ""},
		{[]string{"Ba\x01sic realm=\"x\x1by\""}, `Ba sic realm="x y"`},
	} {
		var got []string
		for _, one := range parseChallenges(c.lines) {
			text := one.String()
			if one.token != "" {
				text += "<" + one.token + ">"
			}
			if one.params["nonce"] != "" {
				text += "{" + one.params["nonce"] + "}"
			}
			got = append(got, text)
		}
		if strings.Join(got, "|") != c.want {
			t.Errorf("%q: %q, want %q", c.lines, got, c.want)
		}
	}
}

func TestWhoLogsIn(t *testing.T) {
	for _, c := range []struct {
		user, domain             string
		windows, kerberos, realm string
	}{
		{"svc", "", "svc", "svc", ""},
		{`CORP\svc`, "", `CORP\svc`, "svc", "CORP"},
		{"svc@corp.example", "", "svc@corp.example", "svc", "CORP.EXAMPLE"},
		{"svc", "corp.example", `corp.example\svc`, "svc", "CORP.EXAMPLE"},
	} {
		a, err := (&Egress{opts: Options{User: c.user, Domain: c.domain}}).account(url.UserPassword("other", "x"))
		if err != nil {
			t.Fatal(err)
		}
		user, realm := a.principal()
		if a.name != c.user || a.windows() != c.windows || user != c.kerberos || realm != c.realm || a.hasPassword() {
			t.Errorf("%+v: %+v, %s in %s", c, a, user, realm)
		}
	}
}

func TestPasswordThatOthersCanRead(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes say nothing on Windows")
	}
	file := secret(t, "s3cret\n")
	for mode, ok := range map[os.FileMode]bool{0o600: true, 0o640: true, 0o644: false} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		_, err := New(Options{User: "svc", PasswordFile: file})
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "chmod 600 "+file) {
			t.Errorf("%o: %v", mode, err)
		}
	}
	if _, err := New(Options{User: "svc", PasswordFile: secret(t, "\n")}); err == nil || !strings.Contains(err.Error(), "first line") {
		t.Error(err)
	}
}

func TestSocksMessages(t *testing.T) {
	for addr, want := range map[string]string{
		"relay.test:443":                "\x05\x01\x00\x03\x0arelay.test\x01\xbb",
		"10.1.2.3:8443":                 "\x05\x01\x00\x01\x0a\x01\x02\x03\x20\xfb",
		"[fd00::7]:443":                 "\x05\x01\x00\x04\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07\x01\xbb",
		"[::ffff:10.1.2.3]:443":         "\x05\x01\x00\x01\x0a\x01\x02\x03\x01\xbb",
		"relay.test:https":              "",
		strings.Repeat("x", 256) + ":1": "",
	} {
		got, err := socksRequest(addr)
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", addr, got, err)
		}
	}
	// What the proxy says after its answer is the target's, and must be left.
	for _, c := range []struct {
		said  string
		fault Fault // "": gets through
		words string
	}{
		{"\x05\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00!", "", ""},
		{"\x05\x00\x05\x00\x00\x03\x02ab\x00\x00!", "", ""},
		{"\x05\x00\x05\x00\x00\x04" + strings.Repeat("\x00", 18) + "!", "", ""},
		{"\x05\x00\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00", FaultProxy, "not allowed by its rules"},
		{"\x05\x00\x05\x63\x00\x01\x00\x00\x00\x00\x00\x00", FaultProxy, "reason 99"},
		{"\x05\xff", FaultProxyAuth, "neither a user and password nor none"},
		{"\x05\x02\x01\x01", FaultProxyAuth, "refuses the login"},
		{"\x05\x01", FaultProxy, "login method 1"},
		{"HT", FaultProxy, "does not speak SOCKS5"},
		{"\x05\x00\x05\x00\x00\x09\x00", FaultProxy, "unknown kind 9"},
		{"\x05", FaultProxy, "read its greeting"},
	} {
		err := socksTalk(t, c.said)
		var dial *DialError
		switch errors.As(err, &dial); {
		case c.fault == "" && err != nil:
			t.Errorf("%q: %v", c.said, err)
		case c.fault != "" && (dial == nil || dial.Fault != c.fault || !strings.Contains(dial.Error(), c.words)):
			t.Errorf("%q: %v, want the fault %s with %q", c.said, err, c.fault, c.words)
		}
	}
}

// socksTalk dials through a proxy that says one thing, whatever it is asked, and
// then hangs up. Where that lets through, "!" must come from the connection.
func socksTalk(t *testing.T, said string) error {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	defer serving.Wait()
	defer listener.Close()
	serving.Go(func() {
		if conn, err := listener.Accept(); err == nil {
			_, _ = io.WriteString(conn, said)
			_ = conn.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, conn) // a reset could overtake what was said
			_ = conn.Close()
		}
	})
	e, err := New(Options{Proxy: "socks5://svc:hush@" + listener.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := e.Dial(t.Context(), &url.URL{Scheme: "https", Host: "relay.test"})
	if err != nil {
		return err
	}
	defer conn.Close()
	if rest, err := io.ReadAll(conn); err != nil || string(rest) != "!" {
		t.Errorf("%q: then %q, %v", said, rest, err)
	}
	return nil
}
