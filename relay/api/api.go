// Package api is the relay's REST door: it translates between HTTP and the
// rooms behind it, and describes itself as OpenAPI 3.1 at /openapi.json. It
// authenticates who calls and reports every fault as a problem document
// (RFC 9457). It holds no rules: what may be done to a connection or an agent
// is decided in package registry, how a request is sent in package gateway.
package api

import (
	"context"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"

	"sallyport/internal/logging"
	"sallyport/proto"
	"sallyport/relay/account"
	"sallyport/relay/connection"
	"sallyport/relay/edge"
	"sallyport/relay/event"
	"sallyport/relay/gateway"
	"sallyport/relay/probe"
	"sallyport/relay/registry"
	"sallyport/relay/session"
)

// Prefix is where the API begins.
const Prefix = "/api/v1"

// Options are the rooms behind the door.
type Options struct {
	Callers  Callers
	Accounts *account.Accounts
	Registry *registry.Registry
	Prober   Prober
	Gateway  Gateway
	Sessions Sessions
	Watch    Watch
	Journal  *gateway.Journal
	Events   *event.Bus
	Logs     Logs
	// PublicURL is where the OpenAPI document says that the API is.
	PublicURL *url.URL
	// Version of the relay, for the OpenAPI document.
	Version string
	Log     *zap.Logger
	// Closing ends the event streams, so that the server can shut down.
	Closing <-chan struct{}
	// KeepAlive is the pause after which an idle event stream sends a comment,
	// for proxies that cut what is silent. 0: 15 s.
	KeepAlive time.Duration
}

// Callers tells who sent a request, by bearer token or browser session.
type Callers interface {
	Actor(r *http.Request) (account.Actor, error)
}

// Prober tests connections.
type Prober interface {
	Run(ctx context.Context, c *connection.Connection, requestID string, onStep func(probe.Step)) probe.Result
	Compare(ctx context.Context, c *connection.Connection, places []probe.Place, signIn bool, requestID string, onReach func(int, probe.Reach)) probe.Comparison
}

// Gateway sends a request through a connection.
type Gateway interface {
	Serve(w http.ResponseWriter, r *http.Request, c *connection.Connection, caller gateway.Caller, rawPath, rawQuery, requestID string)
}

// Sessions are the stored sessions of connections.
type Sessions interface {
	Inspect(ctx context.Context, workspaceID, connectionID string, auth connection.Auth) (session.Inspection, error)
	SignInNow(ctx context.Context, c *connection.Connection, requestID string) (session.Session, error)
}

type handler struct {
	Options
	mux  *http.ServeMux
	huma huma.API
	docs http.Handler
}

// New makes the door. It serves every path under Prefix, /openapi.json and
// /docs.
func New(o Options) http.Handler {
	if o.KeepAlive == 0 {
		o.KeepAlive = 15 * time.Second
	}
	h := &handler{Options: o, mux: http.NewServeMux()}
	h.huma = newHuma(h.mux, o)
	h.routes()
	h.docs = newDocs(h.huma.OpenAPI())
	return h
}

// ServeHTTP goes by the path as it was sent: the standard mux would tidy up a
// path of the proxy that the application is meant to see as it is.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	sent := r.URL.EscapedPath()
	if !strings.HasPrefix(sent, Prefix+"/") {
		if strings.HasPrefix(sent, "/api") {
			h.refuse(w, r, noSuchCall(r))
			return
		}
		h.docs.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	if sent != proto.EnrollPath {
		began := time.Now()
		actor, err := h.Callers.Actor(r)
		if err != nil {
			p := h.unauthorized(r, err)
			if _, _, ok := proxied(sent); ok {
				p.notSent(began)
			}
			h.refuse(w, r, p)
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), actorKey{}, actor))
		if id, rest, ok := proxied(sent); ok {
			h.proxy(w, r, actor, id, rest, began)
			return
		}
	}
	if _, pattern := h.mux.Handler(r); pattern == "" || r.URL.Path != tidy(r.URL.Path) {
		h.refuse(w, r, h.unmatched(r))
		return
	}
	if p := readBody(w, r); p != nil {
		fullDuplex(w)
		h.refuse(w, r, p)
		drain(w, r)
		return
	}
	h.mux.ServeHTTP(w, r)
}

func (h *handler) refuse(w http.ResponseWriter, r *http.Request, p *Problem) {
	p.RequestID = edge.RequestID(r.Context())
	writeProblem(w, p)
}

// unmatched is the problem of a path or method that no call has.
func (h *handler) unmatched(r *http.Request) *Problem {
	if r.URL.Path != tidy(r.URL.Path) {
		return noSuchCall(r) // the mux would redirect, and a POST would lose its body
	}
	var allowed []string
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := h.mux.Handler(other); pattern != "" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		return noSuchCall(r)
	}
	p := newProblem(http.StatusMethodNotAllowed, proto.CodeValidation, r.Method+" is not a method of "+r.URL.Path+".")
	p.Hint = "It has " + strings.Join(allowed, ", ") + "."
	p.header = http.Header{"Allow": {strings.Join(allowed, ", ")}}
	return p
}

// tidy is the path without dot segments and empty ones.
func tidy(p string) string { return path.Clean(p) }

func noSuchCall(r *http.Request) *Problem {
	p := newProblem(http.StatusNotFound, proto.CodeNotFound, "There is no call "+r.URL.Path+" in this API.")
	p.Hint = "/docs lists every call; they begin with " + Prefix + "/."
	return p
}

// unauthorized tells a caller without credentials from one whose credentials
// are of no use.
func (h *handler) unauthorized(r *http.Request, err error) *Problem {
	e := proto.AsError(err)
	if e == nil {
		return h.problemOf(r.Context(), err)
	}
	p := h.problemOf(r.Context(), err)
	if e.Code != proto.CodeUnauthorized {
		return p
	}
	challenge := `Bearer realm="Sallyport"`
	if r.Header.Get("Authorization") != "" {
		challenge += `, error="invalid_token"`
	}
	p.header = http.Header{"Www-Authenticate": {challenge}}
	return p
}

type actorKey struct{}

// actorOf is who calls; ServeHTTP has put it there.
func actorOf(ctx context.Context) account.Actor {
	actor, _ := ctx.Value(actorKey{}).(account.Actor)
	return actor
}

func (h *handler) logFault(ctx context.Context, err error) {
	h.Log.Error("request failed by a fault of the relay", logging.RequestID(edge.RequestID(ctx)), zap.Error(err))
}

// RefuseCrossOrigin answers a change that another site's page tried to make in
// a browser's name.
func RefuseCrossOrigin(w http.ResponseWriter, r *http.Request) {
	p := newProblem(http.StatusForbidden, proto.CodeForbidden, "This request came from another site's page.")
	p.Hint = "Send it from the relay's own pages, or from a program with an API token."
	p.RequestID = edge.RequestID(r.Context())
	writeProblem(w, p)
}

// RefuseHeader answers a request whose header is longer than the relay takes
// (RFC 6585, section 5).
func RefuseHeader(w http.ResponseWriter, r *http.Request) {
	p := newProblem(http.StatusRequestHeaderFieldsTooLarge, proto.CodeTooLarge, "The request's header is longer than the 64 KiB that the relay takes.")
	p.Hint = "Send fewer or shorter header fields; cookies are the usual cause."
	p.Outcome = proto.OutcomeNotSent
	p.RequestID = edge.RequestID(r.Context())
	writeProblem(w, p)
}
