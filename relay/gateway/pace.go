package gateway

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"sallyport/proto"
)

// stallAfter is how long the body of a request that has a turn may pause.
const stallAfter = time.Minute

var errStalled = errors.New("the request's body stopped coming")

// paced is the body of a caller who takes one of the turns of his connection:
// while he has it and there is no answer yet, a long pause in his body ends the
// request, since others wait.
//
// The read deadline stands only while the body is read. Once it has the whole
// request, net/http reads on by itself, and ends the context of the whole
// connection where a deadline comes in between.
type paced struct {
	io.Reader
	within   time.Duration
	deadline func(time.Time) error

	mu      sync.Mutex // guards the following
	bounded bool       // pauses count
	reading bool
	stalled bool
	over    bool // nobody is to read any more
}

// callersBody is what the caller sends, paced where he takes a turn from others.
func (p *passage) callersBody() io.Reader {
	if p.c.Requests.Limits.Concurrent == 0 {
		return p.r.Body
	}
	p.pace = &paced{Reader: p.r.Body, within: p.g.stallAfter, deadline: http.NewResponseController(p.w).SetReadDeadline}
	return p.pace
}

func (b *paced) Read(into []byte) (int, error) {
	if err := b.begin(); err != nil {
		return 0, err
	}
	n, err := b.Reader.Read(into)
	return n, b.end(err)
}

func (b *paced) begin() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.stalled:
		return errStalled
	case b.over:
		return errDetached
	}
	b.reading = true
	if b.bounded {
		b.set(time.Now().Add(b.within))
	}
	return nil
}

func (b *paced) end(err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading = false
	switch {
	case b.over || !b.bounded:
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.stalled = true // the deadline stays: nothing more is to be read of this caller
		return errStalled
	}
	b.set(time.Time{})
	return err
}

// bound lets pauses count from now on, or no more. It may be called while the
// body is read.
func (b *paced) bound(on bool) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bounded == on || b.over || b.stalled {
		return
	}
	b.bounded = on
	switch {
	case !b.reading:
	case on:
		b.set(time.Now().Add(b.within))
	default:
		b.set(time.Time{})
	}
}

// interrupt makes a read return, for good.
func (b *paced) interrupt() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
	b.set(time.Unix(1, 0))
}

func (b *paced) hasStalled() bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stalled
}

// set sets the deadline of reads; mu is held. Where the server can't do that, a
// pause lasts for as long as the caller stays.
func (b *paced) set(at time.Time) { _ = b.deadline(at) }

// bodyStalled is the failure of a request whose body paused for too long.
func (p *passage) bodyStalled(outcome proto.Outcome) *proto.Error {
	if p.tries == 0 {
		outcome = proto.OutcomeNotSent
	}
	return &proto.Error{
		Code: proto.CodeRequestTimeout, Outcome: outcome, Err: errStalled,
		Detail: fmt.Sprintf("Nothing more of the request's body came for %s. Only so many requests may be under way at once through this connection, so it was ended for others to have their turn.", p.pace.within),
		Hint:   "Send the body without long pauses: gather it first, and then send the request.",
		Facts:  map[string]string{"seconds": wholeSeconds(p.pace.within)},
	}
}
