package secret

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"sallyport/proto"
)

// script is the command of a shell script.
func script(t *testing.T, text string) []string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("needs a Unix shell")
	}
	path := filepath.Join(t.TempDir(), "get-secret")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return []string{path}
}

func TestCommand(t *testing.T) {
	command := append(script(t, `printf ' %s-%s \n' "$1" "$(cat)"; echo noise >&2`), "a b;$(id)")
	got, err := valueOf(t, newStore(t, only(Source{Command: command}), Options{}))
	if err != nil || got != "a b;$(id)-" { // no shell, no input, no blanks around
		t.Errorf("%q, %v", got, err)
	}
}

func TestCommandsThatFail(t *testing.T) {
	for name, test := range map[string]struct {
		source Source
		reason proto.Reason
		want   string
	}{
		"status":     {Source{Command: script(t, "echo hunter2!; echo hunter2! >&2; exit 3")}, proto.ReasonSecretCommand, "ended with status 3"},
		"absent":     {Source{Command: []string{filepath.Join(t.TempDir(), "absent")}}, proto.ReasonSecretCommand, "does not exist"},
		"prints nil": {Source{Command: script(t, "echo")}, proto.ReasonSecretEmpty, "is empty"},
		"too much":   {Source{Command: script(t, "yes hunter2! | head -c 200000")}, proto.ReasonSecretEmpty, "longer than"},
		"slow":       {Source{Command: script(t, "sleep 60 & sleep 60"), Timeout: 100 * time.Millisecond}, proto.ReasonSecretCommand, "did not end within 100ms"},
		"killed":     {Source{Command: script(t, "kill -9 $$")}, proto.ReasonSecretCommand, "broke off"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := valueOf(t, newStore(t, only(test.source), Options{}))
			if e := wantError(t, err, proto.CodeSecretUnavailable, test.reason, "hunter2"); !strings.Contains(e.Detail, test.want) {
				t.Errorf("%q", e.Detail)
			}
		})
	}
}

func TestWhoAsksMayLeave(t *testing.T) {
	st := newStore(t, only(Source{Command: script(t, "sleep 60"), Timeout: time.Minute}), Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e := st.current.Load()
	if _, err := st.value(ctx, e, e.held["p"]); err == nil || err.Code != proto.CodeCanceled {
		t.Errorf("got %v", err)
	}
	st.Close() // ends the command, and does not wait a minute for it
}
