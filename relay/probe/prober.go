package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/hub"
	"sallyport/relay/road"
	"sallyport/relay/session"
)

// Roads finds the road of a connection. *road.Roads implements it.
type Roads interface {
	For(c *connection.Connection) http.RoundTripper
}

// Sessions signs in, and has the sessions that there are. *session.Keeper
// implements it.
type Sessions interface {
	Current(ctx context.Context, rt http.RoundTripper, c *connection.Connection, requestID string) (*session.Held, error)
	Renew(ctx context.Context, rt http.RoundTripper, c *connection.Connection, stale *session.Held, requestID, reason string) (*session.Held, error)
	Keep(ctx context.Context, h *session.Held) error
	SignIn(ctx context.Context, rt http.RoundTripper, c *connection.Connection, requestID, reason string) (*session.Attempt, error)
	// Discard ends the session of a connection that is not on file.
	Discard(c *connection.Connection, a *session.Attempt)
}

// Presence knows which machines of an agent are connected. *hub.Hub
// implements it.
type Presence interface {
	Instances(agentID string) []hub.Instance
}

// Options of a Prober. Roads, Sessions and Presence are required.
type Options struct {
	Roads    Roads
	Sessions Sessions
	Presence Presence
	Clock    func() time.Time
	Log      *zap.Logger
}

// Prober tests connections. It keeps nothing between tests and is safe for
// concurrent use.
type Prober struct {
	roads    Roads
	sessions Sessions
	presence Presence
	clock    func() time.Time
	log      *zap.Logger
}

// New returns a Prober.
func New(o Options) *Prober {
	p := &Prober{roads: o.Roads, sessions: o.Sessions, presence: o.Presence, clock: o.Clock, log: o.Log}
	if p.clock == nil {
		p.clock = time.Now
	}
	if p.log == nil {
		p.log = zap.NewNop()
	}
	return p
}

// testWait is how long a request of a test may be held where the agent has gone
// after its step: whoever presses Test wants to be told.
const testWait = 2 * time.Second

// pingTimeout bounds one ping, redirects included.
const pingTimeout = 30 * time.Second

// Run tests a connection: agent, sign-in, ping, each only if all before it
// went well. onStep, which may be nil, is told of each step as it begins
// (Running) and as it ends, one call at a time, from this goroutine.
//
// The test signs in afresh even if there is a session. All that the Result
// holds may be shown: secrets and cookies are masked.
func (p *Prober) Run(ctx context.Context, c *connection.Connection, requestID string, onStep func(Step)) Result {
	if onStep == nil {
		onStep = func(Step) {}
	}
	r := &run{Prober: p, c: c, requestID: requestID, onStep: onStep, began: p.clock(), mask: newMask(c), rt: road.Hasty(p.roads.For(c), testWait)}
	r.result.OK = true
	r.result.Warnings = connection.Warnings(c.Spec)
	r.step(StepAgent, func(s *Step) { r.agent(ctx, s) })
	r.step(StepSignIn, func(s *Step) { r.signIn(ctx, s) })
	r.step(StepPing, func(s *Step) { r.ping(ctx, s) })
	p.sessions.Discard(c, r.attempt)
	r.result.DurationMs = milliseconds(p.clock().Sub(r.began))
	p.log.Info("connection tested", zap.String("connection", c.ID), zap.String("request_id", requestID),
		zap.Bool("ok", r.result.OK), zap.String("failed_step", r.failed), zap.Float64("duration_ms", r.result.DurationMs))
	return r.result
}

// run is one test under way.
type run struct {
	*Prober
	c         *connection.Connection
	requestID string
	onStep    func(Step)
	began     time.Time
	mask      *mask
	rt        http.RoundTripper

	result  Result
	failed  string           // the step that failed, or ""
	attempt *session.Attempt // of the sign-in, once made
}

// step runs one step, or skips it because an earlier one failed.
func (r *run) step(name string, do func(*Step)) {
	start := r.clock()
	s := Step{Name: name, StartMs: milliseconds(start.Sub(r.began))}
	switch message := r.needless(name); {
	case r.failed != "":
		s.Status, s.Message = Skipped, "Skipped, because the "+r.failed+" step failed."
	case message != "":
		s.Status, s.Message = Skipped, message
	default:
		s.Status = Running
		s.Message = runningMessage(name)
		r.onStep(s)
		do(&s)
		s.DurationMs = milliseconds(r.clock().Sub(start))
	}
	s.Message = r.mask.text(s.Message)
	s.Hint = r.mask.text(s.Hint)
	if s.Status == Failed {
		r.failed, r.result.OK = name, false
	}
	r.result.Steps = append(r.result.Steps, s)
	r.onStep(s)
}

// needless says why a step is not part of this connection's test, or nothing.
func (r *run) needless(name string) string {
	switch name {
	case StepAgent:
		if r.c.Mode != connection.OnPremise {
			return "Not needed: in cloud mode, requests run from the relay."
		}
	case StepSignIn:
		if !r.c.Auth.Type.SignsIn() {
			return noSignIn(r.c.Auth.Type)
		}
	case StepPing:
		if r.c.Ping.URI == "" && r.c.Auth.Type.SignsIn() {
			return "There is no ping URI, so the sign-in alone was tested."
		}
	}
	return ""
}

// noSignIn says why a type has no sign-in to test.
func noSignIn(t connection.AuthType) string {
	if t == connection.AuthNone {
		return "Not needed: the authentication type is none."
	}
	return "There is no sign-in: the credentials go with each request, so the ping shows whether they are right."
}

func runningMessage(name string) string {
	switch name {
	case StepAgent:
		return "Looking for the agent…"
	case StepSignIn:
		return "Signing in…"
	default:
		return "Sending the ping…"
	}
}

// agent tells whether and where the agent is online.
func (r *run) agent(ctx context.Context, s *Step) {
	machines := r.presence.Instances(r.c.AgentID)
	if len(machines) == 0 {
		s.Status, s.Code = Failed, string(proto.CodeAgentOffline)
		s.Message = "The agent is offline: none of its machines is connected to the relay."
		hint := agentOffline()
		if e := r.beyond(ctx); e != nil {
			s.Message, hint = e.Detail, relayUnreachable(e)
		}
		hint.give(s)
		return
	}
	if paused := allPaused(machines); paused != nil {
		s.Status, s.Code = Failed, string(proto.CodeAgentPaused)
		s.Message = paused.Failure("The agent").Detail
		agentPaused().give(s)
		return
	}
	names := make([]string, 0, len(machines))
	for _, m := range machines {
		name := cmp.Or(m.Hostname, m.ID)
		if off := m.ClockOffset; off.Abs() > time.Minute {
			r.warn(fmt.Sprintf("The clock of the agent's machine %s is %s the relay's by %s. Set it right: certificates and cookies are judged by it.", name, aheadOrBehind(off), off.Abs().Round(time.Second)))
		}
		if m.Latency > 0 {
			name += fmt.Sprintf(" (%s)", latency(m.Latency))
		}
		names = append(names, name)
	}
	s.Status = OK
	if len(names) == 1 {
		s.Message = "The agent is online on " + names[0] + "."
	} else {
		s.Message = fmt.Sprintf("The agent is online on %d machines: %s.", len(names), strings.Join(names, ", "))
	}
}

// beyond is the failure of a request whose agent is connected to another relay,
// which this one can't reach; nil: as far as is known it is to none.
func (r *run) beyond(ctx context.Context) *proto.Error {
	patient, ok := r.roads.For(r.c).(road.Patient)
	if !ok {
		return nil
	}
	_, err := patient.Await(ctx, 0)
	if e := proto.AsError(err); e != nil && e.Reason == hub.ReasonRelayUnreachable {
		return e
	}
	return nil
}

// allPaused is what the site says of its pause, where it has paused every
// machine that is connected; nil: it has not.
func allPaused(machines []hub.Instance) *proto.Paused {
	for _, m := range machines {
		if m.Paused == nil {
			return nil
		}
	}
	return machines[0].Paused
}

func latency(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}

// signIn makes a session.
func (r *run) signIn(ctx context.Context, s *Step) {
	attempt, err := r.sessions.SignIn(ctx, r.rt, r.c, r.requestID, "the connection was tested")
	r.attempt = attempt
	e := evidence{c: r.c, step: StepSignIn, attempt: attempt, clock: r.clock}
	if attempt != nil {
		e.exchange = attempt.Exchange
		for _, token := range attempt.Secrets() {
			r.mask.add(token, "TOKEN")
		}
		r.mask.chain(s, attempt) // first, so that what it brought bears its own name in commands
		r.mask.learn(attempt.Exchange)
		r.mask.show(s, attempt.Exchange)
		s.Curl = r.mask.signInCommand(r.c, attempt)
	}
	var refused *session.Failed
	switch {
	case err == nil:
		s.Status, s.Message = OK, r.signedIn(attempt)
		r.result.Session = &SessionInfo{ID: attempt.Session.ID}
		for _, cookie := range slices.Concat(attempt.Unwelcome(), attempt.Unused) {
			r.warn(cookie.Explanation)
		}
		return
	case errors.As(err, &refused):
		e.why, e.oauthError = refused.Why, refused.OAuthError
		s.Code, s.Message = string(proto.CodeSignInFailed), refused.Detail
		if refused.Why == session.NeedsPerson {
			s.Code = string(proto.CodeSignInNeeded)
		}
	default:
		e.failure = road.Failure(ctx, err)
		s.Code, s.Message = string(e.failure.Code), e.failure.Detail
	}
	s.Status = Failed
	e.hint().give(s)
}

// signedIn tells what the session is made of; a cookie's name is no secret.
func (r *run) signedIn(a *session.Attempt) string {
	if a.Token != nil {
		return tokenMessage(a)
	}
	names := cookieNames(a.Exchange)
	what := "a cookie"
	switch {
	case len(names) == 1:
		what = "the cookie " + names[0]
	case len(names) > 1:
		what = fmt.Sprintf("%d cookies (%s)", len(names), strings.Join(names, ", "))
	}
	if len(names) == 0 && len(a.Values) > 0 {
		return fmt.Sprintf("%sThe application answered %s and gave %s.", gave(a), statusText(a.Exchange.Last().Status), named(a.Values))
	}
	return fmt.Sprintf("%sThe application answered %s and set %s.", gave(a), statusText(a.Exchange.Last().Status), what)
}

// ping sends the ping and judges its answer.
func (r *run) ping(ctx context.Context, s *Step) {
	if r.c.Ping.URI == "" {
		s.Status, s.Message = Failed, "There is nothing to test: the connection has neither a sign-in nor a ping URI."
		(&advice{ID: "nothing-to-test", Text: "Enter a ping URI: a resource that the application answers with 2xx when all is well, such as /me."}).give(s)
		return
	}
	marks, c := &connection.Marks{}, r.c
	if r.attempt != nil {
		c = r.attempt.Connection(c)
	}
	u, err := c.URL(r.c.Ping.URI, marks)
	if err != nil {
		s.Status, s.Code, s.Message = Failed, string(proto.CodeValidation), "The ping URI can't be used: "+phrase(err)+"."
		return
	}
	request := road.Request{Method: r.c.Ping.Method, URL: u, Marks: marks, FollowRedirects: true, RequestID: r.requestID, Timeout: pingTimeout}
	if request.Method == http.MethodPost || request.Method == http.MethodPut {
		request.Body = r.c.Ping.Body
	}
	if r.attempt != nil && r.attempt.Jar != nil {
		request.Jar = r.attempt.Jar
	}
	stranger := r.sendStranger(ctx)
	defer stranger.end()
	exchange, err := road.Send(ctx, r.rt, c, request)
	r.mask.learn(exchange)
	r.mask.show(s, exchange)
	s.Curl = r.mask.command(r.c, StepPing, exchange)
	e := evidence{c: r.c, step: StepPing, attempt: r.attempt, exchange: exchange, clock: r.clock}
	if err != nil {
		e.failure = road.Failure(ctx, err)
		s.Status, s.Code, s.Message = Failed, string(e.failure.Code), e.failure.Detail
		e.hint().give(s)
		return
	}
	last := exchange.Last()
	e.verdict = judge(r.c.Ping, r.c.MediaType, answer{
		method: last.Method, status: last.Status, header: last.Header, body: exchange.Body, truncated: exchange.Truncated,
	})
	s.Message = e.verdict.message
	r.propose(s, e)
	if e.verdict.ok {
		s.Status = OK
		if hint := e.pages(); hint != nil {
			// Without a success path a login page passes as an answer. Say so.
			r.warn(hint.Text)
		} else {
			r.learn(stranger)
		}
		return
	}
	s.Status = Failed
	h := e.hint()
	if nearby := r.siblings(ctx, e); nearby != nil {
		h = nearby
	}
	h.give(s)
}

func (r *run) warn(text string) {
	r.result.Warnings = append(r.result.Warnings, r.mask.text(text))
}
