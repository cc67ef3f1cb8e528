package egress

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/agent/egress"
	"sallyport/internal/testkit"
)

// The user of every proxy here, and lines by which squid's helpers know them.
const (
	user     = "svc"
	password = "s3cret"
	htpasswd = "svc:$apr1$sallyprt$gBzJwAzQU4yCAHZLGl.nq0\n"
)

// logins are squid's settings for each way to log in.
func basicLogin(t *testing.T, dir string) []string {
	write(t, dir, "htpasswd", htpasswd)
	return []string{
		"auth_param basic program " + testkit.SquidHelper(t, "basic_ncsa_auth") + " " + filepath.Join(dir, "htpasswd"),
		"auth_param basic children 1 startup=1",
		"auth_param basic realm corp",
	}
}

func digestLogin(t *testing.T, dir string) []string {
	write(t, dir, "htdigest", user+":"+password+"\n")
	return []string{
		"auth_param digest program " + testkit.SquidHelper(t, "digest_file_auth") + " " + filepath.Join(dir, "htdigest"),
		"auth_param digest children 1 startup=1",
		"auth_param digest realm corp",
	}
}

// ntlmLogin takes every password: the helper speaks the protocol, and knows no
// domain to ask.
func ntlmLogin(t *testing.T, _ string) []string {
	return []string{
		"auth_param ntlm program " + testkit.SquidHelper(t, "ntlm_fake_auth"),
		"auth_param ntlm children 1 startup=1",
	}
}

// rules let known users connect to one port, and nobody to any other.
func rules(port string) []string {
	return []string{
		"acl users proxy_auth REQUIRED",
		"acl relay port " + port,
		"http_access deny CONNECT !relay",
		"http_access allow CONNECT users",
	}
}

// hosts are the names that only the proxy knows. Nothing listens at the second
// address.
var hosts = map[string]string{"echo.test": "127.0.0.1", "down.test": "127.0.0.2"}

// echo is a target that sends back what it gets.
func echo(t *testing.T) *url.URL {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				_, _ = io.Copy(conn, conn)
				_ = conn.Close()
			})
		}
	})
	t.Cleanup(func() { _ = listener.Close(); serving.Wait() })
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return &url.URL{Scheme: "https", Host: "echo.test:" + port} // a name that only the proxy knows
}

// reach goes out to the target and back.
func reach(t *testing.T, o egress.Options, target *url.URL) error {
	t.Helper()
	e, err := egress.New(o)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := e.Dial(within(t, patience), target)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	const word = "out and back"
	if _, err := io.WriteString(conn, word); err != nil {
		t.Fatal(err)
	}
	back := make([]byte, len(word))
	if _, err := io.ReadFull(conn, back); err != nil || string(back) != word {
		t.Fatalf("came back: %q, %v", back, err)
	}
	return nil
}

// passwordFile holds a password as proxyPasswordFile wants it.
func passwordFile(t *testing.T, password string) string {
	t.Helper()
	return write(t, t.TempDir(), "password", password+"\n")
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	mode := os.FileMode(0o600)
	if strings.HasPrefix(name, "ht") { // squid reads it as another user
		mode = 0o644
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// fault is the error as it must be.
func fault(t *testing.T, err error, want egress.Fault, words ...string) *egress.DialError {
	t.Helper()
	var e *egress.DialError
	if !errors.As(err, &e) || e.Fault != want {
		t.Fatalf("got %v, want the fault %s", err, want)
	}
	for _, word := range words {
		if !strings.Contains(e.Error(), word) {
			t.Errorf("%q does not say %q", e, word)
		}
	}
	return e
}

// TestLoginAtSquid: each way to log in gets out with the right login, and says
// what is wrong with another.
func TestLoginAtSquid(t *testing.T) {
	target := echo(t)
	for _, c := range []struct {
		name   string
		logins []func(*testing.T, string) []string
		used   string // the scheme that must be used
		logged string // the user as squid knows it
		picky  bool   // it can tell a wrong password
	}{
		{"basic", []func(*testing.T, string) []string{basicLogin}, "Basic", user, true},
		{"digest", []func(*testing.T, string) []string{digestLogin}, "Digest", user, true},
		{"ntlm", []func(*testing.T, string) []string{ntlmLogin}, "NTLM", `CORP\svc`, false},
		{"the stronger of two", []func(*testing.T, string) []string{basicLogin, digestLogin}, "Digest", user, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := testkit.SquidDir(t)
			var config []string
			for _, login := range c.logins {
				config = append(config, login(t, dir)...)
			}
			squid := testkit.StartSquid(t, testkit.SquidOptions{
				Dir: dir, Config: append(config, rules(target.Port())...), Hosts: hosts,
			})
			o := egress.Options{Proxy: "http://" + squid.Address, User: user}
			if c.used == "NTLM" {
				o.Domain = "CORP"
			}

			err := reach(t, egress.Options{Proxy: o.Proxy}, target)
			e := fault(t, err, egress.FaultProxyAuth, "wants a login (407", c.used, "proxyUser and proxyPasswordFile")
			if e.Status != 407 || len(e.Offered) != len(c.logins) || e.Scheme != "" {
				t.Errorf("%+v", e)
			}
			if c.picky {
				o.PasswordFile = passwordFile(t, "wr0ng")
				e = fault(t, reach(t, o, target), egress.FaultProxyAuth, `refuses the login of the user "svc" with `+c.used, "check the user")
				if e.Scheme != c.used || strings.Contains(e.Error(), "wr0ng") {
					t.Errorf("%+v", e)
				}
			}
			o.PasswordFile = passwordFile(t, password)
			if err := reach(t, o, target); err != nil {
				t.Fatal(err)
			}
			served(t, squid, fmt.Sprintf("%s CONNECT %s 200", c.logged, target.Host))

			elsewhere := &url.URL{Scheme: "https", Host: "echo.test:444"}
			e = fault(t, reach(t, o, elsewhere), egress.FaultProxy, "will not connect to echo.test:444 (403 Forbidden)", "ERR_ACCESS_DENIED", "ask whoever runs the proxy")
			if e.Status != 403 {
				t.Errorf("%+v", e)
			}
			down := &url.URL{Scheme: "https", Host: "down.test:" + target.Port()}
			fault(t, reach(t, o, down), egress.FaultProxy, "503", "ERR_CONNECT_FAIL", "the proxy itself does not reach it")
		})
	}
}

// TestLoginInTheProxysURL: what every HTTP client takes.
func TestLoginInTheProxysURL(t *testing.T) {
	target := echo(t)
	dir := testkit.SquidDir(t)
	squid := testkit.StartSquid(t, testkit.SquidOptions{
		Dir: dir, Config: append(basicLogin(t, dir), rules(target.Port())...), Hosts: hosts,
	})
	// Of the environment, as most companies set it.
	environment := func(proxy string) egress.Options {
		return egress.Options{Env: func(name string) (string, bool) { return proxy, name == "HTTPS_PROXY" }}
	}
	if err := reach(t, environment("http://svc:s3cret@"+squid.Address), target); err != nil {
		t.Fatal(err)
	}
	served(t, squid, fmt.Sprintf("svc CONNECT %s 200", target.Host))
	// It was sent unasked, so nothing was refused on the way.
	if slices.ContainsFunc(squid.Served(t), func(line string) bool { return strings.HasSuffix(line, "407") }) {
		t.Errorf("%q", squid.Served(t))
	}
	err := reach(t, environment("http://svc:wr0ng@"+squid.Address), target)
	if e := fault(t, err, egress.FaultProxyAuth, "refuses the login", "Basic"); strings.Contains(e.Error(), "wr0ng") {
		t.Error(e)
	}
}

// TestHTTPSProxy: the way to the proxy itself is TLS, with trust of its own.
func TestHTTPSProxy(t *testing.T) {
	target := echo(t)
	dir := testkit.SquidDir(t)
	company := testkit.NewAuthority(t, t.TempDir())
	cert, key := company.Issue(t, dir, "proxy", "127.0.0.1")
	for _, file := range []string{cert, key} {
		if err := os.Chmod(file, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	squid := testkit.StartSquid(t, testkit.SquidOptions{
		Dir: dir, CertFile: cert, KeyFile: key,
		Config: append(basicLogin(t, dir), rules(target.Port())...), Hosts: hosts,
	})
	o := egress.Options{Proxy: "https://svc:s3cret@" + squid.Address}
	fault(t, reach(t, o, target), egress.FaultProxyUnreachable, "Plant 2 Test Authority", "proxyCaFile")
	o.ProxyCAFile = company.File
	if err := reach(t, o, target); err != nil {
		t.Fatal(err)
	}
	served(t, squid, fmt.Sprintf("svc CONNECT %s 200", target.Host))
	o.Proxy = "http://svc:s3cret@" + squid.Address
	fault(t, reach(t, o, target), egress.FaultProxy, "https://")
}

// served waits until squid has logged a request, which it does at its end.
func served(t *testing.T, squid *testkit.Squid, line string) {
	t.Helper()
	testkit.Eventually(t, patience, "squid has served it", func() error {
		if lines := squid.Served(t); !slices.Contains(lines, line) {
			return fmt.Errorf("no %q in %q", line, lines)
		}
		return nil
	})
}
