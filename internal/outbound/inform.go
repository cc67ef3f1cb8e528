package outbound

import (
	"context"
	"net/http"
	"net/textproto"
)

// Informer is told of the informational responses (1xx) of a request, but for
// 100 and 101, which concern one connection only. It may be told from another
// goroutine, and after the request has failed.
type Informer interface {
	Inform(status int, h http.Header)
}

// InformKey is the key under which a request's context has its Informer. Who has
// something that lives as long as the request makes that the context, which
// costs nothing.
type InformKey struct{}

// InformerOf is the one of a request's context; nil: nobody wants to be told.
func InformerOf(ctx context.Context) Informer {
	i, _ := ctx.Value(InformKey{}).(Informer)
	return i
}

// informed passes on an informational response. Its error would end the request.
func (x *exchange) informed(status int, h textproto.MIMEHeader) error {
	if status <= http.StatusSwitchingProtocols {
		return nil
	}
	passed := make(http.Header, len(h))
	for name, values := range h {
		passed[name] = values
	}
	x.informer.Inform(status, passed)
	return nil
}
