package gateway

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"sallyport/internal/testkit"
	"sallyport/relay/connection"
	"sallyport/relay/session"
)

// through is a site whose connection leads to another application.
func through(t *testing.T, spec connection.Spec, secrets map[string]string) *site {
	t.Helper()
	s := newSite(t, zap.NewNop())
	spec = connection.Defaults(spec)
	names := make([]string, 0, len(secrets))
	for name := range secrets {
		names = append(names, name)
	}
	if faults := connection.Validate(spec, names); faults != nil {
		t.Fatal(faults)
	}
	s.c = &connection.Connection{ID: "con_1", WorkspaceID: "wsp_1", Spec: spec, Secrets: secrets}
	return s
}

// current is the session that the site's connection has now.
func (s *site) current(t *testing.T) *session.Held {
	t.Helper()
	h, err := s.keeper.Current(t.Context(), s.roads.For(s.c), s.c, "req-1")
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// listens waits until the process listens at a port of the loopback.
func listens(t *testing.T, p *testkit.Process, port int) {
	t.Helper()
	testkit.Eventually(t, 60*time.Second, "it listens", func() error {
		select {
		case <-p.Done():
			t.Fatalf("it has ended: %v\n%s", p.Err(), p.Log())
		default:
		}
		conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
		if err == nil {
			conn.Close()
		}
		return err
	})
}

// djangoSettings make a site of nothing but Django's own administration.
const djangoSettings = `
import django.contrib.admin
from django.urls import path
SECRET_KEY, DEBUG, ALLOWED_HOSTS, ROOT_URLCONF = "k", True, ["127.0.0.1"], "settings"
INSTALLED_APPS = ["django.contrib." + a for a in ("admin", "auth", "contenttypes", "sessions", "messages")]
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware", "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware"]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {"context_processors": [
    "django.template.context_processors.request", "django.contrib.auth.context_processors.auth", "django.contrib.messages.context_processors.messages"]}}]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}
STATIC_URL, DEFAULT_AUTO_FIELD = "/static/", "django.db.models.AutoField"
def urls():
    from django.contrib import admin
    return [path("admin/", admin.site.urls)]
from django.utils.functional import SimpleLazyObject
urlpatterns = SimpleLazyObject(urls)
`

// django starts Django's administration, and returns its port and the password
// of its user ada.
func django(t *testing.T) (port int, password string) {
	t.Helper()
	python := testkit.Program(t, "/usr/bin/python3", "python3")
	if out, err := exec.Command(python, "-c", "import django.contrib.admin").CombinedOutput(); err != nil {
		testkit.Missing(t, "python3-django", string(out))
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "settings.py"), []byte(djangoSettings), 0o600); err != nil {
		t.Fatal(err)
	}
	password = "A&b=+ " + rand.Text()
	env := []string{"DJANGO_SETTINGS_MODULE=settings", "PYTHONPATH=" + dir, "PYTHONDONTWRITEBYTECODE=1", "DJANGO_SUPERUSER_PASSWORD=" + password}
	for _, args := range [][]string{{"migrate", "-v", "0"}, {"createsuperuser", "--noinput", "--username", "ada", "--email", "ada@example.com"}} {
		manage := exec.CommandContext(t.Context(), python, append([]string{"-m", "django"}, args...)...)
		manage.Dir, manage.Env = dir, append(os.Environ(), env...)
		if out, err := manage.CombinedOutput(); err != nil {
			t.Fatalf("django %s: %v\n%s", args[0], err, out)
		}
	}
	port = testkit.FreePort(t)
	listens(t, testkit.Start(t, testkit.ProcessOptions{Name: "django", Path: python, Dir: dir, Env: env,
		Args: []string{"-m", "django", "runserver", "--noreload", "--nothreading", fmt.Sprintf("127.0.0.1:%d", port)}}), port)
	return port, password
}

func djangoSpec(port int) connection.Spec {
	return connection.Spec{
		Name: "Django", Mode: connection.Cloud, BaseURI: fmt.Sprintf("http://127.0.0.1:%d", port), MediaType: connection.URLEncoded,
		Headers: []connection.Header{{Name: "X-CSRFToken", Value: "{{signin.csrf}}"}},
		Auth: connection.Auth{Type: connection.AuthCookie, Cookie: &connection.CookieAuth{
			Before: &connection.FirstRequest{URI: "/admin/login/", Values: []connection.SignInValue{
				{Name: "form", From: connection.FromField, At: "csrfmiddlewaretoken"},
				{Name: "csrf", From: connection.FromCookie, At: "csrftoken"},
			}},
			Method: "POST", URI: "/admin/login/", SuccessStatusCode: 302,
			Body:    "username=ada&password={{secret.password}}&csrfmiddlewaretoken={{signin.form}}&next=/admin/",
			SignOut: &connection.SignOut{URI: "/admin/logout/"},
		}},
		Ping: connection.Ping{URI: "/admin/"},
	}
}

func TestDjangoIsSignedInToByAChain(t *testing.T) {
	port, password := django(t)
	s := through(t, djangoSpec(port), map[string]string{"password": password})
	resp := s.do(t, "GET", "/admin/auth/group/", nil)
	if page := text(t, resp); resp.StatusCode != 200 || !strings.Contains(page, "ada") {
		t.Fatalf("GET as who is signed in: %d\n%s", resp.StatusCode, page)
	}
	// The token was given anew with the sign-in: only that one lets a POST pass.
	resp = s.do(t, "POST", "/admin/auth/group/add/", strings.NewReader("name=Planners&_save=Save"), "Content-Type", "application/x-www-form-urlencoded")
	if page := text(t, resp); resp.StatusCode != 302 {
		t.Fatalf("POST with the token: %d\n%s", resp.StatusCode, page)
	}
	if page := text(t, s.do(t, "GET", "/admin/auth/group/", nil)); !strings.Contains(page, "Planners") {
		t.Error("the POST has changed nothing")
	}

	before := s.current(t)
	if err := s.keeper.Drop(t.Context(), session.Dropped{WorkspaceID: "wsp_1", ConnectionID: "con_1", Connection: s.c}); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 30*time.Second, "the session is signed out", func() error {
		req, err := http.NewRequestWithContext(t.Context(), "GET", s.c.BaseURI+"/admin/", nil)
		if err != nil {
			return err
		}
		req.Header.Set("Cookie", before.Jar.Header(req.URL))
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != 302 {
			return fmt.Errorf("the old cookie is answered with %d", resp.StatusCode)
		}
		return nil
	})
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()

	if resp := s.do(t, "GET", "/admin/", nil); resp.StatusCode != 200 {
		t.Errorf("after a sign-out, with a new session: %d", resp.StatusCode)
	}
	s.c.Secrets = map[string]string{"password": "wrong"}
	if resp := s.do(t, "GET", "/admin/", nil); resp.Header.Get("Sallyport-Error") != "sign_in_failed" {
		t.Errorf("with a wrong password: %d %s", resp.StatusCode, text(t, resp))
	}
}

// TestTransmissionGivesItsTokenWithARefusal: the sign-in is itself what the value
// comes from, there is no cookie, and 409 says that the value has ended.
func TestTransmissionGivesItsTokenWithARefusal(t *testing.T) {
	path := testkit.Program(t, "transmission-daemon")
	port, peers := testkit.FreePort(t), testkit.FreePort(t)
	start := func(dir string) *testkit.Process {
		p := testkit.Start(t, testkit.ProcessOptions{Name: "transmission", Path: path, Env: []string{"HOME=" + dir},
			Args: []string{"--foreground", "--config-dir", dir, "--rpc-bind-address", "127.0.0.1", "--port", fmt.Sprint(port),
				"--bind-address-ipv4", "127.0.0.1", "--peerport", fmt.Sprint(peers), "--no-portmap", "--no-dht", "--no-lpd", "--no-utp",
				"--auth", "--username", "ada", "--password", "hunter2"}})
		listens(t, p, port)
		return p
	}
	process := start(t.TempDir())
	s := through(t, connection.Spec{
		Name: "Transmission", Mode: connection.Cloud, BaseURI: fmt.Sprintf("http://127.0.0.1:%d/transmission", port), MediaType: connection.JSON,
		Headers: []connection.Header{{Name: "Authorization", Value: "Basic ada:{{secret.password}}"}, {Name: "X-Transmission-Session-Id", Value: "{{signin.id}}"}},
		Auth: connection.Auth{Type: connection.AuthCookie, Session: &connection.SessionLife{EndedStatusCodes: []int{401, 409}}, Cookie: &connection.CookieAuth{
			Method: "GET", URI: "/rpc", SuccessStatusCode: 409,
			Values: []connection.SignInValue{{Name: "id", From: connection.FromHeader, At: "X-Transmission-Session-Id"}},
		}},
	}, map[string]string{"password": "hunter2"})
	ask := func() {
		t.Helper()
		resp := s.do(t, "POST", "/rpc", strings.NewReader(`{"method":"session-stats"}`))
		if body := text(t, resp); resp.StatusCode != 200 || !strings.Contains(body, `"success"`) {
			t.Errorf("got %d %s", resp.StatusCode, body)
		}
	}
	ask()
	before := s.current(t)
	process.MustStop(t)
	start(t.TempDir()) // it does not know the token any more
	ask()
	if after := s.current(t); after == before {
		t.Error("the session was not renewed")
	}
}

// TestQBittorrentSays403OfASessionThatHasEnded: where that is known, the session
// is renewed; what it sends is sign-out too.
func TestQBittorrentSays403OfASessionThatHasEnded(t *testing.T) {
	path := testkit.Program(t, "qbittorrent-nox")
	home, port, password := t.TempDir(), testkit.FreePort(t), rand.Text()
	salt := make([]byte, 16)
	_, _ = rand.Read(salt)
	hash, err := pbkdf2.Key(sha512.New, password, salt, 100_000, 64)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(home, ".config", "qBittorrent")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("[LegalNotice]\nAccepted=true\n\n[Preferences]\nWebUI\\Username=admin\nWebUI\\LocalHostAuth=true\nWebUI\\Address=127.0.0.1\nWebUI\\Password_PBKDF2=\"@ByteArray(%s:%s)\"\n",
		base64.StdEncoding.EncodeToString(salt), base64.StdEncoding.EncodeToString(hash))
	if err := os.WriteFile(filepath.Join(dir, "qBittorrent.conf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	start := func() *testkit.Process {
		p := testkit.Start(t, testkit.ProcessOptions{Name: "qbittorrent-nox", Path: path, Args: []string{fmt.Sprintf("--webui-port=%d", port)},
			Env: []string{"HOME=" + home, "XDG_CONFIG_HOME=", "XDG_DATA_HOME=", "XDG_CACHE_HOME="}})
		listens(t, p, port)
		return p
	}
	process := start()
	s := through(t, connection.Spec{
		Name: "qBittorrent", Mode: connection.Cloud, BaseURI: fmt.Sprintf("http://127.0.0.1:%d/api/v2", port), MediaType: connection.URLEncoded,
		Auth: connection.Auth{Type: connection.AuthCookie, Cookie: &connection.CookieAuth{
			Method: "POST", URI: "/auth/login", Body: "username=admin&password={{secret.password}}",
			SignOut: &connection.SignOut{URI: "/auth/logout"},
		}},
	}, map[string]string{"password": password})
	version := func() int {
		t.Helper()
		return s.do(t, "GET", "/app/version", nil).StatusCode
	}
	if got := version(); got != 200 {
		t.Fatalf("the first request is answered with %d", got)
	}
	process.MustStop(t)
	start() // it has forgotten its sessions
	if got := version(); got != 403 {
		t.Fatalf("by a forgotten session, where nobody said what 403 means: %d", got)
	}
	s.c.Auth.Session = &connection.SessionLife{EndedStatusCodes: []int{401, 403}}
	if got := version(); got != 200 {
		t.Errorf("by a forgotten session, where 403 means that it has ended: %d", got)
	}
}
