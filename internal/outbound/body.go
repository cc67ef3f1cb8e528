package outbound

import (
	"io"
	"net/http"

	"sallyport/proto"
)

// answerBody is the body of an answer. Its end gives the timer of the exchange
// back, and whatever cuts it short is a *proto.Error.
type answerBody struct {
	io.ReadCloser
	exchange *exchange
	resp     *http.Response
	failed   error // what the last Read failed with; said again by the next
}

func (b *answerBody) Read(p []byte) (int, error) {
	if b.failed != nil {
		return 0, b.failed
	}
	b.exchange.pace.moving()
	n, err := b.ReadCloser.Read(p)
	b.exchange.pace.rest()
	if err == nil {
		return n, nil
	}
	if err == io.EOF {
		proto.Strip(b.resp.Trailer)
		b.failed = io.EOF
	} else {
		b.failed = b.exchange.failBody(err)
	}
	b.exchange.over()
	return n, b.failed
}

// Close ends the exchange; closing before the end cuts the connection to the
// target, which is how a target learns that nobody waits any more.
func (b *answerBody) Close() error {
	if b.failed == nil {
		b.failed = http.ErrBodyReadAfterClose
	}
	err := b.ReadCloser.Close()
	b.exchange.over()
	return err
}
