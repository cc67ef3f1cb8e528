package proto

import (
	"fmt"
	"net/http"
	"strings"
)

// HeaderPrefix begins every header field that only agent and relay may write.
const HeaderPrefix = "Sallyport-"

// Options that travel with a request to the end of its road.
const (
	// HeaderRequestID is the id under which relay and agent log the request.
	HeaderRequestID = "Sallyport-Request-Id"
	// HeaderTimeout is how long the whole request may take from here on,
	// in milliseconds. Absent or 0: no limit but the caller's patience.
	HeaderTimeout = "Sallyport-Timeout"
	// HeaderTimeouts bounds single stages of the request; see FormatTimeouts. An
	// end of the road that does not know it leaves them unbounded.
	HeaderTimeouts = "Sallyport-Timeouts"
	// HeaderWait is how long the request may wait for its agent, in
	// milliseconds, where that is away for a moment or busy; 0: not at all.
	// Absent: as the relay is set. The relay's half of the road acts on it.
	HeaderWait = "Sallyport-Wait"
	// HeaderConnection is the id of the connection in whose name the request is sent.
	HeaderConnection = "Sallyport-Connection"
	// HeaderCaller says for whom the request is sent, for the site's own ledger:
	// "user NAME" or "token NAME", as they are called in the relay. Absent: the
	// relay itself, to sign in or to test. At most MaxCaller bytes, printable
	// ASCII; what is not is escaped as in a URL.
	HeaderCaller = "Sallyport-Caller"
	// HeaderCertificate, of whatever value, asks that the answer's timing tells of
	// the target's certificate. An older agent passes over it.
	HeaderCertificate = "Sallyport-Certificate"
	// HeaderFill says where secrets of the agent are to be put into the request:
	// a Fill on each line.
	HeaderFill = "Sallyport-Fill"
	// HeaderMask names secrets of the agent, one on each line, that are to be
	// hidden in the answer, which is not for an application's caller but for the
	// relay itself: to be judged, and shown to people.
	HeaderMask = "Sallyport-Mask"
)

// MaxCaller is the longest value of HeaderCaller, in bytes.
const MaxCaller = 200

// What the end of the road says with its answer.
const (
	// HeaderTiming is a Timing; see FormatTiming.
	HeaderTiming = "Sallyport-Timing"
	// HeaderError is the Code of an answer that Sallyport made itself. Callers
	// of the relay see it.
	HeaderError = "Sallyport-Error"
	// HeaderOutcome is the Outcome of a request through a connection, on every
	// answer to one: an answer to HEAD has no body that could say it.
	HeaderOutcome = "Sallyport-Outcome"
	// HeaderAttempts is how often a request was tried, where its connection lets
	// it be tried more than once. Callers see it, too.
	HeaderAttempts = "Sallyport-Attempts"
	// HeaderStarted marks the informational response (102) by which the agent
	// says that it has begun to send the request to the target.
	HeaderStarted = "Sallyport-Started"
)

// KeepStream is the value of the Connection field of an agent's answer after
// which the relay may send another request down the same stream. Without it the
// stream is done with. It costs five frames less than a stream of its own for
// each request, and is the agent's to offer: only it knows whether the target
// has left some of the request unread.
const KeepStream = "keep-alive"

// Strip removes every field of the prefix from h, so that what came from
// outside cannot speak in the name of the agent or the relay.
func Strip(h http.Header) {
	for name := range h {
		if len(name) >= len(HeaderPrefix) && strings.EqualFold(name[:len(HeaderPrefix)], HeaderPrefix) {
			delete(h, name)
		}
	}
}

// Caller is the value of HeaderCaller for a kind, such as user or token, and a
// name.
func Caller(kind, name string) string {
	var b strings.Builder
	b.WriteString(kind)
	b.WriteByte(' ')
	for i := range len(name) {
		switch c := name[i]; {
		case b.Len() > MaxCaller-3:
			return b.String()
		case c > ' ' && c < 0x7f && c != '%', c == ' ' && i > 0 && i < len(name)-1:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
