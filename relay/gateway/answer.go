package gateway

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"

	"sallyport/proto"
	"sallyport/relay/connection"
)

// copyBuffers are shared by all answers; 64 KiB is what one message of a tunnel
// brings.
var copyBuffers = sync.Pool{New: func() any { b := make([]byte, 64<<10); return &b }}

// heldBack is how much of an answer net/http keeps in its buffer, in bytes, until
// more follows.
const heldBack = 4 << 10

// pass sends the application's answer on and reports whether all of it went.
// One whose length is known begins with the first of its body: net/http keeps
// the header back until then anyway, and of one that breaks off before that the
// caller can still be told, which is what failure is for.
func (p *passage) pass(resp *http.Response) (complete bool, failure *proto.Error) {
	stream := p.isStream(resp)
	if stream {
		p.writeHeader(resp)
		if p.flush() != nil && p.key == nil {
			return true, nil // the caller is gone: there is nobody to tell
		}
	}
	begun, err := p.copyBody(resp, stream)
	switch {
	case err == nil:
	case !begun:
		failure := p.brokeOff(err)
		return true, failure
	case errors.Is(err, errCallerGone):
		return true, nil
	default:
		p.fails(p.brokeOff(err))
		return false, nil
	}
	if resp.ContentLength >= 0 {
		// It is complete: the caller need not wait for what is noted of it.
		_ = p.flush() // an error means that he is gone
	}
	for name, values := range resp.Trailer {
		if leaves(name) {
			p.w.Header()[http.TrailerPrefix+name] = values
		}
	}
	return true, nil
}

func (p *passage) writeHeader(resp *http.Response) {
	h := p.w.Header()
	ours := h["X-Request-Id"] // the id by which logs are found, not the application's
	named := connectionNamed(resp.Header)
	for name, values := range resp.Header {
		if leaves(name) && !named.has(name) {
			h[name] = values
		}
	}
	if ours != nil {
		h["X-Request-Id"] = ours
	}
	if len(h["Content-Type"]) == 0 {
		h["Content-Type"] = nil // net/http would guess one
	}
	for _, name := range [...]string{"Location", "Content-Location"} {
		if values := h[name]; len(values) > 0 {
			h[name] = []string{p.relocated(values[0])}
		}
	}
	// A page of the application, opened by a browser, comes from the relay's
	// origin. In a sandbox its scripts can't act as the person who is signed in
	// to the relay; other clients take no notice.
	h.Add("Content-Security-Policy", "sandbox")
	h.Add("Server-Timing", p.serverTiming())
	h[proto.HeaderOutcome] = sent
	p.tellApplied(h)
	p.tellAttempts(h)
	p.tellReplayed(h)
	p.closeUnread()
	p.w.WriteHeader(resp.StatusCode)
}

// sent is the outcome of what the application has answered, and shared by all
// answers.
var sent = []string{string(proto.OutcomeSent)}

// leaves reports whether a header field of the application goes to the caller.
func leaves(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade": // hop by hop
		return false
	case "Set-Cookie", "Set-Cookie2": // kept in the session
		return false
	case "Alt-Svc", "Strict-Transport-Security", "Clear-Site-Data", "Service-Worker-Allowed": // would be taken for the relay's own
		return false
	}
	return !hasPrefixFold(name, proto.HeaderPrefix) && !hasPrefixFold(name, "Access-Control-")
}

// relocated turns an address below the base URI into the proxy's own, so that
// a caller who follows it stays within the connection. Any other is made
// absolute: relative ones would be read as the relay's.
func (p *passage) relocated(location string) string {
	to, err := p.target.Parse(location)
	if err != nil {
		return location
	}
	base := strings.TrimRight(p.base.EscapedPath(), "/")
	rest, below := strings.CutPrefix(to.EscapedPath(), base)
	if !below || rest != "" && rest[0] != '/' || !connection.SameOrigin(to, p.base) {
		return to.String()
	}
	query := p.c.Auth.WithoutCredentials(to.RawQuery)
	if p.base.RawQuery != "" { // the proxy adds it again
		if after, ok := strings.CutPrefix(query, p.base.RawQuery); ok && (after == "" || after[0] == '&') {
			query = strings.TrimPrefix(after, "&")
		}
	}
	at := p.prefix() + rest
	if query != "" {
		at += "?" + query
	}
	if to.Fragment != "" {
		at += "#" + to.EscapedFragment()
	}
	return at
}

// prefix is the proxy's own path, to which paths below the base URI are added.
func (p *passage) prefix() string {
	at := p.r.URL.EscapedPath()
	if before, ok := strings.CutSuffix(at, strings.TrimPrefix(p.rawPath, "/")); ok {
		return strings.TrimSuffix(before, "/")
	}
	return "/api/v1/connections/" + p.c.ID + "/proxy"
}

var errCallerGone = errors.New("the caller has gone")

// copyBody copies until the answer's end, and writes the header before the first
// of it, where that is still to be done; begun is whether it is done. It tells a
// caller that can't be written to from an answer that can't be read. What is to
// be kept of it is read to the end though he is gone.
func (p *passage) copyBody(resp *http.Response, begun bool) (bool, error) {
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	stream, gone := begun, false
	for left := resp.ContentLength; ; {
		n, err := resp.Body.Read(*buf)
		if !begun && (n > 0 || err == io.EOF) {
			p.writeHeader(resp)
			begun = true
		}
		if n > 0 {
			left -= int64(n)
			kept := p.key.add((*buf)[:n])
			// Little at a time means that it is made as time goes by, whether
			// or not its length was known.
			gone = gone || p.give((*buf)[:n], stream || n < heldBack && left > 0) != nil
			if gone && !kept {
				return begun, errCallerGone
			}
		}
		if err == io.EOF {
			p.key.ends(resp)
			if gone {
				return begun, errCallerGone
			}
			return begun, nil
		}
		if err != nil {
			return begun, err
		}
	}
}

// give writes a piece of the answer.
func (p *passage) give(piece []byte, atOnce bool) error {
	if _, err := p.w.Write(piece); err != nil {
		return err
	}
	if atOnce {
		return p.flush()
	}
	return nil
}

func (p *passage) flush() error {
	err := http.NewResponseController(p.w).Flush()
	if errors.Is(err, http.ErrNotSupported) {
		return nil // then it goes when the buffer is full
	}
	return err
}

// isStream reports whether the header and each piece are sent on as they come:
// events, and all whose length is not known beforehand, since they may be made as
// time goes by.
func (p *passage) isStream(resp *http.Response) bool {
	switch {
	case p.r.Method == http.MethodHead || resp.ContentLength == 0:
		return false
	case resp.ContentLength < 0:
		return true
	}
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return media == "text/event-stream"
}
