package outbound

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"sallyport/proto"
)

// pace cuts an exchange short whose present stage takes longer than it may. A
// request that has no such limits has none: nil, whose methods do nothing.
//
// Only who keeps others waiting is watched: an answer that nobody reads just now
// is not late.
type pace struct {
	connect, firstByte, idle limit
	cancel                   context.CancelFunc
	done                     <-chan struct{} // closed when the exchange is over
	buf                      []byte          // that read reads into; of the goroutine that reads the body

	mu      sync.Mutex // guards the following
	timer   *time.Timer
	now     *limit // of the present stage; nil: none
	since   time.Time
	reading bool // the request's body is being waited for
	over    *limit
	starved bool // it was the request's body that did not come
	stopped bool
}

// limit is one of a pace's.
type limit struct {
	name  string // see proto.TimeoutConnect
	after time.Duration
}

// newPace begins to watch; stop ends it.
func newPace(ctx context.Context, limits proto.Timeouts, cancel context.CancelFunc) *pace {
	p := &pace{
		connect:   limit{proto.TimeoutConnect, limits.Connect},
		firstByte: limit{proto.TimeoutFirstByte, limits.FirstByte},
		idle:      limit{proto.TimeoutIdle, limits.Idle},
		cancel:    cancel,
		done:      ctx.Done(),
	}
	p.timer = time.AfterFunc(time.Hour, p.expire)
	p.timer.Stop()
	return p
}

func (p *pace) connecting() {
	if p != nil {
		p.begin(&p.connect)
	}
}

// waiting begins the wait for the answer.
func (p *pace) waiting() {
	if p != nil {
		p.begin(&p.firstByte)
	}
}

// moving begins a stage in which bytes are to come or go.
func (p *pace) moving() {
	if p != nil {
		p.begin(&p.idle)
	}
}

// rest ends a stage with which no other begins.
func (p *pace) rest() {
	if p != nil {
		p.begin(nil)
	}
}

func (p *pace) begin(l *limit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return
	}
	if l == nil || l.after == 0 {
		p.now = nil
		p.timer.Stop()
		return
	}
	p.now, p.since = l, time.Now()
	p.timer.Reset(l.after)
}

// read reads the request's body, for no longer than it may be idle: net/http
// would wait for the read to return even where the exchange is over. A read that
// was given up goes on by itself until whoever gives the body closes it, who
// waits for it then.
func (p *pace) read(from io.Reader, into []byte) (int, error) {
	if p == nil || p.idle.after == 0 {
		return from.Read(into)
	}
	p.body(true)
	defer p.body(false)
	if cap(p.buf) < len(into) {
		p.buf = make([]byte, len(into))
	}
	buf, done := p.buf[:len(into)], make(chan piece, 1)
	go func() {
		n, err := from.Read(buf)
		done <- piece{n, err}
	}()
	select {
	case got := <-done:
		return copy(into, buf[:got.n]), got.err
	case <-p.done:
		p.buf = nil // it may yet be written to
		return 0, errGivenUp
	}
}

// errGivenUp: the request's body is not waited for any longer. Whoever gives it
// is not to blame.
var errGivenUp = errors.New("the exchange is over")

// piece is what a read gave.
type piece struct {
	n   int
	err error
}

// body notes that the request's body is being read, or that it has been: what
// is idle begins anew with each piece.
func (p *pace) body(reading bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reading = reading
	if p.now == &p.idle {
		p.since = time.Now()
	}
}

// expire is the timer's. It may come late, or for a stage that has passed.
func (p *pace) expire() {
	p.mu.Lock()
	if p.now == nil || p.over != nil {
		p.mu.Unlock()
		return
	}
	if left := p.now.after - time.Since(p.since); left > 0 {
		p.timer.Reset(left)
		p.mu.Unlock()
		return
	}
	p.over, p.starved = p.now, p.now == &p.idle && p.reading
	p.mu.Unlock()
	p.cancel()
}

// passed is the limit that has cut the exchange short; nil: none. starved: it
// was the request's body that did not come.
func (p *pace) passed() (l *limit, starved bool) {
	if p == nil {
		return nil, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.over, p.starved
}

// stop ends the watching.
func (p *pace) stop() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now, p.stopped = nil, true
	p.timer.Stop()
}
