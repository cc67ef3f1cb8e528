package account

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"
	"unicode/utf8"

	"sallyport/proto"
	"sallyport/relay/store"
)

// User is a person who may sign in.
type User struct {
	ID           string
	WorkspaceID  string
	Email        string
	Name         string
	Role         Role
	HasPassword  bool
	Disabled     bool
	CreatedAt    time.Time
	LastSignInAt time.Time // zero: never

	epoch int64 // browser sessions of another epoch have ended
}

func userOf(u store.User) User {
	return User{
		ID: u.ID, WorkspaceID: u.WorkspaceID, Email: u.Email, Name: u.Name, Role: Role(u.Role),
		HasPassword: u.PasswordHash != "", Disabled: !u.DisabledAt.IsZero(),
		CreatedAt: u.CreatedAt, LastSignInAt: u.LastSignInAt, epoch: u.Epoch,
	}
}

// Actor is the user as the one who asks.
func (u User) Actor() Actor {
	name := u.Name
	if name == "" {
		name = u.Email
	}
	return Actor{WorkspaceID: u.WorkspaceID, Kind: "user", ID: u.ID, Name: name, Role: u.Role}
}

// User returns a person by id, for pages that greet them.
func (a *Accounts) User(ctx context.Context, id string) (User, error) {
	u, err := a.store.UserByID(ctx, id)
	if err != nil {
		return User{}, notFound(err, "user")
	}
	return userOf(u), nil
}

// ActorForUser is the actor of a signed-in person, whose account must still be
// in force.
func (a *Accounts) ActorForUser(ctx context.Context, userID string) (Actor, error) {
	u, err := a.User(ctx, userID)
	if err != nil {
		if e := proto.AsError(err); e != nil && e.Code == proto.CodeNotFound {
			return Actor{}, errDisabled
		}
		return Actor{}, err
	}
	if u.Disabled {
		return Actor{}, errDisabled
	}
	return u.Actor(), nil
}

var errDisabled = &proto.Error{Code: proto.CodeUnauthorized,
	Detail: "This account has been disabled.", Hint: "Ask an administrator of this relay."}

// Users lists the people of the actor's workspace.
func (a *Accounts) Users(ctx context.Context, actor Actor) ([]User, error) {
	if err := requireAdmin(actor, "see people"); err != nil {
		return nil, err
	}
	rows, err := a.store.Workspace(actor.WorkspaceID).Users(ctx)
	if err != nil {
		return nil, err
	}
	users := make([]User, len(rows))
	for i, u := range rows {
		users[i] = userOf(u)
	}
	return users, nil
}

// Page asks for a part of a list.
type Page struct {
	Limit  int    // 0: 50; at most 500
	Cursor string // as the part before gave it; empty for the first
	Query  string // only those whose address contains it
}

// People lists the people of the actor's workspace by their addresses, a part at
// a time.
func (a *Accounts) People(ctx context.Context, actor Actor, p Page) ([]User, string, error) {
	if err := requireAdmin(actor, "see people"); err != nil {
		return nil, "", err
	}
	rows, next, err := a.store.Workspace(actor.WorkspaceID).People(ctx, store.Page(p))
	if errors.Is(err, store.ErrCursor) {
		return nil, "", invalid("The cursor is not one of this list.", "Send nextCursor of the page before, or none for the first page.")
	}
	if err != nil {
		return nil, "", err
	}
	users := make([]User, len(rows))
	for i, u := range rows {
		users[i] = userOf(u)
	}
	return users, next, nil
}

// Person is one of the people of the actor's workspace.
func (a *Accounts) Person(ctx context.Context, actor Actor, id string) (User, error) {
	if err := requireAdmin(actor, "see people"); err != nil {
		return User{}, err
	}
	u, err := a.store.Workspace(actor.WorkspaceID).User(ctx, id)
	if err != nil {
		return User{}, notFound(err, "user")
	}
	return userOf(u), nil
}

// RemoveUser removes a person for good; what they did stays in the audit trail.
func (a *Accounts) RemoveUser(ctx context.Context, actor Actor, userID string) error {
	if err := requireAdmin(actor, "remove people"); err != nil {
		return err
	}
	return a.change(ctx, actor, userID, true, "user.remove", "", func(w *store.Workspace) error {
		return w.DeleteUser(ctx, userID)
	})
}

// CreateUser adds a person and returns the one-time path by which they sign in
// for the first time; it is valid for InviteLifetime.
func (a *Accounts) CreateUser(ctx context.Context, actor Actor, email, name string, role Role) (User, string, error) {
	if err := requireAdmin(actor, "add people"); err != nil {
		return User{}, "", err
	}
	email, name, err := checkPerson(email, name, role)
	if err != nil {
		return User{}, "", err
	}
	row := store.User{ID: store.NewID("usr"), WorkspaceID: actor.WorkspaceID, Email: email, Name: name, Role: string(role), CreatedAt: a.store.Now()}
	var path string
	err = a.store.Workspace(actor.WorkspaceID).Atomically(ctx, func(w *store.Workspace) error {
		if err := w.CreateUser(ctx, row); err != nil {
			return err
		}
		if path, err = a.link(ctx, w, row.ID, InviteLifetime); err != nil {
			return err
		}
		return a.audit(ctx, w, actor, "user.create", "user", row.ID, email, "role "+string(role))
	})
	if errors.Is(err, store.ErrTaken) {
		return User{}, "", &proto.Error{Code: proto.CodeConflict,
			Detail: fmt.Sprintf("%s has an account already.", email), Hint: "Give that account a new sign-in link instead.", Err: err}
	}
	if err != nil {
		return User{}, "", err
	}
	return userOf(row), path, nil
}

// CheckPerson is what CreateUser would say of the fields: an *Invalid, or nil.
func CheckPerson(email, name string, role Role) error {
	_, _, err := checkPerson(email, name, role)
	return err
}

// checkPerson returns the fields as they are kept.
func checkPerson(email, name string, role Role) (cleanedEmail, cleanedName string, err error) {
	var wrong faults
	email, err = cleanEmail(email)
	wrong.check("email", err)
	if name = strings.TrimSpace(name); name == "" {
		name, _, _ = strings.Cut(email, "@")
	}
	if email != "" || name != "" { // else it would have been made of the address
		wrong.check("name", checkName(name, ""))
	}
	_, err = ParseRole(string(role))
	wrong.check("role", err)
	return email, name, wrong.err()
}

// CheckRole is what SetRole would say of the role: an *Invalid, or nil.
func CheckRole(role Role) error {
	var wrong faults
	_, err := ParseRole(string(role))
	wrong.check("role", err)
	return wrong.err()
}

// checkName checks the name of a person or a token.
func checkName(name, hint string) error {
	if !printable(name) || utf8.RuneCountInString(name) > 100 {
		return invalid("The name must have 1 to 100 printable characters.", hint)
	}
	return nil
}

// SetRole changes what a person may do.
func (a *Accounts) SetRole(ctx context.Context, actor Actor, userID string, role Role) error {
	if err := requireAdmin(actor, "change roles"); err != nil {
		return err
	}
	if err := CheckRole(role); err != nil {
		return err
	}
	return a.change(ctx, actor, userID, role != Admin, "user.role", "role "+string(role), func(w *store.Workspace) error {
		return w.SetRole(ctx, userID, string(role))
	})
}

// DisableUser locks a person out at once, browser sessions and links included;
// with disabled false it lets them in again.
func (a *Accounts) DisableUser(ctx context.Context, actor Actor, userID string, disabled bool) error {
	if err := requireAdmin(actor, "disable people"); err != nil {
		return err
	}
	at, action := time.Time{}, "user.enable"
	if disabled {
		at, action = a.clock(), "user.disable"
	}
	return a.change(ctx, actor, userID, disabled, action, "", func(w *store.Workspace) error {
		return w.DisableUser(ctx, userID, at)
	})
}

// ResetPassword removes a person's password and ends their browser sessions;
// they come back by a new sign-in link and choose a new one.
func (a *Accounts) ResetPassword(ctx context.Context, actor Actor, userID string) error {
	if err := requireAdmin(actor, "reset passwords"); err != nil {
		return err
	}
	return a.change(ctx, actor, userID, false, "user.password_reset", "", func(w *store.Workspace) error {
		return w.SetPassword(ctx, userID, "")
	})
}

// change does something to a person's account and writes it down. What takes
// the power of an administrator away is refused where it would leave none.
func (a *Accounts) change(ctx context.Context, actor Actor, userID string, weakens bool, action, detail string, do func(*store.Workspace) error) error {
	err := a.store.Workspace(actor.WorkspaceID).Atomically(ctx, func(w *store.Workspace) error {
		u, err := w.User(ctx, userID)
		if err != nil {
			return err
		}
		if err := do(w); err != nil {
			return err
		}
		if weakens && Role(u.Role) == Admin {
			if err := mustHaveAdmin(ctx, w); err != nil {
				return err
			}
		}
		return a.audit(ctx, w, actor, action, "user", u.ID, u.Email, detail)
	})
	return notFound(err, "user")
}

// mustHaveAdmin looks at the state within the transaction: an error undoes it.
func mustHaveAdmin(ctx context.Context, w *store.Workspace) error {
	users, err := w.Users(ctx)
	if err != nil {
		return err
	}
	for _, u := range users {
		if Role(u.Role) == Admin && u.DisabledAt.IsZero() {
			return nil
		}
	}
	return &proto.Error{Code: proto.CodeConflict,
		Detail: "This is the last administrator.", Hint: "Make someone else an administrator first."}
}

// cleanEmail accepts one plain address.
func cleanEmail(email string) (string, error) {
	email = strings.TrimSpace(email)
	if email == "" {
		return "", invalid("Enter an e-mail address, such as name@example.com.", "")
	}
	parsed, err := mail.ParseAddress(email)
	if err != nil || parsed.Address != email || len(email) > 254 {
		return "", invalid(fmt.Sprintf("%q is not an e-mail address.", email), "Write it as name@example.com.")
	}
	return email, nil
}
