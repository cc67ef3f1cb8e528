package gateway

import (
	"bytes"
	"io"
	"net/http"

	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/road"
)

// addsFields reports whether the connection's authentication may add fields to
// this request's body.
func (p *passage) addsFields() bool {
	return len(p.c.Auth.BodyFields()) > 0 && road.HasBody(p.r.Method) && len(p.r.Header["Content-Encoding"]) == 0
}

// withFields reads the body and adds the fields of the authentication type. It
// has to be read as a whole for that; one that is too long is streamed as it is.
func (p *passage) withFields() *proto.Error {
	body, large := p.limited()
	if large != nil {
		return large
	}
	whole, err := io.ReadAll(io.LimitReader(body, connection.MaxFieldsBody+1))
	if err != nil {
		return p.failure(err)
	}
	if len(whole) > connection.MaxFieldsBody {
		p.body = newReplay(io.MultiReader(bytes.NewReader(whole), body), false)
		return nil
	}
	with, err := road.Body(p.c, p.target, p.contentType(), whole, &p.marks)
	if err != nil {
		return p.failure(err)
	}
	if len(with) > 0 {
		p.body, p.length, p.fields = newReplay(bytes.NewReader(with), p.c.Requests.Retry.Any()), int64(len(with)), string(with)
	}
	return nil
}

// contentType is that of the caller's body: as he says, or as the connection
// would send it.
func (p *passage) contentType() string {
	if said := p.r.Header.Get("Content-Type"); said != "" {
		return said
	}
	for _, h := range p.c.Headers {
		if http.CanonicalHeaderKey(h.Name) == "Content-Type" {
			return h.Value
		}
	}
	return p.c.MediaType.ContentType()
}
