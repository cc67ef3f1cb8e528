package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sallyport/internal/testkit"
)

// openDSN makes the test binary open that database and end, as a relay does.
const openDSN = "SALLYPORT_TEST_OPEN_DSN"

func openInChild(dsn string) int {
	s, err := Open(context.Background(), Options{DSN: dsn})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Print(s.DefaultWorkspaceID())
	if err := s.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func TestProcessesThatStartAtOnceAgreeOnOneSchemaAndWorkspace(t *testing.T) {
	engines(t, func(t *testing.T, dsn string) {
		const processes = 4
		type result struct {
			out, errs bytes.Buffer
			err       error
		}
		results := make([]result, processes)
		var wg sync.WaitGroup
		for i := range results {
			r := &results[i]
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), openDSN+"="+dsn)
			cmd.Stdout, cmd.Stderr = &r.out, &r.errs
			wg.Go(func() { r.err = cmd.Run() })
		}
		wg.Wait()
		for i := range results {
			if results[i].err != nil {
				t.Errorf("process %d: %v\n%s", i, results[i].err, results[i].errs.String())
			}
			if results[i].out.String() != results[0].out.String() {
				t.Errorf("process %d has workspace %s, process 0 has %s", i, results[i].out.String(), results[0].out.String())
			}
		}
		s := openTest(t, dsn)
		if n := rowCount(t, s, "workspaces"); n != 1 {
			t.Errorf("%d workspaces, want 1", n)
		}
	})
}

func TestASecondStartKeepsEverything(t *testing.T) {
	engines(t, func(t *testing.T, dsn string) {
		first, err := Open(t.Context(), Options{DSN: dsn})
		must(t, err)
		c := addConnection(t, home(first), "ERP", "")
		must(t, first.Close())

		second := openTest(t, dsn)
		if first.DefaultWorkspaceID() != second.DefaultWorkspaceID() {
			t.Error("the default workspace has changed")
		}
		if _, err := home(second).Connection(t.Context(), c.ID); err != nil {
			t.Error(err)
		}
		version, err := second.SchemaVersion(t.Context())
		must(t, err)
		files, err := migrations.ReadDir("migrations")
		must(t, err)
		if version != int64(len(files)) {
			t.Errorf("schema version %d", version)
		}
		must(t, second.Ping(t.Context()))
	})
}

func TestADatabaseOfANewerSallyportIsRefused(t *testing.T) {
	engines(t, func(t *testing.T, dsn string) {
		s := openTest(t, dsn)
		_, err := s.write.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, $1)`, true)
		must(t, err)
		_, err = Open(t.Context(), Options{DSN: dsn})
		if err == nil || !strings.Contains(err.Error(), "newer Sallyport") {
			t.Errorf("got %v", err)
		}
	})
}

func TestSQLiteFilesAreTheirOwnersOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "with a blank? and #")
	s := openTest(t, filepath.Join(dir, "relay.db"))
	addAgent(t, home(s), "a")
	files, err := os.ReadDir(dir)
	must(t, err)
	names := map[string]bool{}
	for _, f := range files {
		info, err := f.Info()
		must(t, err)
		names[f.Name()] = true
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has rights %o", f.Name(), info.Mode().Perm())
		}
	}
	if !names["relay.db"] || !names["relay.db-wal"] {
		t.Errorf("files %v", names)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	damaged := filepath.Join(t.TempDir(), "damaged.db")
	must(t, os.WriteFile(damaged, bytes.Repeat([]byte("not a database. "), 512), 0o600))
	cases := []struct {
		name, dsn, want string
		is              error
	}{
		{name: "unknown engine", dsn: "mysql://root:hunter2@db/x", want: `"mysql" is not a database that Sallyport knows`},
		{name: "memory", dsn: "sqlite::memory:", want: "a file is needed"},
		{name: "no path", dsn: "", want: "a file is needed"},
		{name: "damaged file", dsn: "sqlite:" + damaged, is: ErrDamaged},
		{name: "no server", dsn: "postgres://u:hunter2@127.0.0.1:1/x", want: "open the database"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Open(t.Context(), Options{DSN: c.dsn})
			if err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("got %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the message gives the password away: %v", err)
			}
		})
	}
}

func TestAFullDiskIsPutIntoWords(t *testing.T) {
	testkit.Root(t)
	dir := t.TempDir()
	mount := exec.Command("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", dir)
	if out, err := mount.CombinedOutput(); err != nil {
		testkit.Missing(t, "tmpfs", string(out))
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %s", out)
		}
	})
	s := openTest(t, filepath.Join(dir, "relay.db"))
	w := home(s)
	kept := addConnection(t, w, "kept", "")
	c := newConnection("big", "")
	c.Spec = bytes.Repeat([]byte("x"), 4<<20)
	if err := w.CreateConnection(t.Context(), c); !errors.Is(err, ErrFull) {
		t.Errorf("got %v, want ErrFull", err)
	}
	if _, err := w.Connection(t.Context(), kept.ID); err != nil {
		t.Errorf("what was there before can't be read: %v", err)
	}
}

func TestAReadOnlyDatabaseIsPutIntoWords(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		statement := `PRAGMA query_only = 1`
		if s.engine == enginePostgres {
			s.write.SetMaxOpenConns(1)
			s.write.SetMaxIdleConns(1)
			statement = `SET default_transaction_read_only = on`
		}
		_, err := s.write.ExecContext(t.Context(), statement)
		must(t, err)
		err = home(s).CreateAgent(t.Context(), Agent{ID: NewID("agt"), CreatedAt: noon, UpdatedAt: noon})
		if !errors.Is(err, ErrReadOnly) {
			t.Errorf("got %v, want ErrReadOnly", err)
		}
	})
}
