package api

import (
	"context"
	"time"

	"sallyport/relay/account"
	"sallyport/relay/registry"
)

// Me is who calls.
type Me struct {
	Kind string       `json:"kind" enum:"user,token"`
	ID   string       `json:"id"`
	Name string       `json:"name"`
	Role account.Role `json:"role" enum:"admin,editor,viewer"`
}

type meAnswer struct{ Body Me }

func (h *handler) me(ctx context.Context, _ *struct{}) (*meAnswer, error) {
	a := actorOf(ctx)
	return &meAnswer{Body: Me{Kind: a.Kind, ID: a.ID, Name: a.Name, Role: a.Role}}, nil
}

// Token is an API token, without its secret.
type Token struct {
	ID         string       `json:"id"`
	Name       string       `json:"name"`
	Role       account.Role `json:"role" enum:"admin,editor,viewer"`
	Begins     string       `json:"begins" doc:"Its first characters."`
	CreatedBy  string       `json:"createdBy"`
	CreatedAt  time.Time    `json:"createdAt"`
	ExpiresAt  *time.Time   `json:"expiresAt,omitempty"`
	LastUsedAt *time.Time   `json:"lastUsedAt,omitempty"`
	Token      string       `json:"token,omitempty" doc:"The token itself; in the answer that made it, and never again."`
}

// newToken is what a caller says of a token.
type newToken struct {
	Name      string       `json:"name" doc:"Of the program that will use it." example:"nightly export"`
	Role      account.Role `json:"role,omitempty" doc:"admin, editor (default) or viewer."`
	ExpiresAt *time.Time   `json:"expiresAt,omitempty" doc:"Left out: never."`
}

type tokenAnswer struct{ Body Token }

func tokenResource(t account.Token) Token {
	return Token{ID: t.ID, Name: t.Name, Role: t.Role, Begins: t.Hint, CreatedBy: t.CreatedBy,
		CreatedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt, LastUsedAt: t.LastUsedAt}
}

func (h *handler) listTokens(ctx context.Context, _ *struct{}) (*listed[Token], error) {
	tokens, err := h.Accounts.Tokens(ctx, actorOf(ctx))
	if err != nil {
		return nil, err
	}
	return listOf(tokens, "", tokenResource), nil
}

type tokenRequest struct{ Body document[newToken] }

func (h *handler) createToken(ctx context.Context, in *tokenRequest) (*tokenAnswer, error) {
	doc, form := in.Body.decode(h.schemas())
	if doc.Role == "" {
		doc.Role = account.Editor
	}
	if len(form) > 0 {
		return nil, mergedWith(form, h.Accounts.CheckToken(doc.Name, doc.Role, doc.ExpiresAt))
	}
	t, secret, err := h.Accounts.CreateToken(ctx, actorOf(ctx), doc.Name, doc.Role, doc.ExpiresAt)
	if err != nil {
		return nil, err
	}
	out := &tokenAnswer{Body: tokenResource(t)}
	out.Body.Token = secret
	return out, nil
}

func (h *handler) revokeToken(ctx context.Context, in *Identified) (*nothing, error) {
	return nil, h.Accounts.RevokeToken(ctx, actorOf(ctx), in.ID)
}

// Entry is one line of the audit trail.
type Entry struct {
	ID     string    `json:"id"`
	At     time.Time `json:"at"`
	Actor  Who       `json:"actor" doc:"Who did it."`
	Action string    `json:"action" example:"connection.update"`
	Object What      `json:"object" doc:"What it was done to."`
	Detail string    `json:"detail,omitempty" doc:"What changed; never a secret."`
}

// Who did something.
type Who struct {
	Kind string `json:"kind" enum:"user,token,system,agent"`
	ID   string `json:"id"`
	Name string `json:"name"`
}

// What something was done to.
type What struct {
	Type string `json:"type" example:"connection"`
	ID   string `json:"id"`
	Name string `json:"name,omitempty" doc:"As it was then."`
}

type auditPage struct {
	ObjectType string `query:"objectType" maxLength:"64" doc:"Only what was done to things of this type, such as connection, agent, user or token."`
	ObjectID   string `query:"objectId" maxLength:"64" doc:"Only what was done to this thing."`
	ActorID    string `query:"actorId" maxLength:"64" doc:"Only what this one did."`
	Limit      int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"How many at most."`
	Cursor     string `query:"cursor" doc:"nextCursor of the page before." maxLength:"512"`
}

func (h *handler) listAudit(ctx context.Context, in *auditPage) (*listed[Entry], error) {
	found, next, err := h.Registry.Audit(ctx, actorOf(ctx), registry.AuditFilter{ObjectType: in.ObjectType, ObjectID: in.ObjectID, ActorID: in.ActorID}, registry.Page{Limit: in.Limit, Cursor: in.Cursor})
	if err != nil {
		return nil, err
	}
	return listOf(found, next, func(e registry.Entry) Entry {
		return Entry{ID: e.ID, At: e.At, Action: e.Action, Detail: e.Detail,
			Actor:  Who{Kind: e.ActorKind, ID: e.ActorID, Name: e.ActorName},
			Object: What{Type: e.ObjectType, ID: e.ObjectID, Name: e.ObjectName}}
	}), nil
}
