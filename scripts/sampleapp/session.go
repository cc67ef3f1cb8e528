package main

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"sync"
	"time"
)

const cookieName = "warehouse_session"

// sessions are those who are signed in.
type sessions struct {
	lifetime time.Duration
	now      func() time.Time

	mu    sync.Mutex // guards the following
	ends  map[string]time.Time
	count int
}

// create starts a session and returns its id.
func (s *sessions) create() string {
	id := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	for old, end := range s.ends {
		if s.now().After(end) {
			delete(s.ends, old)
		}
	}
	s.ends[id] = s.now().Add(s.lifetime)
	s.count++
	return id
}

// use tells whether a session is alive, and keeps it so.
func (s *sessions) use(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	end, ok := s.ends[id]
	if !ok || s.now().After(end) {
		delete(s.ends, id)
		return false
	}
	s.ends[id] = s.now().Add(s.lifetime)
	return true
}

func (s *sessions) end(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ends, id)
}

// signIns is how many sessions were ever created.
func (s *sessions) signIns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// signIn is POST /api/session.
func (w *warehouse) signIn(rw http.ResponseWriter, r *http.Request) {
	var in struct{ User, Password string }
	if !readJSON(rw, r, &in) {
		return
	}
	right := subtle.ConstantTimeCompare([]byte(in.User), []byte(w.user)) &
		subtle.ConstantTimeCompare([]byte(in.Password), []byte(w.password))
	if right != 1 {
		fail(rw, http.StatusUnauthorized, "invalid_credentials", "The user or the password is wrong.")
		return
	}
	http.SetCookie(rw, &http.Cookie{
		Name: cookieName, Value: w.sessions.create(), Path: "/",
		HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	answer(rw, http.StatusOK, map[string]any{"ok": true, "user": w.user})
}

// signOut is DELETE /api/session.
func (w *warehouse) signOut(rw http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(cookieName); err == nil {
		w.sessions.end(c.Value)
	}
	http.SetCookie(rw, &http.Cookie{Name: cookieName, Path: "/", MaxAge: -1, HttpOnly: true})
	rw.WriteHeader(http.StatusNoContent)
}

// signedIn serves next to those who are signed in, and 401 to all others.
func (w *warehouse) signedIn(next http.HandlerFunc) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		c, err := r.Cookie(cookieName)
		switch {
		case err != nil:
			fail(rw, http.StatusUnauthorized, "not_signed_in", "Sign in first: POST /api/session.")
		case !w.sessions.use(c.Value):
			fail(rw, http.StatusUnauthorized, "session_ended", "The session has ended. Sign in again: POST /api/session.")
		default:
			next(rw, r)
		}
	}
}
