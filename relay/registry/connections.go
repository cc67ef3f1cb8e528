package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"sallyport/relay/account"
	"sallyport/relay/connection"
	"sallyport/relay/event"
	"sallyport/relay/probe"
	"sallyport/relay/session"
	"sallyport/relay/store"
)

// Connection is a connection as it is read: without its secrets' values.
type Connection struct {
	ID string
	connection.Spec
	SecretNames []string // those that have a value, sorted
	Version     int64
	CreatedAt   time.Time
	UpdatedAt   time.Time
	UpdatedBy   string
	LastTest    *LastTest // nil: never tested
	LatencyMs   []float64 // of recent pings that passed, or else tests, oldest first, for a sparkline
	Status      ConnectionStatus
}

// LastTest is how the last test of a saved connection ended.
type LastTest struct {
	OK         bool
	At         time.Time
	FailedStep string // "" where it passed
	Message    string
}

// latenciesShown is how many points a sparkline has at most.
const latenciesShown = 20

// Connections lists connections by name.
func (r *Registry) Connections(ctx context.Context, actor account.Actor, p Page) ([]Connection, string, error) {
	rows, next, err := r.workspace(actor).Connections(ctx, store.Page(p))
	if err != nil {
		return nil, "", fault(err, "connection")
	}
	connections, err := r.withTests(ctx, actor, rows)
	return connections, next, err
}

// Connection returns one connection.
func (r *Registry) Connection(ctx context.Context, actor account.Actor, id string) (Connection, error) {
	row, err := r.workspace(actor).Connection(ctx, id)
	if err != nil {
		return Connection{}, fault(err, "connection")
	}
	connections, err := r.withTests(ctx, actor, []store.Connection{row})
	if err != nil {
		return Connection{}, err
	}
	return connections[0], nil
}

// withTests adds the results of tests and pings to rows, by a few queries.
func (r *Registry) withTests(ctx context.Context, actor account.Actor, rows []store.Connection) ([]Connection, error) {
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	tests, err := r.workspace(actor).Tests(ctx, ids, latenciesShown)
	if err != nil {
		return nil, fault(err, "connection")
	}
	connections := make([]Connection, len(rows))
	for i, row := range rows {
		if !actor.MayEdit() {
			if row.Spec, err = withoutTyped(row.Spec); err != nil {
				return nil, fmt.Errorf("read connection %s: %w", row.ID, err)
			}
		}
		if connections[i], err = view(row); err != nil {
			return nil, err
		}
		connections[i].addTests(tests[row.ID])
	}
	if err := r.withHealth(ctx, actor, connections, ids); err != nil {
		return nil, fault(err, "connection")
	}
	return connections, nil
}

// hiddenWord stands for what only those read who may edit.
const hiddenWord = "(hidden)"

// withoutTyped is a connection's JSON without the credentials that were typed
// into it, in the place of placeholders: who may only look can't use them here,
// and should not be able to elsewhere.
func withoutTyped(spec []byte) ([]byte, error) {
	var fields map[string]any
	if err := json.Unmarshal(spec, &fields); err != nil {
		return nil, err
	}
	connection.ReplaceTyped(fields, func(string) any { return hiddenWord })
	return json.Marshal(fields)
}

// hiddenCredential is the fault of a connection that a viewer has read and an
// editor sends back.
var hiddenCredential = connection.FieldError{Path: "auth", Message: "A credential is “" + hiddenWord + "”, which is what viewers read in its place. Enter the credential, or better a placeholder such as {{secret.password}}."}

func holdsHidden(spec connection.Spec) (bool, error) {
	text, err := json.Marshal(spec)
	if err != nil {
		return false, fmt.Errorf("write the connection: %w", err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		return false, fmt.Errorf("read the connection: %w", err)
	}
	found := false
	connection.ReplaceTyped(fields, func(value string) any {
		found = found || value == hiddenWord
		return value
	})
	return found, nil
}

func view(row store.Connection) (Connection, error) {
	c := Connection{ID: row.ID, SecretNames: row.SecretNames, Version: row.Version,
		CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt, UpdatedBy: row.UpdatedBy}
	if err := json.Unmarshal(row.Spec, &c.Spec); err != nil {
		return c, fmt.Errorf("read connection %s: %w", row.ID, err)
	}
	return c, nil
}

// addTests takes tests as the store gives them, newest first.
func (c *Connection) addTests(tests []store.Test) {
	if len(tests) == 0 {
		return
	}
	last := tests[0]
	c.LastTest = &LastTest{OK: last.OK, At: last.At, FailedStep: last.FailedStep, Message: last.Message}
	for i := len(tests) - 1; i >= 0; i-- {
		if tests[i].OK {
			c.LatencyMs = append(c.LatencyMs, tests[i].LatencyMs)
		}
	}
}

// DeleteConnection removes a connection that is still at the given version; 0
// is any version.
func (r *Registry) DeleteConnection(ctx context.Context, actor account.Actor, id string, version int64) error {
	if err := mayEdit(actor, "delete connections"); err != nil {
		return err
	}
	var last session.Dropped
	err := r.workspace(actor).Atomically(ctx, func(w *store.Workspace) error {
		row, err := w.Connection(ctx, id)
		if err != nil {
			return err
		}
		last = r.dropping(ctx, w, row)
		if version != 0 && version != row.Version {
			return conflict(row)
		}
		if err := w.DeleteConnection(ctx, id, row.Version); err != nil {
			return err
		}
		return r.audit(ctx, w, actor, change{"connection.delete", "connection", id, row.Name, ""})
	})
	if err == nil {
		err = r.dropHeld(ctx, last)
	}
	if err != nil {
		return fault(err, "connection")
	}
	r.publish(actor.WorkspaceID, event.ConnectionChanged, id)
	return nil
}

// RecordTest keeps how a test of the saved connection ended.
func (r *Registry) RecordTest(ctx context.Context, actor account.Actor, id string, result probe.Result) error {
	if err := mayEdit(actor, "test connections"); err != nil {
		return err
	}
	t := store.Test{ID: store.NewID("tst"), ConnectionID: id, At: r.Clock(), OK: result.OK, LatencyMs: result.DurationMs}
	for _, step := range result.Steps {
		if step.Status == probe.Failed && t.FailedStep == "" {
			t.FailedStep, t.Message = step.Name, cutText(step.Message, 500)
		}
		// The sign-in happens once in a while; what a request costs is the ping.
		if step.Name == probe.StepPing && step.Status == probe.OK {
			t.LatencyMs = step.DurationMs
		}
	}
	w := r.workspace(actor)
	// Within the workspace only; a foreign id is not found.
	if _, err := w.Connection(ctx, id); err != nil {
		return fault(err, "connection")
	}
	if err := w.AddTest(ctx, t); errors.Is(err, store.ErrReference) { // deleted in the very moment
		return fault(store.ErrNotFound, "connection")
	} else if err != nil {
		return fault(err, "connection")
	}
	if err := r.pingSoon(ctx, w, id); err != nil { // with the session that the test has made
		return fault(err, "connection")
	}
	r.publish(actor.WorkspaceID, event.ConnectionChanged, id)
	return nil
}

// cutText cuts at a rune's edge.
func cutText(s string, max int) string {
	if len(s) <= max {
		return s
	}
	for max > 0 && s[max]&0xC0 == 0x80 {
		max--
	}
	return s[:max] + "…"
}
