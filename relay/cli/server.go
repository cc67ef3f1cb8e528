package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

const (
	// headerTime is how long a client may take to send its header fields.
	headerTime = 10 * time.Second
	// idleTime is how long a kept-alive connection may wait for a next request.
	idleTime = 2 * time.Minute
	// headerBytes bounds the header of a request; agents, and most applications,
	// take no more themselves. serverBytes is where the server stops to read, and
	// answers in its own plain words.
	headerBytes = 64 << 10
	serverBytes = 2 * headerBytes
)

// server is an http.Server and the goroutine that serves.
type server struct {
	http     *http.Server
	listener net.Listener // the TCP socket itself
	log      *zap.Logger
	ended    chan struct{} // closed when serving has ended
	failed   error         // why; read after ended
	stopping atomic.Bool
	arrivals arrivals

	grace, quiet time.Duration // stopGrace and stopQuiet
}

// startServer serves on l, which is socket or TLS on it. Neither bodies nor
// answers have a deadline here: downloads through a connection, and event
// streams, last as long as they last.
func startServer(socket, l net.Listener, h http.Handler, log *zap.Logger) *server {
	s := &server{log: log, listener: socket, ended: make(chan struct{}), grace: stopGrace, quiet: stopQuiet}
	s.http = &http.Server{
		Handler:           s.lastAnswers(h),
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    serverBytes,
		ErrorLog:          zap.NewStdLog(log.WithOptions(zap.IncreaseLevel(zap.WarnLevel))),
		ConnState:         s.arrivals.note,
	}
	go func() {
		defer close(s.ended)
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) && !s.stopping.Load() {
			s.failed = fmt.Errorf("serve on %s: %w", l.Addr(), err)
		}
	}()
	return s
}

// lastAnswers has clients who keep their connections told, by the answer to
// their next request, that this server is about to stop, or that the connection
// is of no use any more: net/http ends the context of a whole connection when a
// read of it fails, be it for a deadline alone, and every later request on it
// would begin cancelled.
func (s *server) lastAnswers(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.stopping.Load() || r.Context().Err() != nil {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}

const (
	// stopGrace is how long a connection that was accepted before the stop has for
	// its first request to come.
	stopGrace = time.Second
	// stopQuiet is for how long nobody has come, and nobody has asked anything,
	// before connections that are kept for later are closed.
	stopQuiet = 100 * time.Millisecond
)

// stop takes no more connections, lets requests under way end while ctx lasts,
// and cuts what is left.
//
// http.Server.Shutdown alone would lose requests of that very instant: it closes
// connections that wait in the listener's queue, those from which it has just
// read a request, and those on which the next one is on its way. So the queue is
// emptied first, who was accepted gets an answer, and whoever keeps a connection
// is told that it ends.
func (s *server) stop(ctx context.Context) {
	s.stopping.Store(true)
	acceptNoMore(s.listener)
	s.arrivals.settle(ctx, s.grace, s.quiet)
	s.arrivals.dismiss()
	_ = s.listener.Close() // http.Server does so too
	if err := s.http.Shutdown(ctx); err != nil {
		s.log.Warn("requests under way were cut", zap.Error(err))
		_ = s.http.Close()
	}
	<-s.ended
}

// arrivals are the connections whose first request has not come yet.
type arrivals struct {
	mu   sync.Mutex // guards the following
	new  map[net.Conn]struct{}
	last time.Time // when a connection last came, or a request on one
}

// note is an http.Server's ConnState.
func (a *arrivals) note(c net.Conn, state http.ConnState) {
	if state == http.StateIdle {
		return
	}
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.new, c)
	switch state {
	case http.StateNew:
		if a.new == nil {
			a.new = make(map[net.Conn]struct{})
		}
		a.new[c] = struct{}{}
		fallthrough
	case http.StateActive:
		a.last = now
	}
}

// settle waits until everybody who has come has asked something and it is quiet,
// for so long at most.
func (a *arrivals) settle(ctx context.Context, most, quiet time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	began := time.Now()
	ticker := time.NewTicker(quiet / 10)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			if a.over(began, now, quiet) {
				return
			}
		}
	}
}

// dismiss closes the connections of those who have still asked nothing.
func (a *arrivals) dismiss() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for c := range a.new {
		_ = c.Close()
	}
}

func (a *arrivals) over(began, now time.Time, quiet time.Duration) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	since := began
	if a.last.After(since) {
		since = a.last
	}
	return len(a.new) == 0 && now.Sub(since) >= quiet
}

// waitFor waits until ctx ends or a server fails, and says why it failed.
func waitFor(ctx context.Context, servers []*server) error {
	failed := make(chan error, len(servers))
	for _, s := range servers {
		go func() {
			<-s.ended
			failed <- s.failed
		}()
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}
