package egress

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/testkit"
)

// TestAgentGetsOut: enrolled, online and serving, through each kind of proxy.
// The relay's name is known to the proxies only, so there is no other way.
func TestAgentGetsOut(t *testing.T) {
	relay := startRelay(t, "relay.test")
	_, port, _ := net.SplitHostPort(relay.host)
	names := map[string]string{"relay.test": "127.0.0.1"}
	trust := []string{"--ca-file", relay.authority.File}
	squid := func(t *testing.T, login func(*testing.T, string) []string) *testkit.Squid {
		dir := testkit.SquidDir(t)
		return testkit.StartSquid(t, testkit.SquidOptions{Dir: dir, Config: append(login(t, dir), rules(port)...), Hosts: names})
	}

	t.Run("by the environment, with a user and password in the URL", func(t *testing.T) {
		t.Parallel()
		s := squid(t, basicLogin)
		relay.company(t, trust, []string{"HTTPS_PROXY=http://svc:s3cret@" + s.Address}).serves(t)
		served(t, s, fmt.Sprintf("svc CONNECT %s 200", relay.host))
	})
	t.Run("by agent.yaml, with NTLM", func(t *testing.T) {
		t.Parallel()
		s := squid(t, ntlmLogin)
		file := write(t, t.TempDir(), "agent.yaml", fmt.Sprintf("proxy: http://%s\nproxyUser: CORP\\svc\nproxyPasswordFile: %s\ncaFile: %s\n",
			s.Address, passwordFile(t, password), relay.authority.File))
		relay.company(t, []string{"--config", file}, nil).serves(t)
		served(t, s, fmt.Sprintf(`CORP\svc CONNECT %s 200`, relay.host))
	})
	t.Run("a login that is refused is named", func(t *testing.T) {
		t.Parallel()
		s := squid(t, basicLogin)
		c := relay.company(t, trust, []string{"SALLYPORT_PROXY=http://svc:s3cret@" + s.Address})
		if said, err := c.enroll(t); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		c.env = append(c.env, "SALLYPORT_PROXY=http://svc:wr0ng@"+s.Address)
		said := c.lastError(t)
		for _, word := range []string{"the proxy http://svc@" + s.Address, `refuses the login of the user "svc" with Basic (407`, "check the user, the password"} {
			if !strings.Contains(said, word) {
				t.Errorf("%q does not say %q", said, word)
			}
		}
	})
	t.Run("a proxy that opens TLS", func(t *testing.T) {
		t.Parallel()
		outer := testkit.StartSquid(t, testkit.SquidOptions{Config: []string{"http_access allow CONNECT"}, Hosts: names})
		proxy, authority := startMitmproxy(t, outer.Address, relay.authority.File)
		c := relay.company(t, []string{"--proxy", "http://" + proxy}, nil)
		said, err := c.enroll(t)
		for _, word := range []string{"relay.test", "mitmproxy", "which this machine does not trust", "opens TLS connections", "caFile (--ca-file)"} {
			if err == nil || !strings.Contains(said, word) {
				t.Errorf("%v: %q does not say %q", err, said, word)
			}
		}
		c.args = append(c.args, "--ca-file", authority)
		c.serves(t)
		served(t, outer, fmt.Sprintf("- CONNECT %s 200", relay.host))
		// And what is lost when its authority is taken away again.
		c.args = append(c.args, "--ca-file", relay.authority.File)
		if said := c.lastError(t); !strings.Contains(said, "mitmproxy") || !strings.Contains(said, "caFile") {
			t.Error(said)
		}
	})
}

// startMitmproxy starts a proxy that opens TLS, and returns its address and the
// file of the authority by which it signs anew. It goes on by another proxy, as
// such do.
func startMitmproxy(t *testing.T, upstream, trust string) (address, authority string) {
	t.Helper()
	path := testkit.Program(t, "mitmdump")
	dir := t.TempDir()
	address = fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t))
	host, port, _ := net.SplitHostPort(address)
	testkit.Start(t, testkit.ProcessOptions{Name: "mitmdump", Path: path, Args: []string{
		"--set", "confdir=" + dir, "--listen-host", host, "--listen-port", port, "--mode", "upstream:http://" + upstream,
		"--set", "ssl_verify_upstream_trusted_ca=" + trust, "--set", "termlog_verbosity=warn"}})
	listening(t, "mitmproxy", address)
	return address, filepath.Join(dir, "mitmproxy-ca-cert.pem")
}
