package egress

import (
	"time"
)

// Fault is what kind of thing keeps the agent from its relay.
type Fault string

// Faults, each with another remedy.
const (
	FaultUnreachable      Fault = "unreachable"       // no such host, refused, no route, timed out
	FaultTLS              Fault = "tls"               // no trust in the relay's certificate
	FaultProxyUnreachable Fault = "proxy_unreachable" // the proxy itself can't be reached
	FaultProxy            Fault = "proxy"             // the proxy won't let through
	FaultProxyAuth        Fault = "proxy_auth"        // the proxy wants a login, or refuses the one it was given
	FaultDenied           Fault = "denied"            // something in between, or the relay, answers 401 or 403
	FaultBusy             Fault = "busy"              // 429, 502, 503 or 504: later
	FaultPortal           Fault = "captive_portal"    // a web page came instead
	FaultNotRelay         Fault = "not_a_relay"       // another server
)

// DialError says why there is no way to the relay.
type DialError struct {
	Fault      Fault
	Status     int           // of the HTTP answer; 0: there was none
	RetryAfter time.Duration // as the answer asks
	// Proxy is the proxy that failed or refused, without a password. "": it was
	// none.
	Proxy string
	// Offered are the ways to log in that a proxy offers, such as "Negotiate" and
	// `Basic realm="corp"`.
	Offered []string
	// Scheme is the one of them with which a login was refused. "": none was sent.
	Scheme string
	// Issuer is who issued a certificate that is not trusted.
	Issuer string
	// Inspector is the product that Issuer belongs to, where it is known for
	// opening TLS connections on their way.
	Inspector string

	Text   string // what happened, to what
	Remedy string // what to do; may be empty
	Err    error  // what it was told from
}

func (e *DialError) Error() string {
	if e.Remedy == "" {
		return e.Text
	}
	return e.Text + "; " + e.Remedy
}

func (e *DialError) Unwrap() error { return e.Err }
