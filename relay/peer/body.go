package peer

import (
	"io"
	"net/http"
	"sync"

	"sallyport/proto"
)

// answerBody is the body of an application's answer, as it arrives. io.EOF means
// that it is complete; anything less is a *proto.Error.
type answerBody struct {
	x     *exchange
	inner io.ReadCloser
	resp  *http.Response
	done  error // what every later Read returns
}

func (b *answerBody) Read(p []byte) (int, error) {
	if b.done != nil {
		return 0, b.done
	}
	n, err := b.inner.Read(p)
	if err == nil {
		return n, nil
	}
	b.done = b.judge(err)
	b.x.end()
	return n, b.done
}

// judge says how the body ended.
func (b *answerBody) judge(err error) error {
	if said := b.resp.Trailer.Get(headerFailure); said != "" {
		if e := decode(said); e != nil {
			return e
		}
	}
	if err == io.EOF {
		proto.Strip(b.resp.Trailer)
		return io.EOF
	}
	return b.x.brokenOff(err)
}

// Close may be called while a Read is under way, which it wakes.
func (b *answerBody) Close() error {
	err := b.inner.Close()
	b.x.end()
	return err
}

// watchedBody tells a body that can't be read from a connection that breaks.
type watchedBody struct {
	of io.ReadCloser

	mu     sync.Mutex // guards failed
	failed error
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.of.Read(p)
	if err != nil && err != io.EOF {
		b.mu.Lock()
		b.failed = err
		b.mu.Unlock()
	}
	return n, err
}

func (b *watchedBody) Close() error { return b.of.Close() }

func (b *watchedBody) failure() error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed
}
