// Package gateway sends a caller's request through a saved connection: with
// its session, down its road, streaming both ways. The API's proxy route calls
// it, with a caller that may do so and a connection whose secrets are open.
//
// An application's answer is passed on as it is. An answer of the gateway's own
// is a problem document (RFC 9457) with the header field Sallyport-Error.
// It never follows redirects, never sends a request twice unless that is safe
// (see mayRepeat, and session renewal), and never shows a cookie of the session
// to the caller.
package gateway

import (
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"sallyport/relay/connection"
	"sallyport/relay/road"
	"sallyport/relay/session"
)

// Options of a Gateway. Roads and Sessions are required.
type Options struct {
	Roads      *road.Roads
	Sessions   *session.Keeper
	Clock      func() time.Time
	Log        *zap.Logger
	Registerer prometheus.Registerer // nil: no metrics
	// MaxBody is the longest body of a request that is sent on, in bytes. 0: no
	// limit.
	MaxBody int64
	// Results keep what became of requests that have an idempotency key. Nil:
	// the key means nothing here, and goes on to the application like any field.
	Results Results
}

// Gateway is safe for concurrent use.
type Gateway struct {
	roads    *road.Roads
	sessions *session.Keeper
	clock    func() time.Time
	log      *zap.Logger
	metrics  *metrics
	maxBody  int64
	lanes    lanes
	results  Results
	flows    flows
	journal  Journal

	stallAfter time.Duration
}

// Journal is what this relay has sent lately.
func (g *Gateway) Journal() *Journal { return &g.journal }

// New returns a Gateway. It panics where its metrics are registered already,
// as prometheus does.
func New(o Options) *Gateway {
	g := &Gateway{roads: o.Roads, sessions: o.Sessions, clock: o.Clock, log: o.Log, metrics: newMetrics(o.Registerer), maxBody: o.MaxBody, results: o.Results, stallAfter: stallAfter}
	if g.clock == nil {
		g.clock = time.Now
	}
	if g.log == nil {
		g.log = zap.NewNop()
	}
	return g
}

// Serve sends r in the caller's name to the path and query, both as they stood
// on the wire, below the connection's base URI, and w the application's answer.
// Where the answer breaks off after its header was sent on, Serve panics with
// http.ErrAbortHandler, so that the caller sees it break off too.
func (g *Gateway) Serve(w http.ResponseWriter, r *http.Request, c *connection.Connection, caller Caller, rawPath, rawQuery, requestID string) {
	p := &passage{g: g, w: w, r: r, ctx: r.Context(), c: c, caller: caller, rawPath: rawPath, rawQuery: rawQuery, requestID: requestID, start: time.Now()}
	defer p.settle()
	defer p.endTurn()
	g.metrics.inFlight.Inc()
	result, complete := p.run()
	p.use(nil)
	p.body.finish(p.interrupt)
	p.ahead.finish(p.interrupt)
	g.metrics.inFlight.Dec()
	took := time.Since(p.start)
	g.metrics.observe(string(c.Mode), result, took)
	g.journal.add(c.WorkspaceID, Entry{At: g.clock(), RequestID: requestID, ConnectionID: c.ID, Connection: c.Name, Caller: caller,
		Method: r.Method, Path: "/" + strings.TrimPrefix(rawPath, "/"), Status: p.status, Code: p.code, Took: took, Complete: complete})
	if ce := g.log.Check(zap.DebugLevel, "request sent through a connection"); ce != nil {
		ce.Write(zap.String("request_id", requestID), zap.String("connection", c.ID), zap.String("method", r.Method),
			zap.String("result", result), zap.Bool("complete", complete), zap.Duration("took", took))
	}
	if !complete {
		panic(http.ErrAbortHandler)
	}
}
