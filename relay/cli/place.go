package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"sallyport/internal/claim"
	"sallyport/internal/logging"
	"sallyport/relay/account"
	"sallyport/relay/config"
	"sallyport/relay/store"
	"sallyport/relay/vault"
)

// openData makes the data directory, if it is absent, and sees that the relay
// can write there: better now than at the first change.
func openData(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("data directory %s: %s; make it, or choose another one with --data", dir, reason(err))
	}
	probe, err := os.CreateTemp(dir, ".writable-*")
	if err != nil {
		return fmt.Errorf("data directory %s can't be written to: %s; give the relay's user the right to, or choose another one with --data", dir, reason(err))
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// claimPlace sees to it that no other relay runs with the data directory, which
// has the relay's own name in it, or with the same SQLite file: each would take
// the other's agents for gone.
func (r *relay) claimPlace(c *config.Config, log *zap.Logger) error {
	advice := "stop it, or choose another one with --data; several relays that are to work together share a PostgreSQL"
	places := map[string]string{filepath.Join(c.Data, "relay.lock"): fmt.Sprintf("another relay runs with the data directory %s already: %s", c.Data, advice)}
	if path, ok := strings.CutPrefix(c.Database, "sqlite:"); ok {
		path, _, _ = strings.Cut(path, "?")
		places[path+".lock"] = fmt.Sprintf("another relay runs with the database %s already: %s", path, advice)
	}
	for _, path := range slices.Sorted(maps.Keys(places)) {
		release, err := claim.Take(path)
		switch {
		case errors.Is(err, claim.ErrTaken):
			return errors.New(places[path])
		case err != nil: // not every file system can do it
			log.Warn("it can't be ruled out that another relay runs with the same files", zap.Error(err))
		default:
			r.closeLater(release)
		}
	}
	return nil
}

// reason is what the system said, without the path that is named already.
func reason(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}

// openStore opens the database of c.
func openStore(ctx context.Context, c *config.Config, log *zap.Logger) (*store.Store, error) {
	s, err := store.Open(ctx, store.Options{DSN: c.Database, Log: log})
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	return s, nil
}

// openVault opens the keyset. Where the database holds what a lost keyset
// sealed, a new one would only hide the loss.
func openVault(ctx context.Context, c *config.Config, s *store.Store) (*vault.Vault, error) {
	sealed, err := s.HasSealed(ctx)
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	if !sealed {
		v, err := vault.Open(c.Keyset)
		if err != nil {
			return nil, fmt.Errorf("keyset %s: %w", c.Keyset, err)
		}
		return v, nil
	}
	v, err := vault.OpenExisting(c.Keyset)
	if errors.Is(err, vault.ErrAbsent) {
		return nil, fmt.Errorf("keyset %s is missing, but the database holds secrets that were sealed with it: restore the file from a backup, or say where it is with --keyset", c.Keyset)
	}
	if err != nil {
		return nil, fmt.Errorf("keyset %s: %w", c.Keyset, err)
	}
	return v, nil
}

// relayID is this relay's own name to agents, kept beside the database: it
// must stay the same over restarts, and differ between relays that share a
// database.
func relayID(dir string) (string, error) {
	path := filepath.Join(dir, "relay-id")
	text, err := os.ReadFile(path)
	if id := strings.TrimSpace(string(text)); err == nil && id != "" {
		return id, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the relay's id: %w", err)
	}
	id := store.NewID("rly")
	if err := os.WriteFile(path, []byte(id+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("write the relay's id: %w", err)
	}
	return id, nil
}

// desk is what the commands that change accounts work with, beside a relay
// that may be running.
type desk struct {
	config   *config.Config
	store    *store.Store
	accounts *account.Accounts
	actor    account.Actor
}

// atDesk makes the RunE of a command that changes accounts.
func atDesk(cmd *cobra.Command, o outside, do func(ctx context.Context, d *desk, args []string) error) {
	load := addOptions(cmd, o, "data", "database", "public-url")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		c, err := load()
		if err != nil {
			return err
		}
		log, _, err := logging.New(logging.Options{Format: "console", Level: "warn", Output: o.err})
		if err != nil {
			return err
		}
		if strings.HasPrefix(c.Database, "sqlite:") {
			path := strings.TrimPrefix(c.Database, "sqlite:")
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("there is no database %s yet: start the relay once, or say where it is with --data or --database", path)
			}
		}
		s, err := openStore(cmd.Context(), c, log)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		accounts := account.New(account.Options{Store: s, Clock: time.Now, Log: log})
		return do(cmd.Context(), &desk{config: c, store: s, accounts: accounts, actor: accounts.System("command line")}, args)
	}
}

// address is path at the relay's public URL, as far as the options tell it.
func (d *desk) address(path string) string {
	if d.config.PublicURL == nil {
		return "http://127.0.0.1:8080" + path
	}
	return d.config.PublicURL.String() + path
}
