package proto

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Timing says where the time of one request went. A stage that did not happen
// (a reused connection has no look-up) is zero.
type Timing struct {
	DNS     time.Duration `json:"dns,omitempty"`     // name look-up, where the request ran
	Connect time.Duration `json:"connect,omitempty"` // TCP connect to the target
	TLS     time.Duration `json:"tls,omitempty"`     // TLS handshake with the target
	Wait    time.Duration `json:"wait,omitempty"`    // from the request written to the first byte of the answer
	Held    time.Duration `json:"held,omitempty"`    // at the relay, until the agent was back or had room
	Tunnel  time.Duration `json:"tunnel,omitempty"`  // relay to agent and back: all that the relay saw less the above
	Reused  bool          `json:"reused,omitempty"`  // a kept-alive connection to the target was used
	// Address is the IP address and port that was connected to.
	Address string `json:"address,omitempty"`
	// Certificate is that of an https target, where HeaderCertificate asked for it.
	Certificate *Certificate `json:"certificate,omitempty"`
}

// FormatTiming writes t as the value of HeaderTiming: comma-separated
// key=value pairs, durations in whole microseconds, for example
// "dns=1200,connect=830,wait=15000,address=10.0.0.7:443".
func FormatTiming(t Timing) string {
	var b strings.Builder
	add := func(key string, d time.Duration) {
		if d <= 0 {
			return
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(key)
		b.WriteByte('=')
		b.WriteString(strconv.FormatInt(d.Microseconds(), 10))
	}
	add("dns", t.DNS)
	add("connect", t.Connect)
	add("tls", t.TLS)
	add("wait", t.Wait)
	add("held", t.Held)
	add("tunnel", t.Tunnel)
	if t.Reused {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString("reused=1")
	}
	if t.Address != "" {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString("address=" + t.Address)
	}
	if t.Certificate != nil {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString("certificate=" + t.Certificate.format())
	}
	return b.String()
}

// ParseTiming reads what FormatTiming wrote. Unknown keys are passed over; a
// value that is not a number is an error.
func ParseTiming(s string) (Timing, error) {
	var t Timing
	for s != "" {
		var pair string
		pair, s, _ = strings.Cut(s, ",")
		key, value, _ := strings.Cut(pair, "=")
		if key == "address" {
			t.Address = value
			continue
		}
		if key == "certificate" {
			t.Certificate = parseCertificate(value)
			continue
		}
		var to *time.Duration
		switch key {
		case "dns":
			to = &t.DNS
		case "connect":
			to = &t.Connect
		case "tls":
			to = &t.TLS
		case "wait":
			to = &t.Wait
		case "held":
			to = &t.Held
		case "tunnel":
			to = &t.Tunnel
		case "reused":
			t.Reused = value == "1"
			continue
		default:
			continue
		}
		us, err := strconv.ParseInt(value, 10, 64)
		if err != nil || us < 0 {
			return Timing{}, fmt.Errorf("timing %q: %s is not a number of microseconds", pair, key)
		}
		*to = time.Duration(us) * time.Microsecond
	}
	return t, nil
}
