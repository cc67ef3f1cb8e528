package egress

import (
	"errors"
	"net"
	"net/url"
	"os"
	"strings"

	"golang.org/x/net/http/httpproxy"
)

// Way is how a connection would leave, and who says so.
type Way struct {
	Proxy  *url.URL // without the password; nil: directly
	Source string   // such as "HTTPS_PROXY" or "Windows proxy settings"
	// PAC is the URL of a script that the system names for choosing a proxy. It
	// was not evaluated.
	PAC string
	// Notes are what a person should know of this choice: sentences.
	Notes []string
}

// String is the way in words, for a log.
func (w Way) String() string {
	if w.Proxy == nil {
		return "directly (" + w.Source + ")"
	}
	return "through " + w.Proxy.Redacted() + " (" + w.Source + ")"
}

// route is a Way with what only this package may see.
type route struct {
	Way
	login *url.Userinfo // of the proxy's URL
}

// Way tells which way would be taken to the target.
func (e *Egress) Way(target *url.URL) (Way, error) {
	r, err := e.route(target)
	return r.Way, err
}

func (e *Egress) route(target *url.URL) (route, error) {
	switch e.opts.Proxy {
	case ProxyNone:
		return directly("proxy: none"), nil
	case ProxyEnvironment:
		r, _, err := e.byEnvironment(target)
		return r, err
	case "", ProxySystem:
		r, decided, err := e.byEnvironment(target)
		if decided || err != nil {
			return r, err
		}
		return e.bySystem(target), nil
	}
	return via(e.fixed, "the agent's configuration, proxy"), nil
}

func directly(source string) route { return route{Way: Way{Source: source}} }

func via(proxy *url.URL, source string) route {
	shown := *proxy
	if proxy.User != nil {
		shown.User = url.User(proxy.User.Username())
	}
	return route{Way: Way{Proxy: &shown, Source: source}, login: proxy.User}
}

// byEnvironment asks the environment, and tells whether it says anything about
// such a target.
func (e *Egress) byEnvironment(target *url.URL) (r route, decided bool, err error) {
	name, value := e.firstSet("HTTPS_PROXY", "https_proxy")
	if scheme := target.Scheme; scheme == "http" || scheme == "ws" {
		name, value = "", ""
		// Of a CGI program it may come from a request's field "Proxy".
		if _, cgi := e.firstSet("REQUEST_METHOD"); cgi == "" {
			name, value = e.firstSet("HTTP_PROXY", "http_proxy")
		}
	}
	if value == "" {
		name, value = e.firstSet("ALL_PROXY", "all_proxy")
	}
	if value == "" {
		return directly("no proxy in the environment"), false, nil
	}
	proxy, err := ParseProxy(value)
	if err != nil {
		return route{}, false, errors.New("the environment variable " + name + " is " + err.Error())
	}
	_, except := e.firstSet("NO_PROXY", "no_proxy")
	rules := httpproxy.Config{HTTPSProxy: "http://proxy.invalid", NoProxy: except}
	asked := &url.URL{Scheme: "https", Host: address(target)}
	if u, err := rules.ProxyFunc()(asked); err == nil && u == nil {
		if isLoopback(target.Hostname()) {
			return directly("no proxy for this machine itself"), true, nil
		}
		return directly("NO_PROXY"), true, nil
	}
	return via(proxy, name), true, nil
}

// firstSet returns the first of the variables that is not empty.
func (e *Egress) firstSet(names ...string) (name, value string) {
	lookup := e.env()
	for _, name := range names {
		if value, _ := lookup(name); value != "" {
			return name, value
		}
	}
	return "", ""
}

func (e *Egress) env() func(string) (string, bool) {
	if e.opts.Env == nil {
		return os.LookupEnv
	}
	return e.opts.Env
}

// ParseProxy reads a proxy's URL as a person writes it. Without a scheme it is
// http. The error does not quote it, since it may hold a password.
func ParseProxy(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if !strings.Contains(text, "://") {
		u, err = url.Parse("http://" + text)
	}
	if err != nil || u.Hostname() == "" {
		return nil, errNoProxy
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
		return u, nil
	}
	return nil, errNoProxy
}

var errNoProxy = errors.New("no URL that begins with http://, https:// or socks5://")

// withScheme puts a scheme before a host and port that has none.
func withScheme(server, scheme string) string {
	if strings.Contains(server, "://") {
		return server
	}
	return scheme + "://" + server
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
