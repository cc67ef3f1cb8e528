package store

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"sallyport/internal/testkit"
)

func TestMain(m *testing.M) {
	if dsn := os.Getenv(openDSN); dsn != "" {
		os.Exit(openInChild(dsn))
	}
	goleak.VerifyTestMain(testkit.PostgresMain{M: m})
}

// engines runs a test on each engine: the queries are the same, so must be
// what they do.
func engines(t *testing.T, test func(t *testing.T, dsn string)) {
	t.Run("sqlite", func(t *testing.T) {
		test(t, "sqlite:"+filepath.Join(t.TempDir(), "relay.db"))
	})
	t.Run("postgres", func(t *testing.T) {
		test(t, testkit.Postgres(t))
	})
}

// onEach is engines with an open store.
func onEach(t *testing.T, test func(t *testing.T, s *Store)) {
	engines(t, func(t *testing.T, dsn string) { test(t, openTest(t, dsn)) })
}

func openTest(t *testing.T, dsn string) *Store {
	t.Helper()
	s, err := Open(t.Context(), Options{DSN: dsn, Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// noon is a time with a part that no stored time keeps.
var noon = time.Date(2026, 3, 29, 12, 0, 0, 123456789, time.FixedZone("CET", 3600))

func home(s *Store) *Workspace { return s.Workspace(s.DefaultWorkspaceID()) }

func addAgent(t *testing.T, w *Workspace, name string) Agent {
	t.Helper()
	a := Agent{ID: NewID("agt"), Name: name, Version: 1, CreatedAt: noon, UpdatedAt: noon, UpdatedBy: "Ada"}
	must(t, w.CreateAgent(t.Context(), a))
	return a
}

func addConnection(t *testing.T, w *Workspace, name, agentID string) Connection {
	t.Helper()
	c := newConnection(name, agentID)
	must(t, w.CreateConnection(t.Context(), c))
	return c
}

func newConnection(name, agentID string) Connection {
	return Connection{ID: NewID("con"), Name: name, AgentID: agentID, Key: NewID("key"), Spec: []byte(`{"name":"` + name + `"}`),
		SecretNames: []string{"password"}, Secrets: []byte{0, 1, 2, 255}, Version: 1, CreatedAt: noon, UpdatedAt: noon, UpdatedBy: "Ada"}
}

func addUser(t *testing.T, w *Workspace, email string) User {
	t.Helper()
	u := User{ID: NewID("usr"), WorkspaceID: w.ID(), Email: email, Name: email, Role: "admin", CreatedAt: noon}
	must(t, w.CreateUser(t.Context(), u))
	return u
}

func addInstance(t *testing.T, s *Store, w *Workspace, agentID string) Instance {
	t.Helper()
	hash := []byte(NewID("hash"))
	now := s.Now()
	must(t, w.CreateEnrolmentCode(t.Context(), EnrolmentCode{AgentID: agentID, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}, hash))
	i := Instance{ID: NewID("ins"), AgentID: agentID, PublicKey: []byte("key"), Hostname: "plc7", EnrolledAt: now}
	_, _, err := s.Enrol(t.Context(), hash, i, quiet)
	must(t, err)
	return i
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// rowCount counts past the scoped queries.
func rowCount(t *testing.T, s *Store, table string) int {
	t.Helper()
	n, err := one(context.Background(), s.read, "count", scanCount, `SELECT count(*) FROM `+table)
	must(t, err)
	return n
}

// quiet records nothing.
func quiet(*Workspace, Agent, EnrolmentCode) error { return nil }
