package client

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"sallyport/proto"
)

// Through sends requests through a saved connection: the path and query of a
// request's URL go below the connection's base URI, its scheme and host are
// passed over. Bodies stream both ways. An answer of the application is returned
// whatever its status; what the relay or the agent says in its place is an *Error,
// whose Outcome tells whether the application may have acted on the request.
func (c *Client) Through(connectionID string) http.RoundTripper {
	return through{c, connectionID}
}

// ThroughConnection is an http.Client for a saved connection. It follows no
// redirects, as they lead to addresses that only the application's side reaches.
func (c *Client) ThroughConnection(connectionID string) *http.Client {
	return &http.Client{
		Transport:     c.Through(connectionID),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

type through struct {
	client *Client
	id     string
}

// RoundTrip implements http.RoundTripper. As its contract has it, the request is
// left as it is, and its body is closed.
func (t through) RoundTrip(r *http.Request) (*http.Response, error) {
	target := strings.TrimRight(t.client.Base, "/") + call("connections", t.id, "proxy") + r.URL.EscapedPath()
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		target += "?" + r.URL.RawQuery
	}
	u, err := url.Parse(target)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the relay's address: %w", err), closeBody(r))
	}
	sent := r.Clone(r.Context())
	sent.URL, sent.Host, sent.RequestURI = u, "", ""
	sent.Header.Set("Authorization", "Bearer "+t.client.Token)
	resp, err := t.client.transport().RoundTrip(sent)
	if err != nil {
		return nil, err
	}
	if resp.Header.Get(proto.HeaderError) != "" {
		defer resp.Body.Close()
		return nil, readError(resp)
	}
	return resp, nil
}

func closeBody(r *http.Request) error {
	if r.Body == nil {
		return nil
	}
	return r.Body.Close()
}

// transport is what sends requests of an http.Client that is made of Through:
// cookies and redirects are that one's.
func (c *Client) transport() http.RoundTripper {
	if t := c.http().Transport; t != nil {
		return t
	}
	return http.DefaultTransport
}
