package client

import (
	"context"
	"iter"
	"time"
)

// Agent is a site behind a firewall and the machines that serve it.
type Agent struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Status     string     `json:"status"` // never_connected, online, offline or paused
	Instances  []Instance `json:"instances"`
	LastSeenAt *time.Time `json:"lastSeenAt,omitempty"`
	UsedBy     int        `json:"usedBy"` // connections
	CreatedAt  time.Time  `json:"createdAt"`
	Version    int64      `json:"version"`
}

// Instance is one machine of an agent.
type Instance struct {
	ID          string          `json:"id"`
	Hostname    string          `json:"hostname"`
	OS          string          `json:"os"`
	Arch        string          `json:"arch"`
	Version     string          `json:"version"` // of the agent's program
	Online      bool            `json:"online"`
	EnrolledAt  time.Time       `json:"enrolledAt"`
	ConnectedAt *time.Time      `json:"connectedAt,omitempty"`
	LastSeenAt  *time.Time      `json:"lastSeenAt,omitempty"`
	LatencyMs   float64         `json:"latencyMs"` // 0 while unknown
	InFlight    int             `json:"inFlight"`
	Paused      *Pause          `json:"paused,omitempty"`
	Policy      *InstancePolicy `json:"policy,omitempty"`
	Config      *InstanceConfig `json:"config,omitempty"`
}

// InstancePolicy is what a machine says of the rules of its site.
type InstancePolicy struct {
	Version string `json:"version"`
	Rules   int    `json:"rules"`
	Default string `json:"default"` // allow or deny
	Warning string `json:"warning,omitempty"`
}

// InstanceConfig is what a machine says of its agent.yaml.
type InstanceConfig struct {
	Version      string     `json:"version"`
	LoadedAt     time.Time  `json:"loadedAt"`
	Error        string     `json:"error,omitempty"`
	Since        *time.Time `json:"since,omitempty"`
	NeedsRestart []string   `json:"needsRestart,omitempty"`
}

// Pause is what a machine's site says of having paused it.
type Pause struct {
	Since  time.Time  `json:"since"`
	Until  *time.Time `json:"until,omitempty"`
	Reason string     `json:"reason,omitempty"`
}

// agentName is what a caller says of an agent.
type agentName struct {
	Name string `json:"name"`
}

// Agents lists agents by name.
func (c *Client) Agents(ctx context.Context, o ListOptions) iter.Seq2[Agent, error] {
	return pages[Agent](ctx, c, call("agents"), o, true)
}

// Agent reads one agent.
func (c *Client) Agent(ctx context.Context, id string) (Agent, error) {
	var out Agent
	err := c.Do(ctx, "GET", call("agents", id), nil, &out)
	return out, err
}

// CreateAgent makes an agent, on no machine yet.
func (c *Client) CreateAgent(ctx context.Context, name string) (Agent, error) {
	var out Agent
	err := c.Do(ctx, "POST", call("agents"), agentName{name}, &out)
	return out, err
}

// RenameAgent changes an agent's name.
func (c *Client) RenameAgent(ctx context.Context, id, name string) (Agent, error) {
	var out Agent
	err := c.Do(ctx, "PATCH", call("agents", id), agentName{name}, &out)
	return out, err
}

// DeleteAgent deletes an agent and ends the enrolment of its machines. It is
// refused, as a conflict, while connections use it.
func (c *Client) DeleteAgent(ctx context.Context, id string) error {
	return c.Do(ctx, "DELETE", call("agents", id), nil, nil)
}

// RemoveInstance ends the enrolment of one machine.
func (c *Client) RemoveInstance(ctx context.Context, agentID, instanceID string) error {
	return c.Do(ctx, "DELETE", call("agents", agentID, "instances", instanceID), nil, nil)
}

// Enrolment is a one-time code and the commands that use it.
type Enrolment struct {
	Code      string    `json:"code"`
	ExpiresAt time.Time `json:"expiresAt"`
	Commands  Commands  `json:"commands"`
}

// Commands install an agent, each on its system.
type Commands struct {
	Linux   string `json:"linux"`
	Windows string `json:"windows"`
	MacOS   string `json:"macos"`
	Docker  string `json:"docker"`
}

// CreateEnrolment makes a code by which one machine becomes an instance of the
// agent.
func (c *Client) CreateEnrolment(ctx context.Context, agentID string) (Enrolment, error) {
	var out Enrolment
	err := c.Do(ctx, "POST", call("agents", agentID, "enrollments"), nil, &out)
	return out, err
}

// Happening is one line of an agent's history: a machine came online, or went
// offline.
type Happening struct {
	ID         string    `json:"id"`
	InstanceID string    `json:"instanceId"`
	Hostname   string    `json:"hostname"`
	Online     bool      `json:"online"`
	At         time.Time `json:"at"`
	Reason     string    `json:"reason,omitempty"`
	Cause      string    `json:"cause,omitempty"`
	Detail     string    `json:"detail,omitempty"`
}

// AgentHistory lists when an agent's machines came and went, newest first.
func (c *Client) AgentHistory(ctx context.Context, agentID string, o ListOptions) iter.Seq2[Happening, error] {
	return pages[Happening](ctx, c, call("agents", agentID, "history"), o, false)
}
