package proto

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// MaxControlMessage is the longest control message, in bytes, its newline
// included.
const MaxControlMessage = 16 << 10

// Control is one message of a control stream: *Drain or *PingTimes.
//
// The first stream that each end opens is its control stream; it only writes
// to it, and the other end only reads. A message is one JSON object on a line
// of its own, its "type" field first. Types that a reader does not know are
// passed over, so a newer end may speak to an older one.
type Control interface {
	controlKind() string
	validate() error
}

// Drain says that the tunnel is to end. From an agent: send no more requests
// down it, and close it when those under way have ended; the relay does that,
// since only it knows of requests that are still on their way. From a relay:
// open another tunnel, and then drain this one.
type Drain struct {
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

// ErrControl is wrapped by errors about a faulty control message. After one
// the stream can't be trusted.
var ErrControl = errors.New("faulty control message")

func (*Drain) controlKind() string     { return "drain" }
func (*PingTimes) controlKind() string { return "pingTimes" }

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

// WriteControl writes one message, in a single call of Write.
func WriteControl(w io.Writer, m Control) error {
	if err := m.validate(); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrControl, m.controlKind(), err)
	}
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrControl, m.controlKind(), err)
	}
	line := []byte(`{"type":"` + m.controlKind() + `"`)
	if len(body) > len("{}") {
		line = append(line, ',')
	}
	line = append(append(line, body[1:]...), '\n')
	if len(line) > MaxControlMessage {
		return fmt.Errorf("%w: %s of %d bytes is over the limit", ErrControl, m.controlKind(), len(line))
	}
	if _, err := w.Write(line); err != nil {
		return fmt.Errorf("write control message: %w", err)
	}
	return nil
}

// ControlReader reads the messages of a control stream.
type ControlReader struct {
	r    *bufio.Reader
	line []byte // the message that is being read, where it is longer than r's buffer
}

// NewControlReader reads from r. Its buffer is small, since every idle tunnel
// has one.
func NewControlReader(r io.Reader) *ControlReader {
	return &ControlReader{r: bufio.NewReaderSize(r, 256)}
}

// Next returns the next message of a known type. io.EOF: the stream ended
// between two messages.
func (c *ControlReader) Next() (Control, error) {
	for {
		line, err := c.next()
		if err != nil {
			return nil, err
		}
		m, err := decodeControl(line)
		if err != nil {
			return nil, err
		}
		if m != nil {
			return m, nil
		}
	}
}

// next returns the next line; it is valid until the next call.
func (c *ControlReader) next() ([]byte, error) {
	c.line = c.line[:0]
	for {
		part, err := c.r.ReadSlice('\n')
		if len(c.line)+len(part) > MaxControlMessage {
			return nil, fmt.Errorf("%w: longer than %d bytes", ErrControl, MaxControlMessage)
		}
		switch {
		case err == nil && len(c.line) == 0:
			return part, nil
		case err == nil:
			return append(c.line, part...), nil
		case errors.Is(err, bufio.ErrBufferFull):
			c.line = append(c.line, part...)
		case errors.Is(err, io.EOF) && len(c.line)+len(part) > 0:
			return nil, fmt.Errorf("%w: cut off", ErrControl)
		default:
			return nil, err
		}
	}
}

// decodeControl returns nil for a type that this version does not know.
func decodeControl(line []byte) (Control, error) {
	var envelope struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(line, &envelope); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrControl, err)
	}
	var m Control
	switch envelope.Type {
	case "drain":
		m = &Drain{}
	case "pingTimes":
		m = &PingTimes{}
	default:
		return nil, nil
	}
	if err := json.Unmarshal(line, m); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrControl, envelope.Type, err)
	}
	if err := m.validate(); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrControl, envelope.Type, err)
	}
	return m, nil
}
