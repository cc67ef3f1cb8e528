package client

import (
	"context"
	"time"
)

// Me is who calls.
type Me struct {
	Kind string `json:"kind"` // user or token
	ID   string `json:"id"`
	Name string `json:"name"`
	Role string `json:"role"` // admin, editor or viewer
}

// Me tells whose token the client has.
func (c *Client) Me(ctx context.Context) (Me, error) {
	var out Me
	err := c.Do(ctx, "GET", call("me"), nil, &out)
	return out, err
}

// Token is an API token.
type Token struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Role       string     `json:"role"`
	Begins     string     `json:"begins"` // its first characters
	CreatedBy  string     `json:"createdBy"`
	CreatedAt  time.Time  `json:"createdAt"`
	ExpiresAt  *time.Time `json:"expiresAt,omitempty"`
	LastUsedAt *time.Time `json:"lastUsedAt,omitempty"`
	// Token is the token itself, in the answer that made it and never again.
	Token string `json:"token,omitempty"`
}

// NewToken is what a caller says of a token.
type NewToken struct {
	Name      string     `json:"name"`
	Role      string     `json:"role,omitempty"`      // "": editor
	ExpiresAt *time.Time `json:"expiresAt,omitempty"` // nil: never
}

// Tokens lists the API tokens.
func (c *Client) Tokens(ctx context.Context) ([]Token, error) {
	var out listed[Token]
	err := c.Do(ctx, "GET", call("tokens"), nil, &out)
	return out.Items, err
}

// CreateToken makes an API token.
func (c *Client) CreateToken(ctx context.Context, t NewToken) (Token, error) {
	var out Token
	err := c.Do(ctx, "POST", call("tokens"), t, &out)
	return out, err
}

// RevokeToken makes a token worthless.
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	return c.Do(ctx, "DELETE", call("tokens", id), nil, nil)
}

// Entry is one line of the audit trail.
type Entry struct {
	ID     string    `json:"id"`
	At     time.Time `json:"at"`
	Actor  Who       `json:"actor"`
	Action string    `json:"action"` // such as connection.update
	Object What      `json:"object"`
	Detail string    `json:"detail,omitempty"`
}

// Who did something.
type Who struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
	Name string `json:"name"`
}

// What something was done to.
type What struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}
