package api

import (
	"context"
	"errors"
	"strings"
	"time"

	"sallyport/proto"
	"sallyport/relay/session"
)

// Session is a stored session as callers see it: never a cookie's value.
type Session struct {
	ID           string    `json:"id"`
	ConnectionID string    `json:"connectionId"`
	CreatedAt    time.Time `json:"createdAt"`
	LastUsedAt   time.Time `json:"lastUsedAt"`
	SignIns      int       `json:"signIns" doc:"How often this connection has signed in."`
	Reason       string    `json:"reason" doc:"Why it last signed in."`
	Cookies      []Cookie  `json:"cookies"`
}

// Cookie is one cookie of a session, without its value.
type Cookie struct {
	Name string    `json:"name"`
	URL  string    `json:"url" doc:"What set it."`
	At   time.Time `json:"at" doc:"When it was set."`
}

type sessionAnswer struct{ Body Session }

func (h *handler) readSession(ctx context.Context, in *Identified) (*sessionAnswer, error) {
	c, err := h.Registry.Connection(ctx, actorOf(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	s, err := h.Sessions.Stored(ctx, actorOf(ctx).WorkspaceID, c.ID)
	if errors.Is(err, session.ErrNone) {
		return nil, &proto.Error{Code: proto.CodeNotFound, Detail: "This connection has no stored session.",
			Hint: "It signs in by itself with the next test or request."}
	}
	if err != nil {
		return nil, err
	}
	out := &sessionAnswer{Body: Session{ID: s.ID, ConnectionID: c.ID, CreatedAt: s.CreatedAt, LastUsedAt: s.LastUsedAt, SignIns: s.SignIns, Reason: s.Reason, Cookies: []Cookie{}}}
	for _, line := range s.Cookies {
		name, _, _ := strings.Cut(line.Line, "=")
		out.Body.Cookies = append(out.Body.Cookies, Cookie{Name: strings.TrimSpace(name), URL: withoutQuery(line.URL), At: line.At})
	}
	return out, nil
}

// withoutQuery leaves out what a sign-in by GET may have its password in.
func withoutQuery(uri string) string {
	before, _, _ := strings.Cut(uri, "?")
	return before
}

func (h *handler) dropSession(ctx context.Context, in *Identified) (*nothing, error) {
	return nil, h.Registry.SignOut(ctx, actorOf(ctx), in.ID)
}
