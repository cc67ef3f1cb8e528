package road

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"sallyport/proto"
	"sallyport/relay/connection"
)

// Client is an http.Client for a library that speaks a protocol with the
// application itself, such as OAuth 2.0's: what it sends takes the connection's
// road, with the options that a road is told, and is recorded. Redirects are not
// followed: what such a library sends are credentials.
//
// The configured headers go along to the base URI's own origin, but for those
// that the protocol sets itself. Marks are those that the requests may hold.
func Client(rt http.RoundTripper, c *connection.Connection, requestID string, timeout time.Duration, marks *connection.Marks) (*http.Client, *Exchange) {
	e := &Exchange{}
	return &http.Client{
		Transport:     &recorder{rt: rt, c: c, requestID: requestID, timeout: timeout, marks: marks, exchange: e},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, e
}

// recorder is the transport of a Client, for one request at a time.
type recorder struct {
	rt        http.RoundTripper
	c         *connection.Connection
	requestID string
	timeout   time.Duration
	marks     *connection.Marks
	exchange  *Exchange
}

func (r *recorder) RoundTrip(from *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(from.Context(), r.timeout+grace)
	defer cancel()
	var body []byte
	if from.Body != nil {
		var err error
		if body, err = io.ReadAll(from.Body); err != nil {
			return nil, invalid("The request can't be made.", err)
		}
		_ = from.Body.Close()
	}
	req := from.Clone(ctx)
	if from.Body != nil {
		req.Body = io.NopCloser(bytes.NewReader(body))
	}
	if err := r.complete(req, string(body)); err != nil {
		return nil, err
	}
	start := time.Now()
	r.exchange.Hops = append(r.exchange.Hops, Hop{
		Method: req.Method, URL: shownURL(req.URL, r.marks), RequestHeader: shownFields(req.Header, r.marks),
		RequestBody: r.marks.Shown(string(body)), Start: start,
	})
	hop := r.exchange.Last()
	resp, err := r.rt.RoundTrip(req)
	hop.Duration = time.Since(start)
	if err != nil {
		failure := Failure(ctx, err)
		if failure.Timing != nil {
			hop.Timing = *failure.Timing
		}
		return nil, shownError(failure, r.marks)
	}
	hop.Timing, _ = proto.ParseTiming(resp.Header.Get(proto.HeaderTiming)) // see hop of Send
	proto.Strip(resp.Header)
	hop.Status, hop.Header = resp.StatusCode, resp.Header
	raw, truncated, err := readBody(resp.Body)
	hop.Duration = time.Since(start)
	r.exchange.Body, r.exchange.Truncated = decoded(raw, truncated, resp.Header.Get("Content-Encoding"))
	if err != nil {
		failure := Failure(ctx, err)
		failure.Outcome = proto.OutcomeSent
		return nil, failure
	}
	resp.Body = io.NopCloser(bytes.NewReader(r.exchange.Body))
	return resp, nil
}

// complete adds what every request of the connection has.
func (r *recorder) complete(req *http.Request, body string) error {
	own, err := Fields(r.c, req.URL, r.marks)
	if err != nil {
		return err
	}
	for name, values := range own {
		switch name {
		case "Authorization", "Content-Type", "Accept":
		case proto.HeaderFill:
			for _, line := range values {
				if f, err := proto.ParseFill(line); err == nil && f.Header() != "Authorization" && f.Header() != "Content-Type" && f.Header() != "Accept" {
					req.Header[name] = append(req.Header[name], line)
				}
			}
		default:
			req.Header[name] = values
		}
	}
	req.Header.Set("Accept", "application/json")
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", UserAgent)
	}
	SetOptions(req, r.requestID, r.c.ID)
	FillURI(req.Header, r.marks, req.URL)
	FillBody(req.Header, r.marks, body)
	mask(req.Header, r.c)
	req.Header.Set(proto.HeaderTimeout, strconv.FormatInt(r.timeout.Milliseconds(), 10))
	return nil
}
