package policy

import (
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// asked is a request as the rules see it.
type asked struct {
	method       string
	otherMethods []string // that an application may take it for
	scheme       string
	host         string     // in ASCII; "" where it can't be a name
	addr         netip.Addr // where the host is an address itself
	port         uint16
	path         string   // encoded
	otherPaths   []string // that an application may take it for, encoded

	// What follows is made when a rule needs it.
	looked   bool // a rule compared the path
	read     bool
	reading  reading
	others   []reading // of otherPaths
	split    []string  // host by labels
	segments [12]string
}

// Header fields by which some applications and frameworks let a caller name
// another method or path than those of the request line.
var (
	methodFields = [...]string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"}
	pathFields   = [...]string{"X-Original-Url", "X-Rewrite-Url"}
)

// ask reads req.
func (a *asked) ask(req *http.Request) {
	a.method, a.scheme = req.Method, req.URL.Scheme
	if a.method == "" {
		a.method = http.MethodGet
	}
	host := req.URL.Hostname()
	if addr, err := netip.ParseAddr(host); err == nil {
		a.addr = addr
	} else if name, ok := asciiName(host); ok {
		a.host = name
	}
	a.port = defaultPort(a.scheme)
	if p := req.URL.Port(); p != "" {
		n, _ := strconv.ParseUint(p, 10, 16) // 0, where it is none: no rule has it
		a.port = uint16(n)
	}
	a.path = req.URL.EscapedPath()
	for _, name := range methodFields {
		for _, v := range req.Header[name] {
			if v = strings.TrimSpace(v); v != a.method {
				a.otherMethods = append(a.otherMethods, v)
			}
		}
	}
	for _, name := range pathFields {
		for _, v := range req.Header[name] {
			a.otherPaths = append(a.otherPaths, pathOf(strings.TrimSpace(v)))
		}
	}
}

// pathOf is the path of a URL as a header field gives it.
func pathOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "?" // which no rule with a path allows
	}
	return u.EscapedPath()
}

func (a *asked) labels() []string {
	if a.split == nil {
		a.split = strings.Split(a.host, ".")
	}
	return a.split
}

func (a *asked) readPaths() {
	a.read = true
	a.reading = readPath(a.path, a.segments[:])
	for _, p := range a.otherPaths {
		a.others = append(a.others, readPath(p, nil))
	}
}

// matches says whether a rule's path is that of the request: for an allow rule,
// in each way in which an application may read it; for a deny rule, in any.
func (a *asked) matches(p *pathPattern, deny bool) bool {
	if p.parts == nil {
		return true
	}
	a.looked = true
	if !a.read {
		a.readPaths()
	}
	matched := a.reading.matches(p, deny)
	for i := range a.others {
		if a.others[i].matches(p, deny) != matched {
			return deny
		}
	}
	return matched
}

func (r *reading) matches(p *pathPattern, deny bool) bool {
	if r.fault != nil {
		return deny
	}
	matched := matchParts(p.parts, r.plain, deny)
	if r.other != nil && matchParts(p.parts, r.other, deny) != matched {
		return deny
	}
	return matched
}

// fault is why a rule could not tell where the path leads; nil: each could, or
// none had to.
func (a *asked) fault() error {
	if !a.looked {
		return nil
	}
	return a.reading.fault
}

// origin is the request's scheme, host and port, the port where it is not the
// scheme's own.
func (a *asked) origin(host string) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if a.port != defaultPort(a.scheme) {
		host += ":" + strconv.Itoa(int(a.port))
	}
	return a.scheme + "://" + host
}

// called is the host as the request has it.
func (a *asked) called() string {
	if a.addr.IsValid() {
		return a.addr.String()
	}
	return a.host
}

// String is the request for a person, without its query.
func (a *asked) String() string {
	return a.method + " " + a.origin(a.called()) + shorten(a.path, 200)
}
