package session

import (
	"net/http"
	"sync"
	"time"
)

const (
	// renewEvery is how often at most a session is renewed that the application
	// did not accept right after its sign-in. Some applications answer 401 to
	// what an account may not do; without this, each such request would sign in
	// anew.
	renewEvery = time.Minute
	// refusedFor is how long a request is remembered to which another status,
	// such as 403, was the application's answer in a new session, too: it is
	// forbidden, and no sign-in changes that.
	refusedFor = 10 * time.Minute
	// mostRefusals bounds how many are remembered of one connection.
	mostRefusals = 200
)

// refusals are the requests of a connection for which signing in anew was in
// vain. They outlive the session, since the next one may do no more.
type refusals struct {
	mu   sync.Mutex // guards the following
	at   map[string]time.Time
	vain time.Time // when a renewal last was
}

// Unaccepted notes that the application answered a request as if the session had
// ended, although it had just been signed in. The request is its method and path.
func (h *Held) Unaccepted(status int, request string) {
	now := h.Jar.clock()
	h.unaccepted.Store(now.UnixNano())
	if isSignInStatus(status) || h.refusals == nil {
		return
	}
	r := h.refusals
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at == nil || len(r.at) >= mostRefusals {
		r.at = make(map[string]time.Time)
	}
	r.at[request] = now
	r.vain = now
}

// Renewable reports whether another sign-in may help a request that was
// answered as if the session had ended.
func (h *Held) Renewable(status int, request string) bool {
	now := h.Jar.clock()
	if at := h.unaccepted.Load(); at != 0 && now.UnixNano()-at < int64(renewEvery) {
		return false
	}
	if isSignInStatus(status) || h.refusals == nil {
		return true
	}
	r := h.refusals
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, refused := r.at[request]; refused && now.Sub(at) < refusedFor {
		return false
	}
	return r.vain.IsZero() || now.Sub(r.vain) >= renewEvery
}

// isSignInStatus reports whether a status can only mean that nobody is signed
// in: 401, or a redirect that was found to lead to the sign-in page.
func isSignInStatus(status int) bool {
	return status == http.StatusUnauthorized || status/100 == 3
}
