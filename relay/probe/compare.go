package probe

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/road"
)

// Place is one from which an application may be reached: the cloud, or an agent.
type Place struct {
	Mode    connection.Mode `json:"mode" enum:"cloud,on-premise"`
	AgentID string          `json:"agentId,omitempty"`
	Name    string          `json:"name" doc:"The agent's name, or Cloud."`
}

// Reach is how an application is reached from one place.
type Reach struct {
	Place
	Status     Status  `json:"status" enum:"running,ok,failed,skipped" doc:"ok: the application answered, and with signIn the whole test passed."`
	Reached    bool    `json:"reached" doc:"Whether the application answered, with whatever status."`
	HTTPStatus int     `json:"httpStatus,omitempty" doc:"Of the answer to the request without a sign-in."`
	Server     string  `json:"server,omitempty" doc:"What the answer's Server field says: one address may be another machine at another site."`
	LatencyMs  float64 `json:"latencyMs,omitempty" doc:"How long that answer took."`
	FailedStep string  `json:"failedStep,omitempty" doc:"The step that failed: agent, reach, sign-in or ping."`
	Code       string  `json:"code,omitempty"`
	Message    string  `json:"message" doc:"One plain sentence."`
	Hint       string  `json:"hint,omitempty"`
}

// stepReach is the request by which Compare finds out whether an application
// is there at all.
const stepReach = "reach"

// Comparison is a finished comparison, its places in the order in which they
// were given.
type Comparison struct {
	Places     []Reach `json:"places"`
	DurationMs float64 `json:"durationMs"`
}

const (
	// MaxPlaces is how many places are compared at most.
	MaxPlaces = 50
	// reachersAtOnce bounds how many are asked at the same time: each is a
	// request through another tunnel.
	reachersAtOnce = 8
	// reachTimeout is how long one place has for its answer.
	reachTimeout = 10 * time.Second
)

// Compare finds out from which places an application can be reached. c is not
// saved, or is a copy without its id: its session stays as it is.
//
// From each place one GET is sent that holds nothing of the connection but its
// address: no headers, no cookies, no secrets, since at another site the same
// address may be somebody else's machine. Where signIn is asked for, the whole
// test follows at the places that the application answered, one after another,
// and ends with the first that refuses the sign-in: the same wrong password sent
// from everywhere would lock the account.
//
// onReach, which may be nil, is told of each place as it begins and as it ends,
// one call at a time.
func (p *Prober) Compare(ctx context.Context, c *connection.Connection, places []Place, signIn bool, requestID string, onReach func(int, Reach)) Comparison {
	began := p.clock()
	places = places[:min(len(places), MaxPlaces)]
	cmp := &comparison{Prober: p, c: c, requestID: requestID, onReach: onReach, reaches: make([]Reach, len(places))}
	slots := make(chan struct{}, reachersAtOnce)
	var all sync.WaitGroup
	for i, place := range places {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			cmp.tell(i, Reach{Place: place, Status: Running, Message: "Asking for the application…"})
			cmp.tell(i, cmp.reach(ctx, place))
		})
	}
	all.Wait()
	if signIn && c.Auth.Type != connection.AuthNone {
		cmp.signIns(ctx)
	}
	p.log.Info("connection compared", zap.String("request_id", requestID), zap.Int("places", len(places)), zap.Bool("sign_in", signIn))
	return Comparison{Places: cmp.reaches, DurationMs: milliseconds(p.clock().Sub(began))}
}

// comparison is one under way.
type comparison struct {
	*Prober
	c         *connection.Connection
	requestID string
	onReach   func(int, Reach)

	mu      sync.Mutex // guards the following, and calls of onReach
	reaches []Reach
}

func (c *comparison) tell(i int, r Reach) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reaches[i] = r
	if c.onReach != nil {
		c.onReach(i, r)
	}
}

// at is the connection as it would be from a place.
func (c *comparison) at(place Place) *connection.Connection {
	moved := *c.c
	moved.ID, moved.Mode, moved.AgentID = "", place.Mode, place.AgentID
	return &moved
}

// reach asks for the application from one place.
func (c *comparison) reach(ctx context.Context, place Place) Reach {
	r := Reach{Place: place, Status: Failed}
	if place.Mode == connection.OnPremise {
		var s Step
		at := &run{Prober: c.Prober, c: c.at(place)}
		if at.agent(ctx, &s); s.Status == Failed {
			r.FailedStep, r.Code, r.Message, r.Hint = StepAgent, s.Code, s.Message, s.Hint
			return r
		}
	}
	bare := &connection.Connection{WorkspaceID: c.c.WorkspaceID, Spec: connection.Spec{
		Mode: place.Mode, AgentID: place.AgentID, BaseURI: c.c.BaseURI, MediaType: c.c.MediaType, Auth: connection.Auth{Type: connection.AuthNone}}}
	uri := c.c.Ping.URI
	if strings.Contains(uri, "{{") {
		uri, _, _ = strings.Cut(uri, "?")
	}
	if strings.Contains(uri, "{{") {
		uri = ""
	}
	u, err := bare.URL(uri, nil)
	if err != nil {
		r.FailedStep, r.Code, r.Message = stepReach, string(proto.CodeValidation), "The address can't be used: "+phrase(err)+"."
		return r
	}
	start := time.Now()
	exchange, err := road.Send(ctx, road.Hasty(c.roads.For(bare), testWait), bare, road.Request{Method: http.MethodGet, URL: u, RequestID: c.requestID, Timeout: reachTimeout})
	if err != nil && len(exchange.Hops) > 0 && exchange.Last().Status != 0 {
		err = nil // the body broke off, but it answered
	}
	if err != nil {
		e := evidence{c: bare, step: StepPing, exchange: exchange, failure: road.Failure(ctx, err), clock: c.clock}
		r.FailedStep, r.Code, r.Message = stepReach, string(e.failure.Code), e.failure.Detail
		if h := e.hint(); h != nil {
			r.Hint = h.Text
		}
		return r
	}
	last := exchange.Last()
	r.Status, r.Reached, r.HTTPStatus = OK, true, last.Status
	r.LatencyMs = milliseconds(time.Since(start))
	r.Server = shorten(strings.Map(printableRune, last.Header.Get("Server")), 60)
	r.Message = fmt.Sprintf("The application answered %s without a sign-in.", statusText(last.Status))
	return r
}

func printableRune(c rune) rune {
	if c < ' ' || c == 0x7f {
		return -1
	}
	return c
}

// signIns runs the whole test from each place that the application answered.
func (c *comparison) signIns(ctx context.Context) {
	secrets := c.c.Spec
	secrets.Mode = connection.OnPremise
	needsAgent := len(connection.AgentSecrets(secrets)) > 0
	refusedAt := ""
	for i, r := range c.reaches {
		switch {
		case !r.Reached:
			continue
		case refusedAt != "":
			r.Status, r.FailedStep = Skipped, ""
			r.Message = fmt.Sprintf("It is reached; signing in was left out, since the application refused it from %s. The same again from here could lock the account.", refusedAt)
		case needsAgent && r.Mode == connection.Cloud:
			r.Status = Skipped
			r.Message = "It is reached; the connection uses secrets of the agent, which the cloud does not have."
		default:
			running := r
			running.Status, running.Message = Running, "Testing, with the sign-in…"
			c.tell(i, running)
			result := c.Run(ctx, c.at(r.Place), c.requestID, nil)
			if r = r.tested(result); refused(result) {
				refusedAt = r.Name
			}
		}
		c.tell(i, r)
	}
}

// refused reports whether the application did not accept the credentials: at a
// sign-in, or with the ping where they go with each request.
func refused(result Result) bool {
	for _, s := range result.Steps {
		if s.Status == Failed {
			return s.Code == string(proto.CodeSignInFailed) || s.Name == StepPing && s.Response != nil && s.Response.Status == http.StatusUnauthorized
		}
	}
	return false
}

// tested is r after the whole test.
func (r Reach) tested(result Result) Reach {
	r.Status = OK
	for _, s := range result.Steps {
		switch s.Status {
		case Failed:
			r.Status, r.FailedStep, r.Code, r.Message, r.Hint = Failed, s.Name, s.Code, s.Message, s.Hint
			return r
		case OK:
			r.Message = s.Message
		}
	}
	return r
}
