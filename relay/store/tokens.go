package store

import (
	"context"
	"time"
)

// Token is an API token, without its secret.
type Token struct {
	ID          string
	WorkspaceID string
	Name        string
	Role        string
	Hint        string // its first characters
	CreatedBy   string
	CreatedAt   time.Time
	ExpiresAt   time.Time // zero: never
	LastUsedAt  time.Time // to the minute; zero: never
}

const tokenColumns = `id, workspace_id, name, role, hint, created_by, created_at, expires_at, last_used_at`

func scanToken(row scanner) (t Token, err error) {
	err = row.Scan(&t.ID, &t.WorkspaceID, &t.Name, &t.Role, &t.Hint, &t.CreatedBy,
		moment{&t.CreatedAt}, optional{&t.ExpiresAt}, optional{&t.LastUsedAt})
	return t, err
}

// CreateToken adds an API token by the hash of its secret.
func (w *Workspace) CreateToken(ctx context.Context, t Token, hash []byte) error {
	return w.db.exec(ctx, "add the API token", `
		INSERT INTO api_tokens (id, workspace_id, name, role, hash, hint, created_by, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		t.ID, w.id, t.Name, t.Role, hash, t.Hint, t.CreatedBy, toMicros(t.CreatedAt), orNull(t.ExpiresAt))
}

// Tokens lists the API tokens, oldest first.
func (w *Workspace) Tokens(ctx context.Context) ([]Token, error) {
	return all(ctx, w.db.read, "list the API tokens", scanToken,
		`SELECT `+tokenColumns+` FROM api_tokens WHERE workspace_id = $1 ORDER BY id`, w.id)
}

// Token returns one API token.
func (w *Workspace) Token(ctx context.Context, id string) (Token, error) {
	return one(ctx, w.db.read, "read the API token", scanToken,
		`SELECT `+tokenColumns+` FROM api_tokens WHERE workspace_id = $1 AND id = $2`, w.id, id)
}

// DeleteToken revokes an API token.
func (w *Workspace) DeleteToken(ctx context.Context, id string) error {
	return w.db.execOne(ctx, "revoke the API token", `
		DELETE FROM api_tokens WHERE workspace_id = $1 AND id = $2`, w.id, id)
}

// TouchToken notes that a token was used, at most once a minute, so that a busy
// client does not turn every read into a write.
func (w *Workspace) TouchToken(ctx context.Context, id string, at time.Time) error {
	return w.db.exec(ctx, "note the use of the API token", `
		UPDATE api_tokens SET last_used_at = $3
		WHERE workspace_id = $1 AND id = $2 AND (last_used_at IS NULL OR last_used_at < $4)`,
		w.id, id, toMicros(at), toMicros(at.Add(-time.Minute)))
}

// TokenByHash finds a token before its workspace is known.
func (s *Store) TokenByHash(ctx context.Context, hash []byte) (Token, error) {
	return one(ctx, s.read, "find the API token", scanToken,
		`SELECT `+tokenColumns+` FROM api_tokens WHERE hash = $1`, hash)
}

// BrowserSession returns the data of a browser's session by its token's hash.
// ErrNotFound where there is none, or its time is over.
func (s *Store) BrowserSession(ctx context.Context, tokenHash string) ([]byte, error) {
	return one(ctx, s.read, "find the browser session", func(row scanner) (data []byte, err error) {
		return data, row.Scan(&data)
	}, `SELECT data FROM browser_sessions WHERE token_hash = $1 AND expires_at > $2`, tokenHash, toMicros(s.clock()))
}

// SaveBrowserSession adds or replaces a browser's session.
func (s *Store) SaveBrowserSession(ctx context.Context, tokenHash string, data []byte, expires time.Time) error {
	return s.handle().exec(ctx, "save the browser session", `
		INSERT INTO browser_sessions (token_hash, data, expires_at) VALUES ($1, $2, $3)
		ON CONFLICT (token_hash) DO UPDATE SET data = excluded.data, expires_at = excluded.expires_at`,
		tokenHash, data, toMicros(expires))
}

// DeleteBrowserSession ends a browser's session; none is fine.
func (s *Store) DeleteBrowserSession(ctx context.Context, tokenHash string) error {
	return s.handle().exec(ctx, "end the browser session", `DELETE FROM browser_sessions WHERE token_hash = $1`, tokenHash)
}

// DeleteExpiredBrowserSessions removes those whose time is over.
func (s *Store) DeleteExpiredBrowserSessions(ctx context.Context) error {
	return s.handle().exec(ctx, "remove expired browser sessions",
		`DELETE FROM browser_sessions WHERE expires_at <= $1`, toMicros(s.clock()))
}
