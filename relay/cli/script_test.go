package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sallyport/internal/child"
	"sallyport/internal/testkit"
)

// TestCommandsAgainstARelay runs the scripts of testdata/script with the program as
// `make build` makes it, each against a relay of its own. They find it by the
// environment, as people do: SALLYPORT_RELAY and SALLYPORT_TOKEN. $APP is an
// application with a cookie sign-in, ERP_PASSWORD the password of its account.
func TestCommandsAgainstARelay(t *testing.T) {
	app, bin := startApplication(t), t.TempDir()
	if err := testkit.BuildPrograms(bin, map[string]string{"sallyport-relay": "./relay"}); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", bin+string(os.PathListSeparator)+e.Getenv("PATH"))
			url, err := startedRelay(e, filepath.Join(bin, "sallyport-relay"), t.Logf)
			if err != nil {
				return err
			}
			e.Setenv("SALLYPORT_RELAY", url)
			e.Setenv("SALLYPORT_TOKEN", bootstrapToken)
			e.Setenv("DATA", filepath.Join(e.WorkDir, ".data"))
			e.Setenv("APP", app.URL)
			e.Setenv("ERP_PASSWORD", appPassword)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"expand": expand},
	})
}

// expand replaces $NAME in files by values of the environment.
func expand(ts *testscript.TestScript, _ bool, files []string) {
	for _, file := range files {
		text := os.Expand(ts.ReadFile(file), func(name string) string {
			if value := ts.Getenv(name); value != "" && !strings.HasPrefix(name, "env:") {
				return value
			}
			return "${" + name + "}"
		})
		ts.Check(os.WriteFile(ts.MkAbs(file), []byte(text), 0o644))
	}
}

// startedRelay starts a relay for a script and returns its URL.
func startedRelay(e *testscript.Env, path string, logf func(string, ...any)) (string, error) {
	said := &noteBook{}
	relay, err := child.Start(child.Options{Name: "relay", Path: path, Output: said,
		Env:  []string{"SALLYPORT_BOOTSTRAP_TOKEN=" + bootstrapToken},
		Args: []string{"serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(e.WorkDir, ".data"), "--log-level", "warn", "--allow-private-targets", "loopback"}})
	if err != nil {
		return "", err
	}
	e.Defer(func() {
		if err := relay.Stop(context.Background()); err != nil {
			logf("%v", err)
		}
	})
	deadline := time.Now().Add(60 * time.Second)
	for {
		if line, ok := lineWith(said.String(), "Sallyport is running at "); ok {
			return strings.TrimPrefix(line, "Sallyport is running at "), nil
		}
		select {
		case <-relay.Done():
			return "", fmt.Errorf("the relay has ended: %s", said)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("the relay did not start: %s", said)
		}
	}
}
