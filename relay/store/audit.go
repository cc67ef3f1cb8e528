package store

import (
	"context"
	"strconv"
	"time"
)

// Entry is one line of the audit trail: who did what to what, and when. It
// never holds a secret.
type Entry struct {
	ID         string
	At         time.Time
	ActorKind  string
	ActorID    string
	ActorName  string
	Action     string // such as "connection.update"
	ObjectType string // such as "connection"
	ObjectID   string
	ObjectName string // as it was then
	Detail     string // what changed, for a person
}

const entryColumns = `id, at, actor_kind, actor_id, actor_name, action, object_type, object_id, object_name, detail`

func scanEntry(row scanner) (e Entry, err error) {
	return e, row.Scan(&e.ID, moment{&e.At}, &e.ActorKind, &e.ActorID, &e.ActorName, &e.Action,
		&e.ObjectType, &e.ObjectID, &e.ObjectName, &e.Detail)
}

// AddAudit appends to the audit trail.
func (w *Workspace) AddAudit(ctx context.Context, e Entry) error {
	return w.db.exec(ctx, "write the audit trail", `
		INSERT INTO audit (id, workspace_id, at, actor_kind, actor_id, actor_name, action, object_type, object_id, object_name, detail)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		e.ID, w.id, toMicros(e.At), e.ActorKind, e.ActorID, e.ActorName, e.Action, e.ObjectType, e.ObjectID, e.ObjectName, e.Detail)
}

// AuditFilter says which lines of the audit trail are asked for; "" is any.
type AuditFilter struct {
	ObjectType string
	ObjectID   string
	ActorID    string
}

// Audit lists the audit trail, newest first. p.Query is not used.
func (w *Workspace) Audit(ctx context.Context, f AuditFilter, p Page) ([]Entry, string, error) {
	where := `SELECT ` + entryColumns + ` FROM audit WHERE workspace_id = $1`
	var more []any
	for _, one := range []struct{ column, value string }{{"object_type", f.ObjectType}, {"object_id", f.ObjectID}, {"actor_id", f.ActorID}} {
		if one.value != "" {
			more = append(more, one.value)
			where += ` AND ` + one.column + ` = $` + strconv.Itoa(len(more)+1)
		}
	}
	query, args, err := newestFirst(where, w.id, p, more...)
	if err != nil {
		return nil, "", err
	}
	entries, err := all(ctx, w.db.read, "list the audit trail", scanEntry, query, args...)
	if err != nil {
		return nil, "", err
	}
	entries, next := cut(entries, p, func(e Entry) []string { return []string{e.ID} })
	return entries, next, nil
}
