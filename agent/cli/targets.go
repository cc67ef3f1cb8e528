package cli

import (
	"net/http"
	"sync/atomic"

	"sallyport/internal/outbound"
)

// road is a way to applications: a chain of transports, and the one at its end,
// which keeps connections.
type road struct {
	chain     http.RoundTripper
	transport *outbound.Transport
}

// targets is the road that is taken now. A request stays on the one on which it
// began. The zero value has none.
type targets struct{ now atomic.Pointer[road] }

func (t *targets) RoundTrip(req *http.Request) (*http.Response, error) {
	return t.now.Load().chain.RoundTrip(req)
}

// replace sends the requests that come from now on down another road, and closes
// what the old one has at rest. What is in use on it ends with its request.
func (t *targets) replace(next *road) {
	if old := t.now.Swap(next); old != nil {
		old.transport.Close()
	}
}

// Close drops the connections that wait for a next request.
func (t *targets) Close() { t.now.Load().transport.Close() }
