// Package proto is everything that an agent and a relay say to each other.
//
// The agent speaks first. It dials wss://RELAY/tunnel with the websocket
// subprotocol "sallyport.v1" and, before anything else travels, the two prove
// who they are in a short handshake of JSON text messages:
//
//	agent  → relay   Hello      who I am, and the relay host as I dialled it
//	relay  → agent   Challenge  a nonce, and who the relay is
//	agent  → relay   Proof      an Ed25519 signature over the whole transcript
//	relay  → agent   Welcome    the tunnel's id, heartbeat and limits
//	              or Refused    a code, a text, and when to try again
//
// From then on the websocket's binary messages carry a yamux session, and each
// of its text messages is a control message (see Control), from either end, at
// any time. One yamux stream carries one HTTP request at a time: the relay opens
// the stream, writes an HTTP/1.1 request in absolute form (RFC 9112, section
// 3.2.2; https targets too), and the agent writes the HTTP/1.1 response. Both
// sides stream bodies; closing the stream cancels the request. Where the agent
// offers it (KeepStream), the relay may send its next request down the same
// stream once it has the whole response. The agent opens no streams, so no
// binary message travels before the relay's first request.
//
// What only the two ends may say to each other about a request travels in
// header fields that begin with "Sallyport-". Each end strips that prefix from
// anything that came from outside, so nobody else can speak in their name.
//
// Unknown JSON fields are ignored by both ends, so a newer end may add to a
// message; a message may never lose a field within one protocol version.
//
// The package does no I/O of its own beyond reading and writing a given
// message, and imports no room of the agent or of the relay.
package proto

import "time"

// Subprotocol is the websocket subprotocol (RFC 6455, section 1.9) of version
// 1 of the tunnel. A relay that does not select it is not a Sallyport relay.
const Subprotocol = "sallyport.v1"

// TunnelPath is the path on the relay at which agents open their tunnels.
const TunnelPath = "/tunnel"

// EnrollPath is the path on the relay at which an agent exchanges its one-time
// code for an identity.
const EnrollPath = "/api/v1/enroll"

// TrialSubprotocol is the subprotocol of a websocket at TunnelPath that is no
// tunnel: nobody shakes hands and nothing is carried. The relay answers pings,
// says nothing by itself, and closes after MaxTrial. An agent's doctor opens one
// to find out what the way does to a connection in silence. A relay that does
// not know it answers 426.
const TrialSubprotocol = "sallyport.trial.v1"

// MaxTrial is how long a trial may last.
const MaxTrial = 15 * time.Minute
