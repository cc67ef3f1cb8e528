package client

import (
	"context"
	"iter"
	"time"
)

// Person is somebody who may sign in.
type Person struct {
	ID           string     `json:"id"`
	Email        string     `json:"email"`
	Name         string     `json:"name"`
	Role         string     `json:"role"` // admin, editor or viewer
	Disabled     bool       `json:"disabled"`
	HasPassword  bool       `json:"hasPassword"`
	CreatedAt    time.Time  `json:"createdAt"`
	LastSignInAt *time.Time `json:"lastSignInAt,omitempty"`
}

// People lists people by their addresses.
func (c *Client) People(ctx context.Context, o ListOptions) iter.Seq2[Person, error] {
	return pages[Person](ctx, c, call("people"), o, true)
}

// Person reads one of them.
func (c *Client) Person(ctx context.Context, id string) (Person, error) {
	var out Person
	err := c.Do(ctx, "GET", call("people", id), nil, &out)
	return out, err
}

// NewPerson is who is invited.
type NewPerson struct {
	Email string `json:"email"`
	Name  string `json:"name,omitempty"`
	Role  string `json:"role,omitempty"` // "": editor
}

// Invitation is somebody who was invited, and the link by which they sign in.
type Invitation struct {
	Person
	SignInLink string `json:"signInLink"` // works once
}

// Invite adds a person.
func (c *Client) Invite(ctx context.Context, p NewPerson) (Invitation, error) {
	var out Invitation
	err := c.Do(ctx, "POST", call("people"), p, &out)
	return out, err
}

// PersonChange is what of a person may be changed; what is left out stays.
type PersonChange struct {
	Role     string `json:"role,omitempty"`
	Disabled *bool  `json:"disabled,omitempty"`
}

// ChangePerson changes a person's role, locks them out or lets them in.
func (c *Client) ChangePerson(ctx context.Context, id string, change PersonChange) (Person, error) {
	var out Person
	err := c.Do(ctx, "PATCH", call("people", id), change, &out)
	return out, err
}

// RemovePerson removes a person for good.
func (c *Client) RemovePerson(ctx context.Context, id string) error {
	return c.Do(ctx, "DELETE", call("people", id), nil, nil)
}

// SignInLink is a link that signs in once.
type SignInLink struct {
	SignInLink string `json:"signInLink"`
}

// NewSignInLink makes a link by which a person signs in once.
func (c *Client) NewSignInLink(ctx context.Context, id string) (string, error) {
	var out SignInLink
	err := c.Do(ctx, "POST", call("people", id, "sign-in-link"), nil, &out)
	return out.SignInLink, err
}

// SentRequest is a request through a connection that was sent lately.
type SentRequest struct {
	At           time.Time `json:"at"`
	RequestID    string    `json:"requestId"`
	ConnectionID string    `json:"connectionId"`
	Connection   string    `json:"connection"`
	Caller       Who       `json:"caller"`
	Method       string    `json:"method"`
	Path         string    `json:"path"` // without the query
	Status       int       `json:"status,omitempty"`
	Code         string    `json:"code,omitempty"`
	DurationMs   float64   `json:"durationMs"`
	Complete     bool      `json:"complete"`
}

// RequestFilter says which requests are wanted.
type RequestFilter struct {
	ConnectionID string
	Failed       bool
}

// Requests lists what was sent lately by the relay that answers, newest first.
func (c *Client) Requests(ctx context.Context, f RequestFilter, o ListOptions) iter.Seq2[SentRequest, error] {
	failed := ""
	if f.Failed {
		failed = "true"
	}
	return pages[SentRequest](ctx, c, call("requests"), o, false, "connectionId", f.ConnectionID, "failed", failed)
}

// AuditFilter says which lines of the audit trail are wanted; "" is any.
type AuditFilter struct {
	ObjectType string // such as connection
	ObjectID   string
	ActorID    string
}

// Audit lists who did what, newest first.
func (c *Client) Audit(ctx context.Context, f AuditFilter, o ListOptions) iter.Seq2[Entry, error] {
	return pages[Entry](ctx, c, call("audit"), o, false, "objectType", f.ObjectType, "objectId", f.ObjectID, "actorId", f.ActorID)
}
