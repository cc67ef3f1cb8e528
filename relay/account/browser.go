package account

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"

	"sallyport/proto"
	"sallyport/relay/store"
)

// browserLifetime is how long a browser stays signed in.
const browserLifetime = 7 * 24 * time.Hour

// What a browser's session holds.
const (
	keyUser  = "user"
	keyEpoch = "epoch"
)

// BrowserOptions of a Browser. Accounts and Store are required.
type BrowserOptions struct {
	Accounts *Accounts
	Store    *store.Store
	Secure   bool // the public URL is https: the cookie never travels without TLS
}

// Browser signs browsers in and out, and tells who asks in a request. It reads
// requests and sets cookies, but never wraps a ResponseWriter: event streams
// and proxied bodies pass by it untouched.
type Browser struct {
	accounts *Accounts
	store    *store.Store
	sessions *scs.SessionManager
}

// NewBrowser makes a Browser.
func NewBrowser(o BrowserOptions) *Browser {
	// Not by scs.New, which starts a goroutine that nobody can end safely.
	sessions := &scs.SessionManager{
		Store:            sessionRows{o.Store},
		Codec:            scs.GobCodec{},
		HashTokenInStore: true, // who reads the database can't use what they find
		Lifetime:         browserLifetime,
		Cookie: scs.SessionCookie{
			Name: "sallyport", Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Persist: true,
		},
	}
	if o.Secure {
		// The prefix makes browsers refuse one that another host or plain
		// HTTP has planted (RFC 6265bis, section 4.1.3.2).
		sessions.Cookie.Name = "__Host-sallyport"
		sessions.Cookie.Secure = true
	}
	return &Browser{accounts: o.Accounts, store: o.Store, sessions: sessions}
}

// SignIn makes the browser that sent r the user's, in a session of a new id.
func (b *Browser) SignIn(w http.ResponseWriter, r *http.Request, user User) error {
	ctx := r.Context()
	if err := b.store.DeleteExpiredBrowserSessions(ctx); err != nil {
		return err
	}
	// What the browser had before ends here: its id may be known to others.
	if old := b.token(r); old != "" {
		previous, err := b.sessions.Load(ctx, old)
		if err != nil {
			return fmt.Errorf("end the browser's old session: %w", err)
		}
		if err := b.sessions.Destroy(previous); err != nil {
			return fmt.Errorf("end the browser's old session: %w", err)
		}
	}
	fresh, err := b.sessions.Load(ctx, "")
	if err != nil {
		return fmt.Errorf("begin a browser session: %w", err)
	}
	b.sessions.Put(fresh, keyUser, user.ID)
	b.sessions.Put(fresh, keyEpoch, user.epoch)
	token, expires, err := b.sessions.Commit(fresh)
	if err != nil {
		return fmt.Errorf("save the browser session: %w", err)
	}
	b.sessions.WriteSessionCookie(fresh, w, token, expires)
	return nil
}

// SignOut ends the session of the browser that sent r.
func (b *Browser) SignOut(w http.ResponseWriter, r *http.Request) error {
	ctx, err := b.sessions.Load(r.Context(), b.token(r))
	if err != nil {
		return fmt.Errorf("end the browser session: %w", err)
	}
	if err := b.sessions.Destroy(ctx); err != nil {
		return fmt.Errorf("end the browser session: %w", err)
	}
	b.sessions.WriteSessionCookie(ctx, w, "", time.Time{})
	return nil
}

// Actor tells who asks: by the request's bearer token, or else by its cookie.
// A token that is wrong is refused, whatever the cookie says.
func (b *Browser) Actor(r *http.Request) (Actor, error) {
	if field := r.Header.Get("Authorization"); field != "" {
		scheme, token, _ := strings.Cut(field, " ")
		if !strings.EqualFold(scheme, "Bearer") || strings.TrimSpace(token) == "" {
			return Actor{}, &proto.Error{Code: proto.CodeUnauthorized, Detail: "The Authorization header has no bearer token.",
				Hint: "Send Authorization: Bearer TOKEN."}
		}
		return b.accounts.ActorForToken(r.Context(), strings.TrimSpace(token))
	}
	user, err := b.User(r)
	if err != nil {
		return Actor{}, err
	}
	return user.Actor(), nil
}

// User tells whose browser sent r.
func (b *Browser) User(r *http.Request) (User, error) {
	token := b.token(r)
	if token == "" {
		return User{}, errSignedOut
	}
	ctx, err := b.sessions.Load(r.Context(), token)
	if err != nil {
		return User{}, fmt.Errorf("read the browser session: %w", err)
	}
	id := b.sessions.GetString(ctx, keyUser)
	if id == "" {
		return User{}, errSignedOut
	}
	user, err := b.accounts.User(ctx, id)
	switch {
	case err != nil && proto.AsError(err) != nil, err == nil && user.epoch != b.sessions.GetInt64(ctx, keyEpoch):
		return User{}, errSignedOut // the account is gone, or all its sessions were ended
	case err != nil:
		return User{}, err
	case user.Disabled:
		return User{}, errDisabled
	}
	return user, nil
}

// SignedInByCookie reports whether r carries a browser's cookie and no bearer
// token: such requests need protection against other sites.
func (b *Browser) SignedInByCookie(r *http.Request) bool {
	return r.Header.Get("Authorization") == "" && b.token(r) != ""
}

func (b *Browser) token(r *http.Request) string {
	cookie, err := r.Cookie(b.sessions.Cookie.Name)
	if err != nil {
		return ""
	}
	return cookie.Value
}

var errSignedOut = &proto.Error{Code: proto.CodeUnauthorized,
	Detail: "You are not signed in.", Hint: "Sign in, or send an API token as Authorization: Bearer TOKEN."}

// sessionRows keeps scs's sessions in our tables (scs.CtxStore).
type sessionRows struct{ store *store.Store }

func (s sessionRows) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	data, err := s.store.BrowserSession(ctx, token)
	if errors.Is(err, store.ErrNotFound) {
		return nil, false, nil
	}
	return data, err == nil, err
}

func (s sessionRows) CommitCtx(ctx context.Context, token string, data []byte, expires time.Time) error {
	return s.store.SaveBrowserSession(ctx, token, data, expires)
}

func (s sessionRows) DeleteCtx(ctx context.Context, token string) error {
	return s.store.DeleteBrowserSession(ctx, token)
}

// The methods without a context are those of scs.Store; scs prefers the others.
func (s sessionRows) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

func (s sessionRows) Commit(token string, data []byte, expires time.Time) error {
	return s.CommitCtx(context.Background(), token, data, expires)
}

func (s sessionRows) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }
