package road

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sallyport/proto"
	"sallyport/relay/connection"
)

// Request is one request of a connection's own: its sign-in, its ping.
type Request struct {
	Method string
	URL    *url.URL
	// Marks are those that URL may hold. Nil: none.
	Marks *connection.Marks
	// Headers are fields of this request alone, in the place of configured ones.
	Headers []connection.Header
	// Body may hold placeholders; Send fills them in, escaped for the
	// connection's media type. Empty: no body, and no Content-Type.
	Body            string
	Jar             Jar  // nil: no cookies
	FollowRedirects bool // up to MaxRedirects
	RequestID       string
	Timeout         time.Duration // over all hops and the body; 0: none but ctx
}

// Jar gives and takes the cookies of each hop. Package session implements it.
type Jar interface {
	// SetCookies takes the Set-Cookie lines of an answer from u.
	SetCookies(u *url.URL, lines []string)
	// Header is the value of the Cookie header field for a request to u, ""
	// where no cookie is for it.
	Header(u *url.URL) string
}

// grace is how much longer than its Timeout a request is waited for: the far
// end of the road is told the same limit and, being nearer to the target, can
// say at which stage the time ran out.
const grace = 2 * time.Second

// Send sends a request down a road and reads the answer, following redirects
// if it is asked to. Where it fails, the error is a *proto.Error, and the
// Exchange holds the hops until then; one that got no answer has Status 0.
func Send(ctx context.Context, rt http.RoundTripper, c *connection.Connection, r Request) (*Exchange, error) {
	if r.Marks == nil {
		r.Marks = &connection.Marks{}
	}
	s := sending{rt: rt, c: c, Request: r, exchange: &Exchange{}}
	if r.Timeout > 0 {
		s.deadline = time.Now().Add(r.Timeout)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.Timeout+grace)
		defer cancel()
	}
	err := s.walk(ctx)
	return s.exchange, shownError(err, r.Marks)
}

// sending is a Send under way.
type sending struct {
	Request
	rt       http.RoundTripper
	c        *connection.Connection
	deadline time.Time // zero: none
	exchange *Exchange
}

func (s *sending) walk(ctx context.Context) error {
	body, err := connection.Fill(s.Body, connection.EscapeFor(s.c.MediaType), s.c.Secrets, s.Marks)
	if err != nil {
		return unfilled("the body", err)
	}
	if HasBody(s.Method) && len(s.c.Auth.BodyFields()) > 0 {
		with, err := Body(s.c, s.URL, contentType(s.c), []byte(body), s.Marks)
		if err != nil {
			return err
		}
		body = string(with)
	}
	next := step{method: s.Method, url: withoutUser(s.URL), body: body}
	for {
		resp, err := s.hop(ctx, next)
		if err != nil {
			return err
		}
		if !s.FollowRedirects || !isRedirect(resp) {
			return s.finish(ctx, resp)
		}
		discard(resp.Body)
		next, err = next.follow(resp, len(s.exchange.Hops))
		if err != nil {
			return err
		}
	}
}

// hop sends one request and returns its answer, body unread.
func (s *sending) hop(ctx context.Context, at step) (*http.Response, error) {
	req, err := s.request(ctx, at)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	s.exchange.Hops = append(s.exchange.Hops, Hop{
		Method: at.method, URL: shownURL(req.URL, s.Marks), RequestHeader: shownFields(req.Header, s.Marks),
		RequestBody: s.Marks.Shown(at.body), Start: start,
	})
	hop := s.exchange.Last()
	resp, err := s.rt.RoundTrip(req)
	hop.Duration = time.Since(start)
	if err != nil {
		failure := Failure(ctx, err)
		if failure.Timing != nil {
			hop.Timing = *failure.Timing
		}
		return nil, failure
	}
	// A timing that can't be read is an agent's fault, and no reason to throw
	// away the application's answer.
	hop.Timing, _ = proto.ParseTiming(resp.Header.Get(proto.HeaderTiming))
	proto.Strip(resp.Header)
	hop.Status, hop.Header = resp.StatusCode, resp.Header
	if lines := resp.Header["Set-Cookie"]; s.Jar != nil && len(lines) > 0 {
		s.Jar.SetCookies(at.url, lines)
	}
	return resp, nil
}

// request builds what goes onto the road for one hop.
func (s *sending) request(ctx context.Context, at step) (*http.Request, error) {
	var body io.Reader
	if at.body != "" {
		body = strings.NewReader(at.body)
	}
	req, err := http.NewRequestWithContext(ctx, at.method, at.url.String(), body)
	if err != nil {
		return nil, invalid(fmt.Sprintf("A %s request to %s can't be made.", at.method, place(at.url)), err)
	}
	if req.URL, err = Target(s.c, at.url, s.Marks); err != nil {
		return nil, err
	}
	req.Header.Set("Accept", s.c.MediaType.Accept())
	req.Header.Set("User-Agent", UserAgent)
	if at.body != "" {
		req.Header.Set("Content-Type", s.c.MediaType.ContentType())
	}
	own, err := Fields(s.c, at.url, s.Marks)
	if err != nil {
		return nil, err
	}
	for name, values := range own {
		req.Header[name] = values
	}
	if err := s.own(req, at); err != nil {
		return nil, err
	}
	AddCookies(req, s.Jar)
	SetOptions(req, s.RequestID, s.c.ID)
	FillURI(req.Header, s.Marks, req.URL)
	FillBody(req.Header, s.Marks, at.body)
	mask(req.Header, s.c)
	if !s.deadline.IsZero() {
		left := max(time.Until(s.deadline), time.Millisecond)
		req.Header.Set(proto.HeaderTimeout, strconv.FormatInt(left.Milliseconds(), 10))
	}
	return req, nil
}

// finish reads the last answer's body.
func (s *sending) finish(ctx context.Context, resp *http.Response) error {
	hop := s.exchange.Last()
	raw, truncated, err := readBody(resp.Body)
	hop.Duration = time.Since(hop.Start)
	s.exchange.Body, s.exchange.Truncated = decoded(raw, truncated, resp.Header.Get("Content-Encoding"))
	if err != nil {
		failure := Failure(ctx, err)
		failure.Outcome = proto.OutcomeSent
		return failure
	}
	return nil
}

// HasBody reports whether requests of a method carry a body by their meaning,
// so that one without may be given one.
func HasBody(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}

// contentType is what the connection's own bodies are sent as.
func contentType(c *connection.Connection) string {
	for _, h := range c.Headers {
		if strings.EqualFold(h.Name, "Content-Type") {
			return h.Value
		}
	}
	return c.MediaType.ContentType()
}

// SetOptions writes what a road is told of every request.
func SetOptions(req *http.Request, requestID, connectionID string) {
	if requestID != "" {
		req.Header[proto.HeaderRequestID] = []string{requestID}
	}
	if connectionID != "" {
		req.Header[proto.HeaderConnection] = []string{connectionID}
	}
}

// AddCookies gives req the jar's cookies, after those that the user configured
// as a header.
func AddCookies(req *http.Request, jar Jar) {
	if jar == nil {
		return
	}
	cookies := jar.Header(req.URL)
	if cookies == "" {
		return
	}
	if configured := req.Header.Get("Cookie"); configured != "" {
		cookies = configured + "; " + cookies
	}
	req.Header["Cookie"] = []string{cookies}
}
