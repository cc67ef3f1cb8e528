package probe

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/road"
	"sallyport/relay/session"
)

// advice is a hint in the making: what to change so that the step passes next
// time.
type advice struct {
	ID   string
	Text string
	Fix  *Fix // where one click can mend it
}

// give puts the advice on a step that failed. None is fine.
func (a *advice) give(s *Step) {
	if a != nil {
		s.HintID, s.Hint, s.Fix = a.ID, a.Text, a.Fix
	}
}

// evidence is all that is known of a failed step. Each family of hints looks
// at it and says what to change, or nothing.
type evidence struct {
	c       *connection.Connection
	step    string
	failure *proto.Error // the road's, where there was no answer
	why     session.Why  // of a refused sign-in
	// oauthError is the code by which a token endpoint refused.
	oauthError string
	verdict    verdict          // of a ping that was answered
	attempt    *session.Attempt // nil without a sign-in
	exchange   *road.Exchange   // of this step; nil or without hops where nothing was sent
	clock      func() time.Time
}

// hint is the most telling hint, or nil. The families are asked in the order
// in which a cause hides others: no road, no answer; no cookie sent, no
// success; a login page is no document.
func (e evidence) hint() *advice {
	if e.failure != nil {
		return e.roads()
	}
	if e.step == StepSignIn && e.c.Auth.Type == connection.AuthOAuth2 {
		return e.tokens()
	}
	if h := e.chain(); h != nil || !e.answered() {
		return h
	}
	for _, family := range []func() *advice{e.plainToTLS, e.detours, e.methods, e.cookies, e.bodies, e.protections, e.pages, e.statuses, e.paths, e.values} {
		if h := family(); h != nil {
			return h
		}
	}
	return nil
}

func (e evidence) answered() bool {
	return e.exchange != nil && len(e.exchange.Hops) > 0 && e.exchange.Last().Status != 0
}

// status of the answer that counts.
func (e evidence) status() int { return e.exchange.Last().Status }

func (e evidence) header() http.Header { return e.exchange.Last().Header }

// where names the machine that the requests ran on.
func (e evidence) where() string {
	if e.c.Mode == connection.OnPremise {
		return "the agent's machine"
	}
	return "the relay"
}

// method and its form field, of this step.
func (e evidence) method() (method, field string) {
	if e.step == StepSignIn {
		return e.c.Auth.Cookie.Method, "auth.cookie.method"
	}
	return e.c.Ping.Method, "ping.method"
}

func (e evidence) uriField() string {
	if e.step == StepSignIn {
		return "cookie URI"
	}
	return "ping URI"
}

// bare names a URI without its query, which may hold credentials.
func bare(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
}

func agentOffline() *advice {
	return &advice{ID: "agent-offline", Text: "Start the agent on its machine and look at “sallyport-agent status” there. If its machine is gone, install the agent on another one, or choose another agent."}
}

func relayUnreachable(e *proto.Error) *advice {
	return &advice{ID: "relay-unreachable", Text: e.Hint}
}

func agentPaused() *advice {
	return &advice{ID: "agent-paused", Text: "Ask the admin of the agent’s site: “sallyport-agent resume” on its machine lets requests through again."}
}

// skew is how far the application's clock is from ours, by its Date field.
func (e evidence) skew() (time.Duration, bool) {
	at, err := http.ParseTime(e.header().Get("Date"))
	if err != nil {
		return 0, false
	}
	return at.Sub(e.clock()), true
}

func orUnknown(s string) string {
	if strings.TrimSpace(s) == "" {
		return "unknown"
	}
	return s
}
