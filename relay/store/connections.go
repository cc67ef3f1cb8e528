package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Connection is a connection on file.
type Connection struct {
	ID          string
	Name        string
	AgentID     string // empty in cloud mode
	Key         string // unique in the workspace; empty: none
	Spec        []byte // JSON
	SecretNames []string
	Secrets     []byte // sealed; nil: none
	Version     int64  // grows with each change
	CreatedAt   time.Time
	UpdatedAt   time.Time
	UpdatedBy   string
}

const connectionColumns = `id, name, agent_id, external_key, spec, secret_names, secrets, version, created_at, updated_at, updated_by`

func scanConnection(row scanner) (c Connection, err error) {
	var (
		agentID, key *string
		spec, names  string
	)
	if err := row.Scan(&c.ID, &c.Name, &agentID, &key, &spec, &names, &c.Secrets, &c.Version,
		moment{&c.CreatedAt}, moment{&c.UpdatedAt}, &c.UpdatedBy); err != nil {
		return c, err
	}
	if agentID != nil {
		c.AgentID = *agentID
	}
	if key != nil {
		c.Key = *key
	}
	c.Spec = []byte(spec)
	if err := json.Unmarshal([]byte(names), &c.SecretNames); err != nil {
		return c, fmt.Errorf("secret names of %s: %w", c.ID, err)
	}
	return c, nil
}

func namesText(names []string) (string, error) {
	if names == nil {
		names = []string{}
	}
	text, err := json.Marshal(names)
	return string(text), err
}

// CreateConnection adds a connection. ErrReference where its agent is not one
// of the workspace, ErrTaken where another one has its key.
func (w *Workspace) CreateConnection(ctx context.Context, c Connection) error {
	names, err := namesText(c.SecretNames)
	if err != nil {
		return fmt.Errorf("add the connection: %w", err)
	}
	return w.db.exec(ctx, "add the connection", `
		INSERT INTO connections (id, workspace_id, name, name_key, agent_id, spec, secret_names, secrets, version, created_at, updated_at, updated_by, external_key)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		c.ID, w.id, c.Name, fold(c.Name), textOrNull(c.AgentID), string(c.Spec), names, bytesOrNull(c.Secrets), c.Version,
		toMicros(c.CreatedAt), toMicros(c.UpdatedAt), c.UpdatedBy, textOrNull(c.Key))
}

// Connections lists connections by name.
func (w *Workspace) Connections(ctx context.Context, p Page) ([]Connection, string, error) {
	query, args, err := byName(`SELECT `+connectionColumns+` FROM connections WHERE workspace_id = $1`, w.id, p)
	if err != nil {
		return nil, "", err
	}
	connections, err := all(ctx, w.db.read, "list the connections", scanConnection, query, args...)
	if err != nil {
		return nil, "", err
	}
	connections, next := cut(connections, p, func(c Connection) []string { return []string{fold(c.Name), c.ID} })
	return connections, next, nil
}

// Connection returns one connection.
func (w *Workspace) Connection(ctx context.Context, id string) (Connection, error) {
	return one(ctx, w.db.read, "read the connection", scanConnection,
		`SELECT `+connectionColumns+` FROM connections WHERE workspace_id = $1 AND id = $2`, w.id, id)
}

// UpdateConnection replaces a connection that is still at version was. Its
// CreatedAt stays. ErrVersion where someone else was faster.
func (w *Workspace) UpdateConnection(ctx context.Context, c Connection, was int64) error {
	names, err := namesText(c.SecretNames)
	if err != nil {
		return fmt.Errorf("save the connection: %w", err)
	}
	n, err := w.db.count(ctx, "save the connection", `
		UPDATE connections SET name = $3, name_key = $4, agent_id = $5, spec = $6, secret_names = $7, secrets = $8,
			version = $9, updated_at = $10, updated_by = $11, external_key = $13
		WHERE workspace_id = $1 AND id = $2 AND version = $12`,
		w.id, c.ID, c.Name, fold(c.Name), textOrNull(c.AgentID), string(c.Spec), names, bytesOrNull(c.Secrets),
		c.Version, toMicros(c.UpdatedAt), c.UpdatedBy, was, textOrNull(c.Key))
	if err == nil && n == 0 {
		return w.missed(ctx, "save the connection", c.ID)
	}
	return err
}

// DeleteConnection removes a connection that is still at version was, with its
// session and tests; 0 is any version.
func (w *Workspace) DeleteConnection(ctx context.Context, id string, was int64) error {
	n, err := w.db.count(ctx, "delete the connection", `
		DELETE FROM connections WHERE workspace_id = $1 AND id = $2 AND (CAST($3 AS BIGINT) = 0 OR version = $3)`, w.id, id, was)
	if err == nil && n == 0 {
		return w.missed(ctx, "delete the connection", id)
	}
	return err
}

// missed tells why a change of a connection touched no row.
func (w *Workspace) missed(ctx context.Context, doing, id string) error {
	if _, err := w.Connection(ctx, id); err != nil {
		return err
	}
	return fmt.Errorf("%s: %w", doing, ErrVersion)
}

// NameTaken reports whether a connection other than exceptID has that name, in
// whatever case.
func (w *Workspace) NameTaken(ctx context.Context, name, exceptID string) (bool, error) {
	n, err := one(ctx, w.db.read, "look for the name", scanCount, `
		SELECT count(*) FROM connections WHERE workspace_id = $1 AND name_key = $2 AND id <> $3`, w.id, fold(name), exceptID)
	return n > 0, err
}

// KeyTaken reports whether a connection other than exceptID has that key.
func (w *Workspace) KeyTaken(ctx context.Context, key, exceptID string) (bool, error) {
	n, err := one(ctx, w.db.read, "look for the key", scanCount, `
		SELECT count(*) FROM connections WHERE workspace_id = $1 AND external_key = $2 AND id <> $3`, w.id, key, exceptID)
	return n > 0, err
}

// HasSealed reports whether any row of any workspace was sealed by the vault:
// then a new keyset would make it unreadable for good.
func (s *Store) HasSealed(ctx context.Context) (bool, error) {
	n, err := one(ctx, s.read, "look for sealed rows", scanCount, `
		SELECT (SELECT count(*) FROM connections WHERE secrets IS NOT NULL) + (SELECT count(*) FROM sessions)
			+ (SELECT count(*) FROM results WHERE sealed IS NOT NULL) + (SELECT count(*) FROM peer_authority)`)
	return n > 0, err
}
