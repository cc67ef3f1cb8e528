package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"sallyport/proto"
	"sallyport/relay/store"
	"sallyport/relay/throttle"
)

// Options of Accounts. All are required.
type Options struct {
	Store *store.Store
	Clock func() time.Time
	Log   *zap.Logger
}

// Accounts knows the people and the API tokens of the relay.
type Accounts struct {
	store *store.Store
	clock func() time.Time
	log   *zap.Logger

	hasher    *hasher
	byAccount *throttle.Throttle
	byAddress *throttle.Throttle
	tokens    tokenCache
}

// New makes the Accounts of a store.
func New(o Options) *Accounts {
	return &Accounts{
		store:  o.Store,
		clock:  o.Clock,
		log:    o.Log,
		hasher: newHasher(argonMemoryKiB, argonTime),
		// Ten wrong passwords at once, then one a minute: no guessing, and an
		// owner who mistypes is soon back. Addresses are shared by offices.
		byAccount: throttle.New(throttle.Options{Burst: 10, Every: time.Minute, Clock: o.Clock}),
		byAddress: throttle.New(throttle.Options{Burst: 50, Every: 10 * time.Second, Clock: o.Clock}),
	}
}

// ParseRole reads a role's name.
func ParseRole(s string) (Role, error) {
	switch r := Role(s); r {
	case Admin, Editor, Viewer:
		return r, nil
	}
	return "", &proto.Error{Code: proto.CodeValidation,
		Detail: fmt.Sprintf("%q is not a role.", s), Hint: "Use admin, editor or viewer."}
}

// System is the actor of commands that are run on the relay's own machine.
func (a *Accounts) System(name string) Actor {
	return Actor{WorkspaceID: a.store.DefaultWorkspaceID(), Kind: "system", ID: "system", Name: name, Role: Admin}
}

func requireAdmin(actor Actor, what string) error {
	if actor.MayAdminister() {
		return nil
	}
	return &proto.Error{Code: proto.CodeForbidden,
		Detail: fmt.Sprintf("Only administrators may %s; your role is %s.", what, actor.Role),
		Hint:   "Ask an administrator of this relay."}
}

// newSecret makes a secret of 256 bits; no guess and no rainbow table reaches
// it, so a plain SHA-256 of it can be stored.
func newSecret() string {
	var b [32]byte
	rand.Read(b[:]) // never fails, see crypto/rand
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func hashOf(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// audit writes one line of the trail within the transaction of the change.
func (a *Accounts) audit(ctx context.Context, w *store.Workspace, actor Actor, action, objectType, objectID, objectName, detail string) error {
	return w.AddAudit(ctx, store.Entry{
		ID: store.NewID("aud"), At: a.clock(),
		ActorKind: actor.Kind, ActorID: actor.ID, ActorName: actor.Name,
		Action: action, ObjectType: objectType, ObjectID: objectID, ObjectName: objectName, Detail: detail,
	})
}

func notFound(err error, what string) error {
	if errors.Is(err, store.ErrNotFound) {
		return &proto.Error{Code: proto.CodeNotFound, Detail: "There is no such " + what + ".", Err: err}
	}
	return err
}

func invalid(detail, hint string) error {
	return &proto.Error{Code: proto.CodeValidation, Detail: detail, Hint: hint}
}

// printable reports whether s has no control characters and is not blank.
func printable(s string) bool {
	return strings.TrimSpace(s) != "" && strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) < 0
}

// throttleKey makes spellings of one address count as one account.
func throttleKey(email string) string { return strings.ToLower(strings.TrimSpace(email)) }
