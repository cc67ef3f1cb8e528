package store

import (
	"context"
	"time"
)

// Notice is something that is to be told, or was.
type Notice struct {
	ID           string
	ConnectionID string
	At           time.Time
	Kind         string // "webhook" or "email"
	Recipient    string // an address; of a webhook the host
	Body         []byte // JSON of package health
	Attempts     int
	NextAt       time.Time // of the next attempt; zero: it was delivered, or given up
	DeliveredAt  time.Time // zero: not yet
	Failure      string    // of the last attempt
}

const noticeColumns = `id, connection_id, at, kind, recipient, body, attempts, next_at, delivered_at, failure`

func scanNotice(row scanner) (n Notice, err error) {
	var body string
	err = row.Scan(&n.ID, &n.ConnectionID, moment{&n.At}, &n.Kind, &n.Recipient, &body, &n.Attempts, optional{&n.NextAt}, optional{&n.DeliveredAt}, &n.Failure)
	n.Body = []byte(body)
	return n, err
}

// AddNotice puts a notice on the list of what is to be told, and drops the
// oldest ones of its connection.
func (w *Workspace) AddNotice(ctx context.Context, n Notice) error {
	return w.Atomically(ctx, func(w *Workspace) error {
		if err := w.db.exec(ctx, "add the notice", `
			INSERT INTO notices (id, workspace_id, connection_id, at, kind, recipient, body, attempts, next_at, lease, lease_until, failure)
			VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, '', 0, '')`,
			n.ID, w.id, n.ConnectionID, toMicros(n.At), n.Kind, n.Recipient, string(n.Body), orNull(n.NextAt)); err != nil {
			return err
		}
		return w.db.exec(ctx, "drop old notices", `
			DELETE FROM notices WHERE workspace_id = $1 AND connection_id = $2 AND id <= (
				SELECT id FROM notices WHERE workspace_id = $1 AND connection_id = $2 ORDER BY id DESC LIMIT 1 OFFSET $3)`,
			w.id, n.ConnectionID, NoticesKept)
	})
}

// Notices lists the notices about a connection, newest first.
func (w *Workspace) Notices(ctx context.Context, connectionID string, limit int) ([]Notice, error) {
	return all(ctx, w.db.read, "list the notices", scanNotice, `
		SELECT `+noticeColumns+` FROM notices WHERE workspace_id = $1 AND connection_id = $2 ORDER BY id DESC LIMIT $3`, w.id, connectionID, limit)
}

// ClaimedNotice is a notice that the claimer, and nobody else, delivers until
// its lease ends.
type ClaimedNotice struct {
	WorkspaceID string
	Lease       string
	Notice
}

// ClaimNotices claims notices that are due.
func (s *Store) ClaimNotices(ctx context.Context, c Claim) ([]ClaimedNotice, error) {
	if due, err := s.due(ctx, "notices", c.Now); err != nil || !due {
		return nil, err
	}
	return all(ctx, s.write, "find notices that are due", func(row scanner) (found ClaimedNotice, err error) {
		var body string
		err = row.Scan(&found.WorkspaceID, &found.ID, &found.ConnectionID, moment{&found.At}, &found.Kind, &found.Recipient, &body,
			&found.Attempts, optional{&found.NextAt}, optional{&found.DeliveredAt}, &found.Failure)
		found.Body, found.Lease = []byte(body), c.Lease
		return found, err
	}, `UPDATE notices SET lease = $1, lease_until = $2 WHERE lease_until <= $3 AND id IN (
			SELECT n.id FROM notices n WHERE n.next_at <= $3 AND n.lease_until <= $3 ORDER BY n.next_at LIMIT $4`+s.skipLocked("n")+`)
		RETURNING workspace_id, `+noticeColumns, c.Lease, toMicros(c.Until), toMicros(c.Now), c.Limit)
}

// SettleNotice writes down what came of an attempt: n as it is now.
func (s *Store) SettleNotice(ctx context.Context, n ClaimedNotice) error {
	return s.handle().exec(ctx, "write down what came of a notice", `
		UPDATE notices SET attempts = $4, next_at = $5, delivered_at = $6, failure = $7, lease = '', lease_until = 0
		WHERE workspace_id = $1 AND id = $2 AND lease = $3`,
		n.WorkspaceID, n.ID, n.Lease, n.Attempts, orNull(n.NextAt), orNull(n.DeliveredAt), n.Failure)
}
