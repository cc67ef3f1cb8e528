package proto

import (
	"errors"
	"net/http"
)

// Code names what went wrong with a request, for programs. It is the "code" of
// the problem document (RFC 9457) that a caller receives, and the value of the
// Sallyport-Error header field on every answer that the relay or the agent made
// in place of the application.
type Code string

// The codes that callers may rely on. New ones may be added.
const (
	CodeAgentOffline      Code = "agent_offline"      // no tunnel of the agent is up
	CodeAgentPaused       Code = "agent_paused"       // the agent's site has paused it
	CodePolicyDenied      Code = "policy_denied"      // the site's own policy forbids the request
	CodeTargetDNS         Code = "target_dns"         // the target's name has no address where the request ran
	CodeTargetRefused     Code = "target_refused"     // the target's machine refused the connection: wrong port, or not running
	CodeTargetTLS         Code = "target_tls"         // no trustworthy TLS connection: certificate, name, version
	CodeTargetUnreachable Code = "target_unreachable" // no route, reset, or an answer that is not HTTP
	CodeTargetTimeout     Code = "target_timeout"     // the target took longer than the request's deadline
	CodeSignInFailed      Code = "sign_in_failed"     // the application did not accept the sign-in
	CodeSignInNeeded      Code = "sign_in_needed"     // a person has to sign in with the application first
	CodeSecretUnavailable Code = "secret_unavailable" // a secret of the agent can't be had, or not be used there
	CodeSessionEnded      Code = "session_ended"      // the application's session ended, and the request could not be sent again
	CodeAddressForbidden  Code = "address_forbidden"  // cloud mode to a private, loopback or link-local address
	CodeTunnelLost        Code = "tunnel_lost"        // the tunnel broke while the request was under way
	CodeValidation        Code = "validation"         // the request to Sallyport itself is faulty
	CodeUnauthorized      Code = "unauthorized"       // no valid token or browser session
	CodeForbidden         Code = "forbidden"          // signed in, but not allowed to do this
	CodeNotFound          Code = "not_found"          // no such thing in this workspace
	CodeConflict          Code = "conflict"           // changed by someone else meanwhile, or still in use
	CodeTooLarge          Code = "too_large"          // a body or header over its limit
	CodeRequestTimeout    Code = "request_timeout"    // the caller paused too long in the body of his request
	CodeTooManyRequests   Code = "too_many_requests"  // a rate or concurrency limit was met
	CodeCanceled          Code = "canceled"           // the caller went away first
	CodeInternal          Code = "internal"           // a fault of Sallyport's own
)

// Status is the HTTP status that an answer with this code carries.
func (c Code) Status() int {
	switch c {
	case CodeAgentOffline, CodeAgentPaused:
		return http.StatusServiceUnavailable
	case CodePolicyDenied, CodeAddressForbidden, CodeForbidden:
		return http.StatusForbidden
	case CodeTargetDNS, CodeTargetRefused, CodeTargetTLS, CodeTargetUnreachable, CodeSignInFailed, CodeSignInNeeded, CodeSessionEnded, CodeSecretUnavailable, CodeTunnelLost:
		return http.StatusBadGateway
	case CodeTargetTimeout:
		return http.StatusGatewayTimeout
	case CodeValidation:
		return http.StatusUnprocessableEntity
	case CodeUnauthorized:
		return http.StatusUnauthorized
	case CodeNotFound:
		return http.StatusNotFound
	case CodeConflict:
		return http.StatusConflict
	case CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case CodeRequestTimeout:
		return http.StatusRequestTimeout
	case CodeTooManyRequests:
		return http.StatusTooManyRequests
	case CodeCanceled:
		return 499 // nginx's "client closed request"; nobody is left to read it
	default:
		return http.StatusInternalServerError
	}
}

// Outcome says how far a failed request got, so that its caller knows whether
// sending it again can do something twice.
type Outcome string

const (
	// OutcomeNotSent: no byte of the request reached the target. Sending it
	// again is safe.
	OutcomeNotSent Outcome = "not_sent"
	// OutcomeSent: the target received the request and answered it; the answer
	// is what failed.
	OutcomeSent Outcome = "sent"
	// OutcomeUnknown: the target may or may not have acted on the request.
	OutcomeUnknown Outcome = "unknown"
)

// Reason is finer than a Code and decides which hint a person is shown.
type Reason string

// Reasons that internal/outbound gives with its codes.
const (
	ReasonHostNotFound     Reason = "host_not_found"      // target_dns: NXDOMAIN; Facts: host, dnsServer
	ReasonDNSFailed        Reason = "dns_failed"          // target_dns: no DNS server answered; Facts: host, dnsServer
	ReasonRefused          Reason = "connection_refused"  // target_refused; Facts: address
	ReasonReset            Reason = "connection_reset"    // target_unreachable; Facts: address
	ReasonNoRoute          Reason = "no_route"            // target_unreachable; Facts: address
	ReasonNotHTTP          Reason = "not_http"            // target_unreachable; Facts: address
	ReasonHeaderTooLong    Reason = "header_too_long"     // target_unreachable: the header of the answer; Facts: address
	ReasonTimeout          Reason = "timeout"             // target_timeout; Facts: stage (dns, connect, tls, wait, body), timeout (TimeoutConnect and others)
	ReasonUnknownAuthority Reason = "unknown_authority"   // target_tls; Facts: host, issuer, subject
	ReasonSelfSigned       Reason = "self_signed"         // target_tls; Facts: host, subject
	ReasonExpired          Reason = "certificate_expired" // target_tls; Facts: host, notAfter (RFC 3339)
	ReasonNotYetValid      Reason = "certificate_not_yet_valid"
	ReasonWrongHost        Reason = "wrong_host_name"    // target_tls; Facts: host, names (comma separated)
	ReasonNotTLS           Reason = "not_tls"            // target_tls: plain text on an https URI; Facts: address
	ReasonTLSHandshake     Reason = "tls_handshake"      // target_tls: any other handshake failure
	ReasonAddress          Reason = "forbidden_address"  // address_forbidden; Facts: host, address
	ReasonProxyRefused     Reason = "proxy_refused"      // target_unreachable; Facts: proxy, status
	ReasonTooManyRedirects Reason = "too_many_redirects" // Facts: location
)

// Reasons that the agent's policy gives. Facts, each where there is one: line
// (the rule that would allow the request), rule (that decided), ruleLine (where
// it stands in agent.yaml), address.
const (
	ReasonNoRule        Reason = "no_rule"         // policy_denied: no rule allows it
	ReasonDenyRule      Reason = "deny_rule"       // policy_denied: line has to stand above rule
	ReasonGuarded       Reason = "guarded_address" // policy_denied: link-local or cloud metadata
	ReasonAmbiguousPath Reason = "ambiguous_path"  // policy_denied: applications may read the path in several ways
	ReasonRuleRate      Reason = "rule_rate"       // too_many_requests; also retryAfter (seconds)
	ReasonRuleBody      Reason = "rule_body"       // too_large; also limit (bytes)
)

// Reasons that the agent gives where a secret of its own keeps a request from
// being sent. Facts: secret (its name), and each where there is one: host, file,
// variable, mode, path, field.
const (
	ReasonSecretUnknown    Reason = "secret_unknown"    // secret_unavailable: agent.yaml has none of that name
	ReasonSecretFile       Reason = "secret_file"       // secret_unavailable: the file can't be read
	ReasonSecretExposed    Reason = "secret_exposed"    // secret_unavailable: others of that machine can read the file
	ReasonSecretVariable   Reason = "secret_variable"   // secret_unavailable: the environment has none
	ReasonSecretCommand    Reason = "secret_command"    // secret_unavailable: the command failed
	ReasonSecretEmpty      Reason = "secret_empty"      // secret_unavailable: it is there, and empty or too long
	ReasonSecretValue      Reason = "secret_value"      // secret_unavailable: its value can't stand in that place
	ReasonSecretEchoed     Reason = "secret_echoed"     // secret_unavailable: a cookie of the answer holds it
	ReasonSecretHost       Reason = "secret_host"       // policy_denied: it is not meant for that host
	ReasonVaultUnreachable Reason = "vault_unreachable" // secret_unavailable
	ReasonVaultSealed      Reason = "vault_sealed"      // secret_unavailable
	ReasonVaultForbidden   Reason = "vault_forbidden"   // secret_unavailable: the token may not read it, or is no longer valid
	ReasonVaultSignIn      Reason = "vault_sign_in"     // secret_unavailable: AppRole, or the file of the token
	ReasonVaultNotFound    Reason = "vault_not_found"   // secret_unavailable: no such secret, field, or engine of version 2
	ReasonVaultFailed      Reason = "vault_failed"      // secret_unavailable: any other answer
	ReasonAgentTooOld      Reason = "agent_cannot_fill" // secret_unavailable: the agent's program has no secrets of its own
)

// Reasons that a certificate pinned at the agent's site gives. Facts: host,
// pinned and shown (fingerprints).
const ReasonPinMismatch Reason = "pin_mismatch" // target_tls: another certificate than the pinned one

// ReasonClientCertificate: target_tls, the target wants a certificate of its
// caller. Facts: address.
const ReasonClientCertificate Reason = "client_certificate"

// Error is a failed request, as it travels from the agent to the relay and on
// to the caller. Every road (see package relay/road) fails with one.
type Error struct {
	Code    Code    `json:"code"`
	Detail  string  `json:"detail"`            // one sentence for a person: what happened, to what
	Hint    string  `json:"hint,omitempty"`    // what to do next
	Outcome Outcome `json:"outcome,omitempty"` // only for requests meant for a target
	Reason  Reason  `json:"reason,omitempty"`
	// Facts are the values that hints are made of; each Reason lists its own.
	Facts map[string]string `json:"facts,omitempty"`
	// Timing is what was measured until the failure.
	Timing *Timing `json:"timing,omitempty"`
	// Err is the cause, for logs of the machine on which it happened. It does
	// not travel.
	Err error `json:"-"`
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Detail }

func (e *Error) Unwrap() error { return e.Err }

// AsError returns the *Error within err, or nil.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}
