package store

import (
	"context"
	"strconv"
	"time"
)

// Test is one finished test of a connection.
type Test struct {
	ID           string
	ConnectionID string
	At           time.Time
	OK           bool
	LatencyMs    float64
	FailedStep   string
	Message      string
}

// TestsKept is how many tests a connection keeps.
const TestsKept = 50

// AddTest records a test and drops the oldest ones of its connection.
func (w *Workspace) AddTest(ctx context.Context, t Test) error {
	return w.Atomically(ctx, func(w *Workspace) error {
		if err := w.db.exec(ctx, "record the test", `
			INSERT INTO tests (id, workspace_id, connection_id, at, ok, latency_ms, failed_step, message)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			t.ID, w.id, t.ConnectionID, toMicros(t.At), flag(t.OK), t.LatencyMs, t.FailedStep, t.Message); err != nil {
			return err
		}
		return w.db.exec(ctx, "drop old tests", `
			DELETE FROM tests WHERE workspace_id = $1 AND connection_id = $2 AND id <= (
				SELECT id FROM tests WHERE workspace_id = $1 AND connection_id = $2 ORDER BY id DESC LIMIT 1 OFFSET $3)`,
			w.id, t.ConnectionID, TestsKept)
	})
}

// Tests returns the last tests of each of the connections, newest first, at
// most limit of each, in one query.
func (w *Workspace) Tests(ctx context.Context, connectionIDs []string, limit int) (map[string][]Test, error) {
	byConnection := make(map[string][]Test, len(connectionIDs))
	if len(connectionIDs) == 0 {
		return byConnection, nil
	}
	list, args := in([]any{w.id}, connectionIDs)
	args = append(args, limit)
	tests, err := all(ctx, w.db.read, "list the tests", func(row scanner) (t Test, err error) {
		return t, row.Scan(&t.ID, &t.ConnectionID, moment{&t.At}, &t.OK, &t.LatencyMs, &t.FailedStep, &t.Message)
	}, `SELECT id, connection_id, at, ok, latency_ms, failed_step, message FROM (
			SELECT id, connection_id, at, ok, latency_ms, failed_step, message,
				row_number() OVER (PARTITION BY connection_id ORDER BY id DESC) AS age
			FROM tests WHERE workspace_id = $1 AND connection_id IN (`+list+`)) AS recent
		WHERE age <= $`+strconv.Itoa(len(args))+` ORDER BY connection_id, id DESC`, args...)
	for _, t := range tests {
		byConnection[t.ConnectionID] = append(byConnection[t.ConnectionID], t)
	}
	return byConnection, err
}
