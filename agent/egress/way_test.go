package egress

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func parse(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestWhoDecidesOnTheWay: the configuration, or else the environment, or else
// the system's settings, and each says its name.
func TestWhoDecidesOnTheWay(t *testing.T) {
	set := settings{source: "Windows proxy settings", proxies: map[string]string{"https": "win:8080"},
		bypass: exceptions{patterns: []string{"*.inside.test"}, plain: true}}
	for _, c := range []struct {
		name   string
		proxy  string
		env    map[string]string
		system settings
		target string // "": https://relay.test
		want   string // of Way.String
	}{
		{name: "nothing set", want: "directly (no proxy in the environment)"},
		{name: "configured", proxy: "http://p:3128", env: map[string]string{"HTTPS_PROXY": "http://e"}, want: "through http://p:3128 (the agent's configuration, proxy)"},
		{name: "configured without a scheme", proxy: "p:3128", want: "through http://p:3128 (the agent's configuration, proxy)"},
		{name: "configured with a login", proxy: "socks5://svc:hush@p", want: "through socks5://svc@p (the agent's configuration, proxy)"},
		{name: "configured for this machine", proxy: "https://p", target: "http://127.0.0.1:8080", want: "through https://p (the agent's configuration, proxy)"},
		{name: "none", proxy: "none", env: map[string]string{"HTTPS_PROXY": "http://e"}, system: set, want: "directly (proxy: none)"},
		{name: "environment", env: map[string]string{"HTTPS_PROXY": "http://svc:hush@e:1"}, system: set, want: "through http://svc@e:1 (HTTPS_PROXY)"},
		{name: "environment in small letters", env: map[string]string{"https_proxy": "e:1"}, want: "through http://e:1 (https_proxy)"},
		{name: "environment for websockets", env: map[string]string{"HTTPS_PROXY": "e:1"}, target: "wss://relay.test/tunnel", want: "through http://e:1 (HTTPS_PROXY)"},
		{name: "environment for anything", env: map[string]string{"ALL_PROXY": "socks5://e"}, want: "through socks5://e (ALL_PROXY)"},
		{name: "environment for http", env: map[string]string{"HTTPS_PROXY": "e:1", "HTTP_PROXY": "e:2"}, target: "http://relay.test", want: "through http://e:2 (HTTP_PROXY)"},
		{name: "a request's field in CGI", env: map[string]string{"HTTP_PROXY": "evil", "REQUEST_METHOD": "GET"}, target: "http://relay.test", want: "directly (no proxy in the environment)"},
		{name: "exception by domain", env: map[string]string{"HTTPS_PROXY": "e", "NO_PROXY": ".test"}, system: set, want: "directly (NO_PROXY)"},
		{name: "exception by port", env: map[string]string{"HTTPS_PROXY": "e", "NO_PROXY": "relay.test:443"}, want: "directly (NO_PROXY)"},
		{name: "exception by network", env: map[string]string{"HTTPS_PROXY": "e", "NO_PROXY": "10.0.0.0/8"}, target: "https://10.1.2.3", want: "directly (NO_PROXY)"},
		{name: "no exception", env: map[string]string{"HTTPS_PROXY": "e", "NO_PROXY": "other.test,10.0.0.0/8"}, want: "through http://e (HTTPS_PROXY)"},
		{name: "exception in IPv6", env: map[string]string{"HTTPS_PROXY": "e", "NO_PROXY": "fd00::/8"}, target: "https://[fd00::1]:8443", want: "directly (NO_PROXY)"},
		{name: "this machine itself", env: map[string]string{"HTTPS_PROXY": "e"}, target: "https://localhost:8443", want: "directly (no proxy for this machine itself)"},
		{name: "this machine itself in IPv6", env: map[string]string{"HTTPS_PROXY": "e"}, target: "https://[::1]", want: "directly (no proxy for this machine itself)"},
		{name: "system", system: set, want: "through http://win:8080 (Windows proxy settings)"},
		{name: "the environment alone", proxy: "environment", system: set, want: "directly (no proxy in the environment)"},
		{name: "exception of the system", system: set, target: "https://a.inside.test", want: "directly (an exception of the Windows proxy settings)"},
		{name: "system has none for http", system: set, target: "http://relay.test", want: "directly (no proxy in the environment or the Windows proxy settings)"},
		{name: "system and this machine", system: set, target: "http://127.0.0.2", want: "directly (no proxy for this machine itself)"},
		{name: "system with SOCKS", system: settings{source: "macOS proxy settings", proxies: map[string]string{"socks": "s:1080"}}, want: "through socks5://s:1080 (macOS proxy settings)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := New(Options{Proxy: c.proxy, Env: func(name string) (string, bool) { v, ok := c.env[name]; return v, ok }})
			if err != nil {
				t.Fatal(err)
			}
			e.systemProxy = func() (settings, error) { return c.system, nil }
			if c.target == "" {
				c.target = "https://relay.test"
			}
			way, err := e.Way(parse(t, c.target))
			if err != nil || way.String() != c.want {
				t.Errorf("%s, %v; want %s", way, err, c.want)
			}
		})
	}
}

func TestScriptIsNamedAndNotEvaluated(t *testing.T) {
	core, logged := observer.New(zap.InfoLevel)
	e, err := New(Options{Env: func(string) (string, bool) { return "", false }, Log: zap.New(core)})
	if err != nil {
		t.Fatal(err)
	}
	const pac = "http://wpad.plant2.internal/proxy.pac"
	e.systemProxy = func() (settings, error) {
		return settings{source: "Windows proxy settings", pac: pac}, nil
	}
	way, err := e.Way(parse(t, "https://relay.invalid"))
	if err != nil || way.Proxy != nil || way.PAC != pac || len(way.Notes) != 1 || !strings.Contains(way.Notes[0], "set proxy to the proxy's URL") {
		t.Errorf("%+v, %v", way, err)
	}
	for range 2 { // the log says it once, each failure says it again
		_, err = e.Dial(t.Context(), parse(t, "https://relay.invalid"))
		var dial *DialError
		if !errors.As(err, &dial) || dial.Fault != FaultUnreachable || !strings.Contains(dial.Remedy, pac) {
			t.Errorf("%v", err)
		}
	}
	if n := logged.FilterMessage("about the way to the relay").FilterLevelExact(zap.WarnLevel).Len(); n != 1 {
		t.Errorf("logged %d times", n)
	}
	e.systemProxy = func() (settings, error) { return settings{}, errors.New("registry locked") }
	if way, err = e.Way(parse(t, "https://relay.invalid")); err != nil || !strings.Contains(way.Notes[0], "registry locked") {
		t.Errorf("%+v, %v", way, err)
	}
}

func TestFaultyOptionsAreNamed(t *testing.T) {
	for want, o := range map[string]Options{
		"proxy: not":        {Proxy: "ftp://user:hush@proxy"},
		"proxy: not \"":     {Proxy: "http://"},
		"caFile: ":          {CAFile: "/does/not/exist"},
		"proxyCaFile: ":     {ProxyCAFile: "/does/not/exist"},
		"set proxyUser too": {PasswordFile: "/does/not/exist"},
		"proxyPasswordFile": {User: "svc", PasswordFile: "/does/not/exist"},
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	for _, value := range []string{"ftp://user:hush@proxy", "http://user:hush@no such host:99999", "http://"} {
		e, err := New(Options{Env: func(name string) (string, bool) { return value, name == "HTTPS_PROXY" }})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Way(parse(t, "https://relay.test")); err == nil || !strings.Contains(err.Error(), "HTTPS_PROXY is no URL") || strings.Contains(err.Error(), "system") || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: error %v", value, err)
		}
	}
}
