// Package hub holds the tunnels that agents have opened to this relay. It
// accepts them, proves who is at the other end, measures them, and is the
// on-premise road: Road(agentID) is an http.RoundTripper that sends each
// request down a stream of one of the agent's tunnels, or by way of another relay
// (Elsewhere, package peer) where that holds them.
package hub

import (
	"context"
	"crypto/ed25519"
	"errors"
	"time"

	"sallyport/proto"
)

// Instance is one machine that holds at least one tunnel to this relay now.
type Instance struct {
	ID          string
	Hostname    string
	OS, Arch    string
	Version     string
	ConnectedAt time.Time     // of its oldest tunnel
	LastSeenAt  time.Time     // the last byte received
	Latency     time.Duration // round trip, smoothed; 0 while unknown
	InFlight    int           // requests under way
	Tunnels     int
	// ClockOffset is how far its clock was ahead of the relay's when it
	// connected; negative where it is behind.
	ClockOffset time.Duration
	// Policy is what its site lets be reached through it, in short; nil: it has
	// not said.
	Policy *proto.PolicySummary
	// Config is whether it is at what its agent.yaml says; nil: it has not said.
	Config *proto.ConfigState
	// Paused says since when, until when and why its site has paused it; nil: it
	// has not.
	Paused *proto.Paused
}

// Directory knows who is enrolled. Package registry implements it.
type Directory interface {
	// Enrolled returns what a handshake needs to know of an instance.
	// ErrNotEnrolled where there is no such agent or instance, or it was revoked.
	Enrolled(ctx context.Context, agentID, instanceID string) (Enrolled, error)
	// Connected records that an instance came online, with what it said of itself;
	// again, where its site has paused or resumed it since.
	Connected(ctx context.Context, agentID string, in Instance) error
	// Disconnected records that its last tunnel is gone, and why, for a person.
	Disconnected(ctx context.Context, agentID, instanceID string, at time.Time, reason string) error
	// Seen records that these instances of a workspace were connected at the
	// time: now and then, for many at once, so that even a relay that crashes
	// leaves behind who was there. It returns those whose enrolment has ended, of
	// which the hub may not have been told.
	Seen(ctx context.Context, workspaceID string, instanceIDs []string, at time.Time) (ended []string, err error)
	// Explained records what an instance found out itself about why it was
	// offline, by the relay's clock. The same report may come again.
	Explained(ctx context.Context, agentID, instanceID string, report proto.OfflineReport) error
	// Known returns what is on file of an agent, whichever relay it was last
	// connected to. ErrNotEnrolled where it has no instance that could connect.
	Known(ctx context.Context, agentID string) (Known, error)
}

// Known is an agent on file.
type Known struct {
	Name       string
	LastSeenAt time.Time // of any of its instances; zero: never
	// HeldBy is another relay that holds one of them, where this one takes no part
	// among the relays that reach each other; "": none does, or this one does.
	HeldBy string
}

// Enrolled is an instance on file.
type Enrolled struct {
	WorkspaceID string
	AgentName   string
	PublicKey   ed25519.PublicKey
}

// ErrNotEnrolled: the instance is unknown or its enrolment was revoked.
var ErrNotEnrolled = errors.New("instance is not enrolled")
