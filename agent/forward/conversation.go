package forward

import (
	"bufio"
	"context"
	"net"
	"sync"

	"go.uber.org/zap"

	"sallyport/proto"
)

// conversation is one stream, and the requests that follow one another on it.
// Two goroutines share it. One listens: it reads the header of a request, hands
// it over, and waits for the next one, or for the relay to give up. The other
// performs. Neither is started anew for a request, so their stacks have grown
// to what requests need.
type conversation struct {
	*Forwarder
	ctx    context.Context
	stream net.Conn
	in     *bufio.Reader
	input  headLimit // what in reads from
	calls  chan *call
}

// counted is a stream whose owner wants to know how many requests are under
// way on it.
type counted interface{ Busy(delta int) }

// Serve serves the requests on the stream, and returns when everything that it
// started has ended; the stream is closed then. It ends when the relay closes
// its side of the stream or ctx ends, which cancels the request under way, and
// after a request that leaves the stream unfit for another. Whether it does is
// said in the answer; see proto.KeepStream.
func (f *Forwarder) Serve(ctx context.Context, stream net.Conn) {
	v := &conversation{Forwarder: f, ctx: ctx, stream: stream, calls: make(chan *call)}
	v.input = headLimit{stream: stream, ctx: ctx, left: -1}
	v.in = readers.Get().(*bufio.Reader)
	v.in.Reset(&v.input)
	stop := context.AfterFunc(ctx, v.interrupt)
	var worker sync.WaitGroup
	worker.Go(v.work)
	if v.listen() {
		v.interrupt() // whoever still writes has nobody to write to
	}
	close(v.calls)
	worker.Wait()
	stop()
	_ = stream.Close() // all was flushed before, or its failure is known
	v.in.Reset(nil)
	readers.Put(v.in)
}

// Refuse answers a request that is one too many, without reading it: nothing of
// it has been sent.
func (f *Forwarder) Refuse(stream net.Conn) {
	f.log.Warn("request refused: too many at once")
	out := newAnswer(stream)
	defer out.release()
	out.sendError(&proto.Error{Code: proto.CodeTooManyRequests, Outcome: proto.OutcomeNotSent,
		Detail: "The site's agent serves as many requests as it can already.",
		Hint:   "Send fewer requests at once, or enrol another machine under the agent.",
		Facts:  map[string]string{"retryAfter": "1"}}, false)
}

// interrupt lets whoever waits for the stream go.
func (v *conversation) interrupt() { _ = v.stream.SetDeadline(past) }

// hangUp makes listen return. A stream of yamux that is closed here may still
// be read, so closing alone would leave it waiting for the relay.
func (v *conversation) hangUp() { _ = v.stream.SetReadDeadline(past) }

// work performs what listen has read, until there is no more.
func (v *conversation) work() {
	for c := range v.calls {
		v.count(+1)
		c.serve()
		v.count(-1)
		if !c.keep {
			v.hangUp()
		}
	}
}

func (v *conversation) count(delta int) {
	v.inFlight.Add(int64(delta))
	if s, ok := v.stream.(counted); ok {
		s.Busy(delta)
	}
}

// listen reads requests until the stream is of no more use, and reports whether
// that is because the relay has given it up.
func (v *conversation) listen() (givenUp bool) {
	for {
		c, err := v.readCall()
		if c == nil {
			v.log.Debug("stream ended before a whole request", zap.Error(err))
			return true
		}
		v.calls <- c
		if c.refused != nil {
			return false // what follows on the stream can't be understood
		}
		if !v.watch(c) {
			c.cancel()
			return true
		}
	}
}

// watch waits for the first byte of the request after c, and reports whether
// there is one. It reads what nobody else reads: everything after the body of a
// request that is the last, or what is left of a body that the target did not
// want.
func (v *conversation) watch(c *call) (next bool) {
	if c.body != nil {
		<-c.body.over
	}
	usable := c.reusable()
	for {
		if _, err := v.in.Peek(1); err != nil {
			return false
		}
		if !usable {
			_, _ = v.in.Discard(v.in.Buffered()) // from the buffer: it can't fail
			continue
		}
		return true
	}
}
