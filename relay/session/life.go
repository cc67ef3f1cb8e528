package session

import (
	"fmt"
	"maps"
	"net/http"
	"time"

	"sallyport/relay/connection"
)

// over says why the session is not to be used any more, "" where it is.
func (h *Held) over(l *connection.SessionLife, now time.Time) string {
	if why := h.spent(l, now); why != "" {
		return why
	}
	if l.Idle() > 0 && now.Sub(time.Unix(0, h.lastUsed.Load())) >= l.Idle() {
		return fmt.Sprintf("the session had been idle for %d min", l.IdleMinutes)
	}
	return ""
}

// spent says why the session is over however much it is used, "" where it is not.
func (h *Held) spent(l *connection.SessionLife, now time.Time) string {
	switch {
	case !h.live(now):
		return h.expired()
	case l.Max() > 0 && now.Sub(h.session.CreatedAt) >= l.Max():
		return fmt.Sprintf("the session had lasted for %d min, its longest life", l.MaxMinutes)
	}
	return ""
}

// aheadMost is how long before its end a session is renewed at most.
const aheadMost = 2 * time.Minute

// endsSoon reports whether the session is in the last tenth of its life: then
// another one is signed in while this one still serves.
func (h *Held) endsSoon(c *connection.Connection, now time.Time) bool {
	if most := c.Auth.Session.Max(); most > 0 && soon(h.session.CreatedAt.Add(most), most, now) {
		return true
	}
	if t := h.session.Token; t != nil {
		return !t.Expires.IsZero() && (h.Refreshable() || !c.Auth.NeedsPerson()) && soon(t.Expires, t.Life(), now)
	}
	end, life := h.Jar.end(sources(c.Auth.Cookie))
	return !end.IsZero() && soon(end, life, now)
}

func soon(end time.Time, life time.Duration, now time.Time) bool {
	return !now.Before(end.Add(-min(life/10, aheadMost)))
}

// endsAt is when the session is over by the connection's settings, if it is not
// used again. Zero: never. A session that a person has brought about, and that
// can go on by itself, is kept.
func (h *Held) endsAt() time.Time {
	l := h.life.Load()
	if h.Refreshable() {
		return time.Time{}
	}
	var end time.Time
	if l.Max() > 0 {
		end = h.session.CreatedAt.Add(l.Max())
	}
	if l.Idle() > 0 {
		if idle := time.Unix(0, h.lastUsed.Load()).Add(l.Idle()); end.IsZero() || idle.Before(end) {
			end = idle
		}
	}
	return end.UTC()
}

// withValues is c with the values that the session has of its sign-in, as they
// are now.
func (h *Held) withValues(c *connection.Connection) *connection.Connection {
	taken := h.values.Load()
	if taken == nil {
		return c
	}
	return c.WithSignIn(current(c.Auth.Cookie, *taken, h.Jar))
}

// Follow takes what an accepted answer says of the session's values: some
// applications give another token with each answer.
func (h *Held) Follow(c *connection.Connection, answer http.Header) {
	taken := h.values.Load()
	if taken == nil {
		return
	}
	for _, v := range c.Auth.Cookie.SignInValues() {
		text := answer.Get(v.At)
		if v.From != connection.FromHeader || text == "" || len(text) > maxValueBytes || text == (*taken)[v.Name] {
			continue
		}
		now := maps.Clone(*taken)
		now[v.Name] = text
		if h.values.CompareAndSwap(taken, &now) {
			h.followed.Add(1)
		}
		taken = h.values.Load()
	}
}

// version grows with each change that the store should hear of.
func (h *Held) version() uint64 {
	version, _ := h.Jar.changes()
	return version + h.followed.Load()
}
