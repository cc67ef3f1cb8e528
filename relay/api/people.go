package api

import (
	"context"
	"strings"
	"time"

	"sallyport/relay/account"
)

// Person is somebody who may sign in.
type Person struct {
	ID           string       `json:"id"`
	Email        string       `json:"email"`
	Name         string       `json:"name"`
	Role         account.Role `json:"role" enum:"admin,editor,viewer"`
	Disabled     bool         `json:"disabled" doc:"They can't sign in."`
	HasPassword  bool         `json:"hasPassword"`
	CreatedAt    time.Time    `json:"createdAt"`
	LastSignInAt *time.Time   `json:"lastSignInAt,omitempty" doc:"Left out: never."`
}

func personResource(u account.User) Person {
	return Person{ID: u.ID, Email: u.Email, Name: u.Name, Role: u.Role, Disabled: u.Disabled, HasPassword: u.HasPassword,
		CreatedAt: u.CreatedAt, LastSignInAt: ifSet(u.LastSignInAt)}
}

func (h *handler) listPeople(ctx context.Context, in *page) (*listed[Person], error) {
	found, next, err := h.Accounts.People(ctx, actorOf(ctx), account.Page{Limit: in.Limit, Cursor: in.Cursor, Query: in.Query})
	if err != nil {
		return nil, err
	}
	return listOf(found, next, personResource), nil
}

type personAnswer struct{ Body Person }

func (h *handler) readPerson(ctx context.Context, in *Identified) (*personAnswer, error) {
	u, err := h.Accounts.Person(ctx, actorOf(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	return &personAnswer{Body: personResource(u)}, nil
}

// newPerson is what a caller says of somebody who is invited.
type newPerson struct {
	Email string       `json:"email" example:"ada@example.com"`
	Name  string       `json:"name,omitempty" doc:"Left out: the address up to the @."`
	Role  account.Role `json:"role,omitempty" doc:"admin, editor (default) or viewer."`
}

// Invitation is somebody who was invited, and the link by which they sign in.
type Invitation struct {
	Person
	SignInLink string `json:"signInLink" doc:"Works once, for three days; shown this once."`
}

type invitationAnswer struct{ Body Invitation }

type invitationRequest struct{ Body document[newPerson] }

func (h *handler) invite(ctx context.Context, in *invitationRequest) (*invitationAnswer, error) {
	doc, form := in.Body.decode(h.schemas())
	if doc.Role == "" {
		doc.Role = account.Editor
	}
	if len(form) > 0 {
		return nil, mergedWith(form, account.CheckPerson(doc.Email, doc.Name, doc.Role))
	}
	u, path, err := h.Accounts.CreateUser(ctx, actorOf(ctx), doc.Email, doc.Name, doc.Role)
	if err != nil {
		return nil, err
	}
	return &invitationAnswer{Body: Invitation{Person: personResource(u), SignInLink: h.signInLink(path)}}, nil
}

// personChange is what of a person may be changed.
type personChange struct {
	Role     account.Role `json:"role,omitempty" doc:"admin, editor or viewer; left out: it stays."`
	Disabled *bool        `json:"disabled,omitempty" doc:"true locks them out at once, false lets them in again; left out: it stays."`
}

type changedPerson struct {
	Identified
	Body document[personChange]
}

func (h *handler) changePerson(ctx context.Context, in *changedPerson) (*personAnswer, error) {
	doc, form := in.Body.decode(h.schemas())
	if len(form) > 0 {
		var content error
		if doc.Role != "" {
			content = account.CheckRole(doc.Role)
		}
		return nil, mergedWith(form, content)
	}
	actor := actorOf(ctx)
	if doc.Role != "" {
		if err := h.Accounts.SetRole(ctx, actor, in.ID, doc.Role); err != nil {
			return nil, err
		}
	}
	if doc.Disabled != nil {
		if err := h.Accounts.DisableUser(ctx, actor, in.ID, *doc.Disabled); err != nil {
			return nil, err
		}
	}
	return h.readPerson(ctx, &in.Identified)
}

func (h *handler) removePerson(ctx context.Context, in *Identified) (*nothing, error) {
	return nil, h.Accounts.RemoveUser(ctx, actorOf(ctx), in.ID)
}

// SignInLink is a link that signs in once.
type SignInLink struct {
	SignInLink string `json:"signInLink" doc:"Works once, for three days; shown this once."`
}

type linkAnswer struct{ Body SignInLink }

func (h *handler) newSignInLink(ctx context.Context, in *Identified) (*linkAnswer, error) {
	path, err := h.Accounts.SignInLinkFor(ctx, actorOf(ctx), in.ID, account.InviteLifetime)
	if err != nil {
		return nil, err
	}
	return &linkAnswer{Body: SignInLink{SignInLink: h.signInLink(path)}}, nil
}

func (h *handler) signInLink(path string) string {
	return h.PublicURL.JoinPath(strings.TrimPrefix(path, "/")).String()
}
