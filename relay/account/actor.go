// Package account is about people and programs: users, roles, API tokens, and
// how each signs in to the relay.
package account

// Role bounds what an actor may do in a workspace.
type Role string

const (
	Admin  Role = "admin"  // everything
	Editor Role = "editor" // connections and agents, not people and tokens
	Viewer Role = "viewer" // look, not change or send
)

// Actor is who asks: a signed-in person, an API token, or the relay itself.
type Actor struct {
	WorkspaceID string
	Kind        string // "user", "token" or "system"
	ID          string // of the user or token
	Name        string // for the audit trail
	Role        Role
}

// MayEdit reports whether the actor may change connections and agents, and
// send requests through them.
func (a Actor) MayEdit() bool { return a.Role == Admin || a.Role == Editor }

// MayAdminister reports whether the actor may change people and API tokens.
func (a Actor) MayAdminister() bool { return a.Role == Admin }
