// Package store keeps what the relay must remember, in SQLite (the embedded
// default) or PostgreSQL, with one set of queries for both.
//
// Every row belongs to a workspace, and what can be scoped by one is a method
// of Workspace, whose every query names it: a caller that holds the handle of
// one workspace can't reach the rows of another. The few look-ups that happen
// before a workspace is known (whose token is this, whose code) are methods of
// Store.
//
// Packages account and registry call it. It holds no rule of the product, and
// never sees a secret, cookie, token or password in clear text: it is given
// what is already sealed or hashed.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
)

// Options say where the database is.
type Options struct {
	// DSN is "sqlite:PATH", or a "postgres://…" URL. A path alone is SQLite.
	DSN   string
	Log   *zap.Logger
	Clock func() time.Time // nil: time.Now
}

// Store is an open database with the newest schema.
type Store struct {
	// read and write are the same pool on PostgreSQL. SQLite takes one writer
	// at a time: there write has a single connection, on which writers queue
	// in Go instead of failing with "database is locked", while readers of
	// the write-ahead log never wait for them.
	read, write *sql.DB
	engine      engine
	log         *zap.Logger
	clock       func() time.Time
	workspaceID string
	together    together
}

// Open opens the database, brings its schema up to date under a lock that
// other processes respect, and makes the default workspace at the first start.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	s := &Store{log: o.Log, clock: o.Clock}
	if err := s.open(ctx, o.DSN); err != nil {
		return nil, explain(err)
	}
	return s, nil
}

// Close closes the database.
func (s *Store) Close() error {
	err := s.read.Close()
	if s.write != s.read {
		err = errors.Join(err, s.write.Close())
	}
	return err
}

// Ping reports whether the database answers, for readiness checks.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	if err := s.read.QueryRowContext(ctx, `SELECT 1`).Scan(&one); err != nil {
		return fmt.Errorf("ask the database: %w", explain(err))
	}
	return nil
}

// Engine is "sqlite" or "postgres".
func (s *Store) Engine() string { return string(s.engine) }

// DefaultWorkspaceID is the id of the workspace that the first start made.
func (s *Store) DefaultWorkspaceID() string { return s.workspaceID }

// Workspace returns the handle of one workspace.
func (s *Store) Workspace(id string) *Workspace {
	return &Workspace{id: id, db: s.handle(), store: s}
}

// Workspace reaches the rows of one workspace and no others. It is a small
// value, made anew for each use.
type Workspace struct {
	id    string
	db    handle
	store *Store
}

// ID of the workspace.
func (w *Workspace) ID() string { return w.id }

// Atomically runs do within one transaction: all that it writes through the
// given handle is kept, or nothing where it returns an error. do must use that
// handle only; on SQLite, writing through another would wait for itself.
func (w *Workspace) Atomically(ctx context.Context, do func(*Workspace) error) error {
	return w.db.atomically(ctx, func(h handle) error {
		return do(&Workspace{id: w.id, db: h, store: w.store})
	})
}

// Now is the store's clock, as exact as a stored time can be.
func (s *Store) Now() time.Time { return fromMicros(toMicros(s.clock())) }

// ensureDefaultWorkspace makes the one workspace of the first start. Two
// relays that start at once agree on one by its unique slug.
func (s *Store) ensureDefaultWorkspace(ctx context.Context) error {
	const slug = "default"
	_, err := s.write.ExecContext(ctx, `
		INSERT INTO workspaces (id, slug, name, created_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (slug) DO NOTHING`,
		NewID("wsp"), slug, "Default", toMicros(s.clock()))
	if err != nil {
		return fmt.Errorf("make the default workspace: %w", err)
	}
	if err := s.write.QueryRowContext(ctx, `SELECT id FROM workspaces WHERE slug = $1`, slug).Scan(&s.workspaceID); err != nil {
		return fmt.Errorf("find the default workspace: %w", err)
	}
	return nil
}

// CreateWorkspace adds a workspace; slug is unique among all of them.
func (s *Store) CreateWorkspace(ctx context.Context, slug, name string) (*Workspace, error) {
	id := NewID("wsp")
	err := s.handle().exec(ctx, "create the workspace", `
		INSERT INTO workspaces (id, slug, name, created_at) VALUES ($1, $2, $3, $4)`,
		id, slug, name, toMicros(s.clock()))
	if err != nil {
		return nil, err
	}
	return s.Workspace(id), nil
}
