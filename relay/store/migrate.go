package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"go.uber.org/zap"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate applies the migrations that the database does not have yet. On
// PostgreSQL an advisory lock keeps relays that start together apart; on
// SQLite the caller holds the lock file.
func (s *Store) migrate(ctx context.Context) error {
	provider, err := s.migrations()
	if err != nil {
		return err
	}
	newest := int64(0)
	for _, source := range provider.ListSources() {
		newest = max(newest, source.Version)
	}
	current, err := provider.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("read the version of the database's schema: %w", err)
	}
	if current > newest {
		return fmt.Errorf("the database was made by a newer Sallyport (schema %d, this one knows %d): start the newer version, or restore a backup", current, newest)
	}
	results, err := provider.Up(ctx)
	if err != nil {
		return fmt.Errorf("bring the database's schema up to date: %w", err)
	}
	for _, r := range results {
		s.log.Info("migrated the database", zap.Int64("version", r.Source.Version), zap.Duration("took", r.Duration))
	}
	return nil
}

// SchemaVersion is the number of the last migration that was applied.
func (s *Store) SchemaVersion(ctx context.Context) (int64, error) {
	provider, err := s.migrations()
	if err != nil {
		return 0, err
	}
	version, err := provider.GetDBVersion(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the version of the database's schema: %w", explain(err))
	}
	return version, nil
}

func (s *Store) migrations() (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("read the embedded migrations: %w", err)
	}
	// Migrations are plain SQL; whatever registered itself globally is not ours.
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	dialect := goose.DialectSQLite3
	if s.engine == enginePostgres {
		dialect = goose.DialectPostgres
		locker, err := lock.NewPostgresSessionLocker(
			lock.WithLockTimeout(1, 60), // ask each second, for a minute
			lock.WithUnlockTimeout(1, 10),
		)
		if err != nil {
			return nil, fmt.Errorf("lock of the migrations: %w", err)
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	provider, err := goose.NewProvider(dialect, s.write, files, options...)
	if err != nil {
		return nil, errors.Join(errors.New("read the embedded migrations"), err)
	}
	return provider, nil
}

// toMicros and fromMicros are the one way in which times are stored: both
// engines then order, compare and round them alike.
func toMicros(t time.Time) int64    { return t.UnixMicro() }
func fromMicros(us int64) time.Time { return time.UnixMicro(us).UTC() }
