package egress

import (
	"net/url"
)

// settings are what an operating system says about proxies.
type settings struct {
	source  string            // for a person, such as "Windows proxy settings"
	proxies map[string]string // host and port by the target's scheme: "https", "http"; "socks" for either
	bypass  exceptions
	pac     string // the URL of a script that chooses
	detect  bool   // a script is looked for in the network (WPAD)
}

// orElse are these settings, or the others where these name no proxy. What is
// known of a script stays.
func (s settings) orElse(other settings) settings {
	if len(s.proxies) > 0 || len(other.proxies) == 0 && other.pac == "" {
		return s
	}
	if other.pac == "" {
		other.pac = s.pac
	}
	other.detect = other.detect || s.detect
	return other
}

// bySystem asks the operating system's settings.
func (e *Egress) bySystem(target *url.URL) route {
	read := e.systemProxy
	if read == nil {
		read = systemSettings
	}
	s, err := read()
	r := s.route(target)
	if err != nil {
		r.Notes = append(r.Notes, "the system's proxy settings can't be read in full: "+err.Error())
	}
	return r
}

// route is the way to the target by these settings.
func (s settings) route(target *url.URL) route {
	r := directly("no proxy in the environment")
	if s.source != "" {
		r = directly("no proxy in the environment or the " + s.source)
	}
	if isLoopback(target.Hostname()) {
		return directly("no proxy for this machine itself")
	}
	scheme := map[string]string{"https": "https", "wss": "https", "http": "http", "ws": "http"}[target.Scheme]
	server, kind := s.proxies[scheme], "http"
	if server == "" {
		server, kind = s.proxies["socks"], "socks5"
	}
	switch {
	case server != "" && s.bypass.match(target):
		return directly("an exception of the " + s.source)
	case server != "":
		proxy, err := ParseProxy(withScheme(server, kind))
		if err != nil {
			r.Notes = append(r.Notes, "the "+s.source+" name a proxy in a way that is not understood")
		} else {
			r = via(proxy, s.source)
		}
	}
	r.PAC = s.pac
	const direct = ": if the relay is not reached directly, set proxy to the proxy's URL"
	switch {
	case s.pac != "" && r.Proxy == nil:
		r.Notes = append(r.Notes, "the system names the script "+s.pac+" for choosing a proxy, which the agent does not evaluate"+direct)
	case s.pac != "":
		r.Notes = append(r.Notes, "the system also names the script "+s.pac+" for choosing a proxy, which the agent does not evaluate")
	case s.detect && r.Proxy == nil:
		r.Notes = append(r.Notes, "the system is to look for a proxy in the network (WPAD), which the agent does not do"+direct)
	}
	return r
}
