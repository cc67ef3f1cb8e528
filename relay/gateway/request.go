package gateway

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"sallyport/proto"
	"sallyport/relay/road"
)

// sendable refuses what no connection can carry.
func sendable(r *http.Request) *proto.Error {
	switch r.Method {
	case http.MethodConnect:
		return invalid("CONNECT can't be sent through a connection.")
	case http.MethodTrace:
		// The answer would be the request, with the session's cookies.
		return invalid("TRACE can't be sent through a connection, since its answer would show the session's cookies.")
	}
	for _, value := range r.Header["Upgrade"] {
		// h2c is an offer that may be passed over (RFC 9110, section 7.8);
		// whoever asks for a websocket can't do without.
		if !strings.EqualFold(strings.TrimSpace(value), "h2c") {
			return invalid("A change of protocol (Upgrade: " + value + ") can't be sent through a connection. Plain requests and streamed answers, such as text/event-stream, can.")
		}
	}
	return nil
}

// request builds what goes onto the road.
func (p *passage) request() (*http.Request, error) {
	own, err := road.Fields(p.signedIn(), p.target, &p.marks)
	if err != nil {
		return nil, err
	}
	target, err := road.Target(p.signedIn(), p.target, &p.marks)
	if err != nil {
		return nil, err
	}
	h := make(http.Header, len(p.r.Header)+len(own)+6)
	named := connectionNamed(p.r.Header)
	for name, values := range p.r.Header {
		if travels(name) && !named.has(name) {
			h[name] = values
		}
	}
	p.hideRelay(h)
	hasBody := p.body != nil
	for name, values := range own {
		// What the caller says of his own body is not overridden.
		if name == "Content-Type" && hasBody && h[name] != nil {
			continue
		}
		h[name] = values
	}
	setDefault(h, "User-Agent", road.UserAgent)
	setDefault(h, "Accept", p.c.MediaType.Accept())
	if hasBody {
		setDefault(h, "Content-Type", p.c.MediaType.ContentType())
	}
	req := (&http.Request{
		Method: p.r.Method, URL: target, Host: p.target.Host, Header: h,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(&p.informing)
	if hasBody {
		req.Body, req.ContentLength = p.body.attempt(), p.length
		req.Trailer = p.r.Trailer // filled in once the body has been read
		req.GetBody = p.body.getBody
	}
	road.FillURI(req.Header, &p.marks, target)
	if p.fields != "" {
		road.FillBody(req.Header, &p.marks, p.fields)
	}
	road.AddCookies(req, p.held.Jar)
	road.SetOptions(req, p.requestID, p.c.ID)
	if p.caller.Kind != "" {
		req.Header[proto.HeaderCaller] = []string{proto.Caller(p.caller.Kind, p.caller.Name)}
	}
	if p.applied != "" {
		req.Header[proto.HeaderWait] = []string{strconv.FormatInt(p.wait.Milliseconds(), 10)}
	}
	p.bound(req.Header)
	return req, nil
}

func setDefault(h http.Header, name, value string) {
	if h[name] == nil {
		h[name] = []string{value}
	}
}

// travels reports whether a caller's header field goes on to the target.
func travels(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings": // hop by hop (RFC 9110, section 7.6.1)
		return false
	case "Authorization", "Cookie": // for us; the session has its own
		return false
	case "Host", "Content-Length", "Expect": // said of this hop, and said anew of the next
		return false
	case "Forwarded", "X-Real-Ip": // the way to the relay is not the target's business
		return false
	}
	return !hasPrefixFold(name, proto.HeaderPrefix) && !hasPrefixFold(name, "X-Forwarded-") && !hasPrefixFold(name, "Sec-Fetch-")
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// hideRelay removes what a browser says of the relay's page that sent the
// request: an application that checks Origin or Referer against forgery would
// take it for a forged one. What names another site is left.
func (p *passage) hideRelay(h http.Header) {
	for _, name := range [...]string{"Origin", "Referer"} {
		if values := h[name]; len(values) > 0 {
			if u, err := url.Parse(values[0]); err == nil && strings.EqualFold(u.Host, p.r.Host) {
				delete(h, name)
			}
		}
	}
}

// fieldNames are the names that a Connection field lists.
type fieldNames []string

// connectionNamed are the fields that belong to one hop because Connection
// names them (RFC 9110, section 7.6.1).
func connectionNamed(h http.Header) fieldNames {
	var names fieldNames
	for _, value := range h["Connection"] {
		for name := range strings.SplitSeq(value, ",") {
			if name = strings.TrimSpace(name); name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}

func (f fieldNames) has(name string) bool {
	for _, n := range f {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}
