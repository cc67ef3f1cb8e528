package probe

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/road"
	"sallyport/relay/session"
)

// Check is what a ping of a saved connection found that nobody asked for: with
// the session that is there, as a request through the connection would. All of
// it may be shown.
type Check struct {
	OK bool
	// Nothing: there was nothing to ask; the connection has no ping URI.
	Nothing bool
	Step    string     // that failed, as in a test
	Code    proto.Code // where it failed for want of an answer
	Message string     // one sentence
	Latency time.Duration
	// Answer is what the application answered the ping; nil: it did not.
	Answer *Answer
	// Certificate that the application showed; nil: none, or an older agent.
	Certificate *proto.Certificate
	// NextSignIn is before when no sign-in is tried again, after failed ones.
	NextSignIn time.Time
}

// Answer is the outward form of an answer.
type Answer struct {
	Status      int    `json:"status"`
	ContentType string `json:"contentType,omitempty"`
	Shape       *Shape `json:"shape,omitempty"` // nil: neither JSON nor XML, or cut
}

// checkWait is how long a check may wait for an agent that blinks: nobody is
// there to be told at once.
const checkWait = 10 * time.Second

// Check pings a connection with its stored session. It signs in only where
// there is none, or the application says that it has ended, and never while the
// Keeper waits after failed sign-ins.
func (p *Prober) Check(ctx context.Context, c *connection.Connection, requestID string) Check {
	k := &checking{Prober: p, c: c, requestID: requestID, rt: road.Hasty(showingCertificate{p.roads.For(c)}, checkWait), mask: newMask(c)}
	found := k.run(ctx)
	found.Message = k.mask.text(found.Message)
	return found
}

// checking is one Check under way.
type checking struct {
	*Prober
	c         *connection.Connection
	requestID string
	rt        http.RoundTripper
	mask      *mask
}

func (k *checking) run(ctx context.Context) Check {
	if k.c.Ping.URI == "" {
		return Check{Nothing: true, Message: "There is no ping URI, so there is nothing to ask the application."}
	}
	if k.c.Mode == connection.OnPremise {
		if away := k.away(); away != nil {
			return *away
		}
	}
	held, err := k.sessions.Current(ctx, k.rt, k.c, k.requestID)
	if err != nil {
		return k.signInFailed(ctx, err)
	}
	found, status, why := k.ping(ctx, held)
	request := k.c.Ping.Method + " " + k.c.Ping.URI
	if why == "" || !held.Renewable(status, request) {
		return found
	}
	fresh, err := k.sessions.Renew(ctx, k.rt, k.c, held, k.requestID, why)
	if e := proto.AsError(err); e != nil && e.Facts[session.FactWhy] == session.WhyTooOften {
		return found // the application's own word says more
	}
	if err != nil {
		return k.signInFailed(ctx, err)
	}
	if found, status, why = k.ping(ctx, fresh); why != "" {
		fresh.Unaccepted(status, request)
	}
	return found
}

// away is what is found without asking anybody: the agent is offline or paused.
func (k *checking) away() *Check {
	machines := k.presence.Instances(k.c.AgentID)
	if len(machines) == 0 {
		return &Check{Step: StepAgent, Code: proto.CodeAgentOffline, Message: "The agent is offline: none of its machines is connected to the relay."}
	}
	if paused := allPaused(machines); paused != nil {
		return &Check{Step: StepAgent, Code: proto.CodeAgentPaused, Message: paused.Failure("The agent").Detail}
	}
	return nil
}

// signInFailed is what is found where there is no session to ping with.
func (k *checking) signInFailed(ctx context.Context, err error) Check {
	failure := road.Failure(ctx, err)
	found := Check{Step: stepOf(failure.Code, StepSignIn), Code: failure.Code, Message: failure.Detail}
	if at, err := time.Parse(time.RFC3339, failure.Facts[session.FactNextTry]); err == nil {
		found.NextSignIn = at
	}
	return found
}

// stepOf is the step that a failure belongs to: what lies at the agent is told
// of at whatever step.
func stepOf(code proto.Code, step string) string {
	switch code {
	case proto.CodeAgentOffline, proto.CodeAgentPaused, proto.CodeTunnelLost:
		return StepAgent
	}
	return step
}

// ping sends the ping with a session and judges its answer. why says why it means
// that the session has ended, and status by which of the answers.
func (k *checking) ping(ctx context.Context, held *session.Held) (found Check, status int, why string) {
	defer held.Use()()
	exchange, found := k.send(ctx, held)
	if exchange == nil {
		return found, 0, ""
	}
	for _, hop := range exchange.Hops {
		if why := held.Ended(k.c, hop.URL, hop.Status, hop.Header.Get("Location")); why != "" {
			return found, hop.Status, why
		}
	}
	if len(exchange.Hops) > 0 {
		held.Follow(k.c, exchange.Last().Header)
	}
	if err := k.sessions.Keep(ctx, held); err != nil && !errors.Is(err, context.Canceled) {
		k.log.Warn("session can't be stored", zap.String("connection", k.c.ID), zap.Error(err))
	}
	return found, 0, ""
}

func (k *checking) send(ctx context.Context, held *session.Held) (*road.Exchange, Check) {
	c, marks := held.Connection(k.c), &connection.Marks{}
	u, err := c.URL(c.Ping.URI, marks)
	if err != nil {
		return nil, Check{Step: StepPing, Code: proto.CodeValidation, Message: "The ping URI can't be used: " + phrase(err) + "."}
	}
	request := road.Request{Method: c.Ping.Method, URL: u, Marks: marks, Jar: held.Jar, FollowRedirects: true, RequestID: k.requestID, Timeout: pingTimeout}
	if request.Method == http.MethodPost || request.Method == http.MethodPut {
		request.Body = c.Ping.Body
	}
	exchange, err := road.Send(ctx, k.rt, c, request)
	k.mask.learn(exchange)
	found := Check{Certificate: certificateOf(exchange)}
	for _, hop := range exchange.Hops {
		if _, credential, ok := strings.Cut(hop.RequestHeader.Get("Authorization"), " "); ok && len(credential) >= minCookieLength {
			k.mask.add(credential, "TOKEN") // some applications answer with it
		}
		found.Latency += hop.Duration
	}
	if err != nil {
		failure := road.Failure(ctx, err)
		found.Step, found.Code, found.Message = stepOf(failure.Code, StepPing), failure.Code, failure.Detail
		return exchange, found
	}
	found.judge(c, exchange)
	return exchange, found
}

// judge takes in the answer to the ping.
func (found *Check) judge(c *connection.Connection, exchange *road.Exchange) {
	last := exchange.Last()
	v := judge(c.Ping, c.MediaType, answer{
		method: last.Method, status: last.Status, header: last.Header, body: exchange.Body, truncated: exchange.Truncated,
	})
	found.OK, found.Message = v.ok, v.message
	if !v.ok {
		found.Step = StepPing
	}
	contentType := last.Header.Get("Content-Type")
	found.Answer = &Answer{Status: last.Status, ContentType: mediaTypeOf(contentType)}
	if doc, err := readDocument(contentType, c.MediaType, exchange.Body, exchange.Truncated); err == nil {
		found.Answer.Shape = shapeOf(doc)
	}
}

// mediaTypeOf is the field without its parameters.
func mediaTypeOf(contentType string) string {
	name, _, _ := strings.Cut(contentType, ";")
	return clipped(strings.ToLower(strings.TrimSpace(name)), 100)
}

// certificateOf is that of the last hop that told of one.
func certificateOf(e *road.Exchange) *proto.Certificate {
	for i := len(e.Hops) - 1; i >= 0; i-- {
		if c := e.Hops[i].Timing.Certificate; c != nil {
			return c
		}
	}
	return nil
}

// showingCertificate is a road whose answers tell of the target's certificate.
type showingCertificate struct{ http.RoundTripper }

func (s showingCertificate) RoundTrip(req *http.Request) (*http.Response, error) {
	asked := req.Clone(req.Context())
	asked.Header[proto.HeaderCertificate] = []string{"1"}
	return s.RoundTripper.RoundTrip(asked)
}
