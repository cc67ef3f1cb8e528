// Package edge is what every HTTP request to the relay passes first: its
// request id, the client's address behind proxies, the protection against
// requests that other sites make in a browser's name, security header fields,
// the access log, and the last catch for a panic. Package cli wraps it around
// all doors at once. It knows of no path, no actor and no rule.
package edge

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"sallyport/internal/logging"
)

// Options of the edge.
type Options struct {
	Log *zap.Logger
	// Clock, for durations in the access log.
	Clock func() time.Time
	// TrustProxies are the reverse proxies whose X-Forwarded-For is believed.
	TrustProxies []netip.Prefix
	// HTTPS: the public URL is https, so browsers may be told to stay with it.
	HTTPS bool
	// Origins are further origins that browsers may send changes from: the
	// public URL's own, where a proxy in front rewrites Host.
	Origins []string
	// Refused answers a request from another site's page.
	Refused http.Handler
	// MaxHeader is how long the header of a request may be, in bytes; 0: as long
	// as the server takes. TooLarge answers one that is longer.
	MaxHeader int
	TooLarge  http.Handler
	// Quiet reports whether a request is not worth a line at level info: those
	// of health checks and scrapers.
	Quiet func(*http.Request) bool
	// LoggedPath is the path as the log may show it: without what is a secret.
	LoggedPath func(path string) string
}

// Wrap puts the edge around next.
func Wrap(next http.Handler, o Options) (http.Handler, error) {
	cross := http.NewCrossOriginProtection()
	for _, origin := range o.Origins {
		if err := cross.AddTrustedOrigin(origin); err != nil {
			return nil, err
		}
	}
	if o.Refused != nil {
		cross.SetDenyHandler(o.Refused)
	}
	protected := cross.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := o.Clock()
		id := acceptedID(r.Header.Get("X-Request-Id"))
		if id == "" {
			id = newID()
		}
		h := w.Header()
		h.Set("X-Request-Id", id)
		secure(h, o.HTTPS)
		r = r.WithContext(context.WithValue(r.Context(), idKey{}, id))
		r.RemoteAddr = clientAddress(r, o.TrustProxies)
		seen := &observed{ResponseWriter: w}
		defer func() {
			fault := recover()
			cut := fault != nil && (fault == http.ErrAbortHandler || seen.wroteHeader || seen.hijacked)
			if fault != nil && !cut {
				http.Error(seen, "The relay met a fault of its own. Its log has more under request id "+id+".", http.StatusInternalServerError)
			}
			logAccess(o, r, seen, id, o.Clock().Sub(start), fault)
			if cut {
				panic(http.ErrAbortHandler) // so that the client sees a cut answer as cut
			}
		}()
		if o.MaxHeader > 0 && headerSize(r) > o.MaxHeader {
			h.Set("Connection", "close") // whoever sends that much may send more
			o.TooLarge.ServeHTTP(seen, r)
			return
		}
		protected.ServeHTTP(seen, r)
	}), nil
}

// headerSize is how many bytes the request line and the header took on the wire,
// blanks that mean nothing left out.
func headerSize(r *http.Request) int {
	n := len(r.Method) + len(r.RequestURI) + len(r.Host)
	for name, values := range r.Header {
		for _, value := range values {
			n += len(name) + len(": \r\n") + len(value)
		}
	}
	return n
}

// secure sets the header fields that suit every answer. Pages and the docs add
// a Content-Security-Policy of their own.
func secure(h http.Header, https bool) {
	h["X-Content-Type-Options"] = noSniff
	h["X-Frame-Options"] = deny
	h["Referrer-Policy"] = sameOrigin
	h["Cross-Origin-Opener-Policy"] = sameOrigin
	if https {
		h["Strict-Transport-Security"] = oneYear
	}
}

// The values that every answer shares. Whoever wants another one for a field
// sets the field anew; nobody writes into a value.
var (
	noSniff    = []string{"nosniff"}
	deny       = []string{"DENY"}
	sameOrigin = []string{"same-origin"}
	oneYear    = []string{"max-age=31536000"}
)

// logAccess writes one line per request. The path is logged, its query never
// is: it may hold what callers should not have put there.
func logAccess(o Options, r *http.Request, seen *observed, id string, took time.Duration, fault any) {
	level := zap.InfoLevel
	switch {
	case fault != nil && fault != http.ErrAbortHandler:
		level = zap.ErrorLevel
	case o.Quiet != nil && o.Quiet(r):
		level = zap.DebugLevel
	}
	line := o.Log.Check(level, "request")
	if line == nil {
		return
	}
	path := r.URL.Path
	if o.LoggedPath != nil {
		path = o.LoggedPath(path)
	}
	fields := []zap.Field{
		logging.RequestID(id),
		zap.String("method", r.Method),
		zap.String("path", path),
		zap.Int("status", seen.status()),
		zap.Int64("bytes", seen.bytes),
		zap.Duration("took", took),
		zap.String("client", r.RemoteAddr),
	}
	if fault != nil && fault != http.ErrAbortHandler {
		fields = append(fields, zap.Any("panic", fault), zap.Stack("stack"))
	}
	line.Write(fields...)
}
