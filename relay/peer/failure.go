package peer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"sallyport/proto"
	"sallyport/relay/hub"
)

// encode writes an error as the value of headerFailure.
func encode(e *proto.Error) string {
	raw, err := json.Marshal(e)
	if err != nil { // strings and numbers: it can't
		raw = []byte("{}")
	}
	return base64.StdEncoding.EncodeToString(raw)
}

// decode reads what encode wrote; nil: it is nothing of the kind.
func decode(value string) *proto.Error {
	raw, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return nil
	}
	e := &proto.Error{}
	if json.Unmarshal(raw, e) != nil || e.Code == "" {
		return nil
	}
	if e.Outcome == "" {
		e.Outcome = proto.OutcomeUnknown
	}
	return e
}

// code is an error's code, for the metrics.
func code(e *proto.Error) string {
	if errors.Is(e, hub.ErrNotThere) {
		return string(reasonNotThere)
	}
	return string(e.Code)
}

// said is the failure that the other relay tells of.
func (x *exchange) said(value string, began time.Time) *proto.Error {
	e := decode(value)
	if e == nil {
		return x.unexpected(0)
	}
	if e.Reason == reasonNotThere {
		x.link.refute(x.agentID, x.counter)
		x.link.peers.lookups.forget(x.agentID)
		e.Reason, e.Err = "", hub.ErrNotThere
		return e
	}
	if e.Timing == nil {
		e.Timing = &proto.Timing{}
	}
	complete(e.Timing, time.Since(began))
	return e
}

// unexpected is the failure of a request to a relay that does not answer as one
// should: another version, perhaps. One that knows no such request has not sent it.
func (x *exchange) unexpected(status int) *proto.Error {
	e := &proto.Error{Code: proto.CodeInternal, Outcome: proto.OutcomeUnknown,
		Detail: fmt.Sprintf("The relay %s, which holds the agent's tunnels, answered in a way that this relay does not understand (status %d).", x.link.relay.ID, status),
		Hint:   "Run the same version on all relays that share a database.",
		Facts:  map[string]string{"relay": x.link.relay.ID}}
	if status == 404 {
		e.Outcome = proto.OutcomeNotSent
	}
	return e
}

// explain is the failure of a request that got no answer.
func (x *exchange) explain(err error) *proto.Error {
	switch cause := context.Cause(x.ctx); {
	case errors.Is(cause, context.DeadlineExceeded):
		return &proto.Error{Code: proto.CodeTargetTimeout, Reason: proto.ReasonTimeout, Outcome: proto.OutcomeUnknown, Err: cause,
			Facts:  map[string]string{"stage": "wait", "relay": x.link.relay.ID},
			Detail: fmt.Sprintf("No answer came by way of the relay %s, which holds the agent's tunnels, in time.", x.link.relay.ID)}
	case x.ctx.Err() != nil:
		return &proto.Error{Code: proto.CodeCanceled, Outcome: proto.OutcomeUnknown, Err: cause, Detail: "The request was cancelled by its caller."}
	case x.body.failure() != nil:
		return &proto.Error{Code: proto.CodeCanceled, Outcome: proto.OutcomeUnknown, Err: x.body.failure(),
			Detail: "The request's body broke off before its end."}
	case !x.left.Load():
		// Not a byte of it has left: net/http says when it begins to write.
		x.link.refute(x.agentID, x.counter)
		return &proto.Error{Code: proto.CodeAgentOffline, Outcome: proto.OutcomeNotSent, Err: errors.Join(hub.ErrNotThere, err),
			Detail: fmt.Sprintf("The connection to the relay %s, which holds the agent's tunnels, ended before the request was sent.", x.link.relay.ID)}
	}
	return x.lost(proto.OutcomeUnknown, err)
}

// lost is the failure of a request whose connection to the other relay broke.
func (x *exchange) lost(outcome proto.Outcome, err error) *proto.Error {
	e := &proto.Error{Code: proto.CodeTunnelLost, Outcome: outcome, Err: err, Facts: map[string]string{"relay": x.link.relay.ID},
		Detail: fmt.Sprintf("The connection to the relay %s, which holds the agent's tunnels, broke while the request was under way.", x.link.relay.ID),
		Hint:   "The application may have acted on the request: check before sending it again."}
	if outcome == proto.OutcomeSent {
		e.Detail = fmt.Sprintf("The connection to the relay %s, which holds the agent's tunnels, broke while the answer was arriving.", x.link.relay.ID)
		e.Hint = "The application has acted on the request; only its answer is incomplete."
	}
	return e
}

// brokenOff explains an answer whose header came and whose body did not end.
func (x *exchange) brokenOff(err error) *proto.Error {
	switch cause := context.Cause(x.ctx); {
	case errors.Is(cause, context.DeadlineExceeded):
		return &proto.Error{Code: proto.CodeTargetTimeout, Reason: proto.ReasonTimeout, Outcome: proto.OutcomeSent, Err: cause,
			Facts:  map[string]string{"stage": "body", "relay": x.link.relay.ID},
			Detail: "The answer was not complete in the time that it had."}
	case x.ctx.Err() != nil:
		return &proto.Error{Code: proto.CodeCanceled, Outcome: proto.OutcomeSent, Err: cause, Detail: "The request was cancelled by its caller."}
	}
	return x.lost(proto.OutcomeSent, err)
}

// words says why a relay can't be reached.
func words(err error) string {
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var stranger *strangerError
	var record tls.RecordHeaderError
	var alert *net.OpError // of crypto/tls: what the other end complained of
	var dns *net.DNSError
	var network net.Error
	switch {
	case errors.As(err, &authority):
		return "its certificate is not of these relays' authority: give all the same database and keyset"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "its certificate is not valid at this time: compare the clocks of the two machines"
	case errors.As(err, &stranger):
		return stranger.Error() + ": each relay needs a peer-address of its own"
	case errors.Is(err, errNoRelay):
		return errNoRelay.Error() + ": another program may be listening there"
	case errors.As(err, &record):
		return "what listens there does not speak TLS: it has to be the port of peer-listen"
	case errors.As(err, &alert) && alert.Op == "remote error":
		return "it does not take this relay's certificate (" + alert.Err.Error() + "): compare the database, the keyset and the clocks"
	case errors.As(err, &dns):
		return "its name " + dns.Name + " is not found"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "no route to it"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "it does not answer"
	case err == nil:
		return "it is not connected"
	}
	return err.Error()
}
