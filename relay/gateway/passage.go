package gateway

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"go.uber.org/zap"

	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/road"
	"sallyport/relay/session"
)

// passage is one request on its way through a connection.
type passage struct {
	g         *Gateway
	w         http.ResponseWriter
	r         *http.Request
	ctx       context.Context // r's
	c         *connection.Connection
	caller    Caller
	rawPath   string
	rawQuery  string
	requestID string
	start     time.Time
	deadline  time.Time // zero: none but the caller's patience

	marks  connection.Marks // of all that is filled in, however often the request is sent
	base   *url.URL
	target *url.URL
	rt     http.RoundTripper
	held   *session.Held
	using  *session.Held // the session that is in use
	done   func()        // ends its use
	body   *replay       // nil: none
	length int64         // of the body; -1: not known
	fields string        // the body, where fields were added to it
	signIn time.Duration
	timing proto.Timing

	status int    // of the application's answer; 0: none
	code   string // of our own error; "": none

	answered time.Time // when the answer's header came

	informing informing
	key       *keyed // nil: it has no idempotency key
	lane      *lane  // nil: the connection has no limits
	hasTurn   bool
	queued    time.Duration // waiting for the turn
	tries     int
	retrying  time.Duration // from the first try to the beginning of the last

	ahead   *ahead        // nil: the body is not read before it is asked for
	pace    *paced        // nil: the caller may take his time over the body
	limit   *limitedBody  // nil: none, or none is needed
	applied string        // the preference that was heeded
	wait    time.Duration // how long the request may yet be held, where applied is set
	awaited time.Duration // before the request was begun
}

// run returns what became of the request, for the metrics: the class of the
// application's status, or the code of our own error; and whether the caller
// has got all of the answer.
func (p *passage) run() (result string, complete bool) {
	resp, err := p.answer()
	p.informing.end()
	if err != nil {
		p.fails(err)
		p.refuse(err)
		p.code = string(err.Code)
		return p.code, true
	}
	defer resp.Body.Close()
	p.key.answers(resp)
	p.status = resp.StatusCode
	result = strconv.Itoa(resp.StatusCode/100) + "xx"
	if resp.ContentLength < 0 {
		p.keep() // it may stream for hours
	} else {
		defer p.keep()
	}
	complete, failure := p.pass(resp)
	if failure != nil {
		p.fails(failure)
		p.refuse(failure)
		p.code = string(failure.Code)
		result = p.code
	}
	return result, complete
}

// answer is the application's answer, by a session that it accepts.
func (p *passage) answer() (*http.Response, *proto.Error) {
	if err := p.prepare(); err != nil {
		return nil, err
	}
	if resp, err := p.first(); resp != nil || err != nil {
		return resp, err
	}
	if err := p.prefer(); err != nil {
		return nil, err
	}
	if err := p.takeTurn(); err != nil {
		return nil, p.noTurn(err)
	}
	if err := p.timed(func(ctx context.Context) (err error) {
		p.held, err = p.g.sessions.Current(ctx, p.sessionRoad(), p.c, p.requestID)
		return err
	}); err != nil {
		return nil, err
	}
	resp, failure := p.deliver()
	if failure != nil {
		return nil, failure
	}
	why := p.ended(resp)
	if why == "" {
		p.takeCookies(resp)
		return resp, nil
	}
	return p.renewed(resp, why)
}

// renewed answers a request whose first answer says that the session has
// ended: one sign-in, one replay. The answer's own cookies are passed over,
// since they belong to nobody's session.
func (p *passage) renewed(first *http.Response, why string) (*http.Response, *proto.Error) {
	status, request := first.StatusCode, p.r.Method+" "+p.target.EscapedPath()
	if !p.held.Renewable(status, request) {
		return p.unaccepted(first, "The application does not accept the session, although it was signed in just now.")
	}
	// Asked before the sign-in, so that the body is kept no longer than needed.
	again := p.body.rewind()
	err := p.timed(func(ctx context.Context) error {
		fresh, err := p.g.sessions.Renew(ctx, p.rt, p.c, p.held, p.requestID, why)
		if err == nil {
			p.held = fresh
		}
		return err
	})
	if err != nil {
		if err.Facts[session.FactWhy] == session.WhyTooOften && status/100 != 3 {
			return first, nil // the application's own word says more
		}
		discard(first)
		err.Outcome = proto.OutcomeSent
		return nil, err
	}
	if !again {
		return p.unaccepted(first, "The session had ended. A new one has been signed in, but the body of this request is too long to be sent again.")
	}
	discard(first)
	resp, failure := p.deliver()
	if failure != nil {
		return nil, failure
	}
	if p.ended(resp) != "" {
		p.held.Unaccepted(resp.StatusCode, request)
		return p.unaccepted(resp, "The application does not accept the session, although it was signed in just now.")
	}
	p.takeCookies(resp)
	return resp, nil
}

// unaccepted is the answer where the session has ended and nothing more can be
// done: a status such as 401 speaks for itself, a redirect to a sign-in page does not.
func (p *passage) unaccepted(resp *http.Response, detail string) (*http.Response, *proto.Error) {
	if resp.StatusCode/100 != 3 {
		return resp, nil
	}
	discard(resp)
	return nil, &proto.Error{
		Code: proto.CodeSessionEnded, Outcome: proto.OutcomeSent,
		Detail: detail + " It answered " + strconv.Itoa(resp.StatusCode) + " and redirected to its sign-in page.",
		Hint:   "Send the request again. Where that does not help, test the connection: the session's cookie may not be sent to this path.",
	}
}

// use notes that the request uses a session, in the place of one before.
func (p *passage) use(h *session.Held) {
	if p.using == h {
		return
	}
	if p.done != nil {
		p.done()
	}
	p.using, p.done = h, nil
	if h != nil {
		p.done = h.Use()
	}
}

// signedIn is the connection with the values that its session has.
func (p *passage) signedIn() *connection.Connection { return p.held.Connection(p.c) }

// prepare checks the request and finds its target and road.
func (p *passage) prepare() *proto.Error {
	if err := sendable(p.r); err != nil {
		return err
	}
	if err := p.takeKey(); err != nil {
		return err
	}
	var err error
	if p.base, err = connection.ParseBase(p.c.BaseURI); err != nil {
		return invalid("The connection's base URI " + err.Error() + ".")
	}
	if p.target, err = connection.JoinPath(p.base, p.rawPath, p.rawQuery); err != nil {
		return invalid("The path or query " + err.Error() + ".")
	}
	if total := p.c.Requests.Timeouts.Total(); total > 0 {
		p.deadline = p.start.Add(total)
	}
	p.rt, p.length = p.g.roads.For(p.c), p.r.ContentLength
	if p.addsFields() {
		return p.withFields()
	}
	if p.r.ContentLength != 0 && p.r.Body != nil && p.r.Body != http.NoBody {
		keep := (p.c.Auth.Type.Repeats() || p.c.Requests.Retry.Any()) && p.r.ContentLength <= replayLimit
		body, large := p.limited()
		if large != nil {
			return large
		}
		if _, waits := p.rt.(road.Patient); (waits || p.c.Requests.Limits.Any()) && p.r.Header["Expect"] == nil {
			p.ahead = newAhead(body)
			body = p.ahead
		}
		p.body = newReplay(body, keep)
	}
	return nil
}

// timed runs a part that may sign in, and counts its time as that.
func (p *passage) timed(part func(context.Context) error) *proto.Error {
	start, awaited := time.Now(), p.awaited
	ctx := p.ctx
	if !p.deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, p.deadline)
		defer cancel()
	}
	err := part(ctx)
	p.signIn += time.Since(start) - (p.awaited - awaited)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil && p.ctx.Err() == nil:
		return p.outOfTime("sign-in", "while the session was waited for")
	}
	return p.failure(err)
}

// send sends the request once, by the session held.
func (p *passage) send() (*http.Response, *proto.Error) {
	p.tries++
	if p.tries == 1 {
		p.informing.Context, p.informing.p = p.ctx, p
	}
	if p.tries == 1 && p.body != nil {
		// Otherwise net/http reads the body to its end before it lets us
		// answer. Where the server can't do it (HTTP/2 does it by itself), the
		// answer waits, and that is all. Not before: who answers without
		// having sent leaves it to net/http to read a short body.
		_ = http.NewResponseController(p.w).EnableFullDuplex()
	}
	p.use(p.held)
	p.pace.bound(true)
	req, err := p.request()
	if err != nil {
		return nil, p.failure(err)
	}
	resp, err := p.rt.RoundTrip(req)
	if err != nil {
		failure := p.failure(err)
		if failure.Timing != nil {
			p.timing = *failure.Timing
		}
		return nil, failure
	}
	p.answered = time.Now()
	p.pace.bound(false) // a stream in both directions may pause
	// An agent's timing that can't be read is no reason to lose the answer.
	p.timing, _ = proto.ParseTiming(resp.Header.Get(proto.HeaderTiming))
	if resp.StatusCode == http.StatusSwitchingProtocols {
		discard(resp)
		return nil, &proto.Error{
			Code: proto.CodeTargetUnreachable, Reason: proto.ReasonNotHTTP, Outcome: proto.OutcomeSent,
			Detail: "The application switched to another protocol, which it was not asked for.",
		}
	}
	return resp, nil
}

func (p *passage) failure(err error) *proto.Error {
	failure := road.Failure(p.ctx, err)
	if p.limit != nil && p.limit.over.Load() {
		timing := failure.Timing
		failure = p.tooLarge(failure.Outcome) // whatever it broke on the way
		failure.Timing = timing
	}
	if p.pace.hasStalled() { // with HTTP/1, p.ctx has ended by that
		timing := failure.Timing
		failure = p.bodyStalled(failure.Outcome)
		failure.Timing = timing
		return failure
	}
	if p.ctx.Err() != nil {
		failure.Code = proto.CodeCanceled // whatever broke then, nobody waits for it
	}
	if failure.Code == proto.CodeTargetTimeout {
		p.nameTimeout(failure)
	}
	return failure
}

// closeUnread announces that the caller's connection ends with this answer,
// where the answer comes before the end of his request: what is left of it must
// not be taken for his next request.
func (p *passage) closeUnread() {
	if p.r.ProtoMajor == 1 && (p.body.unread() || p.pace.hasStalled() || p.body == nil && p.r.ContentLength != 0) {
		p.w.Header().Set("Connection", "close")
	}
}

// interrupt makes a read of the caller's body return. An answer has gone out
// before the body's end, and with it that the connection closes.
func (p *passage) interrupt() {
	if p.pace != nil {
		p.pace.interrupt()
		return
	}
	// Where it can't be done, the read ends when the caller sends on or leaves.
	_ = http.NewResponseController(p.w).SetReadDeadline(time.Unix(1, 0))
}

// takeCookies takes what an accepted answer says of the session.
func (p *passage) takeCookies(resp *http.Response) {
	if resp.StatusCode < 400 {
		p.held.Follow(p.c, resp.Header)
	}
	if lines := resp.Header["Set-Cookie"]; len(lines) > 0 {
		p.held.Jar.SetCookies(p.target, lines)
	}
}

// keep notes that the session was used.
func (p *passage) keep() {
	if p.held == nil {
		return // it was not sent now
	}
	if err := p.g.sessions.Store(p.ctx, p.held); err != nil {
		p.g.log.Warn("session can't be stored", zap.String("connection", p.c.ID),
			zap.String("request_id", p.requestID), zap.Error(err))
	}
}

func invalid(detail string) *proto.Error {
	return &proto.Error{Code: proto.CodeValidation, Detail: detail, Outcome: proto.OutcomeNotSent}
}

// discard ends an answer that is not passed on, read as far as lets the
// connection below be used again.
func discard(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, replayLimit)
	_ = resp.Body.Close()
}
