package store

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func someKey(connectionID string) ResultKey {
	return ResultKey{ConnectionID: connectionID, Caller: "token tok_1", Hash: []byte("hash of a key")}
}

func TestOneOfManyIsTheFirstOfItsKey(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		w := home(s)
		key := someKey(addConnection(t, w, "ERP", "").ID)
		var firsts atomic.Int64
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				r, first, err := w.BeginResult(t.Context(), key, Run{RelayID: "rly", Epoch: int64(i)}, s.Now().Add(time.Hour))
				if err != nil {
					t.Error(err)
				}
				if first {
					firsts.Add(1)
				} else if r.RelayID != "rly" || r.Sealed != nil {
					t.Errorf("%+v", r)
				}
			})
		}
		all.Wait()
		if firsts.Load() != 1 {
			t.Errorf("%d were the first", firsts.Load())
		}
	})
}

func TestAResultIsKeptOnceAndByWhoHasEnteredIt(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		ctx, w := t.Context(), home(s)
		key := someKey(addConnection(t, w, "ERP", "").ID)
		later := Run{RelayID: someRun.RelayID, Epoch: someRun.Epoch + 1}
		begin := func() (Result, bool) {
			t.Helper()
			r, first, err := w.BeginResult(ctx, key, later, s.Now().Add(time.Hour))
			must(t, err)
			return r, first
		}
		_, first, err := w.BeginResult(ctx, key, someRun, s.Now().Add(time.Hour))
		must(t, err)
		if !first {
			t.Fatal("not the first")
		}
		if r, first := begin(); first || r.Run != someRun || r.Sealed != nil {
			t.Errorf("under way: %+v, %v", r, first)
		}
		if err := w.KeepResult(ctx, key, later, []byte("another's")); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		must(t, w.FreeResult(ctx, key, later))
		must(t, w.KeepResult(ctx, key, someRun, []byte("sealed")))
		if err := w.KeepResult(ctx, key, someRun, []byte("again")); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		must(t, w.FreeResult(ctx, key, someRun)) // too late
		if r, first := begin(); first || string(r.Sealed) != "sealed" {
			t.Errorf("kept: %+v, %v", r, first)
		}
		if sealed, err := s.HasSealed(ctx); err != nil || !sealed {
			t.Errorf("%v, %v", sealed, err)
		}
		other := key
		other.Caller = "token tok_2"
		if _, first, err := w.BeginResult(ctx, other, someRun, s.Now().Add(time.Hour)); err != nil || !first {
			t.Errorf("another caller's: %v, %v", first, err)
		}
		must(t, w.FreeResult(ctx, other, someRun))
		if _, first, err := w.BeginResult(ctx, other, someRun, s.Now().Add(time.Hour)); err != nil || !first {
			t.Errorf("freed: %v, %v", first, err)
		}
	})
}

func TestResultsExpire(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		ctx, w := t.Context(), home(s)
		c := addConnection(t, w, "ERP", "")
		for i, hash := range []string{"a", "b", "c"} {
			key := ResultKey{ConnectionID: c.ID, Caller: "x", Hash: []byte(hash)}
			_, _, err := w.BeginResult(ctx, key, someRun, s.Now().Add(time.Duration(1-i)*time.Hour))
			must(t, err)
		}
		key := ResultKey{ConnectionID: c.ID, Caller: "x", Hash: []byte("c")}
		if _, first, err := w.BeginResult(ctx, key, someRun, s.Now().Add(time.Hour)); err != nil || !first {
			t.Errorf("an expired key is free: %v, %v", first, err)
		}
		if n, err := s.SweepResults(ctx, 10); err != nil || n != 1 {
			t.Errorf("swept %d, %v", n, err)
		}
		if n := rowCount(t, s, "results"); n != 2 {
			t.Errorf("%d are left", n)
		}
		must(t, w.DeleteConnection(ctx, c.ID, 0))
		if n := rowCount(t, s, "results"); n != 0 {
			t.Errorf("%d outlive their connection", n)
		}
	})
}
