package cli

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"sallyport/relay/account"
)

// healthz answers while the process lives.
func healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte("ok\n"))
}

// readyTime bounds the readiness check: a database that takes longer is not
// one that requests should be sent to.
const readyTime = 2 * time.Second

// readyz answers 200 while requests should be sent here: the database answers,
// and the relay is not stopping.
func (r *relay) readyz(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	ctx, cancel := context.WithTimeout(req.Context(), readyTime)
	defer cancel()
	if r.leaving.Load() {
		http.Error(w, "stopping", http.StatusServiceUnavailable)
		return
	}
	if err := r.store.Ping(ctx); err != nil {
		http.Error(w, "the database does not answer", http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ready\n"))
}

// metrics are the relay's figures. They are open on a listener that only this
// machine reaches, unless a proxy passed the request on; everybody else needs
// an administrator's token.
func (r *relay) metrics(loopbackOnly bool) http.Handler {
	figures := promhttp.HandlerFor(r.figures, promhttp.HandlerOpts{})
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		forwarded := req.Header.Get("X-Forwarded-For") != "" || req.Header.Get("Forwarded") != "" || req.Header.Get("X-Forwarded-Host") != ""
		if !loopbackOnly || forwarded {
			actor, err := r.browser.Actor(req)
			if err != nil {
				w.Header().Set("WWW-Authenticate", `Bearer realm="Sallyport"`)
				http.Error(w, "metrics need an administrator's API token here, or a listener of their own: --metrics-listen", http.StatusUnauthorized)
				return
			}
			if actor.Role != account.Admin {
				http.Error(w, "metrics need an administrator's API token", http.StatusForbidden)
				return
			}
		}
		figures.ServeHTTP(w, req)
	})
}
