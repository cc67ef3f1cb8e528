//go:build unix

package scale

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/apiclient"
	"sallyport/internal/testkit"
	"sallyport/relay/store"
)

// stage is one relay, as built, and the process of its agents.
type stage struct {
	t testing.TB
	n int // agents
	// single is how many of them have one tunnel, for want of open files; the
	// others have two.
	single int
	dir    string
	api    *apiclient.Client
	relay  *testkit.Process
	log    *testkit.Log
	args   []string
	trust  []string // what the sites are told of the relay's certificate
	sites  *testkit.Process
	door   string // of the sites' process
	ids    []site
}

// site is an identity; see sites.Site.
type site struct {
	AgentID, InstanceID string
	Seed                []byte
}

// report is what the sites have seen; see sites.Report.
type report struct {
	Tunnels, Online, Whole int
	Ups, Firsts            []int
	Downs                  int
	Failures               map[string]int
	Most                   int
	Goroutines             int
	HeapBytes              uint64
	Files                  int
}

// newStage starts a relay at which n agents are enrolled, none of which runs.
func newStage(t testing.TB, n int, args ...string) *stage {
	t.Helper()
	single := openFiles(t, n)
	dir := t.TempDir()
	s := &stage{t: t, n: n, single: single, dir: dir, log: &testkit.Log{}}
	token := "sally_scale" + rand.Text()
	address := fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t))
	s.args = append([]string{"serve", "--listen", address, "--data", filepath.Join(dir, "relay"), "--log-level", "warn",
		"--connects-per-address", "0"}, args...) // thousands of sites have as many addresses
	transport, scheme := &http.Transport{MaxIdleConnsPerHost: 64}, "http"
	if secured() {
		scheme = "https"
		authority := testkit.NewAuthority(t, dir)
		certificate, key := authority.Issue(t, dir, "relay", "127.0.0.1")
		s.args = append(s.args, "--tls-cert", certificate, "--tls-key", key)
		s.trust = []string{"--ca-file", authority.File}
		transport.TLSClientConfig = &tls.Config{RootCAs: authority.Pool}
	}
	t.Cleanup(transport.CloseIdleConnections)
	s.api = &apiclient.Client{Base: scheme + "://" + address, Token: token, HTTP: &http.Client{Transport: transport}}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the relay wrote:\n%s", s.log.Tail(40))
		}
	})
	s.enrol()
	s.startRelay()
	return s
}

// secured reports whether the relay is to serve TLS itself.
func secured() bool { return os.Getenv("SALLYPORT_TLS") != "" }

// openFiles raises the limit of open files, for this process and those that it
// starts, and returns how many of n agents may then have one tunnel only. It
// skips the test where not even that is allowed.
func openFiles(t testing.TB, n int) (single int) {
	t.Helper()
	const others = 500 // files that relay and agents have open beside
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	want := uint64(2*n + others)
	if limit.Max < want {
		more := syscall.Rlimit{Cur: want, Max: want}
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &more) == nil {
			return 0
		}
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	single = max(0, 2*n+others-int(limit.Max))
	if single > n {
		testkit.Missing(t, fmt.Sprintf("%d open files", n+others), fmt.Sprintf("the limit is %d", limit.Max))
	}
	return single
}

// enrol makes the relay's database, with all agents in it. Through the API it
// would take minutes, and is tested elsewhere.
func (s *stage) enrol() {
	t := s.t
	t.Helper()
	path := filepath.Join(s.dir, "relay", "sallyport.db")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), store.Options{DSN: path})
	if err != nil {
		t.Fatal(err)
	}
	w := db.Workspace(db.DefaultWorkspaceID())
	now := time.Now()
	err = w.Atomically(t.Context(), func(w *store.Workspace) error {
		for i := range s.n {
			id := site{AgentID: store.NewID("agt"), InstanceID: store.NewID("ins"), Seed: make([]byte, ed25519.SeedSize)}
			_, _ = rand.Read(id.Seed)
			s.ids = append(s.ids, id)
			if err := w.CreateAgent(t.Context(), store.Agent{ID: id.AgentID, Name: fmt.Sprintf("Site %05d", i), Version: 1, CreatedAt: now, UpdatedAt: now}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := insertInstances(t.Context(), path, w.ID(), s.ids); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(s.ids)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.identities(), raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s *stage) identities() string { return filepath.Join(s.dir, "identities.json") }

// insertInstances does what as many enrolments would, in one transaction.
func insertInstances(ctx context.Context, path, workspaceID string, ids []site) error {
	db, err := sql.Open("sqlite", path) // package store registers it
	if err != nil {
		return err
	}
	defer db.Close()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing, once committed
	for _, id := range ids {
		public := ed25519.NewKeyFromSeed(id.Seed).Public().(ed25519.PublicKey)
		_, err := tx.ExecContext(ctx, `
			INSERT INTO instances (id, workspace_id, agent_id, public_key, hostname, os, arch, agent_version, enrolled_at)
			VALUES ($1, $2, $3, $4, '', 'linux', 'amd64', '1.0.0', $5)`,
			id.InstanceID, workspaceID, id.AgentID, []byte(public), time.Now().UnixMicro())
		if err != nil {
			return err
		}
	}
	return tx.Commit()
}

// startRelay starts the relay and waits until it is ready. Over a restart its
// log goes on.
func (s *stage) startRelay() {
	s.t.Helper()
	s.relay = testkit.Start(s.t, testkit.ProcessOptions{
		Name: "relay", Path: filepath.Join(bin, "sallyport-relay"), Args: s.args, Log: s.log,
		Env: []string{"SALLYPORT_BOOTSTRAP_TOKEN=" + s.api.Token},
	})
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	if err := s.api.AwaitReady(ctx); err != nil {
		s.t.Fatal(err)
	}
}

// startSites starts the agents.
func (s *stage) startSites(args ...string) {
	t := s.t
	t.Helper()
	s.sites = testkit.Start(t, testkit.ProcessOptions{
		Name: "sites", Path: filepath.Join(bin, "sites"),
		Args: append([]string{"--relay", s.api.Base, "--identities", s.identities(), "--single", strconv.Itoa(s.single)}, append(s.trust, args...)...),
		Env:  []string{"GOGC=400"}, // it is not what is measured, and takes its share of the processors
	})
	testkit.Eventually(t, 20*time.Second, "the sites' process is up", func() error {
		line := s.sites.Log().Lines("listening on")
		if len(line) == 0 {
			return fmt.Errorf("it says %q", s.sites.Log())
		}
		_, s.door, _ = strings.Cut(line[0], "listening on ")
		s.door = "http://" + s.door
		return nil
	})
}

func (s *stage) report() report { return s.reportAt("/report") }

// reportCollected is the report after a garbage collection.
func (s *stage) reportCollected() report { return s.reportAt("/report?gc") }

func (s *stage) reportAt(path string) report {
	s.t.Helper()
	resp, err := http.Get(s.door + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var r report
	if err := json.NewDecoder(resp.Body).Decode(&r); err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *stage) reset() {
	s.t.Helper()
	resp, err := http.Post(s.door+"/reset", "", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = resp.Body.Close()
}

// metrics are the relay's, by name; those with labels are summed up.
func (s *stage) metrics() map[string]float64 {
	s.t.Helper()
	resp, err := s.api.HTTP.Get(s.api.Base + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	found := map[string]float64{}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		name, _, _ = strings.Cut(name, "{")
		v, err := strconv.ParseFloat(value, 64)
		if err == nil {
			found[name] += v
		}
	}
	if err := lines.Err(); err != nil {
		s.t.Fatal(err)
	}
	return found
}
