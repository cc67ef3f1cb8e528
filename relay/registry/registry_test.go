package registry

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"sallyport/internal/testkit"
	"sallyport/proto"
	"sallyport/relay/account"
	"sallyport/relay/connection"
	"sallyport/relay/event"
	"sallyport/relay/hub"
	"sallyport/relay/session"
	"sallyport/relay/store"
	"sallyport/relay/vault"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(testkit.PostgresMain{M: m})
}

// site is a registry on an empty store, with a clock and machines that the
// test moves.
type site struct {
	*Registry
	ada          account.Actor // an editor
	now          time.Time
	online       map[string][]hub.Instance
	disconnected []string
	dropped      []string
}

func newSite(t *testing.T) *site { return siteAt(t, "sqlite:"+filepath.Join(t.TempDir(), "relay.db")) }

// onEach runs a test on each engine.
func onEach(t *testing.T, test func(t *testing.T, s *site)) {
	t.Run("sqlite", func(t *testing.T) { test(t, newSite(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, siteAt(t, testkit.Postgres(t))) })
}

func siteAt(t *testing.T, dsn string) *site {
	t.Helper()
	s := &site{now: time.Date(2026, 3, 1, 9, 12, 0, 0, time.UTC), online: map[string][]hub.Instance{}}
	clock := func() time.Time { return s.now }
	db, err := store.Open(t.Context(), store.Options{DSN: dsn, Clock: clock})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	keys, err := vault.Open(filepath.Join(t.TempDir(), "keyset.json"))
	must(t, err)
	public, err := url.Parse("https://relay.example.com")
	must(t, err)
	s.Registry = New(Options{
		Store: db, Vault: keys, Events: &event.Bus{},
		Presence:   PresenceFunc(func(agentID string) []hub.Instance { return s.online[agentID] }),
		Disconnect: func(agentID, instanceID, _ string) { s.disconnected = append(s.disconnected, agentID+"/"+instanceID) },
		DropSession: func(_ context.Context, d session.Dropped) error {
			s.dropped = append(s.dropped, d.ConnectionID)
			return nil
		},
		PublicURL: public, RelayID: "relay-1", Clock: clock, Log: zap.NewNop(),
	})
	s.ada = account.Actor{WorkspaceID: db.DefaultWorkspaceID(), Kind: "user", ID: "usr_ada", Name: "Ada", Role: account.Editor}
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, code proto.Code, words string) {
	t.Helper()
	e := proto.AsError(err)
	if e == nil || e.Code != code || !strings.Contains(e.Detail+" "+e.Hint, words) {
		t.Errorf("got %v, want %s with %q", err, code, words)
	}
}

// wantFaults wants exactly these fields to be faulty.
func wantFaults(t *testing.T, err error, paths ...string) {
	t.Helper()
	var invalid *connection.Invalid
	if !errors.As(err, &invalid) {
		t.Errorf("got %v, want faults of %v", err, paths)
		return
	}
	var got []string
	for _, f := range invalid.Fields {
		got = append(got, f.Path)
	}
	if fmt.Sprint(got) != fmt.Sprint(paths) {
		t.Errorf("got faults %v, want %v", invalid, paths)
	}
}

func cloudSpec(name string) connection.Spec {
	return connection.Spec{Name: name, Mode: connection.Cloud, BaseURI: "https://erp.example.com/api", Auth: connection.Auth{
		Type: connection.AuthCookie, Cookie: &connection.CookieAuth{Method: "POST", URI: "/session",
			Body: `{"user":"svc","password":"{{secret.password}}"}`}}}
}

func values(pairs ...string) map[string]*string {
	m := map[string]*string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &pairs[i+1]
	}
	return m
}

func (s *site) create(t *testing.T, spec connection.Spec, secrets map[string]*string) Connection {
	t.Helper()
	c, _, err := s.CreateConnection(t.Context(), s.ada, spec, secrets)
	must(t, err)
	return c
}

func (s *site) agent(t *testing.T, name string) Agent {
	t.Helper()
	a, err := s.CreateAgent(t.Context(), s.ada, name)
	must(t, err)
	return a
}

// enrol enrols a machine under an agent.
func (s *site) enrol(t *testing.T, agentID, host string) Enrolled {
	t.Helper()
	code, err := s.CreateEnrolment(t.Context(), s.ada, agentID)
	must(t, err)
	e, err := s.Enrol(t.Context(), request(code.Code, host))
	must(t, err)
	return e
}

func request(code, host string) EnrolRequest {
	return EnrolRequest{Code: code, PublicKey: []byte(strings.Repeat("k", 32)), Hostname: host, OS: "linux", Arch: "amd64", Version: "1.0", Address: "192.0.2.1:5"}
}

// trail is the audit trail, oldest first.
func (s *site) trail(t *testing.T) (out []string) {
	t.Helper()
	entries, _, err := s.Audit(t.Context(), s.ada, AuditFilter{}, Page{Limit: 500})
	must(t, err)
	for i := len(entries) - 1; i >= 0; i-- {
		e := entries[i]
		out = append(out, strings.TrimSpace(e.ActorName+" "+e.Action+" "+e.ObjectName+": "+e.Detail))
	}
	return out
}

func TestAFullDatabaseIsToldInWords(t *testing.T) {
	for err, words := range map[error]string{
		store.ErrFull: "disk of its database is full", store.ErrReadOnly: "read-only", store.ErrBusy: "busy",
		vault.ErrSealed: "do not open with this relay's encryption keyset",
	} {
		wantCode(t, fault(fmt.Errorf("save: %w", err), "connection"), proto.CodeInternal, words)
	}
	wantCode(t, fault(store.ErrCursor, "connection"), proto.CodeValidation, "cursor")
}
