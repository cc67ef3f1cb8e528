package client

import (
	"context"
	"strconv"
	"time"
)

// ConnectionStatus is how a connection does.
type ConnectionStatus struct {
	State     string     `json:"state"` // online, failing, offline or unknown
	Since     *time.Time `json:"since,omitempty"`
	CheckedAt *time.Time `json:"checkedAt,omitempty"`
	Message   string     `json:"message,omitempty"`
}

// ConnectionHealth is how a connection does, as its scheduled pings find it.
type ConnectionHealth struct {
	State        string         `json:"state"` // online, failing, offline or unknown
	Since        *time.Time     `json:"since,omitempty"`
	Message      string         `json:"message,omitempty"`
	CheckedAt    *time.Time     `json:"checkedAt,omitempty"`
	NextAt       *time.Time     `json:"nextAt,omitempty"` // nil: it is not pinged
	Availability Availabilities `json:"availability"`
	Results      []PingResult   `json:"results"` // newest first, as the others
	Changes      []StateChange  `json:"changes"`
	Notices      []SentNotice   `json:"notices"`
}

// Availabilities are for two spans of time.
type Availabilities struct {
	Day  Availability `json:"day"`
	Week Availability `json:"week"`
}

// Availability is the share of pings that succeeded.
type Availability struct {
	Percent *float64 `json:"percent,omitempty"` // nil: there was no ping
	Pings   int      `json:"pings"`
	OK      int      `json:"ok"`
}

// PingResult is what one scheduled ping found.
type PingResult struct {
	At        time.Time `json:"at"`
	State     string    `json:"state"`
	LatencyMs float64   `json:"latencyMs"`
	Message   string    `json:"message,omitempty"`
}

// StateChange is a change of a connection's state.
type StateChange struct {
	At          time.Time    `json:"at"`
	Was         string       `json:"was"`
	State       string       `json:"state"`
	Message     string       `json:"message"`
	Differences []Difference `json:"differences"` // what else had changed
}

// Difference is something that is not as it was when a connection last worked.
type Difference struct {
	Kind    string     `json:"kind"` // such as configuration, agent_version or certificate
	Text    string     `json:"text"`
	By      string     `json:"by,omitempty"` // of a configuration: who saved it, and when
	At      *time.Time `json:"at,omitempty"`
	Added   []string   `json:"added,omitempty"` // of a response: values that it did not have
	Removed []string   `json:"removed,omitempty"`
}

// SentNotice is a notice, and what became of it.
type SentNotice struct {
	ID          string     `json:"id"`
	Type        string     `json:"type"` // such as connection.failing
	Kind        string     `json:"kind"` // webhook or email
	Recipient   string     `json:"recipient"`
	At          time.Time  `json:"at"`
	Attempts    int        `json:"attempts"`
	DeliveredAt *time.Time `json:"deliveredAt,omitempty"`
	NextAt      *time.Time `json:"nextAt,omitempty"`
	Failure     string     `json:"failure,omitempty"`
}

// TestNotice is what became of a test notice to one recipient.
type TestNotice struct {
	Kind      string `json:"kind"`
	Recipient string `json:"recipient"`
	OK        bool   `json:"ok"`
	Failure   string `json:"failure,omitempty"`
}

// Health tells how a connection does, with up to so many results of its pings.
func (c *Client) Health(ctx context.Context, connectionID string, results int) (ConnectionHealth, error) {
	var out ConnectionHealth
	err := c.Do(ctx, "GET", with(call("connections", connectionID, "health"), "results", strconv.Itoa(results)), nil, &out)
	return out, err
}

// SendTestNotice sends a test notice to everybody who would be told of a change.
func (c *Client) SendTestNotice(ctx context.Context, connectionID string) ([]TestNotice, error) {
	var out listed[TestNotice]
	err := c.Do(ctx, "POST", call("connections", connectionID, "health", "test-notice"), nil, &out)
	return out.Items, err
}
