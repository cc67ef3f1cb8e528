package cli

import (
	"context"
	"slices"
	"strings"
	"testing"
)

// command runs a command beside the relay and returns what it printed.
func (r *running) command(args ...string) (string, int) {
	r.t.Helper()
	out, log := &noteBook{}, &noteBook{}
	status := run(context.Background(), append(args, "--data", r.data, "--public-url", r.url), outside{out: out, err: log, env: lookUp(nil)})
	if status != 0 {
		return log.String(), status
	}
	return out.String(), 0
}

func TestTokenIsMadeAndRevokedBesideARunningRelay(t *testing.T) {
	relay := startRelay(t, "")
	out, _ := relay.command("token", "create", "export", "--role", "viewer")
	secret := strings.TrimSpace(out)
	bearer := "Authorization: Bearer " + secret
	me := relay.expect(200, "GET", "/api/v1/me", "", bearer)
	if me.text(t, "role") != "viewer" {
		t.Errorf("%s", me.body)
	}
	list, _ := relay.command("token", "list")
	if !strings.Contains(list, "export") || strings.Contains(list, secret) {
		t.Errorf("list: %s", list)
	}
	if said, status := relay.command("token", "revoke", me.text(t, "id")); status != 0 {
		t.Errorf("%s", said)
	}
	if said, status := relay.command("token", "revoke", "tok_nobody"); status != 1 || strings.Contains(said, "not_found:") {
		t.Errorf("%d %s", status, said)
	}
}

func TestPersonIsAddedAndSignsInByLink(t *testing.T) {
	relay := startRelay(t, "")
	out, status := relay.command("user", "add", "ada@example.com", "--name", "Ada", "--role", "admin")
	if status != 0 || !signInLink.MatchString(out) {
		t.Fatalf("%d %s", status, out)
	}
	if out, _ := relay.command("user", "list"); !strings.Contains(out, "ada@example.com") {
		t.Errorf("%s", out)
	}
	if out, status := relay.command("user", "link", "ada@example.com"); status != 0 || !signInLink.MatchString(out) {
		t.Errorf("%d %s", status, out)
	}
	if said, status := relay.command("user", "link", "nobody@example.com"); status != 1 || !strings.Contains(said, "user list") {
		t.Errorf("%d %s", status, said)
	}
	if out, status := relay.command("user", "reset", "ada@example.com"); status != 0 || !signInLink.MatchString(out) {
		t.Errorf("%d %s", status, out)
	}
}

func TestALifeThatNoLinkOrTokenCanHaveIsRefused(t *testing.T) {
	relay := startRelay(t, "")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"user", "link", "admin@localhost", "--valid", "0s"}, "--valid 0s: A sign-in link is good for at least 1 minute and at most 30 days."},
		{[]string{"user", "link", "--valid", "0s"}, "--valid 0s:"},
		{[]string{"user", "link", "--valid", "-1h"}, "--valid -1h0m0s:"},
		{[]string{"user", "link", "--valid", "721h"}, "at most 30 days"},
		{[]string{"token", "create", "ci", "--expires", "-1h"}, "--expires -1h0m0s: a token works for a minute at least"},
		{[]string{"token", "create", "ci", "--expires", "1ns"}, "--expires 1ns:"},
		{[]string{"token", "create", "ci", "--expires", "-1h", "--relay", relay.url}, "--expires -1h0m0s:"},
	} {
		out, log := &noteBook{}, &noteBook{}
		args := c.args
		if !slices.Contains(args, "--relay") {
			args = append(args, "--data", relay.data, "--public-url", relay.url)
		}
		status := run(context.Background(), args, outside{out: out, err: log, env: lookUp(nil)})
		if status != 1 || !strings.Contains(log.String(), c.want) || out.String() != "" {
			t.Errorf("%v: %d %s%s", c.args, status, out, log)
		}
	}
	if out, _ := relay.command("token", "list"); strings.Contains(out, "ci") {
		t.Errorf("a token was made: %s", out)
	}
	if out, status := relay.command("user", "link", "--valid", "90m"); status != 0 || !strings.Contains(out, "within 1 hour 30 minutes") {
		t.Errorf("%d %s", status, out)
	}
}

func TestCommandWithoutADatabaseMakesNone(t *testing.T) {
	out, log := &noteBook{}, &noteBook{}
	status := run(context.Background(), []string{"token", "list", "--data", t.TempDir()}, outside{out: out, err: log, env: lookUp(nil)})
	if status != 1 || !strings.Contains(log.String(), "there is no database") {
		t.Errorf("%d %s", status, log)
	}
}

func TestMigrateAndVersion(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"migrate", "--data", t.TempDir()}, "sqlite database is at schema"},
		{[]string{"version"}, "sallyport-relay "},
	} {
		out, log := &noteBook{}, &noteBook{}
		if status := run(context.Background(), c.args, outside{out: out, err: log, env: lookUp(nil)}); status != 0 || !strings.Contains(out.String(), c.want) {
			t.Errorf("%v: %d %s%s", c.args, status, out, log)
		}
	}
}
