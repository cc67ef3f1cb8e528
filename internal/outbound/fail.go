package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"sallyport/proto"
)

// fail makes the typed error of a request that got no answer.
func (x *exchange) fail(err error) *proto.Error {
	x.mu.Lock()
	defer x.mu.Unlock()
	e := x.explain(err)
	e.Err = err
	if e.Outcome == "" {
		e.Outcome = x.outcome(e.Code)
	}
	if e.Facts == nil {
		e.Facts = map[string]string{}
	}
	e.Facts["host"] = x.target.Hostname()
	timing := x.measured
	e.Timing = &timing
	return e
}

// outcome says whether the target may have seen a byte of the request. Cancelled
// requests may still be in the hands of the goroutine that writes them, so for
// them having got a connection counts as written.
func (x *exchange) outcome(code proto.Code) proto.Outcome {
	switch {
	case x.conn == nil && !x.earlier:
		return proto.OutcomeNotSent
	case x.conn == nil:
		return proto.OutcomeUnknown
	case x.answered && strings.HasPrefix(x.conn.began(), "HTTP/"):
		return proto.OutcomeSent
	case code == proto.CodeCanceled || code == proto.CodeTargetTimeout:
		return proto.OutcomeUnknown
	case !x.wroteSome() && !x.earlier:
		return proto.OutcomeNotSent
	}
	return proto.OutcomeUnknown
}

// explain finds out what err means. The order matters: a deadline or a guard
// shows through many errors of the stages that they cut short.
func (x *exchange) explain(err error) *proto.Error {
	if e := proto.AsError(err); e != nil { // the proxy's refusal, a judge's, or of the one who gives the body
		out := *e
		return &out
	}
	var forbidden *forbiddenAddress
	if errors.As(err, &forbidden) {
		return x.explainForbidden(forbidden)
	}
	if limit, starved := x.pace.passed(); limit != nil {
		return x.explainLimit(limit, starved)
	}
	if broke := x.upload.failure(); broke != nil {
		if e := proto.AsError(broke); e != nil {
			out := *e
			return &out
		}
		return &proto.Error{Code: proto.CodeCanceled, Detail: fmt.Sprintf("The body of the request to %s broke off before its end.", x.target.Host)}
	}
	switch x.ctx.Err() {
	case context.Canceled:
		return &proto.Error{Code: proto.CodeCanceled, Detail: fmt.Sprintf("The request to %s was cancelled %s.", x.target.Host, x.doing())}
	case context.DeadlineExceeded:
		return x.explainTimeout(proto.TimeoutTotal)
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return x.explainDNS(dns)
	}
	if e := x.explainTLS(err); e != nil {
		return e
	}
	return x.explainConnection(err)
}

func (x *exchange) explainForbidden(f *forbiddenAddress) *proto.Error {
	address := f.addr.String()
	where := address
	if host := x.target.Hostname(); host != address {
		where = fmt.Sprintf("%s, the address of %s,", address, host)
	}
	return &proto.Error{
		Code: proto.CodeAddressForbidden, Reason: proto.ReasonAddress,
		Detail: fmt.Sprintf("Connecting to %s is not allowed: it is not a public address.", where),
		Hint:   "To reach an application in a private network choose the mode On-premise and an agent there; or start the relay with --allow-private-targets " + address + ".",
		Facts:  map[string]string{"address": address},
	}
}

func (x *exchange) explainDNS(err *net.DNSError) *proto.Error {
	e := &proto.Error{Code: proto.CodeTargetDNS, Reason: proto.ReasonDNSFailed, Facts: map[string]string{"dnsServer": err.Server}}
	server := "The system's resolver"
	if err.Server != "" {
		server = "The DNS server " + err.Server
	}
	if err.IsNotFound {
		e.Reason = proto.ReasonHostNotFound
		e.Detail = fmt.Sprintf("%s knows no address for %q.", server, err.Name)
		e.Hint = "Check the host's spelling, and that this name can be resolved on the machine from which the request is sent."
		return e
	}
	e.Detail = fmt.Sprintf("%s gave no answer when asked for %q: %s.", server, err.Name, err.Err)
	e.Hint = "Check the DNS settings of the machine from which the request is sent."
	return e
}

// explainLimit is for a limit of one stage, which the sender of the request set.
func (x *exchange) explainLimit(l *limit, starved bool) *proto.Error {
	e := x.explainTimeout(l.name)
	switch {
	case starved:
		e.Detail = fmt.Sprintf("No byte of the request's body came for %s, so %s did not get all of it.", l.after, x.target.Host)
		e.Hint = "Send the body without such pauses, or allow them."
	case l.name == proto.TimeoutIdle:
		e.Detail = fmt.Sprintf("%s was idle for %s %s.", x.target.Host, l.after, x.doing())
	default:
		e.Detail = fmt.Sprintf("%s took longer than %s: the time was up %s.", x.target.Host, l.after, x.doing())
	}
	return e
}

// explainTimeout is for the limit of that name; "" is the system's own.
func (x *exchange) explainTimeout(timeout string) *proto.Error {
	e := &proto.Error{
		Code: proto.CodeTargetTimeout, Reason: proto.ReasonTimeout,
		Detail: fmt.Sprintf("%s took too long: the time was up %s.", x.target.Host, x.doing()),
		Facts:  map[string]string{"stage": string(x.stage), "address": x.measured.Address},
	}
	if timeout != "" {
		e.Facts["timeout"] = timeout
	}
	switch x.stage {
	case stageDNS:
		e.Hint = "The DNS server answers slowly or not at all: check the DNS settings of the machine from which the request is sent."
	case stageNone, stageConnect:
		e.Hint = "Nothing answers there: check host and port, and whether a firewall drops the packets."
	case stageTLS:
		e.Hint = "The port is open, but no TLS handshake takes place: check that the port is the one for https."
	default:
		e.Hint = "The application was reached but is slow to answer: look at its load."
	}
	return e
}

// doing says the stage in words, with the address where there is one.
func (x *exchange) doing() string {
	address := x.measured.Address
	if address == "" {
		address = x.target.Host
	}
	switch x.stage {
	case stageDNS:
		return "while looking up the name " + x.target.Hostname()
	case stageTLS:
		return "in the TLS handshake with " + address
	case stageWait:
		if !x.wroteAll {
			return "while sending the request to " + address
		}
		return "while waiting for the answer of " + address
	case stageBody:
		return "while reading the answer of " + address
	}
	return "while connecting to " + address
}

// called is an address, with the host by which the URI calls it.
func (x *exchange) called(address string) string {
	if host := x.target.Hostname(); !strings.HasPrefix(strings.TrimPrefix(address, "["), host) {
		return address + " (" + host + ")"
	}
	return address
}

// explainConnection is for what went wrong with the TCP connection, or with
// what came over it.
func (x *exchange) explainConnection(err error) *proto.Error {
	address := x.measured.Address
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" && op.Addr != nil {
		address = op.Addr.String()
	}
	via := ""
	if op != nil && op.Op == "proxyconnect" {
		via = " (the proxy)"
	}
	e := &proto.Error{Code: proto.CodeTargetUnreachable, Facts: map[string]string{"address": address}}
	var netErr net.Error
	switch {
	case x.stage == stageNone:
		e.Code, e.Detail = proto.CodeValidation, fmt.Sprintf("The request can't be sent: %v.", err)
		e.Outcome = proto.OutcomeNotSent
	case isErrno(err, errnoRefused):
		e.Code, e.Reason = proto.CodeTargetRefused, proto.ReasonRefused
		e.Detail = fmt.Sprintf("%s refused the connection.", x.called(address)+via)
		e.Hint = "The machine is there, but nothing listens on this port: check the port, and that the application is running."
	case isErrno(err, errnoNoRoute):
		e.Reason = proto.ReasonNoRoute
		e.Detail = fmt.Sprintf("There is no route to %s.", x.called(address)+via)
		e.Hint = "Check the address, and the network and firewall of the machine from which the request is sent."
	case isErrno(err, errnoExhausted):
		e.Code = proto.CodeInternal
		e.Detail = fmt.Sprintf("No connection to %s%s could be opened: this machine has no more open files to give.", x.target.Host, via)
		e.Hint = "Raise the limit of open files (ulimit -n, or LimitNOFILE of the service)."
	case errors.As(err, &netErr) && netErr.Timeout() && x.conn == nil:
		return x.explainTimeout(proto.TimeoutConnect) // that of a dial or a handshake
	case errors.As(err, &netErr) && netErr.Timeout():
		return x.explainTimeout("")
	case x.conn == nil:
		e.Reason = proto.ReasonReset
		e.Detail = fmt.Sprintf("Connecting to %s%s failed: %v.", x.target.Host, via, rootCause(err))
	default:
		x.explainAnswer(e, err)
	}
	return e
}

// explainAnswer tells apart, for a connection that was made, an answer that is
// not HTTP from one that did not come.
func (x *exchange) explainAnswer(e *proto.Error, err error) {
	address := x.conn.remote
	e.Facts["address"] = address
	began := x.conn.began()
	foreign := !x.secure && !x.measured.Reused && began != "" && !strings.HasPrefix("HTTP/", began[:min(len(began), 5)])
	cut := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || isErrno(err, errnoReset) || errors.Is(err, net.ErrClosed)
	switch {
	case foreign:
		e.Reason = proto.ReasonNotHTTP
		e.Detail = fmt.Sprintf("%s does not speak HTTP: its answer begins with %q.", address, began)
		e.Hint = "Check the port: another kind of server is listening there."
		if began[0] == 0x15 || began[0] == 0x16 { // a TLS alert or handshake record (RFC 8446, section 5.1)
			e.Detail = fmt.Sprintf("%s speaks TLS, and the URI says http.", address)
			e.Hint = "Write https:// in place of http:// in the URI."
		}
	case x.answered && strings.Contains(err.Error(), "response headers exceeded"): // net/http has no type for it
		e.Reason = proto.ReasonHeaderTooLong
		e.Detail = fmt.Sprintf("The header of the answer of %s is longer than the %d KiB that are taken.", address, maxHeaderBytes>>10)
		e.Hint = "Have the application send fewer or shorter header fields; cookies are the usual cause."
	case x.answered && !cut:
		e.Reason = proto.ReasonNotHTTP
		e.Detail = fmt.Sprintf("The answer of %s is not valid HTTP: %v.", address, withoutQuote(err))
		e.Hint = "Check the port, and whether another kind of server is listening there."
	case x.answered:
		e.Reason = proto.ReasonReset
		e.Detail = fmt.Sprintf("%s closed the connection in the middle of its answer's header.", address)
		e.Hint = "Look into the application's own log: it, or a proxy before it, gave up on this request."
	default:
		e.Reason = proto.ReasonReset
		e.Detail = fmt.Sprintf("%s closed the connection %s.", address, x.doing())
		e.Hint = "Look into the application's own log: it, or a firewall or proxy before it, gave up on this request."
	}
}

// failBody makes the typed error of an answer whose body broke off.
func (x *exchange) failBody(err error) *proto.Error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.stage = stageBody
	var e *proto.Error
	address := x.measured.Address
	limit, starved := x.pace.passed()
	switch {
	case limit != nil:
		e = x.explainLimit(limit, starved)
	case x.ctx.Err() == context.Canceled:
		e = &proto.Error{Code: proto.CodeCanceled, Detail: fmt.Sprintf("The request to %s was cancelled %s.", x.target.Host, x.doing())}
	case x.ctx.Err() == context.DeadlineExceeded:
		e = x.explainTimeout(proto.TimeoutTotal)
	default:
		e = &proto.Error{
			Code: proto.CodeTargetUnreachable, Reason: proto.ReasonReset,
			Detail: fmt.Sprintf("%s closed the connection before the end of its answer's body.", address),
			Hint:   "The answer is not complete. Look into the application's own log: it, or a proxy before it, gave up on this request.",
			Facts:  map[string]string{"address": address},
		}
	}
	e.Outcome, e.Err = proto.OutcomeSent, err
	timing := x.measured
	e.Timing = &timing
	return e
}

// rootCause is the innermost error, which says what happened without the
// layers through which it came.
func rootCause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// withoutQuote is an error's text up to where it quotes what came from the
// target, which may be a cookie.
func withoutQuote(err error) string {
	text, _, _ := strings.Cut(rootCause(err).Error(), `"`)
	return strings.TrimRight(text, ": ")
}
