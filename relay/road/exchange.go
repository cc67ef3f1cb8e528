// Package road is the way from the relay to an application. A road is an
// http.RoundTripper: package internal/outbound for cloud mode, a tunnel of
// package hub for on-premise. Roads picks the one that a connection names, and
// Send walks it: it adds the connection's headers, fills in placeholders,
// follows redirects hop by hop, and keeps a record for whoever must explain
// what happened.
//
// Requests go onto a road with the options of package proto in their header
// (HeaderRequestID, HeaderTimeout, HeaderConnection); answers come back with
// HeaderTiming, and every failure is a *proto.Error.
package road

import (
	"net/http"
	"net/url"
	"time"

	"sallyport/proto"
)

// Exchange is the record of one request and its answer, redirects included.
// It holds clear text, secrets included: mask it before it is shown.
type Exchange struct {
	// Hops are in the order in which they were sent; the last one is the
	// answer that counts. At least one, where Send returned no error.
	Hops []Hop
	// Body is the last answer's body, cut at BodyLimit.
	Body      []byte
	Truncated bool
}

// Last is the hop whose answer counts.
func (e *Exchange) Last() *Hop { return &e.Hops[len(e.Hops)-1] }

// Hop is one request on the wire and its answer.
type Hop struct {
	Method        string
	URL           *url.URL
	RequestHeader http.Header
	RequestBody   string
	Status        int // 0: no answer
	Header        http.Header
	Start         time.Time
	Duration      time.Duration // until the answer's header; the last hop: until its body's end
	Timing        proto.Timing
}

// BodyLimit is how much of an answer Send keeps, in bytes. Sign-in and ping
// answers are small; what is longer is read to this length and no further.
const BodyLimit = 1 << 20
