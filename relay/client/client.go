// Package client speaks the relay's REST API: connections, agents, tokens, what
// changes, and requests through connections. It is for programs of anybody's,
// and is what the relay's own command line uses.
//
//	c := &client.Client{Base: "https://relay.example.com", Token: os.Getenv("SALLYPORT_TOKEN")}
//	for connection, err := range c.Connections(ctx, client.ListOptions{}) { … }
//
//	erp := c.ThroughConnection(id) // an *http.Client
//	resp, err := erp.Get("http://erp/orders?open=1")
//
// Its types are those of the OpenAPI document that the relay serves: a test of
// this package fails where an operation, a parameter, a field or a type differs.
// Every error that the relay answered with is an *Error. Nothing is sent twice
// and nothing is cached; a Client is safe for use by many goroutines.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// prefix is where the API begins.
const prefix = "/api/v1"

// Client calls one relay with one API token.
type Client struct {
	Base  string // such as https://relay.example.com, without a path
	Token string
	// HTTP sends the requests. Nil: http.DefaultClient. A time-out of its own
	// also ends streams, such as Events; use contexts instead.
	HTTP *http.Client
}

func (c *Client) http() *http.Client {
	if c.HTTP == nil {
		return http.DefaultClient
	}
	return c.HTTP
}

// Request makes a request with the token, for what this package has no method
// for; path begins with a slash and may hold a query.
func (c *Client) Request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(c.Base, "/")+path, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+c.Token)
	return r, nil
}

// Do sends in, where it is not nil, as JSON, and reads the answer into out,
// where that is not nil. An answer other than 2xx is an *Error.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	return c.do(ctx, method, path, nil, in, out)
}

// DoRaw is Do with header fields, and the answer as it came: for who has to keep
// what this package has no field for.
func (c *Client) DoRaw(ctx context.Context, method, path string, header http.Header, in any) ([]byte, error) {
	resp, err := c.send(ctx, method, path, header, in)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return text, nil
}

func (c *Client) do(ctx context.Context, method, path string, header http.Header, in, out any) error {
	text, err := c.DoRaw(ctx, method, path, header, in)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("%s %s: the answer is not what the API describes: %w", method, path, err)
	}
	return nil
}

// send sends a request and returns the answer where it is a success. The
// caller closes its body.
func (c *Client) send(ctx context.Context, method, path string, header http.Header, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", method, path, err)
		}
		body = bytes.NewReader(text)
	}
	r, err := c.Request(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		r.Header[name] = values
	}
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http().Do(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		defer resp.Body.Close()
		return nil, fmt.Errorf("%s %s: %w", method, path, readError(resp))
	}
	return resp, nil
}

// call is a path of the API, with segments that are escaped.
func call(segments ...string) string {
	var b strings.Builder
	b.WriteString(prefix)
	for _, s := range segments {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(s))
	}
	return b.String()
}

// with adds a query of names and values; empty values are left out.
func with(path string, pairs ...string) string {
	query := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			query.Set(pairs[i], pairs[i+1])
		}
	}
	if len(query) == 0 {
		return path
	}
	return path + "?" + query.Encode()
}
