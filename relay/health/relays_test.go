package health

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// TestOfTwoRelaysOnePingsAndOneTells runs two relays over one PostgreSQL, in
// real time: each ping that is due is sent once, and each notice as well.
func TestOfTwoRelaysOnePingsAndOneTells(t *testing.T) {
	dsn, keyset := testkit.Postgres(t), filepath.Join(t.TempDir(), "keyset.json")
	a := &app{}
	a.broken.Store(true)
	one := start(t, a, dsn, keyset, 20*time.Millisecond)
	defer one.stop()
	two := start(t, a, dsn, keyset, 20*time.Millisecond)
	defer two.stop()
	const connections = 12
	var ids []string
	for range connections {
		ids = append(ids, one.save(spec(nil)))
	}
	testkit.Eventually(t, time.Minute, "each was pinged", func() error {
		for _, id := range ids {
			if got := two.report(id); len(got.Results) == 0 {
				return fmt.Errorf("%s: %+v", id, got)
			}
		}
		return nil
	})
	for _, id := range ids { // no need to wait for the second look
		must(t, one.store.Workspace(one.admin.WorkspaceID).ScheduleHealth(t.Context(), id, time.Now()))
	}
	testkit.Eventually(t, time.Minute, "each is failing, and told of", func() error {
		for _, id := range ids {
			got := two.report(id)
			if got.State != Failing || len(got.Notices) != 1 || got.Notices[0].DeliveredAt.IsZero() {
				return fmt.Errorf("%s: %+v", id, got)
			}
		}
		return nil
	})
	for _, id := range ids {
		if got := two.report(id); len(got.Results) != confirmations || len(got.Changes) != 1 {
			t.Errorf("%s: %d pings, %d changes", id, len(got.Results), len(got.Changes))
		}
	}
	if n := a.pings.Load(); n != confirmations*connections {
		t.Errorf("%d pings, want %d of each of %d connections", n, confirmations, connections)
	}
	if n := len(a.notices(t)); n != connections {
		t.Errorf("%d notices of %d connections", n, connections)
	}
}
