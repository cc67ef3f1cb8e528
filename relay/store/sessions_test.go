package store

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestOneHolderAtATimeSignsIn(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		ctx, w := t.Context(), home(s)
		c := addConnection(t, w, "ERP", "")
		take := func(holder string, dead SignIn) SignIn {
			t.Helper()
			got, err := w.TakeSignIn(ctx, c.ID, holder, dead)
			must(t, err)
			return got
		}
		a := take("a", SignIn{})
		if a.Holder != "a" || a.State != "" {
			t.Fatalf("the first one got %+v", a)
		}
		if got := take("b", SignIn{}); got.Holder != "a" {
			t.Errorf("another one took a turn that was taken: %+v", got)
		}
		must(t, w.BeatSignIn(ctx, c.ID, "a"))
		if got := take("b", a); got.Holder != "a" {
			t.Errorf("a holder that gives signs was taken for dead: %+v", got)
		}
		seen, err := w.SignIn(ctx, c.ID)
		must(t, err)
		if got := take("b", seen); got.Holder != "b" {
			t.Errorf("a holder that gave no sign kept its turn: %+v", got)
		}
		for doing, err := range map[string]error{"beat": w.BeatSignIn(ctx, c.ID, "a"), "free": w.FreeSignIn(ctx, c.ID, "a", "lost")} {
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("%s by one who has lost his turn: %v", doing, err)
			}
		}
		must(t, w.FreeSignIn(ctx, c.ID, "b", `{"failures":2}`))
		if got := take("a", SignIn{}); got.Holder != "a" || got.State != `{"failures":2}` {
			t.Errorf("after a turn ended: %+v", got)
		}
		must(t, w.ForgetSignIns(ctx, c.ID))
		if got, err := w.SignIn(ctx, c.ID); err != nil || got.Holder != "a" || got.State != "" {
			t.Errorf("forgotten: %+v, %v", got, err)
		}
		must(t, w.DeleteConnection(ctx, c.ID, 0))
		if n := rowCount(t, s, "sign_ins"); n != 0 {
			t.Errorf("%d rows are left of a deleted connection", n)
		}
	})
}

func TestEndedSessionsAreFound(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		ctx, w := t.Context(), home(s)
		ends := map[string]time.Time{"never": {}, "later": noon.Add(time.Hour), "ended": noon.Add(-time.Minute), "long ended": noon.Add(-time.Hour)}
		ids := map[string]string{}
		for name, at := range ends {
			c := addConnection(t, w, name, "")
			ids[name] = c.ID
			must(t, w.SaveSession(ctx, c.ID, []byte("s"), noon, noon.Add(-time.Second)))
			must(t, w.SaveSession(ctx, c.ID, []byte("s"), noon, at))
		}
		found, err := s.EndedSessions(ctx, noon, 10)
		must(t, err)
		want := []SessionKey{{w.ID(), ids["long ended"]}, {w.ID(), ids["ended"]}}
		if diff := cmp.Diff(want, found); diff != "" {
			t.Error(diff)
		}
	})
}
