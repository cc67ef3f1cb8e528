// Package session signs in to applications and keeps the sessions that come of
// it. Probe and gateway call it; it sends its requests over a road and never
// knows whether that leads straight to the application or through an agent.
package session

import (
	"context"
	"errors"
	"time"
)

// Session is a signed-in state at an application: the Set-Cookie lines that it
// gave, each with the URL that answered and the time, to be replayed into a
// cookie jar (RFC 6265).
type Session struct {
	ID           string      `json:"id"`
	ConnectionID string      `json:"connectionId"`
	CreatedAt    time.Time   `json:"createdAt"`
	LastUsedAt   time.Time   `json:"lastUsedAt"`
	SignIns      int         `json:"signIns"` // how often this connection has signed in, this time included
	Reason       string      `json:"reason"`  // why the last sign-in happened, for a person
	Cookies      []SetCookie `json:"cookies"`
	Token        *Token      `json:"token,omitempty"` // of OAuth 2.0
	// Settings is a digest of what the sign-in was made with. A session made
	// with other settings than the connection's present ones is not used. Like
	// the cookies, it is for the store alone.
	Settings string `json:"settings,omitempty"`
	// Values are those of the sign-in chain, by name. Those that are read from
	// cookies follow these.
	Values map[string]string `json:"values,omitempty"`
	// ByValue: the application gave a value and no cookie that stands for the
	// session.
	ByValue bool `json:"byValue,omitempty"`
	// EndsAt is when the session is over by the connection's settings, as far as
	// is known when it is stored. Zero: it does not end by itself.
	EndsAt time.Time `json:"endsAt,omitzero"`
}

// SetCookie is one Set-Cookie header field as it was received.
type SetCookie struct {
	URL  string    `json:"url"`
	Line string    `json:"line"`
	At   time.Time `json:"at"`
}

// Store keeps one session per connection, encrypted. Package registry
// implements it.
type Store interface {
	// LoadSession returns ErrNone where the connection has no session.
	LoadSession(ctx context.Context, workspaceID, connectionID string) (Session, error)
	// SaveSession puts s in the place of the connection's session.
	SaveSession(ctx context.Context, workspaceID string, s Session) error
	// DeleteSession does nothing where there is none.
	DeleteSession(ctx context.Context, workspaceID, connectionID string) error
}

// ErrNone: the connection has no session.
var ErrNone = errors.New("no session")
