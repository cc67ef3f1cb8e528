package egress

import (
	"net/url"
)

// settings are what an operating system says about proxies.
type settings struct {
	source  string            // for a person, such as "Windows proxy settings"
	proxies map[string]string // host and port by the target's scheme: "https", "http"; "socks" for either
	bypass  func(target *url.URL) bool
	pac     string // the URL of a script that chooses
	detect  bool   // a script is looked for in the network (WPAD)
}

// bySystem asks the operating system's settings.
func (e *Egress) bySystem(target *url.URL) (route, error) {
	read := e.systemProxy
	if read == nil {
		read = systemSettings
	}
	s, err := read()
	if err != nil {
		r := directly("no proxy in the environment")
		r.Notes = append(r.Notes, "the system's proxy settings can't be read: "+err.Error())
		return r, nil
	}
	return s.route(target)
}

// route is the way to the target by these settings.
func (s settings) route(target *url.URL) (route, error) {
	r := directly("no proxy in the environment")
	if s.source != "" {
		r = directly("no proxy in the environment or the " + s.source)
	}
	scheme := map[string]string{"https": "https", "wss": "https", "http": "http", "ws": "http"}[target.Scheme]
	server, found := s.proxies[scheme], "http"
	if server == "" {
		server, found = s.proxies["socks"], "socks5"
	}
	switch {
	case isLoopback(target.Hostname()):
		return directly("no proxy for this machine itself"), nil
	case server != "" && s.bypass != nil && s.bypass(target):
		r = directly(s.source + ", which make an exception of this host")
	case server != "":
		proxy, err := ParseProxy(withScheme(server, found))
		if err != nil {
			r.Notes = append(r.Notes, "the "+s.source+" name a proxy in a way that is not understood")
		} else {
			r = via(proxy, s.source)
		}
	}
	r.PAC = s.pac
	switch {
	case s.pac != "" && r.Proxy == nil:
		r.Notes = append(r.Notes, "the "+s.source+" name the script "+s.pac+" for choosing a proxy, which the agent does not evaluate: if the relay is not reached directly, set proxy to the proxy's URL")
	case s.pac != "":
		r.Notes = append(r.Notes, "the "+s.source+" also name the script "+s.pac+" for choosing a proxy, which the agent does not evaluate")
	case s.detect && r.Proxy == nil:
		r.Notes = append(r.Notes, "the "+s.source+" are to look for a proxy in the network (WPAD), which the agent does not do: if the relay is not reached directly, set proxy to the proxy's URL")
	}
	return r, nil
}
