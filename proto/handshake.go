package proto

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"
)

// MaxHandshakeMessage is the longest message of a handshake, in bytes. A Hello
// is under 1 KiB; the rest is room for what newer versions add.
const MaxHandshakeMessage = 16 << 10

// NonceSize is the length of a challenge's nonce, in bytes: long enough that
// no two challenges of any relay are ever alike.
const NonceSize = 32

// Message is one message of the handshake: *Hello, *Challenge, *Proof,
// *Welcome or *Refused.
type Message interface {
	kind() string    // the "type" field on the wire
	validate() error // what Encode and Decode both insist on
}

// Hello is the agent's first message: who it says it is. Nothing in it is
// believed before the Proof.
type Hello struct {
	AgentID    string `json:"agentId"`
	InstanceID string `json:"instanceId"`
	// Run is a random id of this run of the agent's program. A tunnel of
	// another run of the same instance is a left-over.
	Run string `json:"run"`
	// Slot numbers the tunnels that one run holds, from 0. A new tunnel takes
	// the place of the one that had its slot.
	Slot     int    `json:"slot"`
	Version  string `json:"version"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	Hostname string `json:"hostname"`
	// Capabilities name what the agent can do beyond this version's minimum.
	Capabilities []string `json:"capabilities,omitempty"`
	// RelayHost is the host (and port, unless the scheme's own) that the agent
	// dialled. It is signed, and the relay compares it with its own name: an
	// impostor that passes a handshake on to the real relay is found out.
	RelayHost string `json:"relayHost"`
	// Time is the agent's clock, by which the relay tells how far it is off.
	Time time.Time `json:"time"`
}

// Challenge is the relay's answer to a Hello.
type Challenge struct {
	Nonce   []byte `json:"nonce"` // NonceSize random bytes, base64 on the wire
	RelayID string `json:"relayId"`
}

// Proof is the agent's signature over the transcript; see Sign.
type Proof struct {
	Signature []byte `json:"signature"` // 64 bytes, base64 on the wire
}

// Welcome ends a handshake that succeeded. Binary messages follow.
type Welcome struct {
	TunnelID string `json:"tunnelId"`
	// AgentName is what people call the agent, for its logs and status.
	AgentName string `json:"agentName"`
	// HeartbeatMs is how often the relay pings, and how often the agent sends
	// something at least, be it a pong that nobody asked for. An end that has
	// received no byte for two heartbeats and a second takes the tunnel for dead.
	HeartbeatMs int `json:"heartbeatMs"`
	// MaxStreams is how many requests the relay sends down the tunnel at once.
	MaxStreams int `json:"maxStreams"`
	// ClockOffsetMs is how far the agent's clock is ahead of the relay's.
	ClockOffsetMs int64 `json:"clockOffsetMs"`
}

// Refusal says why a relay refused a tunnel, for programs.
type Refusal string

// Why a relay refuses. An agent takes a code that it does not know for one
// that time may heal.
const (
	RefusedUnknown  Refusal = "unknown_instance"    // never enrolled here, or revoked
	RefusedProof    Refusal = "bad_proof"           // the key is not the one that was enrolled
	RefusedHost     Refusal = "wrong_host"          // dialled under a name that is not the relay's
	RefusedVersion  Refusal = "version_unsupported" // the agent must be updated
	RefusedMessage  Refusal = "bad_message"         // not the handshake that this version speaks
	RefusedTunnels  Refusal = "too_many_tunnels"    // the instance holds its share already
	RefusedDraining Refusal = "draining"            // the relay is about to stop
	RefusedBusy     Refusal = "busy"                // the relay can't answer now
)

// Heals reports whether trying again later can help without a person.
func (r Refusal) Heals() bool {
	switch r {
	case RefusedUnknown, RefusedProof, RefusedHost, RefusedVersion, RefusedMessage:
		return false
	}
	return true
}

// Refused ends a handshake that failed. It is an error.
type Refused struct {
	Code Refusal `json:"code"`
	Text string  `json:"text"` // one sentence for a person
	// RetryAfterSeconds is when to try again at the earliest; 0: as the agent thinks fit.
	RetryAfterSeconds int `json:"retryAfterSeconds,omitempty"`
}

func (r *Refused) Error() string { return "relay refused the tunnel: " + r.Text }

// ErrMessage is wrapped by every error of Encode, Decode and Expect that is
// about the message itself.
var ErrMessage = errors.New("faulty handshake message")

// Encode validates m and writes it as it goes over the wire.
func Encode(m Message) ([]byte, error) {
	if err := m.validate(); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrMessage, m.kind(), err)
	}
	body, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrMessage, m.kind(), err)
	}
	raw := append([]byte(`{"type":"`+m.kind()+`",`), body[1:]...)
	if len(raw) > MaxHandshakeMessage {
		return nil, fmt.Errorf("%w: %s of %d bytes is over the limit", ErrMessage, m.kind(), len(raw))
	}
	return raw, nil
}

// Decode reads one message and validates it.
func Decode(raw []byte) (Message, error) {
	if len(raw) > MaxHandshakeMessage {
		return nil, fmt.Errorf("%w: %d bytes is over the limit", ErrMessage, len(raw))
	}
	if !utf8.Valid(raw) {
		return nil, fmt.Errorf("%w: not UTF-8", ErrMessage)
	}
	var envelope struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(raw, &envelope); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	var m Message
	switch envelope.Type {
	case "hello":
		m = &Hello{}
	case "challenge":
		m = &Challenge{}
	case "proof":
		m = &Proof{}
	case "welcome":
		m = &Welcome{}
	case "refused":
		m = &Refused{}
	default:
		return nil, fmt.Errorf("%w: unknown type %.40q", ErrMessage, envelope.Type)
	}
	if err := json.Unmarshal(raw, m); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrMessage, envelope.Type, err)
	}
	if err := m.validate(); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrMessage, envelope.Type, err)
	}
	return m, nil
}

// Expect decodes a message that must be of type T. A Refused in its place is
// returned as the error that it is.
func Expect[T Message](raw []byte) (T, error) {
	var none T
	m, err := Decode(raw)
	if err != nil {
		return none, err
	}
	if want, ok := m.(T); ok {
		return want, nil
	}
	if refused, ok := m.(*Refused); ok {
		return none, refused
	}
	return none, fmt.Errorf("%w: got %s, want %s", ErrMessage, m.kind(), none.kind())
}

func (*Hello) kind() string     { return "hello" }
func (*Challenge) kind() string { return "challenge" }
func (*Proof) kind() string     { return "proof" }
func (*Welcome) kind() string   { return "welcome" }
func (*Refused) kind() string   { return "refused" }

func (h *Hello) validate() error {
	if len(h.Capabilities) > 32 {
		return fmt.Errorf("%d capabilities, at most 32", len(h.Capabilities))
	}
	for _, c := range h.Capabilities {
		if err := checkID("capability", c); err != nil {
			return err
		}
	}
	if h.Slot < 0 || h.Slot > 15 {
		return fmt.Errorf("slot %d is not within 0 to 15", h.Slot)
	}
	if h.Time.IsZero() {
		return errors.New("time is missing")
	}
	return errors.Join(
		checkID("agentId", h.AgentID), checkID("instanceId", h.InstanceID), checkID("run", h.Run),
		checkText("version", h.Version, 1, 64), checkText("os", h.OS, 1, 32), checkText("arch", h.Arch, 1, 32),
		checkText("hostname", h.Hostname, 0, 255), checkText("relayHost", h.RelayHost, 1, 300),
	)
}

func (c *Challenge) validate() error {
	if len(c.Nonce) != NonceSize {
		return fmt.Errorf("nonce has %d bytes, not %d", len(c.Nonce), NonceSize)
	}
	return checkText("relayId", c.RelayID, 0, 64)
}

func (p *Proof) validate() error {
	if len(p.Signature) != signatureSize {
		return fmt.Errorf("signature has %d bytes, not %d", len(p.Signature), signatureSize)
	}
	return nil
}

func (w *Welcome) validate() error {
	// Under 50 ms heartbeats would be the load; over a minute, firewalls
	// forget the connection.
	if w.HeartbeatMs < 50 || w.HeartbeatMs > 60_000 {
		return fmt.Errorf("heartbeatMs %d is not within 50 to 60000", w.HeartbeatMs)
	}
	if w.MaxStreams < 1 || w.MaxStreams > 1<<16 {
		return fmt.Errorf("maxStreams %d is not within 1 to 65536", w.MaxStreams)
	}
	return errors.Join(checkID("tunnelId", w.TunnelID), checkText("agentName", w.AgentName, 0, 400))
}

func (r *Refused) validate() error {
	if r.RetryAfterSeconds < 0 || r.RetryAfterSeconds > 86_400 {
		return fmt.Errorf("retryAfterSeconds %d is not within 0 to 86400", r.RetryAfterSeconds)
	}
	return errors.Join(checkID("code", string(r.Code)), checkText("text", r.Text, 0, 1024))
}

// checkID allows what ids are made of: 1 to 64 letters, digits, '_' and '-'.
func checkID(field, s string) error {
	if s == "" || len(s) > 64 {
		return fmt.Errorf("%s has %d characters, not 1 to 64", field, len(s))
	}
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
		default:
			return fmt.Errorf("%s has a character other than letters, digits, _ and -", field)
		}
	}
	return nil
}

// checkText allows what may be shown to a person as it is: printable, of at
// least atLeast and at most atMost bytes.
func checkText(field, s string, atLeast, atMost int) error {
	if len(s) < atLeast || len(s) > atMost {
		return fmt.Errorf("%s has %d bytes, not %d to %d", field, len(s), atLeast, atMost)
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("%s is not UTF-8", field)
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("%s has an unprintable character", field)
		}
	}
	return nil
}
