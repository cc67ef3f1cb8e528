package web

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"go.uber.org/zap"

	"sallyport/relay/account"
	"sallyport/relay/connection"
	"sallyport/relay/gateway"
	"sallyport/relay/probe"
	"sallyport/relay/registry"
	"sallyport/relay/session"
)

// Options are the rooms behind the pages. All are required.
type Options struct {
	Accounts   *account.Accounts
	Browser    *account.Browser
	Registry   *registry.Registry
	Prober     Prober
	Gateway    Gateway
	Sessions   Sessions
	Authorizer Authorizer
	Watch      Watch
	Journal    *gateway.Journal
	// PublicURL is how people and agents reach the relay.
	PublicURL *url.URL
	Clock     func() time.Time
	Log       *zap.Logger
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
	assets *assets
	views  *views
}

// New makes the handler of all pages. It fails where a template is missing or
// does not parse, so that no click can find that out.
func New(o Options) (http.Handler, error) {
	assets, err := loadAssets(assetFiles)
	if err != nil {
		return nil, err
	}
	h := &handler{Options: o, assets: assets}
	if h.views, err = loadViews(templateFiles, h.functions()); err != nil {
		return nil, err
	}
	return h.protect(h.routes())
}
