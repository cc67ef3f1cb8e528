package testkit

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// postgresStart bounds initdb and the server's start on a slow machine.
const postgresStart = 60 * time.Second

// cluster is the one throw-away PostgreSQL server of a test binary.
type cluster struct {
	once sync.Once
	err  error  // why it could not be started
	lack string // or which part is absent

	dir    string
	server *exec.Cmd
	ended  chan struct{} // closed when the server has ended

	mu        sync.Mutex // guards databases
	databases int
}

// postgres is shared by the tests of one binary, which is one process: a
// server takes a second to start, a database a few milliseconds.
var postgres cluster

// Postgres gives the test a PostgreSQL database of its own and returns its URL.
// The first call starts a throw-away server, as user postgres where the test
// runs as root; it listens on a Unix socket only. The test ends through Missing
// where PostgreSQL is not installed. TestMain of a package that calls it must
// run its tests by PostgresMain.
func Postgres(t testing.TB) string {
	t.Helper()
	postgres.once.Do(func() { postgres.lack, postgres.err = postgres.start() })
	if postgres.lack != "" {
		Missing(t, "PostgreSQL", postgres.lack)
	}
	if postgres.err != nil {
		t.Fatalf("start PostgreSQL: %v", postgres.err)
	}
	postgres.mu.Lock()
	postgres.databases++
	name := fmt.Sprintf("test_%d", postgres.databases)
	postgres.mu.Unlock()

	postgres.admin(t, "CREATE DATABASE "+name)
	t.Cleanup(func() { postgres.admin(t, "DROP DATABASE "+name+" WITH (FORCE)") })
	return postgres.url(name)
}

// stopPostgres stops the server that Postgres started, if it did, and removes
// its files. Should the test binary die before, the server ends with it.
func stopPostgres() {
	if postgres.server != nil {
		// A fast shutdown: open connections are closed.
		_ = postgres.server.Process.Signal(os.Interrupt)
		<-postgres.ended
		postgres.server = nil
	}
	if postgres.dir != "" {
		_ = os.RemoveAll(postgres.dir)
		postgres.dir = ""
	}
}

// PostgresMain runs a package's tests and stops the server that they shared,
// before goleak.VerifyTestMain looks for what is still running.
type PostgresMain struct{ *testing.M }

// Run runs the tests; see testing.M.
func (m PostgresMain) Run() int {
	defer stopPostgres()
	return m.M.Run()
}

// start makes and starts the server. lack says which part is absent.
func (c *cluster) start() (lack string, err error) {
	bin, err := postgresPrograms()
	if err != nil {
		return err.Error(), nil
	}
	attributes, uid, gid, err := postgresUser()
	if err != nil {
		return err.Error(), nil
	}
	// Not the test's own directory: the server outlives the test, and its
	// user must be able to enter. A socket's path has at most 107 bytes.
	if c.dir, err = os.MkdirTemp("", "sallyport-pg-"); err != nil {
		return "", err
	}
	if uid >= 0 {
		if err := os.Chown(c.dir, uid, gid); err != nil {
			return "", err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), postgresStart)
	defer cancel()
	data := filepath.Join(c.dir, "data")
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"),
		"--pgdata", data, "--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--no-locale", "--no-sync")
	initdb.SysProcAttr, initdb.Dir = attributes, c.dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return "", fmt.Errorf("initdb: %w\n%s", err, out)
	}
	log, err := os.Create(filepath.Join(c.dir, "log"))
	if err != nil {
		return "", err
	}
	defer log.Close()
	// Nothing needs to survive: no fsync.
	server := exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-k", c.dir,
		"-c", "listen_addresses=", "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off",
		"-c", "max_connections=300", "-c", "shared_buffers=32MB")
	server.SysProcAttr, server.Dir, server.Stdout, server.Stderr = attributes, c.dir, log, log
	started := make(chan error)
	c.ended = make(chan struct{})
	go func() {
		// Linux sends the parent-death signal when the *thread* that started
		// the server ends. This goroutine keeps its thread for as long as the
		// server lives.
		runtime.LockOSThread()
		err := server.Start()
		started <- err
		if err == nil {
			_ = server.Wait() // it is stopped by a signal
			close(c.ended)
		}
	}()
	if err := <-started; err != nil {
		return "", err
	}
	c.server = server
	for {
		conn, err := pgx.Connect(ctx, c.url("postgres"))
		if err == nil {
			return "", conn.Close(ctx)
		}
		select {
		case <-ctx.Done():
			text, readErr := os.ReadFile(log.Name())
			return "", errors.Join(fmt.Errorf("it did not answer in time: %w\n%s", err, text), readErr)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (c *cluster) url(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/" + database,
		RawQuery: url.Values{"host": {c.dir}, "sslmode": {"disable"}}.Encode()}
	return u.String()
}

// admin runs a statement on the server itself.
func (c *cluster) admin(t testing.TB, statement string) {
	t.Helper()
	// Not the test's context, which has ended when its cleanups run.
	ctx, cancel := context.WithTimeout(context.Background(), postgresStart)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.url("postgres"))
	if err != nil {
		t.Fatalf("connect to PostgreSQL: %v", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// postgresPrograms finds the directory of the server's programs. Debian keeps
// them out of PATH, one directory a version; the newest is taken.
func postgresPrograms() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), "postgres")); err == nil {
				return filepath.Dir(path), nil
			}
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errors.New("no initdb in PATH or in /usr/lib/postgresql")
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1]), nil
}
