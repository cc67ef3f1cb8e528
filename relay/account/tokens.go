package account

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"sallyport/proto"
	"sallyport/relay/store"
)

// TokenPrefix begins every API token that we make, so that people and secret
// scanners recognise one.
const TokenPrefix = "sally_"

// Token is an API token, without its secret.
type Token struct {
	ID         string
	Name       string
	Role       Role
	Hint       string // its first characters
	CreatedBy  string // the name of who made it
	CreatedAt  time.Time
	ExpiresAt  *time.Time // nil: never
	LastUsedAt *time.Time // to the minute; nil: never
}

func tokenOf(t store.Token) Token {
	return Token{ID: t.ID, Name: t.Name, Role: Role(t.Role), Hint: t.Hint, CreatedBy: t.CreatedBy,
		CreatedAt: t.CreatedAt, ExpiresAt: ifSet(t.ExpiresAt), LastUsedAt: ifSet(t.LastUsedAt)}
}

func ifSet(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// CreateToken makes an API token. Its secret is returned this once and never
// again. expires nil means that it does not expire.
func (a *Accounts) CreateToken(ctx context.Context, actor Actor, name string, role Role, expires *time.Time) (Token, string, error) {
	if err := requireAdmin(actor, "make API tokens"); err != nil {
		return Token{}, "", err
	}
	name = strings.TrimSpace(name)
	if err := a.CheckToken(name, role, expires); err != nil {
		return Token{}, "", err
	}
	var until time.Time
	if expires != nil {
		until = *expires
	}
	secret := TokenPrefix + newSecret()
	var row store.Token
	err := a.store.Workspace(actor.WorkspaceID).Atomically(ctx, func(w *store.Workspace) (err error) {
		row, err = a.addToken(ctx, w, actor, name, role, until, secret)
		return err
	})
	if err != nil {
		return Token{}, "", err
	}
	return tokenOf(row), secret, nil
}

// CheckToken is what CreateToken would say of the fields: an *Invalid, or nil.
func (a *Accounts) CheckToken(name string, role Role, expires *time.Time) error {
	var wrong faults
	wrong.check("name", checkName(strings.TrimSpace(name), "Name the program that will use the token."))
	_, err := ParseRole(string(role))
	wrong.check("role", err)
	if expires != nil && !expires.After(a.clock()) {
		wrong.check("expiresAt", invalid("The time at which the token expires is in the past.", ""))
	}
	return wrong.err()
}

func (a *Accounts) addToken(ctx context.Context, w *store.Workspace, actor Actor, name string, role Role, until time.Time, secret string) (store.Token, error) {
	t := store.Token{ID: store.NewID("tok"), WorkspaceID: actor.WorkspaceID, Name: name, Role: string(role),
		Hint: hintOf(secret), CreatedBy: actor.Name, CreatedAt: a.store.Now(), ExpiresAt: until}
	if err := w.CreateToken(ctx, t, hashOf(secret)); err != nil {
		return store.Token{}, err
	}
	return t, a.audit(ctx, w, actor, "token.create", "token", t.ID, name, "role "+string(role))
}

// hintOf shows so little of a token that it gives nothing away: four
// characters of the 43 of a made one, and none of one that someone chose.
func hintOf(secret string) string {
	if rest, ours := strings.CutPrefix(secret, TokenPrefix); ours && len(rest) >= 40 {
		return TokenPrefix + rest[:4] + "…"
	}
	return "…"
}

// Tokens lists the API tokens of the actor's workspace.
func (a *Accounts) Tokens(ctx context.Context, actor Actor) ([]Token, error) {
	if err := requireAdmin(actor, "see API tokens"); err != nil {
		return nil, err
	}
	rows, err := a.store.Workspace(actor.WorkspaceID).Tokens(ctx)
	if err != nil {
		return nil, err
	}
	tokens := make([]Token, len(rows))
	for i, t := range rows {
		tokens[i] = tokenOf(t)
	}
	return tokens, nil
}

// RevokeToken makes a token worthless at once.
func (a *Accounts) RevokeToken(ctx context.Context, actor Actor, id string) error {
	if err := requireAdmin(actor, "revoke API tokens"); err != nil {
		return err
	}
	err := a.store.Workspace(actor.WorkspaceID).Atomically(ctx, func(w *store.Workspace) error {
		t, err := w.Token(ctx, id)
		if err != nil {
			return err
		}
		if err := w.DeleteToken(ctx, id); err != nil {
			return err
		}
		return a.audit(ctx, w, actor, "token.revoke", "token", id, t.Name, "")
	})
	a.tokens.forgetAll()
	return notFound(err, "API token")
}

// ActorForToken is the actor whose API token this is.
func (a *Accounts) ActorForToken(ctx context.Context, bearer string) (Actor, error) {
	hash, now := hashOf(bearer), a.clock()
	t, number, known := a.tokens.get(hash, now)
	var err error
	if !known {
		t, err = a.store.TokenByHash(ctx, hash)
	}
	if errors.Is(err, store.ErrNotFound) {
		return Actor{}, &proto.Error{Code: proto.CodeUnauthorized, Detail: "This API token is not valid.",
			Hint: "It may have been revoked. An administrator can make a new one under Settings.", Err: err}
	}
	if err != nil {
		return Actor{}, err
	}
	if !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt) {
		return Actor{}, &proto.Error{Code: proto.CodeUnauthorized,
			Detail: fmt.Sprintf("This API token expired on %s.", t.ExpiresAt.Format(time.DateOnly)),
			Hint:   "An administrator can make a new one under Settings."}
	}
	if now.Sub(t.LastUsedAt) >= time.Minute {
		// Worth knowing, not worth refusing a request for.
		if err := a.store.Workspace(t.WorkspaceID).TouchToken(ctx, t.ID, now); err != nil {
			a.log.Warn("could not note the use of an API token", zap.String("token", t.ID), zap.Error(err))
		}
		t.LastUsedAt, known = now, false
	}
	if !known {
		a.tokens.put(hash, t, now, number)
	}
	return Actor{WorkspaceID: t.WorkspaceID, Kind: "token", ID: t.ID, Name: t.Name, Role: Role(t.Role)}, nil
}

// checkBearer refuses a chosen token that no Authorization field could carry
// (RFC 6750, section 2.1).
func checkBearer(token string) error {
	const allowed = "-._~+/="
	for _, r := range token {
		if !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune(allowed, r)) {
			return invalid("The bootstrap token has a character that an Authorization header can't carry.",
				"Use letters, digits and "+allowed+" only.")
		}
	}
	if len(token) < 8 {
		return invalid("The bootstrap token is too short to be a secret.", "Use at least 8 characters; 32 random ones are better.")
	}
	return nil
}
