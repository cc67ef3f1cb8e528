package road

import (
	"net/http"

	"sallyport/relay/connection"
)

// Agents is where on-premise roads come from. Package hub implements it.
type Agents interface {
	// Road leads through the tunnels of one agent. It never returns nil: an
	// agent that is unknown or offline is a road that fails with agent_offline.
	Road(agentID string) http.RoundTripper
}

// Roads knows the road of every connection.
type Roads struct {
	cloud   http.RoundTripper
	agents  Agents
	digests digests
}

// New returns the roads of a relay: cloud runs requests from the relay itself.
func New(cloud http.RoundTripper, agents Agents) *Roads {
	return &Roads{cloud: cloud, agents: agents}
}

// For is the road that a connection's requests take.
func (r *Roads) For(c *connection.Connection) http.RoundTripper {
	if c.Auth.Type == connection.AuthDigest && c.Auth.Digest != nil {
		return r.digests.over(r.plain(c), c)
	}
	return r.plain(c)
}

func (r *Roads) plain(c *connection.Connection) http.RoundTripper {
	if c.Mode == connection.OnPremise {
		return r.agents.Road(c.AgentID)
	}
	return r.cloud
}
