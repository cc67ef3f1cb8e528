package store

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// User is a person who may sign in.
type User struct {
	ID           string
	WorkspaceID  string
	Email        string
	Name         string
	Role         string
	PasswordHash string // encoded by package account; empty: none was set
	Epoch        int64  // browser sessions of another epoch have ended
	CreatedAt    time.Time
	DisabledAt   time.Time // zero: not disabled
	LastSignInAt time.Time
}

const userColumns = `id, workspace_id, email, name, role, password_hash, epoch, created_at, disabled_at, last_sign_in_at`

func scanUser(row scanner) (u User, err error) {
	err = row.Scan(&u.ID, &u.WorkspaceID, &u.Email, &u.Name, &u.Role, &u.PasswordHash, &u.Epoch,
		moment{&u.CreatedAt}, optional{&u.DisabledAt}, optional{&u.LastSignInAt})
	return u, err
}

// CreateUser adds a person. ErrTaken where the address has an account.
func (w *Workspace) CreateUser(ctx context.Context, u User) error {
	return w.db.exec(ctx, "add the user", `
		INSERT INTO users (id, workspace_id, email, email_key, name, role, password_hash, epoch, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		u.ID, w.id, u.Email, fold(u.Email), u.Name, u.Role, u.PasswordHash, u.Epoch, toMicros(u.CreatedAt))
}

// Users lists the people of the workspace in the order of their addresses.
func (w *Workspace) Users(ctx context.Context) ([]User, error) {
	return all(ctx, w.db.read, "list the users", scanUser,
		`SELECT `+userColumns+` FROM users WHERE workspace_id = $1 ORDER BY email_key`, w.id)
}

// People lists the people of the workspace in the order of their addresses, a
// part at a time; p.Query is looked for in them.
func (w *Workspace) People(ctx context.Context, p Page) ([]User, string, error) {
	query, args := `SELECT `+userColumns+` FROM users WHERE workspace_id = $1`, []any{w.id}
	if p.Query != "" {
		args = append(args, "%"+escapeLike(fold(p.Query))+"%")
		query += ` AND email_key LIKE $` + strconv.Itoa(len(args)) + ` ESCAPE '!'`
	}
	if p.Cursor != "" {
		key, err := parseCursor(p.Cursor, 1)
		if err != nil {
			return nil, "", err
		}
		args = append(args, key[0])
		query += ` AND email_key > $` + strconv.Itoa(len(args))
	}
	args = append(args, p.limit()+1)
	users, err := all(ctx, w.db.read, "list the people", scanUser, query+` ORDER BY email_key LIMIT $`+strconv.Itoa(len(args)), args...)
	if err != nil {
		return nil, "", err
	}
	users, next := cut(users, p, func(u User) []string { return []string{fold(u.Email)} })
	return users, next, nil
}

// DeleteUser removes a person; links and browser sessions end with it.
func (w *Workspace) DeleteUser(ctx context.Context, id string) error {
	return w.db.execOne(ctx, "remove the user", `DELETE FROM users WHERE workspace_id = $1 AND id = $2`, w.id, id)
}

// User returns one person of the workspace.
func (w *Workspace) User(ctx context.Context, id string) (User, error) {
	return one(ctx, w.db.read, "read the user", scanUser,
		`SELECT `+userColumns+` FROM users WHERE workspace_id = $1 AND id = $2`, w.id, id)
}

// SetPassword replaces a person's password hash and ends all browser sessions.
func (w *Workspace) SetPassword(ctx context.Context, userID, hash string) error {
	return w.db.execOne(ctx, "set the password", `
		UPDATE users SET password_hash = $3, epoch = epoch + 1 WHERE workspace_id = $1 AND id = $2`, w.id, userID, hash)
}

// SetRole changes what a person may do.
func (w *Workspace) SetRole(ctx context.Context, userID, role string) error {
	return w.db.execOne(ctx, "set the role", `
		UPDATE users SET role = $3 WHERE workspace_id = $1 AND id = $2`, w.id, userID, role)
}

// DisableUser locks a person out, or lets them in again where at is zero. Links
// and browser sessions end with it.
func (w *Workspace) DisableUser(ctx context.Context, userID string, at time.Time) error {
	return w.Atomically(ctx, func(w *Workspace) error {
		if err := w.db.execOne(ctx, "disable the user", `
			UPDATE users SET disabled_at = $3, epoch = epoch + 1 WHERE workspace_id = $1 AND id = $2`, w.id, userID, orNull(at)); err != nil {
			return err
		}
		return w.db.exec(ctx, "remove the user's links", `
			DELETE FROM sign_in_links WHERE workspace_id = $1 AND user_id = $2`, w.id, userID)
	})
}

// RecordSignIn notes when a person last signed in.
func (w *Workspace) RecordSignIn(ctx context.Context, userID string, at time.Time) error {
	return w.db.execOne(ctx, "record the sign-in", `
		UPDATE users SET last_sign_in_at = $3 WHERE workspace_id = $1 AND id = $2`, w.id, userID, toMicros(at))
}

// CountUsers says how many people the store knows, in all workspaces: none at
// the first start.
func (s *Store) CountUsers(ctx context.Context) (int, error) {
	return one(ctx, s.read, "count the users", scanCount, `SELECT count(*) FROM users`)
}

func scanCount(row scanner) (n int, err error) { return n, row.Scan(&n) }

// UserByID finds a person before their workspace is known.
func (s *Store) UserByID(ctx context.Context, id string) (User, error) {
	return one(ctx, s.read, "find the user", scanUser, `SELECT `+userColumns+` FROM users WHERE id = $1`, id)
}

// UserByEmail finds a person before their workspace is known.
func (s *Store) UserByEmail(ctx context.Context, email string) (User, error) {
	return one(ctx, s.read, "find the user", scanUser, `SELECT `+userColumns+` FROM users WHERE email_key = $1`, fold(email))
}

// CreateSignInLink adds a one-time link for a person, and removes links that
// nobody can use any more.
func (w *Workspace) CreateSignInLink(ctx context.Context, hash []byte, userID string, expires time.Time) error {
	now := w.store.clock()
	return w.Atomically(ctx, func(w *Workspace) error {
		// A day's grace, in which "expired" can be told from "never existed".
		if err := w.db.exec(ctx, "remove expired sign-in links", `
			DELETE FROM sign_in_links WHERE workspace_id = $1 AND expires_at < $2`, w.id, toMicros(now.Add(-24*time.Hour))); err != nil {
			return err
		}
		return w.db.exec(ctx, "add the sign-in link", `
			INSERT INTO sign_in_links (hash, workspace_id, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)`,
			hash, w.id, userID, toMicros(now), toMicros(expires))
	})
}

// RedeemSignInLink uses a link up and returns whose it was. Of several callers
// with the same link exactly one gets in; the others get ErrUsed. ErrExpired
// and ErrNotFound say what they say.
func (s *Store) RedeemSignInLink(ctx context.Context, hash []byte) (User, error) {
	now := s.clock()
	type link struct {
		userID          string
		expires, usedAt time.Time
	}
	var user User
	err := s.handle().atomically(ctx, func(h handle) error {
		n, err := h.count(ctx, "use the sign-in link", `
			UPDATE sign_in_links SET used_at = $2 WHERE hash = $1 AND used_at IS NULL AND expires_at > $2`, hash, toMicros(now))
		if err != nil {
			return err
		}
		l, err := one(ctx, h.read, "find the sign-in link", func(row scanner) (l link, err error) {
			return l, row.Scan(&l.userID, moment{&l.expires}, optional{&l.usedAt})
		}, `SELECT user_id, expires_at, used_at FROM sign_in_links WHERE hash = $1`, hash)
		switch {
		case err != nil:
			return err
		case n == 0 && !l.usedAt.IsZero():
			return fmt.Errorf("sign-in link: %w", ErrUsed)
		case n == 0:
			return fmt.Errorf("sign-in link: %w", ErrExpired)
		}
		user, err = one(ctx, h.read, "find the user", scanUser, `SELECT `+userColumns+` FROM users WHERE id = $1`, l.userID)
		return err
	})
	return user, err
}
