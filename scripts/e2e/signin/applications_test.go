package signin

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/testkit"
	"sallyport/relay/client"
	"sallyport/relay/connection"
)

// application is a real one that was started for the test, and what is to be seen
// of it.
type application struct {
	spec    connection.Spec // as an integrator describes it, but for the mode
	secrets map[string]string
	// wrong is what Test says where the password is wrong.
	wrong refusal
	// request is one that only who is signed in gets an answer to, and says a part
	// of that answer.
	request exchange
	// change is one that changes something, where signing in is not all that it
	// takes. {mode} stands for the mode, so that it is another one each time.
	change *exchange
	// forget has the application forget its sessions; nil: it has none.
	forget func(t testing.TB)
}

// refusal is a step of a test that fails.
type refusal struct {
	step   string
	hintID string
	says   string // in its message or hint
}

// exchange is a request through a connection, and its answer.
type exchange struct {
	method, path, body string
	status             int
	says               string
}

// TestRealApplications signs in to applications as Debian ships them, on this
// machine from the cloud and inside the site through the agent: the test passes,
// and fails with the right hint where the password is wrong; requests go through;
// a session that the application has forgotten is renewed without anybody noticing.
func TestRealApplications(t *testing.T) {
	s := newStage(t)
	t.Run("applications", func(t *testing.T) { // which returns when all of them are through
		for name, start := range map[string]func(t *testing.T, site *testkit.Site) application{
			"qBittorrent, a form and a cookie":                   qbittorrent,
			"Django, a form protected against forged requests":   django,
			"Transmission, Basic and a token with every refusal": transmission,
			"Syncthing, an API key in a header":                  syncthing,
			"Radicale, Basic":                                    radicale,
		} {
			t.Run(name, func(t *testing.T) {
				modes(t, func(t *testing.T, mode string) {
					t.Parallel()
					var site *testkit.Site
					if mode == string(connection.OnPremise) {
						site = s.site
					}
					s.use(t, start(t, site), connection.Mode(mode))
				})
			})
		}
	})
}

// serve starts an application in the site, or on this machine where site is nil,
// and waits until it listens at a port of the loopback there.
func serve(t *testing.T, port int, o testkit.ProcessOptions) *testkit.Process {
	t.Helper()
	p, address := testkit.Start(t, o), fmt.Sprintf("127.0.0.1:%d", port)
	testkit.Eventually(t, 90*time.Second, o.Name+" listens", func() error {
		select {
		case <-p.Done():
			t.Fatalf("%s has ended: %v\n%s", o.Name, p.Err(), p.Log())
		default:
		}
		if o.Site != nil {
			return o.Site.Dial(address)
		}
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			c.Close()
		}
		return err
	})
	return p
}

// use does with one application what an integrator does, and what then happens.
func (s *stage) use(t *testing.T, app application, mode connection.Mode) {
	ctx := within(t, 2*time.Minute)
	api := &client.Client{Base: s.api.Base, Token: s.api.Token, HTTP: s.api.HTTP}
	c := client.Connection{Spec: app.spec}
	if c.Mode = mode; mode == connection.OnPremise {
		c.AgentID = s.agentID
	}
	for name := range app.secrets {
		c.SetSecret(name, "wrong-password")
	}
	red, err := api.TestConnection(ctx, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	app.wrong.check(t, red)

	for name, value := range app.secrets {
		c.SetSecret(name, value)
	}
	green, err := api.TestConnection(ctx, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !green.OK {
		t.Fatalf("the test failed: %+v", green.Steps)
	}
	saved, err := api.CreateConnection(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	through := api.ThroughConnection(saved.ID)
	app.request.check(t, through, app.spec)
	if app.change != nil {
		change, word := *app.change, strings.NewReplacer("{mode}", string(mode))
		change.path, change.body = word.Replace(change.path), word.Replace(change.body)
		change.check(t, through, app.spec)
	}
	if app.forget == nil {
		return
	}
	before, err := api.Session(ctx, saved.ID)
	if err != nil {
		t.Fatal(err)
	}
	app.forget(t)
	app.request.check(t, through, app.spec)
	after, err := api.Session(ctx, saved.ID)
	if err != nil || after.ID == before.ID {
		t.Errorf("after the application has forgotten it, session %s is %s, %v", before.ID, after.ID, err)
	}
}

func (r refusal) check(t *testing.T, result client.TestResult) {
	t.Helper()
	i := slices.IndexFunc(result.Steps, func(s client.TestStep) bool { return s.Status == "failed" })
	if result.OK || i < 0 {
		t.Fatalf("with a wrong password the test passed: %+v", result.Steps)
	}
	failed := result.Steps[i]
	if failed.Name != r.step || failed.HintID != r.hintID || !strings.Contains(failed.Message+" "+failed.Hint, r.says) {
		t.Errorf("with a wrong password, %s failed (%s): %s\n%s\nwant %s (%s): …%s…", failed.Name, failed.HintID, failed.Message, failed.Hint, r.step, r.hintID, r.says)
	}
}

func (e exchange) check(t *testing.T, through *http.Client, spec connection.Spec) {
	t.Helper()
	req, err := http.NewRequestWithContext(within(t, time.Minute), e.method, "http://application"+e.path, strings.NewReader(e.body))
	if err != nil {
		t.Fatal(err)
	}
	if e.body != "" {
		req.Header.Set("Content-Type", spec.MediaType.ContentType())
	}
	resp, err := through.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", e.method, e.path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != e.status || !strings.Contains(string(text), e.says) {
		t.Errorf("%s %s: %d %.300s, want %d with %q", e.method, e.path, resp.StatusCode, text, e.status, e.says)
	}
	if resp.Header.Get("Set-Cookie") != "" {
		t.Errorf("%s %s: the caller is given a cookie", e.method, e.path)
	}
}
