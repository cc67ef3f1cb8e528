package session

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"sallyport/proto"
	"sallyport/relay/connection"
)

// settled waits until no flight is under way.
func (k *Keeper) settled(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		k.mu.Lock()
		busy := false
		for _, e := range k.entries {
			busy = busy || e.flight != nil
		}
		k.mu.Unlock()
		if !busy {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a sign-in goes on and on")
		}
	}
}

func TestASessionEndsByTheConnectionsSettings(t *testing.T) {
	for name, test := range map[string]struct {
		life   connection.SessionLife
		use    []time.Duration // pauses between requests
		want   int64           // sign-ins
		reason string
	}{
		"used often":              {connection.SessionLife{IdleMinutes: 10}, []time.Duration{9 * time.Minute, 9 * time.Minute}, 1, "the connection had no session"},
		"idle":                    {connection.SessionLife{IdleMinutes: 10}, []time.Duration{9 * time.Minute, 10 * time.Minute}, 2, "the session had been idle for 10 min"},
		"at the end of its life":  {connection.SessionLife{MaxMinutes: 20}, []time.Duration{9 * time.Minute, 11 * time.Minute}, 2, "the session had lasted for 20 min, its longest life"},
		"without end by settings": {connection.SessionLife{}, []time.Duration{1000 * time.Hour}, 1, "the connection had no session"},
	} {
		t.Run(name, func(t *testing.T) {
			a, clock := newApp(t), newClock()
			k, c := newKeeper(t, &memory{}, clock, zap.NewNop()), a.connection()
			c.Auth.Session = &test.life
			use := func() *Held {
				t.Helper()
				h, err := k.Current(t.Context(), cloud(t), c, "req")
				must(err)
				must(k.Store(t.Context(), h))
				return h
			}
			h := use()
			for _, pause := range test.use {
				clock.advance(pause)
				h = use()
			}
			if n := a.signIns.Load(); n != test.want || h.session.Reason != test.reason {
				t.Errorf("%d sign-ins, the last because %s", n, h.session.Reason)
			}
		})
	}
}

func TestPingsDoNotKeepASessionFromBeingIdle(t *testing.T) {
	a, clock := newApp(t), newClock()
	store := &ending{}
	k, c := newKeeper(t, store, clock, zap.NewNop()), a.connection()
	store.c = c
	c.Auth.Session = &connection.SessionLife{IdleMinutes: 10}
	for range 4 {
		h, err := k.Current(t.Context(), cloud(t), c, "req")
		must(err)
		must(k.Keep(t.Context(), h))
		clock.advance(3 * time.Minute)
	}
	if _, err := k.Current(t.Context(), cloud(t), c, "req"); err != nil || a.signIns.Load() != 2 {
		t.Errorf("%d sign-ins, %v", a.signIns.Load(), err)
	}
}

// ending is a store that knows which sessions are over, of one connection.
type ending struct {
	memory
	c *connection.Connection
}

func (e *ending) EndedSessions(ctx context.Context, before time.Time) ([]Dropped, error) {
	s, err := e.LoadSession(ctx, e.c.WorkspaceID, e.c.ID)
	if err != nil || s.EndsAt.IsZero() || !s.EndsAt.Before(before) {
		return nil, nil
	}
	return []Dropped{{WorkspaceID: e.c.WorkspaceID, ConnectionID: e.c.ID}}, nil
}

func (e *ending) ResolveSession(context.Context, string, string) (*connection.Connection, error) {
	return e.c, nil
}

func TestSessionsThatNobodyAsksForAreEnded(t *testing.T) {
	a, outs := outApp(t)
	clock, store := newClock(), &ending{}
	k, c := newKeeper(t, store, clock, zap.NewNop()), a.connection()
	k.roads, store.c = everywhere{cloud(t)}, c
	c.Auth.Cookie.SignOut = &connection.SignOut{Method: "GET", URI: "/logout"}
	c.Auth.Session = &connection.SessionLife{IdleMinutes: 10}
	begin := func(k *Keeper) {
		t.Helper()
		h, err := k.Current(t.Context(), cloud(t), c, "req")
		must(err)
		clock.advance(30 * time.Second) // not written down
		must(k.Store(t.Context(), h))
	}
	begin(k)
	clock.advance(10*time.Minute - time.Second)
	k.endSessions(t.Context()) // the store may think so, but it was used since
	if _, err := store.LoadSession(t.Context(), c.WorkspaceID, c.ID); err != nil {
		t.Fatalf("a session that was used is gone: %v", err)
	}
	clock.advance(3 * time.Minute)
	k.endSessions(t.Context())
	if _, err := store.LoadSession(t.Context(), c.WorkspaceID, c.ID); err == nil {
		t.Error("a session that is over is still stored")
	}
	if got := outs(1)[0]; got != "GET SID=1 " {
		t.Errorf("signed out by %q", got)
	}

	begin(k)
	k.Close()
	clock.advance(time.Hour)
	another := newKeeper(t, store, clock, zap.NewNop()) // has never seen the session
	another.roads = k.roads
	another.endSessions(t.Context())
	if got := outs(1)[0]; got != "GET SID=2 " {
		t.Errorf("signed out by %q", got)
	}
}

func TestASessionIsRenewedBeforeItEndsAndNobodyWaits(t *testing.T) {
	for name, test := range map[string]struct {
		line   string
		life   *connection.SessionLife
		before time.Duration // when it is not yet renewed
		then   time.Duration // when it is
	}{
		"its cookie ends":                {"SID=%d; Path=/; HttpOnly; Max-Age=600", nil, 500 * time.Second, 550 * time.Second},
		"a long one ends":                {"SID=%d; Path=/; HttpOnly; Max-Age=86400", nil, 86400*time.Second - 3*time.Minute, 86400*time.Second - 119*time.Second},
		"its longest life ends":          {"SID=%d; Path=/", &connection.SessionLife{MaxMinutes: 10}, 8 * time.Minute, 9*time.Minute + time.Second},
		"the session's, not a tracker's": {"SID=%d; Path=/; HttpOnly; Max-Age=600\ntracker=x; Max-Age=60", nil, 59 * time.Second, 550 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			a, clock := newApp(t), newClock()
			a.login = func(w http.ResponseWriter, r *http.Request) {
				for line := range strings.SplitSeq(test.line, "\n") {
					if strings.Contains(line, "%d") {
						line = fmt.Sprintf(line, a.signIns.Load())
					}
					w.Header().Add("Set-Cookie", line)
				}
			}
			k, c := newKeeper(t, &memory{}, clock, zap.NewNop()), a.connection()
			c.Auth.Session = test.life
			use := func() *Held {
				t.Helper()
				h, err := k.Current(t.Context(), cloud(t), c, "req")
				must(err)
				return h
			}
			first := use()
			clock.advance(test.before)
			if use(); a.signIns.Load() != 1 {
				t.Fatal("it was renewed too early")
			}
			clock.advance(test.then - test.before)
			a.gate = make(chan struct{})
			if h := use(); h != first { // though the sign-in is not answered yet
				t.Fatal("a request did not get the session that still serves")
			}
			for range 20 {
				use()
			}
			close(a.gate)
			k.settled(t)
			if h := use(); h == first || h.session.Reason != "the session was about to end" || a.signIns.Load() != 2 {
				t.Errorf("%d sign-ins, the last because %s", a.signIns.Load(), h.session.Reason)
			}
		})
	}
}

func TestARenewalAheadThatFailsLeavesTheSession(t *testing.T) {
	a, clock, store := newApp(t), newClock(), &memory{}
	k, c := newKeeper(t, store, clock, zap.NewNop()), a.connection()
	c.Auth.Session = &connection.SessionLife{MaxMinutes: 10}
	first, err := k.Current(t.Context(), cloud(t), c, "req")
	must(err)
	a.login = func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusUnauthorized) }
	clock.advance(9*time.Minute + time.Second)
	for range 3 {
		h, err := k.Current(t.Context(), cloud(t), c, "req")
		must(err)
		k.settled(t)
		if h != first {
			t.Fatal("another session")
		}
	}
	if _, err := store.LoadSession(t.Context(), c.WorkspaceID, c.ID); err != nil || a.signIns.Load() != 2 {
		t.Errorf("%d sign-ins; the stored session: %v", a.signIns.Load(), err)
	}
}

func TestSignInsAreCountedWithinAMinute(t *testing.T) {
	a, clock := newApp(t), newClock()
	k, c := newKeeper(t, &memory{}, clock, zap.NewNop()), a.connection()
	c.Auth.Session = &connection.SessionLife{SignInsPerMinute: 3}
	h, err := k.Current(t.Context(), cloud(t), c, "req")
	must(err)
	renew := func() error {
		clock.advance(time.Second)
		next, err := k.Renew(t.Context(), cloud(t), c, h, "req", "test")
		if err == nil {
			h = next
		}
		return err
	}
	must(renew())
	must(renew())
	e := proto.AsError(renew())
	if e == nil || e.Code != proto.CodeSignInFailed || e.Facts[FactWhy] != WhyTooOften ||
		!strings.HasPrefix(e.Detail, "The relay has signed in 3 times within a minute, which is as often as this connection allows; it may again in 57 s.") {
		t.Errorf("the fourth: %v", e)
	}
	seen, err := k.Inspect(t.Context(), c.WorkspaceID, c.ID, c.Auth)
	if words := seen.State.Words(clock.now()); err != nil || words != "Waiting 57 s after 3 sign-ins within a minute, which is as many as the connection allows." {
		t.Errorf("the state: %q, %v", words, err)
	}
	if _, err := k.SignIn(t.Context(), cloud(t), c, "req", "a person asks"); err != nil {
		t.Errorf("a person who asks is refused: %v", err)
	}
	clock.advance(time.Minute)
	if seen, err := k.Inspect(t.Context(), c.WorkspaceID, c.ID, c.Auth); err != nil || seen.State.Words(clock.now()) != "" {
		t.Errorf("the state a minute later: %+v, %v", seen.State, err)
	}
	if err := renew(); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}

func TestTheStateIsSaidInWords(t *testing.T) {
	now := time.Now()
	for want, s := range map[string]State{
		"": {},
		"The sign-in fails: 1 failed sign-in in a row. The next request tries again.":    {Failures: 1, NextTry: now},
		"Waiting 15 s after 2 failed sign-ins, to keep the account from being locked.":   {Failures: 2, NextTry: now.Add(15 * time.Second)},
		"Waiting 4 min after 4 failed sign-ins, to keep the account from being locked.":  {Failures: 4, NextTry: now.Add(4 * time.Minute)},
		"Waiting 15 min after 9 failed sign-ins, to keep the account from being locked.": {Failures: 9, NextTry: now.Add(14*time.Minute + time.Second)},
		"The sign-in fails: 9 failed sign-ins in a row. The next request tries again.":   {Failures: 9, NextTry: now.Add(-time.Second)},
	} {
		if got := s.Words(now); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// outApp is an application that is told of sign-outs.
func outApp(t *testing.T) (*app, func(n int) []string) {
	a := newApp(t)
	outs := make(chan string, 100)
	a.Config.Handler.(*http.ServeMux).HandleFunc("/api/logout", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		outs <- r.Method + " " + r.Header.Get("Cookie") + " " + string(body)
	})
	return a, func(n int) (got []string) {
		t.Helper()
		for range n {
			select {
			case out := <-outs:
				got = append(got, out)
			case <-time.After(10 * time.Second):
				t.Fatalf("%d sign-outs, want %d", len(got), n)
			}
		}
		select {
		case out := <-outs:
			t.Fatalf("one sign-out too many: %s", out)
		default:
		}
		return got
	}
}

func TestSessionsThatAreNotNeededAnyMoreAreSignedOut(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(t *testing.T, k *Keeper, c *connection.Connection, h *Held, clock *clock)
		want []string
	}{
		"replaced by a test": {func(t *testing.T, k *Keeper, c *connection.Connection, h *Held, _ *clock) {
			_, err := k.SignIn(t.Context(), cloud(t), c, "req", "test")
			must(err)
		}, []string{`POST SID=1 {"p":"hunter2"}`}},
		"replaced because it had ended": {func(t *testing.T, k *Keeper, c *connection.Connection, h *Held, _ *clock) {
			_, err := k.Renew(t.Context(), cloud(t), c, h, "req", "the application answered 403")
			must(err)
		}, []string{`POST SID=1 {"p":"hunter2"}`}},
		"dropped": {func(t *testing.T, k *Keeper, c *connection.Connection, h *Held, _ *clock) {
			must(k.Drop(t.Context(), Dropped{WorkspaceID: c.WorkspaceID, ConnectionID: c.ID, Connection: c}))
		}, []string{`POST SID=1 {"p":"hunter2"}`}},
		"dropped, and stored only": {func(t *testing.T, k *Keeper, c *connection.Connection, h *Held, _ *clock) {
			s, err := k.store.LoadSession(t.Context(), c.WorkspaceID, c.ID)
			must(err)
			k.entry(c.WorkspaceID, c.ID).held = nil
			must(k.Drop(t.Context(), Dropped{WorkspaceID: c.WorkspaceID, ConnectionID: c.ID, Connection: c, Session: &s}))
		}, []string{`POST SID=1 {"p":"hunter2"}`}},
		"dropped, with other settings than it had": {func(t *testing.T, k *Keeper, c *connection.Connection, h *Held, _ *clock) {
			other := *c
			other.Secrets = map[string]string{"password": "other"}
			must(k.Drop(t.Context(), Dropped{WorkspaceID: c.WorkspaceID, ConnectionID: c.ID, Connection: &other}))
		}, nil},
		"idle, when it is asked for": {func(t *testing.T, k *Keeper, c *connection.Connection, h *Held, clock *clock) {
			clock.advance(time.Hour)
			_, err := k.Current(t.Context(), cloud(t), c, "req")
			must(err)
		}, []string{`POST SID=1 {"p":"hunter2"}`}},
		"of a draft that was tested": {func(t *testing.T, k *Keeper, c *connection.Connection, h *Held, _ *clock) {
			draft := *c
			draft.ID = ""
			a, err := k.SignIn(t.Context(), cloud(t), &draft, "req", "test")
			must(err)
			k.Discard(&draft, a)
			k.Discard(c, a)
		}, []string{`POST SID=2 {"p":"hunter2"}`}},
	} {
		t.Run(name, func(t *testing.T) {
			a, outs := outApp(t)
			clock := newClock()
			k, c := newKeeper(t, &memory{}, clock, zap.NewNop()), a.connection()
			k.roads = everywhere{cloud(t)}
			c.Auth.Cookie.SignOut = &connection.SignOut{Method: "POST", URI: "/logout", Body: `{"p":"{{secret.password}}"}`}
			c.Auth.Session = &connection.SessionLife{IdleMinutes: 30}
			h, err := k.Current(t.Context(), cloud(t), c, "req")
			must(err)
			test.do(t, k, c, h, clock)
			if got := outs(len(test.want)); strings.Join(got, "\n") != strings.Join(test.want, "\n") {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// everywhere is one road for all connections.
type everywhere struct{ rt http.RoundTripper }

func (e everywhere) For(*connection.Connection) http.RoundTripper { return e.rt }

func TestASessionInUseIsSignedOutAfterwards(t *testing.T) {
	a, outs := outApp(t)
	k, c := newKeeper(t, &memory{}, newClock(), zap.NewNop()), a.connection()
	k.roads = everywhere{cloud(t)}
	c.Auth.Cookie.SignOut = &connection.SignOut{Method: "GET", URI: "/logout"}
	h, err := k.Current(t.Context(), cloud(t), c, "req")
	must(err)
	done := h.Use()
	_, err = k.SignIn(t.Context(), cloud(t), c, "req", "test")
	must(err)
	outs(0)
	done()
	outs(1)
}

func TestASignOutThatHangsKeepsNobody(t *testing.T) {
	a := newApp(t)
	hang := make(chan struct{})
	a.Config.Handler.(*http.ServeMux).HandleFunc("/api/logout", func(w http.ResponseWriter, r *http.Request) {
		close(hang)
		<-r.Context().Done()
	})
	k, c := newKeeper(t, &memory{}, newClock(), zap.NewNop()), a.connection()
	k.roads = everywhere{cloud(t)}
	c.Auth.Cookie.SignOut = &connection.SignOut{Method: "GET", URI: "/logout"}
	_, err := k.Current(t.Context(), cloud(t), c, "req")
	must(err)
	must(k.Drop(t.Context(), Dropped{WorkspaceID: c.WorkspaceID, ConnectionID: c.ID, Connection: c}))
	<-hang
	if _, err := k.Current(t.Context(), cloud(t), c, "req"); err != nil {
		t.Error(err)
	}
	k.Close() // ends it
}

func TestOtherStatusesEndASessionOnlyOnceForARequest(t *testing.T) {
	a, clock := newApp(t), newClock()
	k, c := newKeeper(t, &memory{}, clock, zap.NewNop()), a.connection()
	h, err := k.Current(t.Context(), cloud(t), c, "req")
	must(err)
	renewed := func(status int, request string) bool {
		if !h.Renewable(status, request) {
			return false
		}
		next, err := k.Renew(t.Context(), cloud(t), c, h, "req", "test")
		must(err)
		h = next
		return true
	}
	if !renewed(403, "GET /secret") {
		t.Fatal("the first 403 may mean that the session has ended")
	}
	h.Unaccepted(403, "GET /secret")
	clock.advance(2 * time.Minute)
	if renewed(403, "GET /secret") {
		t.Error("what was forbidden in a new session, too, cost another sign-in")
	}
	if !renewed(403, "GET /other") || renewed(403, "GET /secret") {
		t.Error("another request is not judged by itself, or the new session has forgotten what the former was refused")
	}
	h.Unaccepted(403, "GET /other")
	if renewed(403, "GET /third") {
		t.Error("renewals that are in vain are not a minute apart")
	}
	clock.advance(11 * time.Minute)
	if !renewed(403, "GET /secret") {
		t.Error("a right that was given meanwhile is never found")
	}
}
