package session

import (
	"context"
	"time"

	"go.uber.org/zap"

	"sallyport/relay/connection"
	"sallyport/relay/road"
)

const (
	// signOutTimeout bounds a sign-out.
	signOutTimeout = 10 * time.Second
	// signOutPatience is how long a session that was replaced may yet be in use
	// before it is signed out all the same.
	signOutPatience = 30 * time.Second
)

// Dropped is a session that is not to be used any more, with the connection as
// it was when the session was good for it.
type Dropped struct {
	WorkspaceID, ConnectionID string
	Connection                *connection.Connection // nil: it is not known any more
	Session                   *Session               // nil: none was stored
}

// Use notes that a request uses the session, until the func that it returns is
// called: a session is not signed out in the middle of it.
func (h *Held) Use() (done func()) {
	h.users.Add(1)
	return func() { h.users.Add(-1) }
}

// retire tells the application that a session is not needed any more, where the
// connection says how. Nobody waits for it, and a sign-out that fails is only
// logged: the application ends the session by itself in the end.
func (k *Keeper) retire(c *connection.Connection, h *Held, why string) {
	if k.roads == nil || c == nil || h == nil || !c.Auth.SignsOut() || !h.live(k.clock()) && !h.Refreshable() {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return
	}
	k.signIn.Go(func() {
		ctx, cancel := context.WithTimeout(k.ctx, signOutPatience)
		h.idle(ctx)
		cancel()
		if h.session.Token != nil {
			k.revoke(c, h, why)
		} else {
			k.signOut(c, h, why)
		}
	})
}

// supersede is retire for a session while another one by the same credentials is in
// use. A token is left to expire then: to revoke it may end all that was granted with
// it (RFC 7009, section 2.1), and some applications give the same token twice.
func (k *Keeper) supersede(c *connection.Connection, h *Held, why string) {
	if h != nil && h.session.Token == nil {
		k.retire(c, h, why)
	}
}

// idle waits until no request uses the session.
func (h *Held) idle(ctx context.Context) {
	for h.users.Load() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (k *Keeper) signOut(c *connection.Connection, h *Held, why string) {
	how := c.Auth.Cookie.SignOut
	c = h.Connection(c)
	log := k.log.With(zap.String("connection", c.ID), zap.String("session", h.session.ID), zap.String("reason", why))
	marks := &connection.Marks{}
	u, err := c.URL(how.URI, marks)
	if err != nil {
		log.Warn("the sign-out URI can't be used", zap.Error(err))
		return
	}
	body := ""
	if how.SendsBody() {
		body = how.Body
	}
	ctx, cancel := context.WithTimeout(k.ctx, signOutTimeout)
	defer cancel()
	e, err := road.Send(ctx, road.Hasty(k.roads.For(c), time.Second), c, road.Request{
		Method: how.Method, URL: u, Marks: marks, Body: body, Jar: h.Jar, Timeout: signOutTimeout,
	})
	switch {
	case err != nil:
		log.Info("could not sign out", zap.String("failure", failureName(err)))
	case e.Last().Status >= 400:
		log.Info("the application refused the sign-out", zap.Int("status", e.Last().Status))
	default:
		log.Info("signed out", zap.Int("status", e.Last().Status))
	}
}
