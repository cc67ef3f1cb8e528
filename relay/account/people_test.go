package account

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"sallyport/proto"
)

func keyOf(t *testing.T, password, salt string) string {
	t.Helper()
	return base64.RawStdEncoding.EncodeToString(argon2.IDKey([]byte(password), []byte(salt), 1, 64, 2, 32))
}

func TestTokensAreShownOnceAndEnd(t *testing.T) {
	h := newHouse(t)
	admin := h.admin(t).Actor()
	ctx := t.Context()
	until := h.now.Add(time.Hour)
	made, secret, err := h.CreateToken(ctx, admin, " CI ", Editor, &until)
	must(t, err)
	if !strings.HasPrefix(secret, TokenPrefix) || made.Name != "CI" || !strings.HasPrefix(secret, strings.TrimSuffix(made.Hint, "…")) {
		t.Errorf("got %+v, %q", made, secret)
	}
	actor, err := h.ActorForToken(ctx, secret)
	must(t, err)
	if actor.ID != made.ID || actor.Role != Editor || actor.MayAdminister() {
		t.Errorf("got %+v", actor)
	}
	list, err := h.Tokens(ctx, admin)
	must(t, err)
	if len(list) != 1 || list[0].LastUsedAt == nil || !list[0].LastUsedAt.Equal(h.now) || list[0].CreatedBy != "Administrator" {
		t.Errorf("got %+v", list)
	}
	h.now = until
	_, err = h.ActorForToken(ctx, secret)
	wantCode(t, err, proto.CodeUnauthorized, "expired on 2026-03-01")
	_, _, err = h.CreateToken(ctx, admin, "past", Viewer, &until)
	wantCode(t, err, proto.CodeValidation, "in the past")

	_, forever, err := h.CreateToken(ctx, admin, "forever", Viewer, nil)
	must(t, err)
	must(t, h.RevokeToken(ctx, admin, made.ID))
	wantCode(t, h.RevokeToken(ctx, admin, made.ID), proto.CodeNotFound, "no such API token")
	_, err = h.ActorForToken(ctx, secret)
	wantCode(t, err, proto.CodeUnauthorized, "not valid")
	_, err = h.ActorForToken(ctx, forever)
	must(t, err)
}

func TestOnlyAdministratorsManagePeopleAndTokens(t *testing.T) {
	h := newHouse(t)
	admin := h.admin(t)
	ctx := t.Context()
	for _, role := range []Role{Editor, Viewer, ""} {
		actor := admin.Actor()
		actor.Role = role
		_, _, create := h.CreateUser(ctx, actor, "x@example.com", "", Viewer)
		_, _, token := h.CreateToken(ctx, actor, "x", Viewer, nil)
		_, users := h.Users(ctx, actor)
		_, tokens := h.Tokens(ctx, actor)
		_, link := h.SignInLinkFor(ctx, actor, admin.ID, InviteLifetime)
		for what, err := range map[string]error{
			"create user": create, "create token": token, "users": users, "tokens": tokens, "link": link,
			"role": h.SetRole(ctx, actor, admin.ID, Viewer), "disable": h.DisableUser(ctx, actor, admin.ID, true),
			"reset": h.ResetPassword(ctx, actor, admin.ID), "revoke": h.RevokeToken(ctx, actor, "tok_1"),
		} {
			if e := proto.AsError(err); e == nil || e.Code != proto.CodeForbidden {
				t.Errorf("%s as %q: %v", what, role, err)
			}
		}
	}
}

func TestPeopleAreInvitedChangedAndLockedOut(t *testing.T) {
	h := newHouse(t)
	admin := h.admin(t)
	ctx := t.Context()
	bob, path, err := h.CreateUser(ctx, admin.Actor(), "bob@example.com", "", Editor)
	must(t, err)
	if bob.Name != "bob" {
		t.Errorf("name %q", bob.Name)
	}
	_, _, err = h.CreateUser(ctx, admin.Actor(), "BOB@example.com", "Bob", Editor)
	wantCode(t, err, proto.CodeConflict, "has an account already")
	_, _, err = h.CreateUser(ctx, admin.Actor(), " ", "", Editor)
	wantCode(t, err, proto.CodeValidation, "Enter an e-mail address")
	for _, email := range []string{"bob", "Bob <bob@example.com>", "a@b\r\nBcc: c@d"} {
		_, _, err = h.CreateUser(ctx, admin.Actor(), email, "", Editor)
		wantCode(t, err, proto.CodeValidation, "is not an e-mail address")
	}
	_, _, err = h.CreateUser(ctx, admin.Actor(), "c@example.com", "", "root")
	wantCode(t, err, proto.CodeValidation, "not a role")
	var wrong *Invalid
	if _, _, err = h.CreateUser(ctx, admin.Actor(), "c", "", "root"); !errors.As(err, &wrong) || len(wrong.Fields) != 2 {
		t.Errorf("two mistakes: %v", err)
	}

	_, err = h.RedeemLink(ctx, strings.TrimPrefix(path, LinkPath))
	must(t, err)
	second, err := h.SignInLinkFor(ctx, admin.Actor(), bob.ID, InviteLifetime)
	must(t, err)
	must(t, h.DisableUser(ctx, admin.Actor(), bob.ID, true))
	_, err = h.RedeemLink(ctx, strings.TrimPrefix(second, LinkPath))
	wantCode(t, err, proto.CodeUnauthorized, "")
	_, err = h.ActorForUser(ctx, bob.ID)
	wantCode(t, err, proto.CodeUnauthorized, "disabled")
	_, err = h.SignInLinkFor(ctx, admin.Actor(), bob.ID, InviteLifetime)
	wantCode(t, err, proto.CodeConflict, "is disabled")
	must(t, h.DisableUser(ctx, admin.Actor(), bob.ID, false))
	must(t, h.SetRole(ctx, admin.Actor(), bob.ID, Viewer))
	actor, err := h.ActorForUser(ctx, bob.ID)
	must(t, err)
	if actor.Role != Viewer {
		t.Errorf("got %+v", actor)
	}
	wantCode(t, h.DisableUser(ctx, admin.Actor(), "usr_nobody", true), proto.CodeNotFound, "no such user")
}

func TestTheLastAdministratorStays(t *testing.T) {
	h := newHouse(t)
	admin := h.admin(t)
	ctx := t.Context()
	wantCode(t, h.DisableUser(ctx, admin.Actor(), admin.ID, true), proto.CodeConflict, "last administrator")
	wantCode(t, h.SetRole(ctx, admin.Actor(), admin.ID, Editor), proto.CodeConflict, "last administrator")
	if u, err := h.User(ctx, admin.ID); err != nil || u.Disabled || u.Role != Admin {
		t.Errorf("the refusal left %+v, %v", u, err)
	}
	_, _, err := h.CreateUser(ctx, admin.Actor(), "eve@example.com", "Eve", Admin)
	must(t, err)
	must(t, h.SetRole(ctx, admin.Actor(), admin.ID, Editor))
}

// visit is a browser with its cookies.
type visit struct {
	b       *Browser
	cookies []*http.Cookie
}

func (v *visit) request(t *testing.T) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
	for _, c := range v.cookies {
		r.AddCookie(c)
	}
	return r
}

func (v *visit) signIn(t *testing.T, u User) *http.Cookie {
	t.Helper()
	w := httptest.NewRecorder()
	must(t, v.b.SignIn(w, v.request(t), u))
	v.cookies = w.Result().Cookies()
	return v.cookies[0]
}

func TestABrowserSignsInAndOut(t *testing.T) {
	h := newHouse(t)
	h.now = time.Now() // scs has its own clock
	admin := h.admin(t)
	v := &visit{b: NewBrowser(BrowserOptions{Accounts: h.Accounts, Store: h.store, Secure: true})}
	_, err := v.b.Actor(v.request(t))
	wantCode(t, err, proto.CodeUnauthorized, "not signed in")

	cookie := v.signIn(t, admin)
	if cookie.Name != "__Host-sallyport" || !cookie.HttpOnly || !cookie.Secure || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || cookie.Domain != "" {
		t.Errorf("cookie %+v", cookie)
	}
	actor, err := v.b.Actor(v.request(t))
	must(t, err)
	if actor.ID != admin.ID || actor.Kind != "user" || !v.b.SignedInByCookie(v.request(t)) {
		t.Errorf("got %+v", actor)
	}
	if _, err := h.store.BrowserSession(t.Context(), cookie.Value); err == nil {
		t.Error("the store has the token in clear text")
	}

	first := v.cookies
	second := v.signIn(t, admin)
	if second.Value == cookie.Value {
		t.Error("signing in again kept the session's id")
	}
	stale := &visit{b: v.b, cookies: first}
	_, err = v.b.Actor(stale.request(t))
	wantCode(t, err, proto.CodeUnauthorized, "not signed in")

	w := httptest.NewRecorder()
	must(t, v.b.SignOut(w, v.request(t)))
	if gone := w.Result().Cookies(); len(gone) != 1 || gone[0].MaxAge >= 0 {
		t.Errorf("cookies %v", gone)
	}
	_, err = v.b.Actor(v.request(t)) // the cookie was kept by someone
	wantCode(t, err, proto.CodeUnauthorized, "not signed in")
}

func TestABrowserIsSignedOutByWhatEndsItsAccount(t *testing.T) {
	h := newHouse(t)
	h.now = time.Now()
	admin := h.admin(t)
	b := NewBrowser(BrowserOptions{Accounts: h.Accounts, Store: h.store})
	bob, _, err := h.CreateUser(t.Context(), admin.Actor(), "bob@example.com", "Bob", Editor)
	must(t, err)
	v := &visit{b: b}
	if c := v.signIn(t, bob); c.Name != "sallyport" || c.Secure {
		t.Errorf("cookie %+v", c)
	}
	changed, err := h.SetPassword(t.Context(), bob.Actor(), "", "four words in a row")
	must(t, err)
	_, err = b.Actor(v.request(t))
	wantCode(t, err, proto.CodeUnauthorized, "not signed in")
	v.signIn(t, changed)
	_, err = b.Actor(v.request(t))
	must(t, err)
	must(t, h.DisableUser(t.Context(), admin.Actor(), bob.ID, true))
	_, err = b.Actor(v.request(t))
	wantCode(t, err, proto.CodeUnauthorized, "")
}

func TestABearerTokenComesBeforeTheCookie(t *testing.T) {
	h := newHouse(t)
	h.now = time.Now()
	admin := h.admin(t)
	b := NewBrowser(BrowserOptions{Accounts: h.Accounts, Store: h.store})
	v := &visit{b: b}
	v.signIn(t, admin)
	_, secret, err := h.CreateToken(t.Context(), admin.Actor(), "CI", Viewer, nil)
	must(t, err)
	for field, want := range map[string]string{
		"Bearer " + secret: "", "bearer  " + secret: "",
		"Bearer wrong": "not valid", "Bearer ": "no bearer token", "Basic YTpi": "no bearer token",
	} {
		r := v.request(t)
		r.Header.Set("Authorization", field)
		actor, err := b.Actor(r)
		switch {
		case want == "" && (err != nil || actor.Kind != "token"):
			t.Errorf("%q: got %+v, %v", field, actor, err)
		case want != "":
			wantCode(t, err, proto.CodeUnauthorized, want)
		}
		if b.SignedInByCookie(r) {
			t.Errorf("%q: taken for the cookie's", field)
		}
	}
}
