package registry

import (
	"bytes"
	"context"
	"net/http"
	"reflect"
	"testing"
	"time"

	"sallyport/proto"
	"sallyport/relay/result"
	"sallyport/relay/store"
)

func TestAKeyOfAConnectionThatIsGoneIsNotFound(t *testing.T) {
	s := newSite(t)
	key := result.Key{WorkspaceID: s.ada.WorkspaceID, ConnectionID: "con_nowhere", Caller: "user usr_ada", Key: "8e03978e"}
	_, err := s.BeginResult(t.Context(), key)
	wantCode(t, err, proto.CodeNotFound, "")
}

// TestTwoRelaysKnowOneResultForAKey: whichever of them the request comes to.
func TestTwoRelaysKnowOneResultForAKey(t *testing.T) {
	pair(t, func(t *testing.T, a, b *site) {
		b.Vault = a.Vault // relays that share a store share the keyset
		ctx := t.Context()
		c := a.connection(t)
		key := result.Key{WorkspaceID: a.ada.WorkspaceID, ConnectionID: c, Caller: "user usr_ada", Key: "8e03978e"}
		begin := func(s *site, key result.Key) *result.Known {
			t.Helper()
			known, err := s.BeginResult(ctx, key)
			must(t, err)
			return known
		}
		if known := begin(a, key); known != nil {
			t.Fatalf("the first: %+v", known)
		}
		if known := begin(b, key); known == nil || !known.Running {
			t.Errorf("while A sends it: %+v", known)
		}
		must(t, b.FreeResult(ctx, key)) // not its own
		want := result.Result{
			Request: result.Fingerprint{Method: "POST", Target: "/orders?", Body: []byte{1, 2}}, At: a.now,
			Status: 201, Header: http.Header{"Location": {"/orders/1"}}, Body: []byte("confidential"),
		}
		must(t, a.KeepResult(ctx, key, want))
		for _, s := range []*site{a, b} {
			if known := begin(s, key); known == nil || known.Running || !reflect.DeepEqual(known.Result, &want) {
				t.Errorf("%s: %+v", s.RelayID, known)
			}
		}
		row, first, err := a.Store.Workspace(key.WorkspaceID).BeginResult(ctx, storedKey(key), a.roster.run, a.now)
		if err != nil || first || bytes.Contains(row.Sealed, []byte("confidential")) {
			t.Errorf("what is stored is readable, or lost: %v, %v", first, err)
		}

		// A is killed while it sends another.
		key.Key = "another"
		begin(a, key)
		pass(t, lapse+beatEvery, []*site{a, b}, b)
		if known := begin(b, key); known == nil || known.Running || known.Result != nil {
			t.Errorf("of a relay that is gone: %+v", known)
		}

		pass(t, result.Kept, []*site{a, b})
		key.Key = "8e03978e"
		if known := begin(b, key); known != nil {
			t.Errorf("a day later: %+v", known)
		}
		must(t, b.KeepResult(ctx, key, result.Result{Error: &proto.Error{Code: proto.CodeTargetTimeout, Outcome: proto.OutcomeUnknown}}))
		if known := begin(a, key); known == nil || known.Result == nil || known.Result.Error.Outcome != proto.OutcomeUnknown {
			t.Errorf("an unknown outcome: %+v", known)
		}
	})
}

func TestResultsAreSweptAfterADay(t *testing.T) {
	s := newSite(t)
	key := result.Key{WorkspaceID: s.ada.WorkspaceID, ConnectionID: s.connection(t), Caller: "user usr_ada", Key: "k"}
	if _, err := s.BeginResult(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	s.now = s.now.Add(result.Kept + time.Second)
	if n, err := s.Store.SweepResults(t.Context(), sweptAtOnce); err != nil || n != 1 {
		t.Errorf("%d, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.SweepResults(ctx) // ends with its context
}

// connection saves one and returns its id.
func (s *site) connection(t *testing.T) string {
	t.Helper()
	c := store.Connection{ID: store.NewID("con"), Name: "ERP", Spec: []byte(`{"name":"ERP"}`), Version: 1, CreatedAt: s.now, UpdatedAt: s.now}
	must(t, s.workspace(s.ada).CreateConnection(t.Context(), c))
	return c.ID
}
