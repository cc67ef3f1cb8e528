package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// querier is what *sql.DB and *sql.Tx have in common.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// handle is where queries go: to the pools, or into the transaction that they
// are part of.
type handle struct {
	read, write querier
	pool        *sql.DB // nil within a transaction
}

func (s *Store) handle() handle { return handle{read: s.read, write: s.write, pool: s.write} }

// atomically runs do in a transaction; within one already, do joins it.
func (h handle) atomically(ctx context.Context, do func(handle) error) (err error) {
	if h.pool == nil {
		return do(h)
	}
	tx, err := h.pool.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin a transaction: %w", explain(err))
	}
	defer func() {
		// After a commit this does nothing; after an error or a panic it undoes.
		if undo := tx.Rollback(); undo != nil && !errors.Is(undo, sql.ErrTxDone) && err == nil {
			err = fmt.Errorf("undo a transaction: %w", explain(undo))
		}
	}()
	if err := do(handle{read: tx, write: tx}); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit a transaction: %w", explain(err))
	}
	return nil
}

// exec runs a statement whose number of rows does not matter.
func (h handle) exec(ctx context.Context, doing, query string, args ...any) error {
	_, err := h.count(ctx, doing, query, args...)
	return err
}

// execOne runs a statement that must touch a row: ErrNotFound where it did not.
func (h handle) execOne(ctx context.Context, doing, query string, args ...any) error {
	n, err := h.count(ctx, doing, query, args...)
	if err == nil && n == 0 {
		return fmt.Errorf("%s: %w", doing, ErrNotFound)
	}
	return err
}

// count runs a statement and says how many rows it touched.
func (h handle) count(ctx context.Context, doing, query string, args ...any) (int64, error) {
	result, err := h.write.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", doing, explain(err))
	}
	n, err := result.RowsAffected()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", doing, explain(err))
	}
	return n, nil
}

// scanner is a row to be read.
type scanner interface{ Scan(dest ...any) error }

// all reads every row of a query.
func all[T any](ctx context.Context, q querier, doing string, scan func(scanner) (T, error), query string, args ...any) (items []T, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, explain(err))
	}
	defer func() {
		if shut := rows.Close(); shut != nil && err == nil {
			err = fmt.Errorf("%s: %w", doing, explain(shut))
		}
	}()
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", doing, explain(err))
		}
		items = append(items, item)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, explain(err))
	}
	return items, nil
}

// one reads the only row of a query: ErrNotFound where there is none.
func one[T any](ctx context.Context, q querier, doing string, scan func(scanner) (T, error), query string, args ...any) (T, error) {
	items, err := all(ctx, q, doing, scan, query, args...)
	if err == nil && len(items) == 0 {
		err = fmt.Errorf("%s: %w", doing, ErrNotFound)
	}
	if err != nil {
		var none T
		return none, err
	}
	return items[0], nil
}

// in writes the placeholders $from, $from+1, … for the values of an IN list,
// and the arguments so far with those values added. Never with no values.
func in(args []any, values []string) (placeholders string, all []any) {
	var b strings.Builder
	for i, v := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		args = append(args, v)
		b.WriteString("$" + strconv.Itoa(len(args)))
	}
	return b.String(), args
}

// optionalMicros is toMicros of a time that may not have happened: NULL for the
// zero time.
func optionalMicros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return toMicros(t)
}

// optional is a time that may not have happened yet: NULL in the database, the
// zero time in Go.
type optional struct{ to *time.Time }

// Scan implements sql.Scanner.
func (o optional) Scan(src any) error {
	var us sql.NullInt64
	if err := us.Scan(src); err != nil {
		return err
	}
	*o.to = time.Time{}
	if us.Valid {
		*o.to = fromMicros(us.Int64)
	}
	return nil
}

// moment is a time that has always happened.
type moment struct{ to *time.Time }

// Scan implements sql.Scanner.
func (m moment) Scan(src any) error {
	us, ok := src.(int64)
	if !ok {
		return fmt.Errorf("a time is stored as %T", src)
	}
	*m.to = fromMicros(us)
	return nil
}

// orNull is the value of an optional time.
func orNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return toMicros(t)
}

// textOrNull is the value of an optional reference.
func textOrNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// bytesOrNull is the value of sealed bytes that may be none.
func bytesOrNull(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}
