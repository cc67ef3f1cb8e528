package egress

import (
	"fmt"
	"net/url"
	"testing"

	"sallyport/agent/egress"
	"sallyport/internal/testkit"
)

// startSocks starts a real SOCKS5 server and returns its address.
func startSocks(t *testing.T, more ...string) string {
	t.Helper()
	port := testkit.FreePort(t)
	address := fmt.Sprintf("127.0.0.1:%d", port)
	testkit.Start(t, testkit.ProcessOptions{Name: "microsocks", Path: testkit.Program(t, "microsocks"),
		Args: append([]string{"-i", "127.0.0.1", "-p", fmt.Sprint(port)}, more...)})
	listening(t, "microsocks", address)
	return address
}

func TestSOCKS5(t *testing.T) {
	echoed := echo(t)
	target := &url.URL{Scheme: "https", Host: "127.0.0.1:" + echoed.Port()}
	byName := &url.URL{Scheme: "https", Host: "localhost:" + echoed.Port()}
	open := "socks5://" + startSocks(t)
	for _, u := range []*url.URL{target, byName} {
		if err := reach(t, egress.Options{Proxy: open}, u); err != nil {
			t.Errorf("%s: %v", u, err)
		}
	}
	closed := &url.URL{Scheme: "https", Host: fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t))}
	fault(t, reach(t, egress.Options{Proxy: open}, closed), egress.FaultProxy, "will not connect to "+closed.Host, "connection refused")

	guarded := startSocks(t, "-u", user, "-P", password)
	o := egress.Options{Proxy: "socks5://" + guarded}
	fault(t, reach(t, o, target), egress.FaultProxyAuth, "wants a login", "proxyUser")
	o.User, o.PasswordFile = user, passwordFile(t, "wr0ng")
	fault(t, reach(t, o, target), egress.FaultProxyAuth, `refuses the login of the user "svc"`)
	o.PasswordFile = passwordFile(t, password)
	if err := reach(t, o, target); err != nil {
		t.Error(err)
	}
	if err := reach(t, egress.Options{Proxy: "socks5://svc:s3cret@" + guarded}, target); err != nil {
		t.Error(err)
	}
}

func TestAgentGetsOutBySOCKS5(t *testing.T) {
	relay := startRelay(t, "127.0.0.1")
	proxy := startSocks(t, "-u", user, "-P", password)
	relay.company(t, []string{"--ca-file", relay.authority.File, "--proxy", "socks5://" + proxy,
		"--proxy-user", user, "--proxy-password-file", passwordFile(t, password)}, nil).serves(t)
}
