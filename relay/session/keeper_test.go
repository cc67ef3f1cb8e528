package session

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"sallyport/proto"
)

func TestAllWhoWaitShareOneSignIn(t *testing.T) {
	a := newApp(t)
	a.gate = make(chan struct{})
	rt, con := cloud(t), a.connection()
	k := newKeeper(t, &memory{}, newClock(), nil)

	leaver, leave := context.WithCancel(context.Background())
	left := make(chan error, 1)
	go func() { _, err := k.Current(leaver, rt, con, "leaver"); left <- err }() // begins the sign-in
	a.awaitSignIn(t)
	var wg sync.WaitGroup
	ids := make([]string, 100)
	for i := range ids {
		wg.Go(func() {
			h, err := k.Current(context.Background(), rt, con, "req")
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = h.ID()
		})
	}
	leave()
	if e := proto.AsError(<-left); e == nil || e.Code != proto.CodeCanceled {
		t.Errorf("who left got %v", e)
	}
	close(a.gate)
	wg.Wait()
	if n := a.signIns.Load(); n != 1 {
		t.Errorf("%d sign-ins", n)
	}
	for _, id := range ids {
		if id != ids[0] || id == "" {
			t.Fatalf("sessions %v", ids)
		}
	}
}

func TestAStaleSessionIsRenewedOnceForAllWhoHoldIt(t *testing.T) {
	a := newApp(t)
	rt, con := cloud(t), a.connection()
	store := &memory{}
	k := newKeeper(t, store, newClock(), nil)
	stale, err := k.Current(context.Background(), rt, con, "req")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			h, err := k.Renew(context.Background(), rt, con, stale, "req", "the application answered 401")
			if err != nil || h.ID() != "ses_2" {
				t.Errorf("%v, %v", h, err)
			}
		})
	}
	wg.Wait()
	if n := a.signIns.Load(); n != 2 {
		t.Errorf("%d sign-ins, want the first and one more", n)
	}
	if sent := a.cookies.Load(); sent != "" {
		t.Errorf("the sign-in was sent the old cookies: %v", sent)
	}
	s, err := k.Stored(context.Background(), con.WorkspaceID, con.ID)
	if err != nil || s.ID != "ses_2" || s.SignIns != 2 || s.Reason != "the application answered 401" {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestAStoredSessionOutlivesTheKeeper(t *testing.T) {
	a := newApp(t)
	rt, con := cloud(t), a.connection()
	store, c := &memory{}, newClock()
	if _, err := newKeeper(t, store, c, nil).Current(context.Background(), rt, con, "req"); err != nil {
		t.Fatal(err)
	}
	h, err := newKeeper(t, store, c, nil).Current(context.Background(), rt, con, "req")
	if err != nil || h.ID() != "ses_1" || h.Jar.Header(parse(t, a.URL+"/api/me")) != "SID=1" || a.signIns.Load() != 1 {
		t.Errorf("%v, %v, %d sign-ins", h, err, a.signIns.Load())
	}
	t.Run("but not a change of the settings", func(t *testing.T) {
		for _, k := range []*Keeper{newKeeper(t, store, c, nil)} {
			con := a.connection()
			con.Auth.Cookie.Body += " "
			before := a.signIns.Load()
			if _, err := k.Current(context.Background(), rt, con, "req"); err != nil || a.signIns.Load() != before+1 {
				t.Errorf("%v, %d sign-ins", err, a.signIns.Load()-before)
			}
		}
	})
	t.Run("and a renewal by another relay is taken over", func(t *testing.T) {
		one, other := newKeeper(t, store, c, nil), newKeeper(t, store, c, nil)
		ctx := context.Background()
		h1, _ := one.Current(ctx, rt, con, "req")
		h2, _ := other.Current(ctx, rt, con, "req")
		before := a.signIns.Load()
		one.newID = func() string { return "ses_new" }
		if _, err := one.Renew(ctx, rt, con, h1, "req", "x"); err != nil {
			t.Fatal(err)
		}
		h, err := other.Renew(ctx, rt, con, h2, "req", "x")
		if err != nil || h.ID() != "ses_new" || a.signIns.Load() != before+1 {
			t.Errorf("%v %v, %d sign-ins", h, err, a.signIns.Load()-before)
		}
	})
}

func TestASessionWhoseCookiesHaveExpiredIsSignedInAnew(t *testing.T) {
	a := newApp(t)
	a.login = nil
	rt, con := cloud(t), a.connection()
	c := newClock()
	k := newKeeper(t, &memory{}, c, nil)
	h, err := k.Current(context.Background(), rt, con, "req")
	if err != nil {
		t.Fatal(err)
	}
	h.Jar.SetCookies(parse(t, a.URL+"/api/me"), []string{"SID=1; Path=/; Max-Age=60"})
	c.advance(2 * time.Minute)
	if h, err = k.Current(context.Background(), rt, con, "req"); err != nil || a.signIns.Load() != 2 {
		t.Errorf("%v %v, %d sign-ins", h, err, a.signIns.Load())
	}
}

func TestRefusedSignInsBackOff(t *testing.T) {
	a := newApp(t)
	rt, con, ctx := cloud(t), a.connection(), context.Background()
	con.Secrets["password"] = "wrong"
	c := newClock()
	k := newKeeper(t, &memory{}, c, nil)
	ask := func() *proto.Error {
		t.Helper()
		_, err := k.Current(ctx, rt, con, "req")
		e := proto.AsError(err)
		if e == nil || e.Code != proto.CodeSignInFailed || e.Outcome != proto.OutcomeNotSent {
			t.Fatalf("got %v", err)
		}
		return e
	}
	if e := ask(); e.Facts[FactNextTry] != "" || e.Facts[FactStatus] != "200" || e.Facts[FactWhy] != string(NoCookie) {
		t.Errorf("after the first failure: %v", e.Facts)
	}
	began := c.now()
	if e := ask(); e.Facts[FactNextTry] == "" || !strings.Contains(e.Detail, "not tried again before") {
		t.Errorf("after the second failure: %v, %s", e.Facts, e.Detail)
	}
	for range 20 {
		ask()
	}
	if n := a.signIns.Load(); n != 2 {
		t.Fatalf("%d sign-ins while backing off, want 2", n)
	}
	if s := k.State(con.WorkspaceID, con.ID); s.Failures != 2 || s.Since.After(began) || !s.NextTry.Equal(began.Add(15*time.Second)) || s.Detail == "" {
		t.Errorf("state %+v", s)
	}
	c.advance(15 * time.Second)
	ask()
	if n := a.signIns.Load(); n != 3 {
		t.Errorf("%d sign-ins after the wait, want 3", n)
	}
	t.Run("a person may try at any time", func(t *testing.T) {
		if _, err := k.SignIn(ctx, rt, con, "req", "a test"); !errors.As(err, new(*Failed)) || a.signIns.Load() != 4 {
			t.Errorf("%v, %d sign-ins", err, a.signIns.Load())
		}
	})
	t.Run("another password is tried at once, and its success ends it", func(t *testing.T) {
		con.Secrets = map[string]string{"password": "hunter2"}
		if _, err := k.Current(ctx, rt, con, "req"); err != nil {
			t.Error(err)
		}
		if s := k.State(con.WorkspaceID, con.ID); s != (State{SignIns: s.SignIns}) {
			t.Errorf("state %+v", s)
		}
	})
}

func TestAFailedTestLeavesTheSessionAsItIs(t *testing.T) {
	a := newApp(t)
	rt, con, ctx := cloud(t), a.connection(), context.Background()
	k := newKeeper(t, &memory{}, newClock(), nil)
	if _, err := k.Current(ctx, rt, con, "req"); err != nil {
		t.Fatal(err)
	}
	draft := a.connection()
	draft.Secrets["password"] = "wrong"
	if _, err := k.SignIn(ctx, rt, draft, "req", "a test"); err == nil {
		t.Fatal("signed in")
	}
	if h, err := k.Current(ctx, rt, con, "req"); err != nil || h.ID() != "ses_1" {
		t.Errorf("%v %v", h, err)
	}
}

func TestLaterCookiesAreStoredAtOnceAndUseOnceAMinute(t *testing.T) {
	a := newApp(t)
	rt, con, ctx := cloud(t), a.connection(), context.Background()
	store, c := &memory{}, newClock()
	k := newKeeper(t, store, c, nil)
	h, err := k.Current(ctx, rt, con, "req")
	if err != nil {
		t.Fatal(err)
	}
	saves := func(want int, after string) {
		t.Helper()
		if err := k.Store(ctx, h); err != nil {
			t.Fatal(err)
		}
		if store.saves != want {
			t.Errorf("%d saves after %s, want %d", store.saves, after, want)
		}
	}
	saves(1, "use")
	u := parse(t, a.URL+"/api/me")
	h.Jar.SetCookies(u, []string{"csrf=1; Path=/"})
	saves(2, "a new cookie")
	saves(2, "use")
	h.Jar.SetCookies(u, []string{"csrf=1; Path=/; Max-Age=600"})
	saves(2, "a longer life")
	c.advance(time.Minute)
	saves(3, "a minute")
	if s := store.sessions["wsp_1/con_1"]; len(s.Cookies) != 2 || !s.LastUsedAt.Equal(c.now()) {
		t.Errorf("stored %+v", s)
	}
	t.Run("what was dropped does not come back", func(t *testing.T) {
		if err := k.Drop(ctx, Dropped{WorkspaceID: con.WorkspaceID, ConnectionID: con.ID}); err != nil {
			t.Fatal(err)
		}
		h.Jar.SetCookies(u, []string{"csrf=2; Path=/"})
		saves(3, "a drop")
		if _, err := k.Stored(ctx, con.WorkspaceID, con.ID); !errors.Is(err, ErrNone) {
			t.Errorf("stored: %v", err)
		}
	})
}

func TestADropDuringASignInIsNotUndoneByIt(t *testing.T) {
	a := newApp(t)
	a.gate = make(chan struct{})
	rt, con, ctx := cloud(t), a.connection(), context.Background()
	store := &memory{}
	k := newKeeper(t, store, newClock(), nil)
	done := make(chan error, 1)
	go func() { _, err := k.Current(ctx, rt, con, "req"); done <- err }()
	a.awaitSignIn(t)
	if err := k.Drop(ctx, Dropped{WorkspaceID: con.WorkspaceID, ConnectionID: con.ID}); err != nil {
		t.Fatal(err)
	}
	close(a.gate)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if len(store.sessions) != 0 {
		t.Error("the session was stored")
	}
}

func TestCloseEndsSignIns(t *testing.T) {
	a := newApp(t)
	a.gate = make(chan struct{})
	k := newKeeper(t, &memory{}, newClock(), nil)
	rt, con := cloud(t), a.connection()
	done := make(chan error, 1)
	go func() { _, err := k.Current(context.Background(), rt, con, "req"); done <- err }()
	a.awaitSignIn(t)
	k.Close()
	if e := proto.AsError(<-done); e == nil || e.Code != proto.CodeCanceled {
		t.Errorf("got %v", e)
	}
	if _, err := k.Current(context.Background(), rt, con, "req"); proto.AsError(err) == nil {
		t.Errorf("after Close: %v", err)
	}
}

func TestNoSecretAndNoCookieIsLogged(t *testing.T) {
	var out bytes.Buffer
	log := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&out), zap.DebugLevel))
	a := newApp(t)
	rt, con, ctx := cloud(t), a.connection(), context.Background()
	store := &memory{}
	k := newKeeper(t, store, newClock(), log)
	h, err := k.Current(ctx, rt, con, "req")
	if err != nil {
		t.Fatal(err)
	}
	store.broken = errors.New("disk full")
	h.Jar.SetCookies(parse(t, a.URL), []string{"SID=topsecretcookie; Path=/"})
	if err := k.Store(ctx, h); err == nil || strings.Contains(err.Error(), "topsecretcookie") {
		t.Errorf("error %v", err)
	}
	con.Secrets["password"] = "wrongpassword"
	if _, err := k.Current(ctx, rt, con, "req"); err == nil {
		t.Fatal("signed in")
	}
	if out.Len() == 0 {
		t.Fatal("nothing was logged: the test can't fail")
	}
	for _, secret := range []string{"hunter2", "wrongpassword", "SID=", "topsecretcookie"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("the log holds %s: %s", secret, out.String())
		}
	}
}
