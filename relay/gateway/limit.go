package gateway

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync/atomic"

	"sallyport/internal/bytesize"
	"sallyport/proto"
)

var errBodyTooLarge = errors.New("the request's body is longer than may be sent through a connection")

// limitedBody is a caller's body that fails once more came than it may measure.
type limitedBody struct {
	io.Reader
	left int64
	over atomic.Bool
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.over.Load() {
		return 0, errBodyTooLarge
	}
	n, err := b.Reader.Read(p)
	if b.left -= int64(n); b.left < 0 {
		b.over.Store(true)
		return 0, errBodyTooLarge
	}
	return n, err
}

// limited is the caller's body within its limit. One whose length is known to
// be over it is refused before anything is sent.
func (p *passage) limited() (io.Reader, *proto.Error) {
	body, err := p.withinLimit()
	if p.key == nil || err != nil {
		return body, err
	}
	p.key.body = body
	return p.key, nil
}

func (p *passage) withinLimit() (io.Reader, *proto.Error) {
	limit := p.g.maxBody
	switch {
	case limit == 0:
		return p.callersBody(), nil
	case p.r.ContentLength > limit:
		return nil, p.tooLarge(proto.OutcomeNotSent)
	case p.r.ContentLength >= 0: // the server reads no more than that
		return p.callersBody(), nil
	}
	p.limit = &limitedBody{Reader: p.callersBody(), left: limit}
	return p.limit, nil
}

func (p *passage) tooLarge(outcome proto.Outcome) *proto.Error {
	return &proto.Error{
		Code: proto.CodeTooLarge, Outcome: outcome, Err: errBodyTooLarge,
		Detail: fmt.Sprintf("The request's body is longer than the %s that may be sent through a connection of this relay.", bytesize.Words(p.g.maxBody)),
		Hint:   "Send less at once, or ask whoever runs the relay to raise max-request-body.",
		Facts:  map[string]string{"limit": strconv.FormatInt(p.g.maxBody, 10)},
	}
}
