// Package session signs in to applications and keeps the sessions that come of
// it. Probe and gateway call it; it sends its requests over a road and never
// knows whether that leads straight to the application or through an agent.
package session

import "time"

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
}

// SetCookie is one Set-Cookie header field as it was received.
type SetCookie struct {
	URL  string    `json:"url"`
	Line string    `json:"line"`
	At   time.Time `json:"at"`
}
