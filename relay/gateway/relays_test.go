package gateway

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"sallyport/internal/testkit"
	"sallyport/relay/account"
	"sallyport/relay/connection"
	"sallyport/relay/event"
	"sallyport/relay/hub"
	"sallyport/relay/registry"
	"sallyport/relay/session"
	"sallyport/relay/store"
	"sallyport/relay/vault"
)

// relays are n relays on one database, before the application of a site.
type relays struct {
	*site
	urls       []string
	registries []*registry.Registry
	keepers    []*session.Keeper
	actor      account.Actor
	id         string // of the connection
}

func newRelays(t *testing.T, dsn string, n int) *relays {
	t.Helper()
	r := &relays{site: newSite(t, zap.NewNop())}
	keyset := filepath.Join(t.TempDir(), "keyset.json")
	for i := range n {
		db, err := store.Open(t.Context(), store.Options{DSN: dsn})
		must(t, err)
		t.Cleanup(func() { must(t, db.Close()) })
		keys, err := vault.Open(keyset)
		must(t, err)
		reg := registry.New(registry.Options{
			Store: db, Vault: keys, Events: &event.Bus{}, RelayID: fmt.Sprint("relay-", i), Clock: time.Now, Log: zap.NewNop(),
			Presence:    registry.PresenceFunc(func(string) []hub.Instance { return nil }),
			DropSession: func(ctx context.Context, d session.Dropped) error { return r.keepers[i].Drop(ctx, d) },
		})
		keeper := session.NewKeeper(session.Options{Store: reg, Roads: r.roads, NewID: func() string { return store.NewID("ses") }})
		t.Cleanup(keeper.Close)
		gate := New(Options{Roads: r.roads, Sessions: keeper})
		r.actor = account.Actor{WorkspaceID: db.DefaultWorkspaceID(), ID: "usr_1", Name: "Ada", Role: account.Editor}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			c, err := reg.Resolve(req.Context(), r.actor, r.id)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			gate.Serve(w, req, c, Caller{}, req.URL.EscapedPath(), req.URL.RawQuery, "req-1")
		}))
		t.Cleanup(server.Close)
		r.urls, r.registries, r.keepers = append(r.urls, server.URL), append(r.registries, reg), append(r.keepers, keeper)
	}
	r.save(t, r.c.Spec)
	return r
}

// save saves the connection through the first relay.
func (r *relays) save(t *testing.T, spec connection.Spec) {
	t.Helper()
	secrets := map[string]*string{}
	for name, value := range r.c.Secrets {
		secrets[name] = &value
	}
	var saved registry.Connection
	var err error
	if r.id == "" {
		saved, _, err = r.registries[0].CreateConnection(t.Context(), r.actor, spec, secrets)
	} else {
		saved, _, err = r.registries[0].UpdateConnection(t.Context(), r.actor, r.id, 0, spec, secrets)
	}
	must(t, err)
	r.id = saved.ID
}

// burst sends n requests at once, to each relay in turn, and counts the answers.
func (r *relays) burst(t *testing.T, n int) map[string]int {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: n}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	var all sync.WaitGroup
	var mu sync.Mutex
	got := map[string]int{}
	for i := range n {
		all.Go(func() {
			result := "no answer"
			if resp, err := client.Get(r.urls[i%len(r.urls)] + "/work"); err == nil {
				result = resp.Status + resp.Header.Get("Sallyport-Error")
				resp.Body.Close()
			} else {
				result = err.Error()
			}
			mu.Lock()
			got[result]++
			mu.Unlock()
		})
	}
	all.Wait()
	return got
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestFiveHundredRequestsThatMeetAnEndedSessionCostOneSignIn(t *testing.T) {
	for name, begin := range map[string]func(*testing.T) *relays{
		"one relay": func(t *testing.T) *relays {
			return newRelays(t, "sqlite:"+filepath.Join(t.TempDir(), "relay.db"), 1)
		},
		"two relays that share a database": func(t *testing.T) *relays { return newRelays(t, testkit.Postgres(t), 2) },
	} {
		t.Run(name, func(t *testing.T) {
			r := begin(t)
			r.mux.HandleFunc("/base/work", func(w http.ResponseWriter, _ *http.Request) {})
			for round := range 3 {
				got := r.burst(t, 500)
				if n := r.signIns.Load(); got["200 OK"] != 500 || n != int64(round+1) {
					t.Fatalf("round %d: %v after %d sign-ins", round, got, n)
				}
				r.expire()
			}
		})
	}
}

func TestAWrongPasswordIsTriedOnceForAllRelays(t *testing.T) {
	r := newRelays(t, testkit.Postgres(t), 2)
	wrong := "wrong"
	r.c.Secrets["password"] = wrong
	r.save(t, r.c.Spec)
	tried := func(want int64) {
		t.Helper()
		if got := r.burst(t, 20); got["502 Bad Gatewaysign_in_failed"] != 20 || r.signIns.Load() != want {
			t.Fatalf("%v after %d sign-ins, want %d", got, r.signIns.Load(), want)
		}
	}
	tried(2) // the second failure waits, whichever relay made the first
	tried(2)
	for i, k := range r.keepers {
		if s, err := k.StateOf(t.Context(), r.actor.WorkspaceID, r.id); err != nil || s.Failures != 2 || !strings.Contains(s.Words(time.Now()), "after 2 failed sign-ins") {
			t.Errorf("relay %d: %+v, %v", i, s, err)
		}
	}
}

func TestWhatIsForbiddenCostsNoStormOfSignIns(t *testing.T) {
	s := newSite(t, zap.NewNop())
	s.c.Auth.Session = &connection.SessionLife{EndedStatusCodes: []int{401, 403}}
	s.mux.HandleFunc("/base/secret/{id}", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	s.mux.HandleFunc("/base/work", func(w http.ResponseWriter, _ *http.Request) {})
	for i := range 100 {
		if resp := s.do(t, "GET", fmt.Sprintf("/secret/%d", i%10), nil); resp.StatusCode != 403 || resp.Header.Get("Sallyport-Error") != "" {
			t.Fatalf("request %d: %d %s", i, resp.StatusCode, resp.Header.Get("Sallyport-Error"))
		}
		if resp := s.do(t, "GET", "/work", nil); resp.StatusCode != 200 {
			t.Fatalf("what is allowed: %d", resp.StatusCode)
		}
	}
	if n := s.signIns.Load(); n != 2 {
		t.Errorf("%d sign-ins, want the first one, and one to find out", n)
	}
}

func TestTheApplicationsOwnWordComesThroughWhereNoMoreSignInsAreAllowed(t *testing.T) {
	s := newSite(t, zap.NewNop())
	s.c.Auth.Session = &connection.SessionLife{EndedStatusCodes: []int{401, 403}, SignInsPerMinute: 1}
	s.mux.HandleFunc("/base/secret", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "not yours", http.StatusForbidden) })
	if resp := s.do(t, "GET", "/secret", nil); resp.StatusCode != 403 || !strings.Contains(text(t, resp), "not yours") {
		t.Errorf("got %d %s", resp.StatusCode, resp.Header.Get("Sallyport-Error"))
	}
	if n := s.signIns.Load(); n != 1 {
		t.Errorf("%d sign-ins", n)
	}
}

func TestSessionsAreSignedOutWhenTheirConnectionChanges(t *testing.T) {
	r := newRelays(t, "sqlite:"+filepath.Join(t.TempDir(), "relay.db"), 1)
	var outs atomic.Int64
	last := make(chan string, 10)
	r.mux.HandleFunc("/base/work", func(w http.ResponseWriter, _ *http.Request) {})
	r.mux.HandleFunc("/base/out", func(w http.ResponseWriter, req *http.Request) {
		outs.Add(1)
		last <- req.Header.Get("X-Key") + " " + req.Header.Get("Cookie")
	})
	out := func(want string) {
		t.Helper()
		select {
		case got := <-last:
			if got != want {
				t.Errorf("signed out by %q, want %q", got, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("no sign-out, want %q", want)
		}
	}
	work := func() {
		t.Helper()
		if got := r.burst(t, 1); got["200 OK"] != 1 {
			t.Fatal(got)
		}
	}
	spec := r.c.Spec
	cookie := *spec.Auth.Cookie
	cookie.SignOut = &connection.SignOut{Method: "GET", URI: "/out"}
	spec.Auth.Cookie = &cookie
	r.save(t, spec)
	work()

	life := spec
	life.Auth.Session = &connection.SessionLife{IdleMinutes: 5}
	r.save(t, life) // no reason to sign in anew
	work()
	if n := r.signIns.Load(); n != 1 {
		t.Fatalf("%d sign-ins after a change that concerns none", n)
	}

	r.c.Secrets["key"] = "another"
	r.save(t, life)
	out("k3y SID=1") // with the old settings
	work()
	must(t, r.registries[0].SignOut(t.Context(), r.actor, r.id))
	out("another SID=2")
	work()
	must(t, r.registries[0].DeleteConnection(t.Context(), r.actor, r.id, 0))
	out("another SID=3")
	if n := outs.Load(); n != 3 {
		t.Errorf("%d sign-outs", n)
	}
}
