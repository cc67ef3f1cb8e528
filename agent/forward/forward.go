// Package forward serves the requests that come down a stream of a tunnel, one
// after the other: it reads an absolute-form HTTP/1.1 request, has it performed
// by the transport it was given, and writes the answer back, streaming both
// bodies.
//
// Package link calls it, once for each stream that the relay opens. It keeps
// nothing between requests and holds no rule about what may be reached.
package forward

import (
	"net/http"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Options configure a Forwarder.
type Options struct {
	Transport http.RoundTripper // performs the requests; its errors are *proto.Error
	Log       *zap.Logger       // nil means none
	Clock     func() time.Time  // nil means time.Now
	// Refused is told of a request that is refused before it comes to Transport;
	// nil: nobody wants to know.
	Refused func(*http.Request, error)
	// MaxBody is the longest body of a request that is sent on, in bytes. 0: no
	// limit.
	MaxBody int64
}

// Forwarder serves requests. It is safe for concurrent use.
type Forwarder struct {
	transport http.RoundTripper
	refused   func(*http.Request, error)
	log       *zap.Logger
	clock     func() time.Time
	maxBody   atomic.Int64
	inFlight  atomic.Int64
}

// New makes a Forwarder.
func New(o Options) *Forwarder {
	f := &Forwarder{transport: o.Transport, refused: o.Refused, log: o.Log, clock: o.Clock}
	f.SetMaxBody(o.MaxBody)
	if f.log == nil {
		f.log = zap.NewNop()
	}
	if f.clock == nil {
		f.clock = time.Now
	}
	return f
}

// SetMaxBody changes Options.MaxBody for the requests that come from now on.
func (f *Forwarder) SetMaxBody(bytes int64) { f.maxBody.Store(bytes) }

// InFlight is how many requests are being served now.
func (f *Forwarder) InFlight() int { return int(f.inFlight.Load()) }
