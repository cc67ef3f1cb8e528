package account

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"sallyport/internal/testkit"
	"sallyport/proto"
	"sallyport/relay/store"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(testkit.PostgresMain{M: m})
}

// house is accounts on an empty store, with a clock that the test moves.
type house struct {
	*Accounts
	store *store.Store
	now   time.Time
	logs  *observer.ObservedLogs
}

func newHouse(t *testing.T) *house {
	return houseAt(t, "sqlite:"+filepath.Join(t.TempDir(), "relay.db"))
}

func houseAt(t *testing.T, dsn string) *house {
	t.Helper()
	h := &house{now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return h.now }
	s, err := store.Open(t.Context(), store.Options{DSN: dsn, Clock: clock})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	core, logs := observer.New(zapcore.DebugLevel)
	h.store, h.logs = s, logs
	h.Accounts = New(Options{Store: s, Clock: clock, Log: zap.New(core)})
	return h
}

// admin is the administrator of the first start, signed in.
func (h *house) admin(t *testing.T) User {
	t.Helper()
	path, err := h.Bootstrap(t.Context(), "")
	must(t, err)
	u, err := h.RedeemLink(t.Context(), strings.TrimPrefix(path, LinkPath))
	must(t, err)
	return u
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

// actions is the audit trail, oldest first.
func (h *house) actions(t *testing.T) (out []string) {
	t.Helper()
	entries, _, err := h.store.Workspace(h.store.DefaultWorkspaceID()).Audit(t.Context(), store.AuditFilter{}, store.Page{})
	must(t, err)
	for i := len(entries) - 1; i >= 0; i-- {
		out = append(out, entries[i].ActorName+" "+entries[i].Action+" "+entries[i].ObjectName)
	}
	return out
}
