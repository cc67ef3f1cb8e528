package forward

import (
	"context"
	"net/http"
	"strconv"
	"sync"

	"sallyport/internal/outbound"
	"sallyport/proto"
)

// informing is the context of a call's request, and passes on what the target
// says before its answer (RFC 9110, section 15.2: a proxy has to).
type informing struct {
	context.Context
	call *call

	mu   sync.Mutex // guards over, and the answer until then
	over bool       // the answer begins, or the request has failed
}

// Value implements context.Context.
func (i *informing) Value(key any) any {
	if key == (outbound.InformKey{}) {
		return i
	}
	return i.Context.Value(key)
}

// Inform implements outbound.Informer. What is for the relay itself, and might
// hold a secret of the site, does not pass.
func (i *informing) Inform(status int, h http.Header) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.over || len(i.call.req.Header[proto.HeaderMask]) > 0 {
		return
	}
	out := i.call.out
	proto.Strip(h)
	stripHopByHop(h)
	out.add("HTTP/1.1 ", strconv.Itoa(status), " ", http.StatusText(status), "\r\n")
	out.fieldsOf(h)
	out.add("\r\n")
	_ = out.flush() // kept in the answer, which then fails as well
}

func (i *informing) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.over = true
}
