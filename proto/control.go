package proto

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// MaxControlMessage is the longest control message, in bytes.
const MaxControlMessage = 16 << 10

// Control is one control message: *Drain, *PingTimes, *PolicySummary, *Paused,
// *OfflineReport, *OfflineNoted, *FollowLogs, *LogLines or
// *ConfigState.
//
// Either end may send one at any time after the handshake: a websocket text
// message of its own, which is one JSON object. They are no part of the yamux
// session, so they do not wait behind its data, and an idle tunnel needs no
// stream for them. Types that a reader does not know are passed over, so a
// newer end may speak to an older one.
type Control interface {
	controlKind() string // the "type" field on the wire
	validate() error     // what EncodeControl and DecodeControl both insist on
}

// Drain says that the tunnel is to end. From an agent: send no more requests
// down it, and close it when those under way have ended; the relay does that,
// since only it knows of requests that are still on their way. From a relay:
// open another tunnel, and then drain this one.
type Drain struct {
	// Replaced, from an agent: the relay asked for it, and another tunnel is
	// open. A relay that is about to stop may use this one for as long as it
	// has requests to finish, which may need further ones.
	Replaced bool `json:"replaced,omitempty"`
	// WithinMs is the span in which a replacement should be opened, at a
	// random moment, so that a thousand agents do not come at once.
	WithinMs int    `json:"withinMs,omitempty"`
	Reason   string `json:"reason,omitempty"` // for logs
}

// Within is WithinMs as a duration.
func (d *Drain) Within() time.Duration { return time.Duration(d.WithinMs) * time.Millisecond }

// PingTimes is what the relay measured of the tunnel, for the agent's status.
type PingTimes struct {
	RTTMicros int64 `json:"rttMicros"` // smoothed round trip
}

// RTT is RTTMicros as a duration.
func (p *PingTimes) RTT() time.Duration { return time.Duration(p.RTTMicros) * time.Microsecond }

// Rest asks, from a relay, whether the tunnel may rest: no stream has been open
// for a while. An agent that serves none, and has nothing left to send, answers
// with the same message; any other does not answer. The relay then forgets its
// yamux session, unless it has opened a stream meanwhile, and its next stream
// begins a new one, whose ids begin anew. The agent's session goes on: with no
// stream open, the two can't be told apart.
type Rest struct {
	N int64 `json:"n"` // tells an answer to this question from a late one
}

// What becomes of a request that no rule of a policy matches.
const (
	PolicyAllow = "allow"
	PolicyDeny  = "deny"
)

// PolicySummary is what the relay may know of the rules of the agent's site: an
// agent sends it when a tunnel is up and whenever the rules change. The rules
// themselves do not leave the site.
type PolicySummary struct {
	Version string `json:"version"` // the same for the same rules
	Rules   int    `json:"rules"`   // how many there are
	Default string `json:"default"` // PolicyAllow or PolicyDeny
	// Open: more may be reached than rules name, which is worth a warning.
	Open bool `json:"open"`
}

// Warning says in words what an open policy means, for whoever looks at the
// machine, at its site or at the relay; "" for one that is not.
func (p *PolicySummary) Warning() string {
	switch {
	case !p.Open:
		return ""
	case p.Rules == 0:
		return "No policy: the relay may reach everything that this machine can reach, but for link-local and cloud metadata addresses."
	}
	return "The policy allows what no rule names: the relay may reach everything that no deny rule forbids."
}

// ErrControl is wrapped by errors about a faulty control message. After one
// the other end can't be trusted to speak this protocol.
var ErrControl = errors.New("faulty control message")

func (*Drain) controlKind() string     { return "drain" }
func (*PingTimes) controlKind() string { return "pingTimes" }
func (*Rest) controlKind() string      { return "rest" }

func (*PolicySummary) controlKind() string { return "policySummary" }

func (d *Drain) validate() error {
	if d.WithinMs < 0 || d.WithinMs > 3_600_000 {
		return fmt.Errorf("withinMs %d is not within 0 to an hour", d.WithinMs)
	}
	return checkText("reason", d.Reason, 0, 1024)
}

func (p *PingTimes) validate() error {
	if p.RTTMicros < 0 || p.RTTMicros > 3_600_000_000 {
		return fmt.Errorf("rttMicros %d is not within 0 to an hour", p.RTTMicros)
	}
	return nil
}

func (p *PolicySummary) validate() error {
	if p.Rules < 0 || p.Rules > 100_000 {
		return fmt.Errorf("rules %d is not within 0 to 100000", p.Rules)
	}
	if p.Default != PolicyAllow && p.Default != PolicyDeny {
		return fmt.Errorf("default %.20q is neither allow nor deny", p.Default)
	}
	return checkText("version", p.Version, 1, 64)
}

func (r *Rest) validate() error {
	if r.N < 1 {
		return fmt.Errorf("n %d is not positive", r.N)
	}
	return nil
}

// EncodeControl validates m and writes it as it goes over the wire.
func EncodeControl(m Control) ([]byte, error) {
	if err := m.validate(); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrControl, m.controlKind(), err)
	}
	body, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrControl, m.controlKind(), err)
	}
	raw := []byte(`{"type":"` + m.controlKind() + `"`)
	if len(body) > len("{}") {
		raw = append(raw, ',')
	}
	raw = append(raw, body[1:]...)
	if len(raw) > MaxControlMessage {
		return nil, fmt.Errorf("%w: %s of %d bytes is over the limit", ErrControl, m.controlKind(), len(raw))
	}
	return raw, nil
}

// DecodeControl reads one message and validates it. It returns nil, and no
// error, for a type that this version does not know.
func DecodeControl(raw []byte) (Control, error) {
	if len(raw) > MaxControlMessage {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrControl, MaxControlMessage)
	}
	var envelope struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(raw, &envelope); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrControl, err)
	}
	var m Control
	switch envelope.Type {
	case "drain":
		m = &Drain{}
	case "pingTimes":
		m = &PingTimes{}
	case "rest":
		m = &Rest{}
	case "policySummary":
		m = &PolicySummary{}
	case "paused":
		m = &Paused{}
	case "offlineReport":
		m = &OfflineReport{}
	case "offlineNoted":
		m = &OfflineNoted{}
	case "followLogs":
		m = &FollowLogs{}
	case "logLines":
		m = &LogLines{}
	case "configState":
		m = &ConfigState{}
	case "":
		return nil, fmt.Errorf("%w: it has no type", ErrControl)
	default:
		return nil, nil
	}
	if err := json.Unmarshal(raw, m); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrControl, envelope.Type, err)
	}
	if err := m.validate(); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrControl, envelope.Type, err)
	}
	return m, nil
}
