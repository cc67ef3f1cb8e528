package client

import (
	"context"
	"net/url"
)

// TestComparison says from which places an application is reached.
type TestComparison struct {
	Places     []TestReach `json:"places"`
	DurationMs float64     `json:"durationMs"`
}

// TestReach is how an application is reached from one place: the cloud, or an
// agent.
type TestReach struct {
	Mode       string  `json:"mode"` // cloud or on-premise
	AgentID    string  `json:"agentId,omitempty"`
	Name       string  `json:"name"`
	Status     string  `json:"status"` // running, ok, failed or skipped
	Reached    bool    `json:"reached"`
	HTTPStatus int     `json:"httpStatus,omitempty"`
	Server     string  `json:"server,omitempty"`
	LatencyMs  float64 `json:"latencyMs,omitempty"`
	FailedStep string  `json:"failedStep,omitempty"`
	Code       string  `json:"code,omitempty"`
	Message    string  `json:"message"`
	Hint       string  `json:"hint,omitempty"`
}

// CompareOptions say what is compared.
type CompareOptions struct {
	// SignIn runs the whole test where the application is reached. Without it,
	// nothing of the connection but its address is sent.
	SignIn   bool
	AgentIDs []string // these alone; empty: all
	// OnPlace, where it is not nil, is called when a place begins and when it ends.
	OnPlace func(TestReach)
}

// CompareConnection tells from where a connection is reached as it is given: a
// new one, or edits of in.ID.
func (c *Client) CompareConnection(ctx context.Context, in Connection, o CompareOptions) (TestComparison, error) {
	path := call("connections", "compare")
	if in.ID != "" {
		path = call("connections", in.ID, "compare")
	}
	return c.compare(ctx, path, in, o)
}

// CompareSaved tells from where a connection is reached as it is saved.
func (c *Client) CompareSaved(ctx context.Context, id string, o CompareOptions) (TestComparison, error) {
	return c.compare(ctx, call("connections", id, "compare"), nil, o)
}

func (c *Client) compare(ctx context.Context, path string, in any, o CompareOptions) (TestComparison, error) {
	query := url.Values{"agentId": o.AgentIDs}
	if o.SignIn {
		query.Set("signIn", "true")
	}
	if text := query.Encode(); text != "" {
		path += "?" + text
	}
	return streamed[TestComparison](ctx, c, path, in, "place", o.OnPlace)
}
