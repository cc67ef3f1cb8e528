package cli

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"sallyport/agent/config"
	"sallyport/proto"
)

// reloaded is an agent without a relay: its rooms are put together, and
// requests are handed to it as forward hands them on.
type reloaded struct {
	*agent
	t    *testing.T
	file string
}

func newReloaded(t *testing.T, text string) *reloaded {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, config.FileName)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	load := func() (config.Config, error) { return loadFrom(config.Sources{Flags: map[string]string{"data": dir}}) }
	c, err := load()
	if err != nil {
		t.Fatal(err)
	}
	w := World{Err: io.Discard, Env: func(string) (string, bool) { return "", false }}
	lines, err := openLogs(t.Context(), c, w)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lines.Close() })
	kept, err := openRecords(c, lines)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kept.close)
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := newAgent(c, w, config.Identity{AgentID: "agt_1", InstanceID: "ins_1", Relay: "https://relay.test", Seed: key.Seed()}, kept, lines.Logger())
	if err != nil {
		t.Fatal(err)
	}
	a.keeper = a.newKeeper(c, reloading{file: file, load: load})
	t.Cleanup(a.targets.Close)
	t.Cleanup(a.secrets.Close)
	return &reloaded{agent: a, t: t, file: file}
}

// edit replaces the file, and has it read.
func (r *reloaded) edit(text string) error {
	r.t.Helper()
	if err := os.WriteFile(r.file+".new", []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(r.file+".new", r.file); err != nil {
		r.t.Fatal(err)
	}
	return r.keeper.Reload("test").Err
}

func (r *reloaded) send(method, url string) (string, error) {
	req, err := http.NewRequestWithContext(r.t.Context(), method, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := r.targets.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// longApp begins an answer at /long and ends it when it is told to.
type longApp struct {
	*httptest.Server
	finish chan struct{}
	over   chan struct{} // the test ends
	open   atomic.Int64  // connections
}

func newLongApp(t *testing.T) *longApp {
	t.Helper()
	app := &longApp{finish: make(chan struct{}), over: make(chan struct{})}
	app.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/long" {
			_, _ = io.WriteString(w, "quick")
			return
		}
		_, _ = io.WriteString(w, "first ")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-app.finish:
			_, _ = io.WriteString(w, "last")
		case <-r.Context().Done(): // the test has failed
		case <-app.over:
		}
	}))
	app.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			app.open.Add(1)
		case http.StateClosed:
			app.open.Add(-1)
		}
	}
	app.Start()
	t.Cleanup(app.Close)
	t.Cleanup(func() { close(app.over) })
	return app
}

// TestRequestsGoOnAcrossReloads: one that lasts, and many that come and go,
// while everything that can change does.
func TestRequestsGoOnAcrossReloads(t *testing.T) {
	app := newLongApp(t)
	r := newReloaded(t, "")
	req, err := http.NewRequestWithContext(t.Context(), "GET", app.URL+"/long", nil)
	if err != nil {
		t.Fatal(err)
	}
	long, err := r.targets.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	var sent atomic.Int64
	for range 4 {
		load.Go(func() {
			for ctx.Err() == nil {
				if body, err := r.send("GET", app.URL+"/"); err != nil || body != "quick" {
					t.Errorf("%q, %v", body, err)
					return
				}
				sent.Add(1)
			}
		})
	}
	for i := range 20 {
		if err := r.edit(fmt.Sprintf("targetProxy: %s\nlogLevel: %s\nmaxRequestBody: %dMB\nproxy: none\npolicy:\n  rules:\n    - allow * %s/** rate=%d/s\n",
			[]string{"none", "environment"}[i%2], []string{"debug", "error"}[i%2], i+1, app.URL, 100_000+i)); err != nil {
			t.Fatal(err)
		}
		for before := sent.Load(); sent.Load() < before+20 && !t.Failed(); {
			time.Sleep(time.Millisecond)
		}
	}
	stop()
	load.Wait()
	close(app.finish)
	if body, err := io.ReadAll(long.Body); err != nil || string(body) != "first last" {
		t.Errorf("%q, %v", body, err)
	}
	_ = long.Body.Close()
	// What the roads of before kept is closed. The one in use now keeps some.
	r.targets.Close()
	for deadline := time.Now().Add(20 * time.Second); app.open.Load() > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections are still open", app.open.Load())
		}
	}
}

func TestWhatAReloadChanges(t *testing.T) {
	app := newLongApp(t)
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "secure") }))
	secure.Config.ErrorLog = zap.NewStdLog(zap.NewNop())
	t.Cleanup(secure.Close)
	authority := filepath.Join(t.TempDir(), "ca.pem")
	r := newReloaded(t, "")

	if _, err := r.send("GET", secure.URL); proto.AsError(err) == nil || proto.AsError(err).Code != proto.CodeTargetTLS {
		t.Errorf("before its authority is trusted: %v", err)
	}
	if err := r.edit("targetCaFile: " + authority + "\n"); err == nil || !strings.Contains(err.Error(), "targetCaFile: open") {
		t.Errorf("a file that is missing: %v", err)
	}
	if err := os.WriteFile(authority, certificatePEM(secure), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.edit("targetCaFile: " + authority + "\n"); err != nil {
		t.Fatal(err)
	}
	if body, err := r.send("GET", secure.URL); err != nil || body != "secure" {
		t.Errorf("trusted now: %q, %v", body, err)
	}

	if err := r.edit("logLevel: debug\npolicy:\n  rules:\n    - allow GET " + app.URL + "/**\n"); err != nil {
		t.Fatal(err)
	}
	if !r.log.Core().Enabled(zap.DebugLevel) {
		t.Error("the level is what it was")
	}
	if body, err := r.send("GET", app.URL+"/"); err != nil || body != "quick" {
		t.Errorf("allowed: %q, %v", body, err)
	}
	if _, err := r.send("POST", app.URL+"/"); proto.AsError(err) == nil || proto.AsError(err).Code != proto.CodePolicyDenied {
		t.Errorf("denied: %v", err)
	}

	// A faulty edit changes nothing, not even what is right in it.
	version := r.status().Config.Version
	if err := r.edit("logLevel: error\npolicy:\n  rules:\n    - alow * https://hidden.test\n"); err == nil {
		t.Fatal("it was taken")
	}
	st := r.status()
	if st.Config.Version != version || !strings.Contains(st.ConfigError, `agent.yaml:4: policy: rule "alow`) || st.ConfigErrorSince.IsZero() || !r.log.Core().Enabled(zap.DebugLevel) {
		t.Errorf("status %+v", st)
	}
	if _, err := r.send("POST", app.URL+"/"); proto.AsError(err) == nil {
		t.Errorf("the rules are gone: %v", err)
	}
	told := configState(r.keeper.State())
	if strings.Contains(told.Error, "hidden") || told.Error != "agent.yaml:4: policy: this rule can't be read" {
		t.Errorf("the relay is told %q", told.Error)
	}
	if _, err := proto.EncodeControl(told); err != nil {
		t.Error(err)
	}

	if err := r.edit("relay: https://other.test\nlogLevel: debug\n"); err != nil {
		t.Fatal(err)
	}
	if st := r.status(); st.ConfigError != "" || len(st.Config.NeedsRestart) != 1 || st.Config.NeedsRestart[0] != "relay" || st.Relay != "https://relay.test" {
		t.Errorf("status %+v", st)
	}
}
