package cli

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// refusal runs serve, which must not start, and returns what it said.
func refusal(t *testing.T, env map[string]string, args ...string) string {
	t.Helper()
	out, log := &noteBook{}, &noteBook{}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second) // should it start after all
	defer cancel()
	if status := run(ctx, append([]string{"serve"}, args...), outside{out: out, err: log, env: lookUp(env)}); status != 1 {
		t.Fatalf("exit status %d: %s%s", status, out, log)
	}
	return log.String()
}

func TestStartThatFailsSaysWhyAndWhatToDo(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	free := []string{"--listen", "127.0.0.1:0", "--data", filepath.Join(t.TempDir(), "data")}
	for _, c := range []struct {
		name string
		args []string
		env  map[string]string
		want []string
	}{
		{"port in use", []string{"--listen", busy.Addr().String()}, nil, []string{"another program uses this port", "--listen"}},
		{"address of another machine", []string{"--listen", "192.0.2.1:1", "--public-url", "http://x"}, nil, []string{"192.0.2.1:1", "no such address"}},
		{"data is a file", []string{"--listen", "127.0.0.1:0", "--data", file}, nil, []string{file, "--data"}},
		{"database that is down", append(free, "--database", "postgres://user:hunter2@127.0.0.1:1/db"), nil, []string{"database"}},
		{"exception that is no address", append(free, "--allow-private-targets", "everything"), nil, []string{"allow-private-targets", "everything"}},
		{"certificate that is absent", append(free, "--tls-cert", "absent.pem", "--tls-key", "absent.key"), nil, []string{"absent.pem"}},
		{"bootstrap token that no header carries", free, map[string]string{"SALLYPORT_BOOTSTRAP_TOKEN": "two words"}, []string{"bootstrap token"}},
		{"misspelt option", []string{"--lissten", "x"}, nil, []string{"--lissten"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			said := refusal(t, c.env, c.args...)
			for _, want := range c.want {
				if !strings.Contains(said, want) {
					t.Errorf("%q lacks %q", said, want)
				}
			}
			if strings.Contains(said, "hunter2") {
				t.Errorf("%q shows the password", said)
			}
		})
	}
}

func TestSecondRelayWithTheSameFilesIsRefused(t *testing.T) {
	relay := startRelay(t, "")
	if said := refusal(t, nil, "--listen", "127.0.0.1:0", "--data", relay.data); !strings.Contains(said, "another relay runs with the data directory "+relay.data) || !strings.Contains(said, "--data") {
		t.Errorf("the same data directory: %q", said)
	}
	database := filepath.Join(relay.data, "sallyport.db")
	if said := refusal(t, nil, "--listen", "127.0.0.1:0", "--data", t.TempDir(), "--database", "sqlite:"+database); !strings.Contains(said, "another relay runs with the database "+database) {
		t.Errorf("the same database: %q", said)
	}
	relay.expect(200, "GET", "/api/v1/me", "")
	relay.stop()
	startRelay(t, relay.data).stop()
}

func TestLostKeysetIsNotReplaced(t *testing.T) {
	app := startApplication(t)
	relay := startRelay(t, "")
	relay.expect(201, "POST", "/api/v1/connections", app.connection(nil))
	relay.stop()
	keyset := filepath.Join(relay.data, "keyset.json")
	if err := os.Rename(keyset, keyset+".away"); err != nil {
		t.Fatal(err)
	}
	said := refusal(t, nil, "--listen", "127.0.0.1:0", "--data", relay.data)
	if !strings.Contains(said, "keyset") || !strings.Contains(said, "backup") {
		t.Errorf("said %q", said)
	}
	if _, err := os.Stat(keyset); err == nil {
		t.Error("a new keyset was made")
	}
}

var signInLink = regexp.MustCompile(`http://127\.0\.0\.1:\d+(/sign-in/link/[A-Za-z0-9_-]+)`)

func TestFirstStartPrintsASignInLinkOnceAndNeverLogsIt(t *testing.T) {
	relay := startRelayWith(t, nil, "")
	link := signInLink.FindStringSubmatch(relay.out.String())
	for link == nil { // it follows the line that startRelay waits for
		link = signInLink.FindStringSubmatch(relay.out.String())
	}
	page := relay.call("GET", link[1], "", "Authorization:")
	if page.status >= 400 {
		t.Errorf("the link answers %d %s", page.status, page.body)
	}
	relay.stop()
	if token := link[1][strings.LastIndexByte(link[1], '/')+1:]; strings.Contains(relay.log.String(), token) {
		t.Error("the log shows the link")
	}
	again := startRelayWith(t, nil, relay.data)
	again.stop()
	if strings.Contains(again.out.String(), "/sign-in/link/") {
		t.Errorf("printed again: %s", again.out)
	}
}

func TestRelayThatStopsServesWhileTheBalancerTurnsAway(t *testing.T) {
	relay := startRelay(t, "", "--drain-delay", "3s")
	relay.expect(200, "GET", "/readyz", "", "Authorization:")
	stopped := make(chan int, 1)
	go func() { stopped <- relay.stop() }()
	for relay.call("GET", "/readyz", "", "Authorization:").status != http.StatusServiceUnavailable {
		time.Sleep(5 * time.Millisecond)
	}
	relay.expect(200, "GET", "/healthz", "", "Authorization:")
	relay.expect(200, "GET", "/api/v1/me", "")
	if status := <-stopped; status != 0 {
		t.Errorf("exit status %d", status)
	}
}

func TestHealthAndMetrics(t *testing.T) {
	relay := startRelay(t, "", "--metrics-listen", "127.0.0.1:0")
	if a := relay.expect(200, "GET", "/healthz", "", "Authorization:"); a.body != "ok\n" {
		t.Errorf("%q", a.body)
	}
	relay.expect(200, "GET", "/readyz", "", "Authorization:")
	// With a listener of its own for them, the main one asks for a token.
	relay.expect(401, "GET", "/metrics", "", "Authorization:")
	if a := relay.expect(200, "GET", "/metrics", ""); !strings.Contains(a.body, "go_goroutines") || !strings.Contains(a.body, "sallyport_") {
		t.Errorf("%s", a.body)
	}
	viewer := relay.expect(201, "POST", "/api/v1/tokens", `{"name":"watcher","role":"viewer"}`).text(t, "token")
	relay.expect(403, "GET", "/metrics", "", "Authorization: Bearer "+viewer)
}

func TestMetricsAreOpenOnLoopbackButNotThroughAProxy(t *testing.T) {
	relay := startRelay(t, "")
	relay.expect(200, "GET", "/metrics", "", "Authorization:")
	relay.expect(401, "GET", "/metrics", "", "Authorization:", "X-Forwarded-For: 203.0.113.9")
}

func TestEveryAnswerCarriesARequestIDAndSecurityFields(t *testing.T) {
	relay := startRelay(t, "")
	for _, path := range []string{"/api/v1/me", "/api/v1/nothing", "/healthz", "/openapi.json", "/docs", "/", "/tunnel"} {
		a := relay.call("GET", path, "")
		if a.header.Get("X-Request-Id") == "" || a.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, a.header)
		}
	}
	if a := relay.call("GET", "/api/v1/me", "", "X-Request-Id: my-own-id"); a.header.Get("X-Request-Id") != "my-own-id" {
		t.Errorf("%v", a.header)
	}
}

func TestDocsLoadNothingFromElsewhere(t *testing.T) {
	relay := startRelay(t, "")
	page := relay.expect(200, "GET", "/docs", "", "Authorization:")
	if strings.Contains(page.body, "://") || !strings.Contains(page.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("%v %s", page.header, page.body)
	}
	for _, match := range regexp.MustCompile(`(?:src|href)="(/[^"]+)"`).FindAllStringSubmatch(page.body, -1) {
		if a := relay.call("GET", match[1], "", "Authorization:"); a.status != http.StatusOK || len(a.body) == 0 {
			t.Errorf("%s: %d", match[1], a.status)
		}
	}
}
