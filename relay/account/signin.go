package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"sallyport/proto"
	"sallyport/relay/store"
	"sallyport/relay/throttle"
)

// ReasonWrongPassword: the current password that SetPassword was given.
const ReasonWrongPassword proto.Reason = "wrong_password"

// LinkPath begins the path of every sign-in link.
const LinkPath = "/sign-in/link/"

const (
	// firstLinkLifetime: who installs a relay may come back to the terminal
	// after lunch; a new link is one command away.
	firstLinkLifetime = 24 * time.Hour
	// InviteLifetime is for links that are sent to people: one waits for a weekend.
	InviteLifetime = 72 * time.Hour
	// shortestLink: who gets a link has to copy it into a browser.
	shortestLink = time.Minute
	// longestLink: who holds a link is whom it is for, so it must not lie about for ever.
	longestLink = 30 * 24 * time.Hour
)

// firstEmail is the address of the account that the first start makes.
const firstEmail = "admin@localhost"

// Bootstrap makes the first administrator at the first start, and does nothing
// at later ones. With a token, that becomes an administrator's API token;
// without, the path of a one-time sign-in link is returned.
func (a *Accounts) Bootstrap(ctx context.Context, token string) (signInPath string, err error) {
	n, err := a.store.CountUsers(ctx)
	if err != nil || n > 0 {
		return "", err
	}
	if token != "" {
		if err := checkBearer(token); err != nil {
			return "", err
		}
	}
	actor := a.System("first start")
	user := store.User{ID: store.NewID("usr"), Email: firstEmail, Name: "Administrator", Role: string(Admin), CreatedAt: a.store.Now()}
	err = a.store.Workspace(actor.WorkspaceID).Atomically(ctx, func(w *store.Workspace) error {
		if err := w.CreateUser(ctx, user); err != nil {
			return err
		}
		if err := a.audit(ctx, w, actor, "user.create", "user", user.ID, user.Email, "role admin"); err != nil {
			return err
		}
		if token == "" {
			signInPath, err = a.link(ctx, w, user.ID, firstLinkLifetime)
			return err
		}
		_, err := a.addToken(ctx, w, actor, "Bootstrap", Admin, time.Time{}, token)
		return err
	})
	if errors.Is(err, store.ErrTaken) {
		return "", nil // another relay on the same database was faster
	}
	return signInPath, err
}

// NewSignInLink makes a one-time link for the first administrator in force, for
// the operator who has lost every other way in.
func (a *Accounts) NewSignInLink(ctx context.Context, ttl time.Duration) (path string, err error) {
	actor := a.System("command line")
	users, err := a.Users(ctx, actor)
	if err != nil {
		return "", err
	}
	for _, u := range users {
		if u.Role == Admin && !u.Disabled {
			return a.SignInLinkFor(ctx, actor, u.ID, ttl)
		}
	}
	return "", &proto.Error{Code: proto.CodeNotFound, Detail: "There is no administrator.",
		Hint: "Start the relay once; its first start makes one."}
}

// CheckLinkLife refuses a time for which no link can be good.
func CheckLinkLife(ttl time.Duration) error {
	if ttl < shortestLink || ttl > longestLink {
		return invalid(fmt.Sprintf("A sign-in link is good for at least %s and at most %s.", Lasting(shortestLink), Lasting(longestLink)), "")
	}
	return nil
}

// SignInLinkFor makes a one-time link for a person, good for ttl; see CheckLinkLife.
func (a *Accounts) SignInLinkFor(ctx context.Context, actor Actor, userID string, ttl time.Duration) (path string, err error) {
	if err := requireAdmin(actor, "make sign-in links"); err != nil {
		return "", err
	}
	if err := CheckLinkLife(ttl); err != nil {
		return "", err
	}
	err = a.store.Workspace(actor.WorkspaceID).Atomically(ctx, func(w *store.Workspace) error {
		u, err := w.User(ctx, userID)
		if err != nil {
			return notFound(err, "user")
		}
		if !u.DisabledAt.IsZero() {
			return &proto.Error{Code: proto.CodeConflict, Detail: u.Email + " is disabled.", Hint: "Enable the account first."}
		}
		if path, err = a.link(ctx, w, userID, ttl); err != nil {
			return err
		}
		return a.audit(ctx, w, actor, "user.link", "user", u.ID, u.Email, "valid for "+Lasting(ttl))
	})
	return path, err
}

func (a *Accounts) link(ctx context.Context, w *store.Workspace, userID string, ttl time.Duration) (string, error) {
	secret := newSecret()
	if err := w.CreateSignInLink(ctx, hashOf(secret), userID, a.clock().Add(ttl)); err != nil {
		return "", err
	}
	return LinkPath + secret, nil
}

// RedeemLink signs in whoever holds a one-time link, once.
func (a *Accounts) RedeemLink(ctx context.Context, token string) (User, error) {
	const hint = "Ask an administrator for a new link, or run sallyport-relay user link on the relay's machine."
	row, err := a.store.RedeemSignInLink(ctx, hashOf(token))
	switch {
	case errors.Is(err, store.ErrUsed):
		return User{}, &proto.Error{Code: proto.CodeUnauthorized, Detail: "This sign-in link was used before.", Hint: hint, Err: err}
	case errors.Is(err, store.ErrExpired):
		return User{}, &proto.Error{Code: proto.CodeUnauthorized, Detail: "This sign-in link has expired.", Hint: hint, Err: err}
	case errors.Is(err, store.ErrNotFound):
		return User{}, &proto.Error{Code: proto.CodeUnauthorized, Detail: "This is not a valid sign-in link.", Hint: hint, Err: err}
	case err != nil:
		return User{}, err
	case !row.DisabledAt.IsZero():
		return User{}, errDisabled
	}
	return a.signedIn(ctx, row, "by link")
}

// SignInWithPassword signs a person in. address is the caller's, with or
// without its port: wrong passwords slow down both the account and the address.
func (a *Accounts) SignInWithPassword(ctx context.Context, email, password, address string) (User, error) {
	account, from := throttleKey(email), throttle.ByAddress(address)
	if wait := a.byAddress.Take(from); wait > 0 {
		return User{}, tooMany(wait)
	}
	if wait := a.byAccount.Take(account); wait > 0 {
		a.log.Warn("sign-in is throttled", zap.String("address", address), zap.Duration("wait", wait))
		return User{}, tooMany(wait)
	}
	row, err := a.store.UserByEmail(ctx, email)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return User{}, err
	}
	// An unknown account takes as long as a wrong password, so that the time
	// does not tell which addresses have one.
	good, err := a.hasher.verify(ctx, row.PasswordHash, password)
	if err != nil {
		return User{}, err
	}
	if !good || !row.DisabledAt.IsZero() {
		a.log.Warn("sign-in with a wrong password", zap.String("address", address))
		return User{}, &proto.Error{Code: proto.CodeUnauthorized, Detail: "E-mail address or password is wrong.",
			Hint: "If you have no password yet, sign in by your sign-in link and set one."}
	}
	a.byAccount.Forgive(account)
	a.byAddress.Forgive(from)
	return a.signedIn(ctx, row, "with password")
}

func (a *Accounts) signedIn(ctx context.Context, row store.User, how string) (User, error) {
	user := userOf(row)
	err := a.store.Workspace(user.WorkspaceID).Atomically(ctx, func(w *store.Workspace) error {
		if err := w.RecordSignIn(ctx, user.ID, a.clock()); err != nil {
			return err
		}
		return a.audit(ctx, w, user.Actor(), "user.sign_in", "user", user.ID, user.Email, how)
	})
	return user, err
}

// SetPassword sets the actor's own password. Where there is one already, the
// current one must be given. All browser sessions of the user end, this one
// too: sign the browser in again with the returned user.
func (a *Accounts) SetPassword(ctx context.Context, actor Actor, current, next string) (User, error) {
	if actor.Kind != "user" {
		return User{}, &proto.Error{Code: proto.CodeForbidden, Detail: "An API token has no password.", Hint: "Sign in to the pages and set it there."}
	}
	if err := checkPassword(next); err != nil {
		return User{}, err
	}
	w := a.store.Workspace(actor.WorkspaceID)
	row, err := w.User(ctx, actor.ID)
	if err != nil {
		return User{}, notFound(err, "user")
	}
	if row.PasswordHash != "" {
		key := throttleKey(row.Email)
		if wait := a.byAccount.Take(key); wait > 0 {
			return User{}, tooMany(wait)
		}
		good, err := a.hasher.verify(ctx, row.PasswordHash, current)
		if err != nil {
			return User{}, err
		}
		if !good {
			return User{}, &proto.Error{Code: proto.CodeValidation, Reason: ReasonWrongPassword,
				Detail: "The current password is wrong.", Hint: "An administrator can reset it."}
		}
		a.byAccount.Forgive(key)
	}
	hash, err := a.hasher.hash(ctx, next)
	if err != nil {
		return User{}, err
	}
	err = w.Atomically(ctx, func(w *store.Workspace) error {
		if err := w.SetPassword(ctx, actor.ID, hash); err != nil {
			return err
		}
		if row, err = w.User(ctx, actor.ID); err != nil {
			return err
		}
		return a.audit(ctx, w, actor, "user.password", "user", row.ID, row.Email, "")
	})
	return userOf(row), err
}

func tooMany(wait time.Duration) error {
	seconds := int(wait/time.Second) + 1
	return &proto.Error{Code: proto.CodeTooManyRequests,
		Detail: "Too many attempts to sign in.",
		Hint:   fmt.Sprintf("Try again in %d seconds.", seconds),
		Facts:  map[string]string{"retryAfter": fmt.Sprint(seconds)}}
}
