package api

import (
	"context"
	"strings"
	"time"

	"sallyport/proto"
	"sallyport/relay/edge"
	"sallyport/relay/session"
)

// Session is a stored session as callers see it: never a cookie's value, and
// none of the sign-in.
type Session struct {
	ID           string       `json:"id"`
	ConnectionID string       `json:"connectionId"`
	CreatedAt    time.Time    `json:"createdAt"`
	LastUsedAt   time.Time    `json:"lastUsedAt"`
	ExpiresAt    *time.Time   `json:"expiresAt,omitempty" doc:"When it ends by its cookies or the connection's settings, if it is not used or renewed before. Left out: when the application says so."`
	SignIns      int          `json:"signIns" doc:"How often this connection has signed in."`
	Reason       string       `json:"reason" doc:"Why it last signed in."`
	Cookies      []Cookie     `json:"cookies"`
	Values       []string     `json:"values" doc:"Names of the values that the sign-in has brought, as {{signin.NAME}} uses them."`
	SignIn       *SignInState `json:"signIn,omitempty" doc:"Only where the last sign-in has failed, or the limit of sign-ins in a minute is reached."`
}

// SignInState is how a connection's sign-ins go.
type SignInState struct {
	Failures  int        `json:"failures" doc:"In a row; 0 where it is the limit of sign-ins in a minute that is reached."`
	Since     time.Time  `json:"since" doc:"When the first of the failures was, or of the sign-ins of the last minute."`
	NextTryAt *time.Time `json:"nextTryAt,omitempty" doc:"Before then, requests fail without a sign-in. A test, and a sign-in that is asked for, are made at once."`
	Text      string     `json:"text" doc:"The state in a sentence."`
	Detail    string     `json:"detail,omitempty" doc:"What the application answered last."`
}

// Cookie is one cookie of a session, without its value.
type Cookie struct {
	Name      string     `json:"name"`
	Domain    string     `json:"domain"`
	HostOnly  bool       `json:"hostOnly" doc:"It is sent to the domain itself, and to none below it."`
	Path      string     `json:"path"`
	Secure    bool       `json:"secure"`
	HTTPOnly  bool       `json:"httpOnly"`
	SameSite  string     `json:"sameSite,omitempty" doc:"Strict, Lax or None, where it was said."`
	ExpiresAt *time.Time `json:"expiresAt,omitempty" doc:"Left out: with the session."`
	URL       string     `json:"url" doc:"What set it."`
	At        time.Time  `json:"at" doc:"When it was set."`
}

type sessionAnswer struct{ Body Session }

func (h *handler) readSession(ctx context.Context, in *Identified) (*sessionAnswer, error) {
	c, err := h.Registry.Connection(ctx, actorOf(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	found, err := h.Sessions.Inspect(ctx, actorOf(ctx).WorkspaceID, c.ID, c.Auth)
	if err != nil {
		return nil, err
	}
	if found.Session == nil {
		e := &proto.Error{Code: proto.CodeNotFound, Detail: "This connection has no stored session.",
			Hint: "It signs in by itself with the next test or request."}
		if words := found.State.Words(time.Now()); words != "" {
			e.Detail += " " + words + " " + found.State.Detail
			e.Hint = "Test the connection: it shows the sign-in and what to change."
			if found.State.NextTry.After(time.Now()) {
				e.Facts = map[string]string{session.FactNextTry: found.State.NextTry.UTC().Format(time.RFC3339)}
			}
		}
		return nil, e
	}
	return &sessionAnswer{Body: sessionResource(found)}, nil
}

// signInSession signs in at once, whatever session there is and however often
// it has failed.
func (h *handler) signInSession(ctx context.Context, in *Identified) (*sessionAnswer, error) {
	actor := actorOf(ctx)
	c, err := h.Registry.Resolve(ctx, actor, in.ID)
	if err != nil {
		return nil, err
	}
	if err := h.Registry.SignInAsked(ctx, actor, c); err != nil {
		return nil, err
	}
	if _, err := h.Sessions.SignInNow(ctx, c, edge.RequestID(ctx)); err != nil {
		return nil, err
	}
	return h.readSession(ctx, in)
}

func (h *handler) dropSession(ctx context.Context, in *Identified) (*nothing, error) {
	return nil, h.Registry.SignOut(ctx, actorOf(ctx), in.ID)
}

func sessionResource(found session.Inspection) Session {
	s := found.Session
	out := Session{ID: s.ID, ConnectionID: s.ConnectionID, CreatedAt: s.CreatedAt, LastUsedAt: s.LastUsedAt, ExpiresAt: optionalTime(found.ExpiresAt),
		SignIns: s.SignIns, Reason: s.Reason, Cookies: []Cookie{}, Values: append([]string{}, found.ValueNames...)}
	for _, c := range found.Cookies {
		out.Cookies = append(out.Cookies, Cookie{Name: c.Name, Domain: c.Domain, HostOnly: c.HostOnly, Path: c.Path, Secure: c.Secure,
			HTTPOnly: c.HTTPOnly, SameSite: c.SameSite, ExpiresAt: optionalTime(c.ExpiresAt), URL: withoutQuery(c.URL), At: c.SetAt})
	}
	if state := found.State; state.Failures > 0 || state.Limited {
		out.SignIn = &SignInState{Failures: state.Failures, Since: state.Since.UTC(), NextTryAt: optionalTime(state.NextTry),
			Text: state.Words(time.Now()), Detail: state.Detail}
	}
	return out
}

// withoutQuery leaves out what a sign-in by GET may have its password in.
func withoutQuery(uri string) string {
	before, _, _ := strings.Cut(uri, "?")
	return before
}

func optionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
