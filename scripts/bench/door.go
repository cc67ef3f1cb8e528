package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// door is an address at which the target can be reached by one way.
type door struct {
	url    string      // of the target's root, without a trailing slash
	header http.Header // that each request needs
	parts  []part      // what it leads through
}

// client is a fresh HTTP client with connections of its own.
func client() (*http.Client, func()) {
	t := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true, WriteBufferSize: 64 << 10, ReadBufferSize: 64 << 10}
	return &http.Client{Transport: t}, t.CloseIdleConnections
}

// request makes a request at the door.
func (d *door) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, d.url+path, body)
	if err != nil {
		return nil, err
	}
	for name, values := range d.header {
		r.Header[name] = values
	}
	return r, nil
}

// get sends one small request and reads its answer.
func (d *door) get(ctx context.Context, c *http.Client) error {
	r, err := d.request(ctx, http.MethodGet, "/small", nil)
	if err != nil {
		return err
	}
	res, err := c.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK || string(b) != small {
		return fmt.Errorf("%s: %.200s", res.Status, b)
	}
	return nil
}

// fetch downloads n bytes, and calls each with the size of every piece.
func (d *door) fetch(ctx context.Context, c *http.Client, n int64, each func(int)) error {
	r, err := d.request(ctx, http.MethodGet, "/bytes/"+strconv.FormatInt(n, 10), nil)
	if err != nil {
		return err
	}
	res, err := c.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(res.Body, 200))
		return fmt.Errorf("%s: %s", res.Status, b)
	}
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
}

// send uploads n bytes, and makes sure that the target received them all.
func (d *door) send(ctx context.Context, c *http.Client, n int64) error {
	r, err := d.request(ctx, http.MethodPost, "/sink", io.LimitReader(zeros{}, n))
	if err != nil {
		return err
	}
	r.ContentLength = n
	r.Header.Set("Content-Type", "application/octet-stream")
	res, err := c.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if got := strings.TrimSpace(string(b)); got != strconv.FormatInt(n, 10) {
		return fmt.Errorf("%s: the target received %.200s of %d bytes", res.Status, got, n)
	}
	return nil
}

// zeros is an endless body.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
