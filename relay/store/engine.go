package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // registers "pgx"
	"modernc.org/sqlite"
)

type engine string

const (
	engineSQLite   engine = "sqlite"
	enginePostgres engine = "postgres"
)

const (
	// busyTimeout is how long a process waits for another one (a backup, a
	// second relay that is starting) to let go of the SQLite file.
	busyTimeout = 15 * time.Second
	// sqliteReaders bounds the page caches; reads are short.
	sqliteReaders = 8
	// postgresConnections leaves room for several relays within PostgreSQL's
	// default of 100.
	postgresConnections = 20
)

func (s *Store) open(ctx context.Context, dsn string) error {
	switch {
	case strings.HasPrefix(dsn, "postgres://"), strings.HasPrefix(dsn, "postgresql://"):
		return s.openPostgres(ctx, dsn)
	case strings.HasPrefix(dsn, "sqlite:"):
		return s.openSQLite(ctx, strings.TrimPrefix(dsn, "sqlite:"))
	case strings.Contains(dsn, "://"):
		scheme, _, _ := strings.Cut(dsn, "://")
		return fmt.Errorf("database URL: %q is not a database that Sallyport knows: use sqlite:PATH or postgres://…", scheme)
	default:
		return s.openSQLite(ctx, dsn)
	}
}

func (s *Store) openPostgres(ctx context.Context, dsn string) error {
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return fmt.Errorf("open PostgreSQL: %w", err)
	}
	db.SetMaxOpenConns(postgresConnections)
	db.SetMaxIdleConns(postgresConnections / 2)
	db.SetConnMaxIdleTime(5 * time.Minute)
	db.SetConnMaxLifetime(time.Hour) // so that a failover is found in time
	s.read, s.write, s.engine = db, db, enginePostgres
	if err := s.prepare(ctx); err != nil {
		return errors.Join(err, db.Close())
	}
	return nil
}

func (s *Store) openSQLite(ctx context.Context, path string) (err error) {
	if path == "" || strings.HasPrefix(path, ":memory:") {
		return errors.New("open SQLite: a file is needed, such as sqlite:data/relay.db")
	}
	if path, err = filepath.Abs(path); err != nil {
		return fmt.Errorf("open SQLite: %w", err)
	}
	if err := privateFile(path); err != nil {
		return fmt.Errorf("open SQLite: %w", err)
	}
	// Even the switch to the write-ahead log fails while another process has
	// just opened the file, so the lock comes before the first connection.
	unlock, err := lockSQLite(ctx, path+".lock")
	if err != nil {
		return fmt.Errorf("open SQLite: another process keeps %s locked: %w", path, err)
	}
	defer unlock()

	write, err := sqlitePool(path, 1, "_txlock=immediate")
	if err != nil {
		return fmt.Errorf("open SQLite: %w", err)
	}
	read, err := sqlitePool(path, sqliteReaders, "_pragma=query_only(1)")
	if err != nil {
		return errors.Join(fmt.Errorf("open SQLite: %w", err), write.Close())
	}
	s.read, s.write, s.engine = read, write, engineSQLite
	if err := s.prepare(ctx); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", path, err), s.Close())
	}
	return nil
}

// prepare is what both engines need once they are open.
func (s *Store) prepare(ctx context.Context) error {
	if err := s.write.PingContext(ctx); err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	if err := s.migrate(ctx); err != nil {
		return err
	}
	return s.ensureDefaultWorkspace(ctx)
}

// sqlitePool opens a pool whose every connection has the pragmas set. Full
// synchronisation makes a used-up code stay used after a power cut.
func sqlitePool(path string, connections int, extra string) (*sql.DB, error) {
	query := fmt.Sprintf("?_pragma=busy_timeout(%d)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&%s",
		busyTimeout.Milliseconds(), extra)
	connector, err := sqlite.NewConnector(fileURI(path) + query)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// fileURI escapes what SQLite would take for the query of the URI.
func fileURI(path string) string {
	path = filepath.ToSlash(path)
	if runtime.GOOS == "windows" && !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return (&url.URL{Scheme: "file", Path: path}).String()
}

// privateFile makes the database file, and its directory, readable by their
// owner only, before SQLite would make them readable by all. SQLite gives the
// files of its log the same rights.
func privateFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// lockSQLite holds a lock between processes by an open transaction on a file
// of its own. It works alike on all systems and ends with its process.
func lockSQLite(ctx context.Context, path string) (unlock func(), err error) {
	if err := privateFile(path); err != nil {
		return nil, err
	}
	connector, err := sqlite.NewConnector(fmt.Sprintf("%s?_txlock=exclusive&_pragma=busy_timeout(%d)", fileURI(path), busyTimeout.Milliseconds()))
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return func() {
		// Nothing was written; the lock ends either way.
		_ = tx.Rollback()
		_ = db.Close()
	}, nil
}
