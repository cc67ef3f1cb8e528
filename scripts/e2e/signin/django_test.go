package signin

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"sallyport/internal/testkit"
	"sallyport/relay/connection"
)

// djangoSettings are a project of nothing but Django's own administration, as
// `django-admin startproject` makes one.
const djangoSettings = `
from django.urls import path
from django.utils.functional import SimpleLazyObject
SECRET_KEY, DEBUG, ALLOWED_HOSTS, ROOT_URLCONF = "not secret", True, ["127.0.0.1"], "settings"
INSTALLED_APPS = ["django.contrib." + a for a in ("admin", "auth", "contenttypes", "sessions", "messages")]
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware", "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware"]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {"context_processors": [
    "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages"]}}]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3", "OPTIONS": {"timeout": 60}}}
STATIC_URL, DEFAULT_AUTO_FIELD = "/static/", "django.db.models.AutoField"
def administration():
    from django.contrib import admin
    return [path("admin/", admin.site.urls)]
urlpatterns = SimpleLazyObject(administration)
`

// django wants, with its sign-in and with each change, a token that only an
// answer before gives. A wrong password is answered with 200 and the form again.
func django(t *testing.T, site *testkit.Site) application {
	python := testkit.Program(t, "/usr/bin/python3", "python3")
	if out, err := exec.Command(python, "-c", "import django").CombinedOutput(); err != nil {
		testkit.Missing(t, "python3-django", string(out))
	}
	dir, port, password := t.TempDir(), testkit.FreePort(t), "A&b=+ "+rand.Text()
	if err := os.WriteFile(filepath.Join(dir, "settings.py"), []byte(djangoSettings), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"DJANGO_SETTINGS_MODULE=settings", "PYTHONPATH=" + dir, "PYTHONDONTWRITEBYTECODE=1", "DJANGO_SUPERUSER_PASSWORD=" + password}
	manage := func(t *testing.T, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), python, append([]string{"-m", "django"}, args...)...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("django %s: %v\n%s", args[0], err, out)
		}
	}
	manage(t, "migrate", "-v", "0")
	manage(t, "createsuperuser", "--noinput", "--username", "ada", "--email", "ada@example.com")
	serve(t, port, testkit.ProcessOptions{Name: "django", Path: python, Site: site, Dir: dir, Env: env,
		Args: []string{"-m", "django", "runserver", "--noreload", fmt.Sprintf("127.0.0.1:%d", port)}})
	return application{
		spec: connection.Spec{
			Name: "Django", BaseURI: fmt.Sprintf("http://127.0.0.1:%d/admin", port), MediaType: connection.URLEncoded,
			Headers: []connection.Header{{Name: "X-CSRFToken", Value: "{{signin.csrf}}"}},
			Auth: connection.Auth{Type: connection.AuthCookie, Cookie: &connection.CookieAuth{
				Before: &connection.FirstRequest{URI: "/login/", Values: []connection.SignInValue{
					{Name: "form", From: connection.FromField, At: "csrfmiddlewaretoken"},
					{Name: "csrf", From: connection.FromCookie, At: "csrftoken"},
				}},
				Method: "POST", URI: "/login/", SuccessStatusCode: 302,
				Body:    "username=ada&password={{secret.password}}&csrfmiddlewaretoken={{signin.form}}&next=/admin/",
				SignOut: &connection.SignOut{URI: "/logout/"},
			}},
			Ping: connection.Ping{URI: "/"},
		},
		secrets: map[string]string{"password": password},
		wrong:   refusal{"sign-in", "login-page", "showed its login page again"},
		request: exchange{"GET", "/auth/group/", "", 200, "ada"},
		change:  &exchange{"POST", "/auth/group/add/", "name=Planners+{mode}&_save=Save", 302, ""},
		forget: func(t *testing.T) {
			manage(t, "shell", "-c", "from django.contrib.sessions.models import Session; Session.objects.all().delete()")
		},
	}
}
