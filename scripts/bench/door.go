package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// door is an address at which an application can be reached by one way. The
// application there wants a sign-in: by Sallyport the saved connection's, by
// the other ways the client's own.
type door struct {
	url    string      // of the application's root, without a trailing slash
	header http.Header // that each request needs
	tls    *tls.Config // what the client trusts, where url is https
	parts  []part      // what it leads through
	https  *door       // to the application that speaks HTTPS; nil where this is it

	// test has Sallyport test its connection. Nil: the client signs in and pings.
	test func(ctx context.Context, c *http.Client) error
	// idle weighs one idle client of this way, in bytes of memory on the side of
	// the relay. Nil: there is no such thing.
	idle func(ctx context.Context, p plan) (float64, error)
}

// to is the door to the application that speaks HTTP, or HTTPS.
func (d *door) to(secure bool) *door {
	if secure {
		return d.https
	}
	return d
}

// client is a fresh HTTP client with connections of its own.
func (d *door) client() (*http.Client, func()) {
	t := &http.Transport{
		MaxIdleConnsPerHost: 64, DisableCompression: true, TLSClientConfig: d.tls,
		WriteBufferSize: 64 << 10, ReadBufferSize: 64 << 10,
	}
	return &http.Client{Transport: t}, t.CloseIdleConnections
}

// do sends one request and hands its answer's body to read.
func (d *door) do(ctx context.Context, c *http.Client, method, path string, body io.Reader, length int64, read func(*http.Response) error) error {
	r, err := http.NewRequestWithContext(ctx, method, d.url+path, body)
	if err != nil {
		return err
	}
	r.ContentLength = length
	for name, values := range d.header {
		r.Header[name] = values
	}
	res, err := c.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(res.Body, 300))
		return fmt.Errorf("%s %s: %s: %s", method, path, res.Status, b)
	}
	return read(res)
}

// expect reads an answer that has to be text.
func expect(text string) func(*http.Response) error {
	return func(res *http.Response) error {
		b, err := io.ReadAll(res.Body)
		if err == nil && string(b) != text {
			err = fmt.Errorf("the answer is %.200q, not %q", b, text)
		}
		return err
	}
}

// get sends one small request and reads its answer.
func (d *door) get(ctx context.Context, c *http.Client, path string) error {
	return d.do(ctx, c, http.MethodGet, path, nil, 0, expect(small))
}

// signIn signs in as a client of the application.
func (d *door) signIn(ctx context.Context, c *http.Client) error {
	return d.do(ctx, c, http.MethodPost, "/session", strings.NewReader(credentials), int64(len(credentials)), func(res *http.Response) error {
		for _, cookie := range res.Cookies() {
			if cookie.Name == session.Name && cookie.Value == session.Value {
				return nil
			}
		}
		return errors.New("the sign-in set no cookie")
	})
}

// fetch downloads n bytes, and calls each with the size of every piece.
func (d *door) fetch(ctx context.Context, c *http.Client, n int64, each func(int)) error {
	return d.do(ctx, c, http.MethodGet, "/bytes/"+strconv.FormatInt(n, 10), nil, 0, func(res *http.Response) error {
		buf := make([]byte, 256<<10)
		var total int64
		for {
			m, err := res.Body.Read(buf)
			total += int64(m)
			each(m)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
		}
		if total != n {
			return fmt.Errorf("%d of %d bytes came", total, n)
		}
		return nil
	})
}

// send uploads n bytes, and makes sure that the application received them all.
func (d *door) send(ctx context.Context, c *http.Client, n int64) error {
	return d.do(ctx, c, http.MethodPost, "/sink", io.LimitReader(zeros{}, n), n, expect(strconv.FormatInt(n, 10)))
}

// zeros is an endless body.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
