package probe

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"sallyport/internal/outbound"
	"sallyport/relay/connection"
	"sallyport/relay/event"
	"sallyport/relay/hub"
	"sallyport/relay/road"
)

func statuses(r Result) (all []string) {
	for _, s := range r.Steps {
		all = append(all, s.Name+" "+string(s.Status))
	}
	return all
}

func TestAGoodConnectionPassesEveryStep(t *testing.T) {
	s := newSite(t, outbound.Options{})
	s.machines = []hub.Instance{{ID: "ins_1", Hostname: "plc-7", Latency: 34 * time.Millisecond}}
	c := to(serve(t, workingApp()))
	c.Mode, c.AgentID = connection.OnPremise, "agt_1"
	r := s.test(c)
	if diff := cmp.Diff([]string{"agent ok", "sign-in ok", "ping ok"}, statuses(r)); diff != "" || !r.OK {
		t.Fatalf("%s\n%+v", diff, r)
	}
	if r.Session == nil || r.Session.ID != "ses_1" {
		t.Errorf("session: %+v", r.Session)
	}
	for i, want := range []string{"online on plc-7 (34 ms)", "200 OK and set the cookie SID", "ok is “true”"} {
		if !strings.Contains(r.Steps[i].Message, want) {
			t.Errorf("message %q, want %q in it", r.Steps[i].Message, want)
		}
	}
	ping := r.Steps[2]
	if ping.Request == nil || ping.Response == nil || ping.Timing == nil || ping.Response.Body != `{"ok":true}` {
		t.Errorf("the ping's record is not whole: %+v", ping)
	}
	if ping.StartMs < r.Steps[1].StartMs || r.DurationMs < ping.StartMs {
		t.Errorf("times: sign-in %v, ping %v, all %v", r.Steps[1].StartMs, ping.StartMs, r.DurationMs)
	}
	if len(r.Warnings) != 0 {
		t.Errorf("warnings: %q", r.Warnings)
	}
}

func TestStepsThatAreNotNeededSaySo(t *testing.T) {
	s := newSite(t, outbound.Options{})
	base := serve(t, workingApp())

	c := to(base)
	c.Ping = connection.Ping{}
	r := s.test(c)
	if diff := cmp.Diff([]string{"agent skipped", "sign-in ok", "ping skipped"}, statuses(r)); diff != "" || !r.OK {
		t.Error(diff)
	}
	if m := r.Steps[2].Message; !strings.Contains(m, "the sign-in alone was tested") {
		t.Errorf("message %q", m)
	}

	c = to(serve(t, app{ping: answerJSON(`{"ok":true}`)}))
	c.Auth = connection.Auth{Type: connection.AuthNone}
	r = s.test(c)
	if diff := cmp.Diff([]string{"agent skipped", "sign-in skipped", "ping ok"}, statuses(r)); diff != "" || !r.OK || r.Session != nil {
		t.Error(diff)
	}

	c.Auth = connection.Auth{Type: connection.AuthToken, Token: &connection.TokenAuth{In: "query", Name: "k", Token: "typed-token"}}
	r = s.test(c)
	if diff := cmp.Diff([]string{"agent skipped", "sign-in skipped", "ping ok"}, statuses(r)); diff != "" || !strings.Contains(r.Steps[1].Message, "go with each request") {
		t.Error(diff, r.Steps[1].Message)
	}
	if u := r.Steps[2].Request.URL; !strings.HasSuffix(u, "?k="+masked) {
		t.Errorf("shown: %s", u)
	}

	c.Ping = connection.Ping{}
	if r = s.test(c); r.OK {
		t.Error("a test that tested nothing passed")
	}
}

func TestAFailedStepLeavesTheLaterOnesOut(t *testing.T) {
	s := newSite(t, outbound.Options{})
	c := to(serve(t, workingApp()))
	c.Mode, c.AgentID = connection.OnPremise, "agt_1"
	r := s.test(c)
	if diff := cmp.Diff([]string{"agent failed", "sign-in skipped", "ping skipped"}, statuses(r)); diff != "" {
		t.Error(diff)
	}
	if step := failed(t, r); step.Code != "agent_offline" || step.HintID != "agent-offline" {
		t.Errorf("%+v", step)
	}
	if m := r.Steps[2].Message; m != "Skipped, because the agent step failed." {
		t.Errorf("message %q", m)
	}
}

// atAnother is a directory by which another relay holds the agent.
type atAnother struct{ hub.Directory }

func (atAnother) Known(context.Context, string) (hub.Known, error) {
	return hub.Known{Name: "Plant 2", LastSeenAt: time.Now(), HeldBy: "rly_b"}, nil
}

func TestAgentAtARelayThatIsNotReachedIsNotSaidToBeOffline(t *testing.T) {
	s := newSite(t, outbound.Options{})
	h := hub.New(hub.Options{Directory: atAnother{}, Events: &event.Bus{}, Log: zap.NewNop(), AgentWait: time.Minute, Registerer: prometheus.NewRegistry()})
	defer h.Close()
	s.prober.roads, s.prober.presence = road.New(s, h), h
	c := to(serve(t, workingApp()))
	c.Mode, c.AgentID = connection.OnPremise, "agt_1"
	step := failed(t, s.test(c))
	if step.Name != StepAgent || step.Code != "agent_offline" || step.HintID != "relay-unreachable" || !strings.Contains(step.Hint, "peer-listen") ||
		step.Message != `The agent "Plant 2" is connected to another relay, rly_b, which this one does not reach.` {
		t.Errorf("%+v", step)
	}
}

func TestSlackFailsWithItsOwnWord(t *testing.T) {
	s := newSite(t, outbound.Options{})
	c := to(serve(t, app{ping: answerJSON(`{"ok":false,"error":"invalid_auth"}`)}))
	c.Auth = connection.Auth{Type: connection.AuthNone}
	c.Ping.SuccessValues = nil
	step := failed(t, s.test(c))
	if step.Name != StepPing || !strings.Contains(step.Message, "invalid_auth") || step.Response.Status != 200 {
		t.Errorf("%+v", step)
	}
}

// An application that echoes all that it gets must not make the result show a
// secret, on any step, in any field.
func TestNothingThatIsShownHoldsASecret(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		http.SetCookie(w, &http.Cookie{Name: "SID", Value: "s3ss1on-value", Path: "/"})
		w.Header().Set("X-Echo", r.Header.Get("X-Company"))
		quoted, _ := json.Marshal(map[string]any{"body": string(body), "url": r.URL.String(), "header": r.Header, "ok": password})
		writeJSON(w, string(quoted))
	}
	for _, test := range []struct {
		name   string
		change func(*connection.Connection)
	}{
		{"all goes well", func(c *connection.Connection) { c.Ping.SuccessValues = nil }},
		{"the value found is the secret", func(*connection.Connection) {}},
		{"the sign-in fails", func(c *connection.Connection) { c.Auth.Cookie.SuccessStatusCode = 204 }},
		{"secrets in URIs", func(c *connection.Connection) {
			c.Auth.Cookie.URI = "/in?p={{secret.password}}"
			c.Ping.URI = "/me?p={{secret.password}}"
		}},
		{"the media type is JSON", func(c *connection.Connection) {
			c.MediaType, c.Auth.Cookie.Body = connection.JSON, `{"password":"{{secret.password}}"}`
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t, outbound.Options{})
			c := to(serve(t, app{signIn: echo, ping: echo}))
			c.Secrets["company"] = "acme-4711"
			c.Headers = []connection.Header{{Name: "X-Company", Value: "{{secret.company}}"}}
			test.change(c)
			r := s.test(c)
			var all strings.Builder
			enc := json.NewEncoder(&all)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(r); err != nil {
				t.Fatal(err)
			}
			for _, secret := range []string{"acme-4711", "s3ss1on-value", "wörd", "w%C3%B6rd", `w\u00f6rd`, "p%22ss", `p\"ss`} {
				if strings.Contains(all.String(), secret) {
					t.Errorf("%q is shown in %s", secret, all.String())
				}
			}
		})
	}
}

func TestACanceledTestEndsAtOnce(t *testing.T) {
	entered := make(chan struct{})
	base := serve(t, app{signIn: func(_ http.ResponseWriter, r *http.Request) {
		// The server notices a caller who left only once the body is read.
		_, _ = io.Copy(io.Discard, r.Body)
		close(entered)
		<-r.Context().Done()
	}})
	s := newSite(t, outbound.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-entered; cancel() }()
	c := to(base)
	c.Spec = connection.Defaults(c.Spec)
	r := s.prober.Run(ctx, c, "req-1", nil)
	if step := failed(t, r); step.Code != "canceled" {
		t.Errorf("code %s: %s", step.Code, step.Message)
	}
}

func TestASavedConnectionKeepsItsSession(t *testing.T) {
	s := newSite(t, outbound.Options{})
	c := to(serve(t, workingApp()))
	c.ID = "con_1"
	if r := s.test(c); !r.OK || r.Session.ID != "ses_1" {
		t.Fatalf("%+v", r)
	}
}

func TestLongAnswersAreShownInPart(t *testing.T) {
	s := newSite(t, outbound.Options{})
	c := to(serve(t, app{ping: answerJSON(fmt.Sprintf(`{"pad":%q,"ok":true}`, strings.Repeat("x", 100_000)))}))
	c.Auth = connection.Auth{Type: connection.AuthNone}
	r := s.test(c)
	if got := r.Steps[2].Response; !r.OK || !got.Truncated || len(got.Body) > previewLimit {
		t.Errorf("ok %v, truncated %v, %d bytes", r.OK, got.Truncated, len(got.Body))
	}
}
