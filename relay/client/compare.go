package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
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
	var result TestComparison
	if o.OnPlace == nil {
		err := c.Do(ctx, "POST", path, in, &result)
		return result, err
	}
	resp, err := c.send(ctx, "POST", path, http.Header{"Accept": {"text/event-stream"}}, in)
	if err != nil {
		return result, err
	}
	defer resp.Body.Close()
	for event, err := range readStream(resp.Body) {
		if err != nil {
			return result, fmt.Errorf("POST %s: %w", path, err)
		}
		var place TestReach
		switch event.name {
		case "place":
			if err := json.Unmarshal(event.data, &place); err != nil {
				return result, fmt.Errorf("POST %s: a place is not what the API describes: %w", path, err)
			}
			o.OnPlace(place)
		case "result":
			return result, json.Unmarshal(event.data, &result)
		}
	}
	return result, fmt.Errorf("POST %s: %w", path, errEarly)
}
