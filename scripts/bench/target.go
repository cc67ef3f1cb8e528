package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// small is the answer to a small request, the size of a typical API object.
const small = `{"ok":true,"user":"svc","site":"Plant 2","roles":["orders","stock"],"since":"2026-01-02T03:04:05Z"}`

// What the application takes as a sign-in, and the cookie that it then sets.
const credentials = `{"user":"svc","password":"warehouse-9"}`

var session = http.Cookie{Name: "SID", Value: "b5d0c1a97f3e4c58a2f1", Path: "/", HttpOnly: true}

// serveTarget is the application that is measured against, over HTTP and, with
// a certificate, over HTTPS. It prints both addresses and serves until ctx ends.
func serveTarget(ctx context.Context, certFile, keyFile string) error {
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	secure, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(plain.Addr(), secure.Addr())
	server := &http.Server{Handler: application(), ReadHeaderTimeout: 10 * time.Second}
	// HTTP/1.1 by every way, as most applications on premises speak it.
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	served := make(chan error, 2)
	go func() { served <- server.Serve(plain) }()
	go func() { served <- server.ServeTLS(secure, certFile, keyFile) }()
	<-ctx.Done()
	_ = server.Close()
	for range cap(served) {
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			return err
		}
	}
	return nil
}

// application answers small requests, downloads and uploads of whoever has
// signed in.
func application() http.Handler {
	inside := http.NewServeMux()
	inside.HandleFunc("GET /small", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "close" { // so that the next one comes over a new connection
			w.Header().Set("Connection", "close")
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, small)
	})
	inside.HandleFunc("GET /bytes/{n}", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.ParseInt(r.PathValue("n"), 10, 64)
		if err != nil || n < 0 {
			http.Error(w, "bytes: want a number", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
		block := make([]byte, 256<<10)
		for n > 0 {
			m, err := w.Write(block[:min(n, int64(len(block)))])
			if err != nil {
				return // the caller has gone
			}
			n -= int64(m)
		}
	})
	inside.HandleFunc("POST /sink", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r.Body, make([]byte, 256<<10))
		if err != nil {
			return // the caller has gone
		}
		fmt.Fprint(w, n)
	})
	outside := http.NewServeMux()
	outside.HandleFunc("POST /session", func(w http.ResponseWriter, r *http.Request) {
		if b, err := io.ReadAll(io.LimitReader(r.Body, 1<<10)); err != nil || string(b) != credentials {
			http.Error(w, "who is that?", http.StatusUnauthorized)
			return
		}
		http.SetCookie(w, &session)
	})
	outside.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie(session.Name); err != nil || c.Value != session.Value {
			http.Error(w, "sign in first", http.StatusUnauthorized)
			return
		}
		inside.ServeHTTP(w, r)
	})
	return outside
}
