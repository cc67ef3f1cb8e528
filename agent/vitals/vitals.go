// Package vitals shows other programs of this machine how the agent is:
// GET /healthz for who restarts what is ill, GET /metrics for Prometheus. Package
// cli serves it where the configuration names an address, which is a loopback
// one: nobody is asked for a password.
//
// It asks the agent for its status, as `sallyport-agent status` does, and counts
// the entries of the ledger.
package vitals

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"sallyport/agent/control"
	"sallyport/agent/link"
)

// Server serves the two.
type Server struct {
	http *http.Server
	done chan struct{}
	at   net.Addr
}

// Serve begins to listen at a loopback address.
func Serve(address string, status func() control.Status, figures *Figures) (*Server, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("statusListen: %w", err)
	}
	if a, ok := listener.Addr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
		_ = listener.Close()
		return nil, errors.New("statusListen: " + address + " is not a loopback address")
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { healthz(w, status()) })
	mux.Handle("GET /metrics", promhttp.HandlerFor(figures.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	s := &Server{
		http: &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute},
		done: make(chan struct{}), at: listener.Addr(),
	}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(listener) // ends with Close
	}()
	return s, nil
}

// Addr is where it listens.
func (s *Server) Addr() net.Addr { return s.at }

// Close ends it.
func (s *Server) Close() {
	_ = s.http.Close()
	<-s.done
}

// health is the body of /healthz: of the status, what an alert wants to say.
type health struct {
	State         string            `json:"state"`
	Paused        bool              `json:"paused"`
	LastError     string            `json:"lastError,omitempty"` // online, too: what went wrong last
	Tunnels       int               `json:"tunnels"`
	LatencyMs     float64           `json:"latencyMs"` // 0 while unknown
	InFlight      int               `json:"inFlight"`
	Requests      *control.Requests `json:"requests,omitempty"`
	PolicyVersion string            `json:"policyVersion,omitempty"`
	Version       string            `json:"version"`
	UptimeSeconds int64             `json:"uptimeSeconds"`
}

// healthz answers 200 while the agent is online, else 503. A pause is no
// illness: whoever restarts what is ill would not end it, and the site wants it.
func healthz(w http.ResponseWriter, s control.Status) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if s.State != link.StateOnline {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	out := health{State: s.State, Paused: s.Paused != nil, LastError: cmp.Or(s.LastError, s.EarlierError), Tunnels: len(s.Tunnels), LatencyMs: s.LatencyMs,
		InFlight: s.InFlight, Requests: s.Requests, Version: s.Version, UptimeSeconds: s.UptimeSeconds}
	if s.Policy != nil {
		out.PolicyVersion = s.Policy.Version
	}
	_ = json.NewEncoder(w).Encode(out) // the asker is gone, if this fails
}
