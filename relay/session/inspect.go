package session

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"sallyport/relay/connection"
)

// Inspection is all of a connection's session that may be shown: no value of a
// cookie, and none of the sign-in.
type Inspection struct {
	Session    *Session // nil: none; its Cookies and Values are not for showing
	Cookies    []CookieInfo
	ValueNames []string // of the sign-in, sorted
	// ExpiresAt is when the session ends, if it is not used or renewed before.
	// Zero: when the application says so.
	ExpiresAt time.Time
	State     State
	SigningIn bool // at this moment, by this relay
}

// CookieInfo is a cookie of a session, without its value.
type CookieInfo struct {
	Name, Domain, Path string
	URL                string // that set it
	SetAt              time.Time
	ExpiresAt          time.Time // zero: with the session
	HostOnly           bool      // it is sent to that very host, and to none below it
	Secure, HTTPOnly   bool
	SameSite           string // Strict, Lax, None, or ""
}

// Inspect looks at the session of a connection with the given authentication.
func (k *Keeper) Inspect(ctx context.Context, workspaceID, connectionID string, auth connection.Auth) (Inspection, error) {
	var found Inspection
	var err error
	if found.State, err = k.StateOf(ctx, workspaceID, connectionID); err != nil {
		return found, err
	}
	k.mu.Lock()
	if e := k.entries[key{workspaceID, connectionID}]; e != nil {
		found.SigningIn = e.flight != nil
		found.State.limit(e.backoff.recent(k.clock()), auth.Session.MostSignIns())
	}
	k.mu.Unlock()
	s, err := k.Stored(ctx, workspaceID, connectionID)
	if errors.Is(err, ErrNone) {
		return found, nil
	}
	if err != nil {
		return found, err
	}
	found.Session = &s
	found.ValueNames = slices.Sorted(maps.Keys(s.Values))
	jar := restore(s.Cookies, k.clock)
	found.Cookies = jar.infos()
	h := hold(&connection.Connection{ID: connectionID, WorkspaceID: workspaceID, Spec: connection.Spec{Auth: auth}}, s, jar)
	found.ExpiresAt = h.endsAt()
	if s.Token != nil {
		found.ExpiresAt = s.Token.Expires
	} else if end, _ := jar.end(sources(auth.Cookie)); !end.IsZero() && (found.ExpiresAt.IsZero() || end.Before(found.ExpiresAt)) {
		found.ExpiresAt = end
	}
	return found, nil
}

// infos are the cookies that the jar keeps, by name.
func (j *Jar) infos() []CookieInfo {
	j.mu.Lock()
	defer j.mu.Unlock()
	infos := make([]CookieInfo, len(j.kept))
	for i := range j.kept {
		c := &j.kept[i]
		infos[i] = CookieInfo{Name: c.name, Domain: c.domain, Path: c.path, URL: c.line.URL, SetAt: c.line.At, ExpiresAt: c.expires,
			HostOnly: c.hostOnly, Secure: c.secure, HTTPOnly: c.httpOnly, SameSite: c.sameSite}
	}
	slices.SortStableFunc(infos, func(a, b CookieInfo) int {
		switch {
		case a.Name < b.Name:
			return -1
		case a.Name > b.Name:
			return 1
		}
		return 0
	})
	return infos
}

// SignInNow is SignIn of a saved connection down its own road: a person asks
// for a session.
func (k *Keeper) SignInNow(ctx context.Context, c *connection.Connection, requestID string) (Session, error) {
	a, err := k.SignIn(ctx, k.roads.For(c), c, requestID, "somebody asked for it")
	if err != nil {
		return Session{}, k.callersError(err, time.Time{})
	}
	return a.Session, nil
}
