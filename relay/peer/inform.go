package peer

import (
	"net/http"
	"net/textproto"
	"sync"

	"sallyport/internal/outbound"
	"sallyport/proto"
)

// informed takes in an informational response. It runs in the reader of the
// connection, and must not wait for a caller who does not read.
func (x *exchange) informed(status int, h textproto.MIMEHeader) error {
	to := outbound.InformerOf(x.req.Context())
	if to == nil || status <= http.StatusSwitchingProtocols {
		return nil
	}
	passed := make(http.Header, len(h))
	for name, values := range h {
		passed[name] = values
	}
	proto.Strip(passed)
	x.told.add(func() { to.Inform(status, passed) })
	return nil
}

// mostInforms is how many informational responses wait for a caller; those
// beyond are lost, as they may be.
const mostInforms = 16

// informs passes informational responses on in their order, beside the
// connection's reader.
type informs struct {
	mu      sync.Mutex // guards the following
	waiting []func()
	running bool
	idle    sync.Cond
}

func (i *informs) add(pass func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.waiting) == mostInforms {
		return
	}
	i.waiting = append(i.waiting, pass)
	if !i.running {
		i.running = true
		i.idle.L = &i.mu
		go i.pass() // ends with the last; wait waits for it
	}
}

func (i *informs) pass() {
	i.mu.Lock()
	defer i.mu.Unlock()
	for len(i.waiting) > 0 {
		next := i.waiting[0]
		i.waiting = i.waiting[1:]
		i.mu.Unlock()
		next()
		i.mu.Lock()
	}
	i.running = false
	i.idle.Broadcast()
}

// wait waits until all have been passed on, so that the answer comes after them.
func (i *informs) wait() {
	i.mu.Lock()
	defer i.mu.Unlock()
	for i.running {
		i.idle.Wait()
	}
}
