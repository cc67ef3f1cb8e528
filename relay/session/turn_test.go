package session

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"sallyport/relay/connection"
)

// shared is a store that several Keepers use.
type shared struct {
	memory
	mu   sync.Mutex
	turn Turn
}

func (s *shared) TakeTurn(_ context.Context, _, _, holder string, dead Turn) (Turn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.turn.Holder == "" || s.turn.Holder == dead.Holder && s.turn.Beat == dead.Beat {
		s.turn.Holder = holder
		s.turn.Beat++
	}
	return s.turn, nil
}

func (s *shared) KeepTurn(_ context.Context, _, _, holder string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.turn.Holder == holder {
		s.turn.Beat++
	}
	return nil
}

func (s *shared) EndTurn(_ context.Context, _, _, holder, state string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.turn.Holder == holder {
		s.turn = Turn{Beat: s.turn.Beat + 1, State: state}
	}
	return nil
}

func (s *shared) LastTurn(context.Context, string, string) (Turn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.turn, nil
}

func (s *shared) ForgetTurns(context.Context, string, string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn.State = ""
	return nil
}

// slow is an application that takes its time for a sign-in.
type slow struct {
	takes   time.Duration
	signIns int
}

func (s *slow) RoundTrip(req *http.Request) (*http.Response, error) {
	s.signIns++
	select {
	case <-req.Context().Done():
		return nil, req.Context().Err()
	case <-time.After(s.takes):
	}
	return &http.Response{StatusCode: 200, Header: http.Header{"Set-Cookie": {"SID=1; Path=/"}}, Body: io.NopCloser(strings.NewReader(""))}, nil
}

// onShared is a Keeper on a shared store, within a bubble of synctest.
func onShared(t *testing.T, s *shared) *Keeper {
	k := NewKeeper(Options{Store: s, Log: zap.NewNop(), NewID: func() string { return "ses_" + time.Now().String() }})
	t.Cleanup(k.Close)
	return k
}

func TestARelayThatStopsInTheMiddleOfASignInIsNotWaitedForForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shared{turn: Turn{Holder: "killed", Beat: 7}}
		app, began := &slow{}, time.Now()
		if _, err := onShared(t, s).Current(t.Context(), app, nowhere(), "req"); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < turnDead || took > turnDead+2*time.Second || app.signIns != 1 {
			t.Errorf("%d sign-ins after %s", app.signIns, took)
		}
	})
}

func TestARelayThatTakesItsTimeIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, app, c := &shared{}, &slow{takes: 25 * time.Second}, nowhere()
		one, other := onShared(t, s), onShared(t, s)
		var all sync.WaitGroup
		ids := make([]string, 20)
		for i := range ids {
			all.Go(func() {
				h, err := []*Keeper{one, other}[i%2].Current(t.Context(), app, c, "req")
				if err != nil {
					t.Error(err)
					return
				}
				ids[i] = h.ID()
			})
		}
		all.Wait()
		for _, id := range ids {
			if id != ids[0] {
				t.Errorf("there are two sessions: %q", ids)
				break
			}
		}
		if app.signIns != 1 {
			t.Errorf("%d sign-ins", app.signIns)
		}
	})
}

func TestASessionThatAnotherRelayUsesIsNotIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, app, c := &shared{}, &slow{}, nowhere()
		c.Auth.Session = &connection.SessionLife{IdleMinutes: 10}
		one, other := onShared(t, s), onShared(t, s)
		use := func(k *Keeper) string {
			h, err := k.Current(t.Context(), app, c, "req")
			if err != nil {
				t.Fatal(err)
			}
			if err := k.Store(t.Context(), h); err != nil {
				t.Fatal(err)
			}
			return h.ID()
		}
		first := use(one)
		use(other)
		for range 6 {
			time.Sleep(4 * time.Minute)
			use(one)
		}
		if id := use(other); id != first || app.signIns != 1 {
			t.Fatalf("%d sign-ins: the session is %s, and was %s", app.signIns, id, first)
		}
		time.Sleep(10 * time.Minute)
		second := use(one)
		if id := use(other); second == first || id != second || app.signIns != 2 {
			t.Errorf("%d sign-ins: the sessions are %s and %s, after %s", app.signIns, second, id, first)
		}
	})
}

// nowhere is a connection whose application is a RoundTripper.
func nowhere() *connection.Connection {
	return &connection.Connection{ID: "con_1", WorkspaceID: "wsp_1", Spec: connection.Spec{
		Name: "App", Mode: connection.Cloud, BaseURI: "http://app.example", MediaType: connection.JSON,
		Auth: connection.Auth{Type: connection.AuthCookie, Cookie: &connection.CookieAuth{Method: "GET", URI: "/login"}},
	}}
}
