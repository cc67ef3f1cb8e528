package gateway

import (
	"context"
	"maps"
	"net/http"
	"sync"

	"sallyport/internal/outbound"
)

// informing is the context of a request on its road. It passes on what the
// application says before its answer (RFC 9110, section 15.2: a proxy has to).
type informing struct {
	context.Context
	p *passage

	mu   sync.Mutex // guards over, and the caller's answer until then
	over bool       // the answer begins
}

// Value implements context.Context.
func (i *informing) Value(key any) any {
	if key == (outbound.InformKey{}) {
		return i
	}
	return i.Context.Value(key)
}

// Inform implements outbound.Informer.
func (i *informing) Inform(status int, h http.Header) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.over || !i.p.r.ProtoAtLeast(1, 1) {
		return
	}
	ours := i.p.w.Header()
	before := maps.Clone(ours)
	clear(ours)
	named := connectionNamed(h)
	for name, values := range h {
		if leaves(name) && !named.has(name) {
			ours[name] = values
		}
	}
	i.p.w.WriteHeader(status)
	clear(ours)
	maps.Copy(ours, before)
}

// end comes before the answer's header is touched.
func (i *informing) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.over = true
}
