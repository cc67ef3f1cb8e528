package account

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/testkit"
	"sallyport/proto"
)

func TestTheFirstStartGivesOneLinkAndLaterStartsNone(t *testing.T) {
	h := newHouse(t)
	path, err := h.Bootstrap(t.Context(), "")
	must(t, err)
	token, ok := strings.CutPrefix(path, LinkPath)
	if !ok || len(token) < 40 {
		t.Fatalf("path %q", path)
	}
	again, err := h.Bootstrap(t.Context(), "")
	must(t, err)
	if again != "" {
		t.Error("a later start gave a link")
	}
	u, err := h.RedeemLink(t.Context(), token)
	must(t, err)
	if u.Role != Admin || u.HasPassword || u.Actor().WorkspaceID != h.store.DefaultWorkspaceID() {
		t.Errorf("got %+v", u)
	}
	_, err = h.RedeemLink(t.Context(), token)
	wantCode(t, err, proto.CodeUnauthorized, "used before")
	_, err = h.RedeemLink(t.Context(), token+"x")
	wantCode(t, err, proto.CodeUnauthorized, "not a valid sign-in link")
	if diff := cmp.Diff([]string{"first start user.create admin@localhost", "Administrator user.sign_in admin@localhost"}, h.actions(t)); diff != "" {
		t.Error(diff)
	}
}

func TestABootstrapTokenIsAnAdministratorsOnlyOnTheFirstStart(t *testing.T) {
	h := newHouse(t)
	path, err := h.Bootstrap(t.Context(), "correct-horse-battery")
	must(t, err)
	if path != "" {
		t.Error("a link was made, too")
	}
	actor, err := h.ActorForToken(t.Context(), "correct-horse-battery")
	must(t, err)
	if actor.Role != Admin || actor.Kind != "token" {
		t.Errorf("got %+v", actor)
	}
	_, err = h.Bootstrap(t.Context(), "another-one-later")
	must(t, err)
	_, err = h.ActorForToken(t.Context(), "another-one-later")
	wantCode(t, err, proto.CodeUnauthorized, "not valid")
	tokens, err := h.Tokens(t.Context(), actor)
	must(t, err)
	if len(tokens) != 1 || strings.Contains(tokens[0].Hint, "corr") {
		t.Errorf("got %+v", tokens)
	}
	// Who lost everything but the machine still gets in.
	link, err := h.NewSignInLink(t.Context(), time.Hour)
	must(t, err)
	_, err = h.RedeemLink(t.Context(), strings.TrimPrefix(link, LinkPath))
	must(t, err)
}

func TestABootstrapTokenThatNoHeaderCanCarryIsRefused(t *testing.T) {
	h := newHouse(t)
	for _, token := range []string{"with a blank", "short", "newline\nnewline", "ümlaut-ümlaut"} {
		_, err := h.Bootstrap(t.Context(), token)
		wantCode(t, err, proto.CodeValidation, "bootstrap token")
	}
	if path, err := h.Bootstrap(t.Context(), ""); err != nil || path == "" {
		t.Errorf("after a refusal the first start is still to come: %q, %v", path, err)
	}
}

func TestRelaysThatStartAtOnceMakeOneAdministrator(t *testing.T) {
	for engine, dsn := range map[string]func(t *testing.T) string{
		"sqlite":   func(t *testing.T) string { return filepath.Join(t.TempDir(), "relay.db") },
		"postgres": func(t *testing.T) string { return testkit.Postgres(t) },
	} {
		t.Run(engine, func(t *testing.T) {
			h := houseAt(t, dsn(t))
			paths := make([]string, 4)
			var wg sync.WaitGroup
			for i := range paths {
				wg.Go(func() {
					var err error
					if paths[i], err = h.Bootstrap(t.Context(), ""); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			links := 0
			for _, p := range paths {
				if p != "" {
					links++
				}
			}
			users, err := h.Users(t.Context(), h.System("test"))
			must(t, err)
			if links != 1 || len(users) != 1 {
				t.Errorf("%d links, %d users", links, len(users))
			}
		})
	}
}

func TestALinkExpires(t *testing.T) {
	h := newHouse(t)
	h.admin(t)
	path, err := h.NewSignInLink(t.Context(), 10*time.Minute)
	must(t, err)
	h.now = h.now.Add(11 * time.Minute)
	_, err = h.RedeemLink(t.Context(), strings.TrimPrefix(path, LinkPath))
	wantCode(t, err, proto.CodeUnauthorized, "expired")
}

func TestPasswords(t *testing.T) {
	h := newHouse(t)
	admin := h.admin(t)
	ctx := t.Context()
	_, err := h.SignInWithPassword(ctx, admin.Email, "", "192.0.2.1:9")
	wantCode(t, err, proto.CodeUnauthorized, "wrong")
	_, err = h.SetPassword(ctx, admin.Actor(), "", "short")
	wantCode(t, err, proto.CodeValidation, "at least 10")
	_, err = h.SetPassword(ctx, admin.Actor(), "", "four words in a row")
	must(t, err)
	_, err = h.SetPassword(ctx, admin.Actor(), "wrong", "five words in a long row")
	wantCode(t, err, proto.CodeValidation, "current password is wrong")
	u, err := h.SignInWithPassword(ctx, " ADMIN@localhost", "four words in a row", "192.0.2.1:9")
	must(t, err)
	if !u.HasPassword || u.ID != admin.ID {
		t.Errorf("got %+v", u)
	}
	for _, wrong := range [][2]string{{admin.Email, "Four words in a row"}, {"nobody@example.com", "four words in a row"}, {admin.Email, strings.Repeat("x", 1<<16)}} {
		_, err = h.SignInWithPassword(ctx, wrong[0], wrong[1], "192.0.2.1:9")
		wantCode(t, err, proto.CodeUnauthorized, "E-mail address or password is wrong")
	}
	stored, err := h.store.UserByID(ctx, admin.ID)
	must(t, err)
	if !strings.HasPrefix(stored.PasswordHash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("stored as %q", stored.PasswordHash)
	}
	for _, e := range h.logs.All() {
		for _, f := range e.Context {
			if strings.Contains(f.String, "words") {
				t.Errorf("log has the password: %v", e)
			}
		}
	}
}

func TestGuessingIsSlowedDownForTheAccountAndForTheAddress(t *testing.T) {
	h := newHouse(t)
	h.hasher = newHasher(64, 1) // what slows guesses down here is not the hash
	admin := h.admin(t)
	ctx := t.Context()
	_, err := h.SetPassword(ctx, admin.Actor(), "", "four words in a row")
	must(t, err)
	try := func(email, password, address string) error {
		_, err := h.SignInWithPassword(ctx, email, password, address)
		return err
	}
	for i := range 10 {
		wantCode(t, try(admin.Email, "wrong", "192.0.2.1"), proto.CodeUnauthorized, "wrong")
		if i == 0 {
			must(t, try(admin.Email, "four words in a row", "192.0.2.1")) // costs nothing
		}
	}
	err = try(admin.Email, "four words in a row", "198.51.100.1")
	wantCode(t, err, proto.CodeTooManyRequests, "Try again in")
	if proto.AsError(err).Facts["retryAfter"] != "61" {
		t.Errorf("facts %v", proto.AsError(err).Facts)
	}
	h.now = h.now.Add(time.Minute)
	must(t, try(admin.Email, "four words in a row", "198.51.100.1"))

	// One address that tries many accounts.
	var last error
	for i := range 60 {
		last = try(strings.Repeat("x", i+1)+"@example.com", "wrong", "203.0.113.5:77")
		if proto.AsError(last).Code == proto.CodeTooManyRequests {
			break
		}
	}
	wantCode(t, last, proto.CodeTooManyRequests, "")
	wantCode(t, try("other@example.com", "wrong", "203.0.113.6:77"), proto.CodeUnauthorized, "")
}

func TestAPasswordHashOfAnotherCostStillVerifies(t *testing.T) {
	h := newHasher(argonMemoryKiB, argonTime)
	// argon2id with m=64, t=1, p=2 of "password" and salt "somesalt".
	ok, err := h.verify(t.Context(), "$argon2id$v=19$m=64,t=1,p=2$c29tZXNhbHQ$"+keyOf(t, "password", "somesalt"), "password")
	if err != nil || !ok {
		t.Errorf("got %v, %v", ok, err)
	}
	for _, bad := range []string{"x", "$argon2i$v=19$m=64,t=1,p=2$c29tZXNhbHQ$AAAA", "$argon2id$v=19$m=64,t=0,p=2$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", "$argon2id$v=19$m=64,t=1,p=2$!$AAAA"} {
		if ok, err := h.verify(t.Context(), bad, "password"); err == nil || ok {
			t.Errorf("%q: got %v, %v", bad, ok, err)
		}
	}
}

func TestHashesWaitForTheirTurn(t *testing.T) {
	h := newHasher(argonMemoryKiB, argonTime)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			if _, err := h.hash(t.Context(), "four words in a row"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(h.slots) != 0 {
		t.Error("a turn was not given back")
	}
}
