package client

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"time"

	"sallyport/relay/connection"
)

// Connection is how to reach and sign in to an application. The fields that a
// user describes are those of connection.Spec; the relay adds the rest, which may
// be sent back and changes nothing, but for Version.
type Connection struct {
	ID string `json:"id,omitempty"`
	connection.Spec
	Secrets map[string]Secret `json:"secrets,omitempty"`
	// Version counts the changes. An update or a deletion is refused where the
	// relay has another one; 0 is any.
	Version   int64             `json:"version,omitempty"`
	CreatedAt *time.Time        `json:"createdAt,omitempty"`
	UpdatedAt *time.Time        `json:"updatedAt,omitempty"`
	LastTest  *LastTest         `json:"lastTest,omitempty"`
	LatencyMs []float64         `json:"latencyMs,omitempty"` // of recent pings, or tests, oldest first
	Status    *ConnectionStatus `json:"status,omitempty"`    // more by Health
	Warnings  []string          `json:"warnings,omitempty"`
	// ChangedSecrets is of a plan: the secrets that a save would set, change or
	// remove.
	ChangedSecrets []string `json:"changedSecrets,omitempty"`
}

// LastTest is how the last test of a saved connection ended.
type LastTest struct {
	OK         bool      `json:"ok"`
	At         time.Time `json:"at"`
	FailedStep string    `json:"failedStep,omitempty"`
	Message    string    `json:"message,omitempty"`
}

// Connections lists connections by name.
func (c *Client) Connections(ctx context.Context, o ListOptions) iter.Seq2[Connection, error] {
	return pages[Connection](ctx, c, call("connections"), o, true)
}

// Connection reads one connection.
func (c *Client) Connection(ctx context.Context, id string) (Connection, error) {
	var out Connection
	err := c.Do(ctx, "GET", call("connections", id), nil, &out)
	return out, err
}

// CreateConnection saves a new connection.
func (c *Client) CreateConnection(ctx context.Context, in Connection) (Connection, error) {
	var out Connection
	err := c.Do(ctx, "POST", call("connections"), in, &out)
	return out, err
}

// UpdateConnection replaces the connection in.ID, all but the secrets that in
// leaves out. Where somebody else has saved it since in.Version, the error's code
// is conflict, and nothing is overwritten.
func (c *Client) UpdateConnection(ctx context.Context, in Connection) (Connection, error) {
	var out Connection
	err := c.do(ctx, "PUT", call("connections", in.ID), ifMatch(in.Version), in, &out)
	return out, err
}

// PlanConnection answers what CreateConnection, where in.ID is "", or
// UpdateConnection would, and saves nothing.
func (c *Client) PlanConnection(ctx context.Context, in Connection) (Connection, error) {
	var out Connection
	if in.ID == "" {
		err := c.Do(ctx, "POST", with(call("connections"), "dryRun", "true"), in, &out)
		return out, err
	}
	err := c.do(ctx, "PUT", with(call("connections", in.ID), "dryRun", "true"), ifMatch(in.Version), in, &out)
	return out, err
}

// DeleteConnection deletes a connection that is still at the given version; 0 is
// any.
func (c *Client) DeleteConnection(ctx context.Context, id string, version int64) error {
	return c.do(ctx, "DELETE", call("connections", id), ifMatch(version), nil, nil)
}

// ifMatch demands a version (RFC 9110, section 13.1.1).
func ifMatch(version int64) http.Header {
	if version == 0 {
		return nil
	}
	return http.Header{"If-Match": {fmt.Sprintf(`"%d"`, version)}}
}

// Session is a stored session: never a cookie's value.
type Session struct {
	ID           string       `json:"id"`
	ConnectionID string       `json:"connectionId"`
	CreatedAt    time.Time    `json:"createdAt"`
	LastUsedAt   time.Time    `json:"lastUsedAt"`
	ExpiresAt    *time.Time   `json:"expiresAt,omitempty"` // nil: when the application says so
	SignIns      int          `json:"signIns"`
	Reason       string       `json:"reason"`
	Cookies      []Cookie     `json:"cookies"`
	Values       []string     `json:"values"`           // names of the sign-in's values
	SignIn       *SignInState `json:"signIn,omitempty"` // nil: the next sign-in may be made
}

// SignInState is how a connection's sign-ins fail, or that as many were made in a
// minute as its settings allow; Failures is 0 then.
type SignInState struct {
	Failures  int        `json:"failures"` // in a row
	Since     time.Time  `json:"since"`    // of the first failure, or the first sign-in in the minute
	NextTryAt *time.Time `json:"nextTryAt,omitempty"`
	Text      string     `json:"text"`
	Detail    string     `json:"detail,omitempty"`
}

// Cookie is one cookie of a session.
type Cookie struct {
	Name      string     `json:"name"`
	Domain    string     `json:"domain"`
	HostOnly  bool       `json:"hostOnly"`
	Path      string     `json:"path"`
	Secure    bool       `json:"secure"`
	HTTPOnly  bool       `json:"httpOnly"`
	SameSite  string     `json:"sameSite,omitempty"`
	ExpiresAt *time.Time `json:"expiresAt,omitempty"` // nil: with the session
	URL       string     `json:"url"`
	At        time.Time  `json:"at"`
}

// Session reads a connection's session. Its code is not_found where there is
// none.
func (c *Client) Session(ctx context.Context, connectionID string) (Session, error) {
	var out Session
	err := c.Do(ctx, "GET", call("connections", connectionID, "session"), nil, &out)
	return out, err
}

// SignIn signs a connection in at once, in the place of the session that there
// is. Its code is sign_in_failed where the application refuses.
func (c *Client) SignIn(ctx context.Context, connectionID string) (Session, error) {
	var out Session
	err := c.Do(ctx, "POST", call("connections", connectionID, "session"), nil, &out)
	return out, err
}

// SignOut forgets a connection's session; the next request signs in anew.
func (c *Client) SignOut(ctx context.Context, connectionID string) error {
	return c.Do(ctx, "DELETE", call("connections", connectionID, "session"), nil, nil)
}
