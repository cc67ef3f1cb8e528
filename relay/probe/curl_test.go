package probe

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/escape"
	"sallyport/internal/outbound"
	"sallyport/internal/testkit"
	"sallyport/relay/connection"
)

// notebook keeps the requests that an application gets.
type notebook struct {
	mu  sync.Mutex
	got []string
}

func (n *notebook) wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		var fields strings.Builder
		for _, name := range []string{"Accept", "Authorization", "Content-Length", "Content-Type", "Cookie", "User-Agent", "X-Api-Key", "X-Company", "X-Empty"} {
			if v, ok := r.Header[name]; ok {
				fmt.Fprintf(&fields, "%s: %q\n", name, v)
			}
		}
		if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
			// What is encoded one way or another is the same to the application.
			if form, err := parseForm(string(body)); err == nil {
				body = []byte(form)
				fields.Reset()
			}
		}
		n.mu.Lock()
		n.got = append(n.got, fmt.Sprintf("%s %s\n%s\n%s", r.Method, r.URL.RequestURI(), fields.String(), body))
		n.mu.Unlock()
		h.ServeHTTP(w, r)
	})
}

func parseForm(body string) (string, error) {
	r, err := http.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if err := r.ParseForm(); err != nil {
		return "", err
	}
	return r.PostForm.Encode(), nil
}

func (n *notebook) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	got := n.got
	n.got = nil
	return got
}

// The commands of a test's steps, run by a shell and curl themselves, send what
// the test sent.
func TestACopiedCommandSendsWhatTheTestSent(t *testing.T) {
	shell := testkit.Program(t, "dash", "sh")
	testkit.Program(t, "curl")
	insideJSON, err := escape.JSON.Apply(password)
	if err != nil {
		t.Fatal(err)
	}
	moved := workingApp()
	redirecting := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/go" {
			http.Redirect(w, r, "/api/in", http.StatusTemporaryRedirect)
			return
		}
		moved.ServeHTTP(w, r)
	})
	json := app{signIn: func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "SID", Value: "s3ss1on-value", Path: "/"})
	}, ping: answerJSON(`{"ok":true}`)}
	for name, test := range map[string]struct {
		app    http.Handler
		change func(*connection.Connection)
		set    map[string]string
	}{
		"a form": {workingApp(), func(c *connection.Connection) {
			c.Auth.Cookie.Body = "user=s%20v%26c&password={{secret.password}}&x=it's"
			c.Headers = []connection.Header{{Name: "X-Company", Value: `a 'b' "c" $d \e`}}
		}, map[string]string{"SECRET_PASSWORD": password}},
		"JSON": {json, func(c *connection.Connection) {
			c.MediaType, c.Auth.Cookie.Body = connection.JSON, "{\"user\": \"it's\",\n \"password\": \"{{secret.password}}\", \"pin\": \"typed\"}"
		}, map[string]string{"SECRET_PASSWORD": insideJSON, "SECRET_PIN": "typed"}},
		"a key in a header and in the query": {json, func(c *connection.Connection) {
			c.Secrets["api key"], c.Secrets["q"] = "k3y'$x", "abc"
			c.Headers = []connection.Header{{Name: "X-Api-Key", Value: "k {{secret.q}}"}, {Name: "X-Empty", Value: ""}}
			c.Ping.URI = "/me?key={{secret.q}}&x=a%20b"
		}, map[string]string{"SECRET_Q": "abc", "SECRET_PASSWORD": password}},
		"credentials": {json, func(c *connection.Connection) {
			c.Auth = connection.Auth{Type: connection.AuthNone}
			c.Headers = []connection.Header{{Name: "Authorization", Value: "Basic svc:{{secret.password}}"}}
		}, map[string]string{"SECRET_PASSWORD": password}},
		"a token": {json, func(c *connection.Connection) {
			c.Auth = connection.Auth{Type: connection.AuthNone}
			c.Headers = []connection.Header{{Name: "Authorization", Value: "Bearer typed-plainly"}}
		}, map[string]string{"TOKEN": "typed-plainly"}},
		"a chain": {chained{}, func(c *connection.Connection) {
			c.Auth.Cookie.Before = &connection.FirstRequest{URI: "/form", Values: []connection.SignInValue{{Name: "t", From: connection.FromField, At: "_token"}}}
			c.Auth.Cookie.Body = "password={{secret.password}}&_token={{signin.t}}"
		}, map[string]string{"SECRET_PASSWORD": password, "SIGNIN_T": "t0ken-of-the-form"}},
		"a chain whose values go into headers": {chained{}, func(c *connection.Connection) {
			c.Auth.Cookie.Before = &connection.FirstRequest{URI: "/form", Values: []connection.SignInValue{
				{Name: "t", From: connection.FromField, At: "_token"}, {Name: "x", From: connection.FromCookie, At: "FORM"}}}
			c.Auth.Cookie.Body = "password={{secret.password}}&_token={{signin.t}}"
			c.Headers = []connection.Header{{Name: "X-Api-Key", Value: "{{signin.x}}"}, {Name: "X-Company", Value: "of {{signin.t}}"}}
		}, map[string]string{"SECRET_PASSWORD": password, "SIGNIN_T": "t0ken-of-the-form", "SIGNIN_X": "f0rm-value"}},
		"no body": {json, func(c *connection.Connection) { c.Auth.Cookie.Body = "" }, nil},
		"GET":     {json, func(c *connection.Connection) { c.Auth.Cookie.Method = "GET" }, nil},
		"HEAD": {json, func(c *connection.Connection) {
			c.Ping.Method, c.Ping.SuccessPath, c.Ping.SuccessValues = "HEAD", "", nil
		}, map[string]string{"SECRET_PASSWORD": password}},
		"PUT":       {json, func(c *connection.Connection) { c.Ping.Method, c.Ping.Body = "PUT", "@file=1" }, map[string]string{"SECRET_PASSWORD": password}},
		"redirects": {redirecting, func(c *connection.Connection) { c.Auth.Cookie.URI = "/go" }, map[string]string{"SECRET_PASSWORD": password}},
	} {
		t.Run(name, func(t *testing.T) {
			n := &notebook{}
			s := newSite(t, outbound.Options{})
			c := to(serve(t, n.wrap(test.app)))
			test.change(c)
			r := s.test(c)
			wanted := n.take()
			if len(wanted) == 0 {
				t.Fatalf("nothing was sent: %+v", r.Steps)
			}
			// How the ping is answered without a session is asked beside the ping: no
			// step, and no command.
			for at := len(wanted) - 1; c.Auth.Type.SignsIn() && at > 0 && at >= len(wanted)-2 && len(wanted) > 2; at-- {
				if !strings.Contains(wanted[at], "Cookie:") {
					wanted = slices.Delete(wanted, at, at+1)
					break
				}
			}
			dir := t.TempDir()
			var script strings.Builder
			for _, step := range r.Steps {
				for _, secret := range c.Secrets {
					if strings.Contains(step.Curl, secret) {
						t.Errorf("the command tells a secret: %s", step.Curl)
					}
				}
				if strings.Contains(step.Curl, "s3ss1on-value") {
					t.Errorf("the command tells a cookie: %s", step.Curl)
				}
				script.WriteString(step.Curl + "\n")
			}
			must(t, os.WriteFile(filepath.Join(dir, "script"), []byte(script.String()), 0o600))
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			run := exec.CommandContext(ctx, shell, "script")
			run.Dir, run.Env = dir, []string{"PATH=/usr/bin:/bin"}
			for name, value := range test.set {
				run.Env = append(run.Env, name+"="+value)
			}
			if out, err := run.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s\n%s", err, out, script.String())
			}
			if diff := cmp.Diff(wanted, n.take()); diff != "" {
				t.Errorf("%s\n%s", diff, script.String())
			}
		})
	}
}

// chained wants a token and a cookie of its form with the sign-in.
type chained struct{}

func (chained) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/api/form":
		http.SetCookie(w, &http.Cookie{Name: "FORM", Value: "f0rm-value", Path: "/"})
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<form><input type=hidden name=_token value=t0ken-of-the-form></form>`)
	case "/api/in":
		if c, err := r.Cookie("FORM"); err != nil || c.Value != "f0rm-value" || r.PostFormValue("_token") != "t0ken-of-the-form" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.Header().Set("X-Own", "0wn-value")
		http.SetCookie(w, &http.Cookie{Name: "SID", Value: "s3ss1on-value", Path: "/"})
	default:
		if _, err := r.Cookie("SID"); err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		writeJSON(w, `{"ok":true}`)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestCommandsSayFromWhichAnswerAValueOfTheSignInComes(t *testing.T) {
	s := newSite(t, outbound.Options{})
	c := to(serve(t, chained{}))
	c.Auth.Cookie.Before = &connection.FirstRequest{URI: "/form", Values: []connection.SignInValue{
		{Name: "t", From: connection.FromXPath, At: "//input[\n@name='_token']/@value"}, {Name: "csrf", From: connection.FromCookie, At: "FORM"}}}
	c.Auth.Cookie.Body = "password={{secret.password}}&_token={{signin.t}}"
	c.Auth.Cookie.Values = []connection.SignInValue{{Name: "own", From: connection.FromHeader, At: "X-Own"}}
	c.Headers = []connection.Header{{Name: "X-Csrf-Token", Value: "{{signin.csrf}}"}, {Name: "X-Own", Value: "{{signin.own}}"}}
	r := s.test(c)
	if !r.OK {
		t.Fatalf("%+v", r)
	}
	for i, want := range []string{
		"# From the answer to the first request, XPath //input[ @name='_token']/@value: read -r SIGNIN_T\n",
		"# From the answer to the first request, the cookie FORM: read -r SIGNIN_CSRF\n",
		"-H 'X-Csrf-Token: '\"$SIGNIN_CSRF\"",
		"# From the answer to the sign-in, the header X-Own: read -r SIGNIN_OWN\n",
		"-H 'X-Own: '\"$SIGNIN_OWN\"",
	} {
		step := r.Steps[1]
		if i > 2 {
			step = r.Steps[2]
		}
		if !strings.Contains(step.Curl, want) {
			t.Errorf("no %s in\n%s", want, step.Curl)
		}
	}
}

func TestCommandsNameWhatIsToBeSetFirst(t *testing.T) {
	s := newSite(t, outbound.Options{})
	c := to(serve(t, workingApp()))
	c.Mode, c.AgentID, s.machines = connection.OnPremise, "agt_1", oneMachine()
	c.MediaType, c.Auth.Cookie.Body = connection.JSON, `{"password":"{{secret.password}}"}`
	step := s.test(c).Steps[1]
	for _, want := range []string{"read -r SECRET_PASSWORD", `SECRET_PASSWORD stands in the body: write it as the inside of a JSON string`, `'{"password":"'"$SECRET_PASSWORD"'"}'`, "-c cookies.txt"} {
		if !strings.Contains(step.Curl, want) {
			t.Errorf("no %s in\n%s", want, step.Curl)
		}
	}
	c.Auth = connection.Auth{Type: connection.AuthDigest, Digest: &connection.DigestAuth{Username: "svc", Password: "{{secret.password}}"}}
	if step = s.test(c).Steps[2]; !strings.Contains(step.Curl, `--digest -u 'svc:'"$SECRET_PASSWORD"`) || strings.Contains(step.Curl, "Authorization") {
		t.Errorf("digest: %s", step.Curl)
	}
	// A secret that only the agent's machine knows is a variable there as well.
	m := newMask(c)
	if got := m.pieces(`{"p":"{{agent.secret.erp-key}}"}`); len(got) != 3 || got[1].variable != "AGENT_SECRET_ERP_KEY" {
		t.Errorf("%+v", got)
	}
	var r Result
	text, err := json.Marshal(Result{Steps: []Step{step}})
	must(t, err)
	must(t, json.Unmarshal(text, &r))
	if r.Steps[0].Curl != step.Curl {
		t.Error("the command is not part of the result")
	}
}
