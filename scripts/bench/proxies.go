package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"runtime"
	"time"

	"sallyport/internal/child"
	"sallyport/internal/rawio"
)

// proxiesWay reaches the target through two reverse proxies of Go's standard
// library, one after the other: what two programs in Go cost that take in a
// request and pass it on, with no tunnel between them, no sign-in, no check and
// no log, over the same kind of sockets as relay and agent (see rawio). It shows
// how much of a small request's time Sallyport could save at best.
func (s *setup) proxiesWay(ctx context.Context) (*way, error) {
	inner, innerAt, err := s.startProxy(ctx, s.plain)
	if err != nil {
		return nil, err
	}
	outer, outerAt, err := s.startProxy(ctx, innerAt)
	if err != nil {
		return nil, err
	}
	near := s.doors(outerAt, "", part{"outer", outer.PID()}, part{"inner", inner.PID()})
	near.https = nil
	return &way{near: near}, nil
}

// startProxy starts this program again as a proxy to an address.
func (s *setup) startProxy(ctx context.Context, to string) (*child.Child, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	return s.launchForLine(ctx, child.Options{Name: "proxy", Path: self, Args: []string{"--proxy", to}})
}

// serveProxy passes requests on to an address, on one processor, as a relay and an
// agent do that are not under load. It prints its own address and serves until
// ctx ends.
func serveProxy(ctx context.Context, to string) error {
	runtime.GOMAXPROCS(1)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	listener = rawio.Listen(listener)
	target := &url.URL{Scheme: "http", Host: to}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: &http.Transport{DialContext: rawio.Dial(&net.Dialer{}), MaxIdleConnsPerHost: 64, DisableCompression: true},
	}}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	<-ctx.Done()
	_ = server.Close()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
