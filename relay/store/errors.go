package store

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// What callers decide by.
var (
	// ErrNotFound: no such row in this workspace.
	ErrNotFound = errors.New("not found")
	// ErrVersion: the row has changed since the version that was given.
	ErrVersion = errors.New("changed meanwhile")
	// ErrReference: other rows refer to it, or it refers to a row that is not there.
	ErrReference = errors.New("still in use, or refers to what is not there")
	// ErrTaken: a value that must be unique is taken.
	ErrTaken = errors.New("already taken")
	// ErrUsed: a one-time code or link was used before.
	ErrUsed = errors.New("already used")
	// ErrExpired: its time is over.
	ErrExpired = errors.New("expired")
	// ErrCursor: the cursor of a list is not one that this store made.
	ErrCursor = errors.New("not a cursor of this list")
	// ErrFull: the disk of the database is full.
	ErrFull = errors.New("the disk of the database is full: free some space, then try again")
	// ErrReadOnly: the database can't be written to.
	ErrReadOnly = errors.New("the database is read-only: check the rights of its files and the state of its disk")
	// ErrBusy: another process held the database for too long.
	ErrBusy = errors.New("the database is busy: another process kept it locked for too long")
	// ErrDamaged: the file is not a database, or its pages are corrupt.
	ErrDamaged = errors.New("the database file is damaged or not a database: restore a backup")
)

// explain puts the engines' faults that callers or operators act upon into our
// words, and keeps the engine's own for the log.
func explain(err error) error {
	if err == nil {
		return nil
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		if ours := explainSQLite(lite.Code()); ours != nil {
			return fmt.Errorf("%w (%w)", ours, err)
		}
		return err
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		if ours := explainPostgres(pg.Code); ours != nil {
			return fmt.Errorf("%w (%w)", ours, err)
		}
	}
	return err
}

// explainSQLite knows result codes: https://www.sqlite.org/rescode.html. The
// low byte is the primary code.
func explainSQLite(code int) error {
	switch code {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return ErrTaken
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return ErrReference
	}
	switch code & 0xff {
	case sqlite3.SQLITE_FULL:
		return ErrFull
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		return ErrReadOnly
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return ErrBusy
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return ErrDamaged
	}
	return nil
}

// explainPostgres knows SQLSTATEs: PostgreSQL's manual, appendix A.
func explainPostgres(state string) error {
	switch state {
	case "23505": // unique_violation
		return ErrTaken
	case "23503": // foreign_key_violation
		return ErrReference
	case "53100": // disk_full
		return ErrFull
	case "25006": // read_only_sql_transaction
		return ErrReadOnly
	case "55P03", "40P01": // lock_not_available, deadlock_detected
		return ErrBusy
	}
	return nil
}
