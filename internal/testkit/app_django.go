package testkit

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
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

// StartDjango starts Django's administration, below /admin: it wants, with the
// sign-in and with each change, a token that only an answer before gives, and
// answers a wrong password with 200 and the form again.
func StartDjango(t testing.TB, site *Site) *App {
	t.Helper()
	python := Program(t, "/usr/bin/python3", "python3")
	if out, err := exec.Command(python, "-c", "import django").CombinedOutput(); err != nil {
		Missing(t, "python3-django", string(out))
	}
	dir := t.TempDir()
	a := &App{Port: FreePort(t), User: "ada", Password: "A&b=+ " + rand.Text()}
	if err := os.WriteFile(filepath.Join(dir, "settings.py"), []byte(djangoSettings), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"DJANGO_SETTINGS_MODULE=settings", "PYTHONPATH=" + dir, "PYTHONDONTWRITEBYTECODE=1", "DJANGO_SUPERUSER_PASSWORD=" + a.Password}
	manage := func(t testing.TB, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), python, append([]string{"-m", "django"}, args...)...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("django %s: %v\n%s", args[0], err, out)
		}
	}
	manage(t, "migrate", "-v", "0")
	manage(t, "createsuperuser", "--noinput", "--username", a.User, "--email", "ada@example.com")
	a.forget = func(t testing.TB) {
		manage(t, "shell", "-c", "from django.contrib.sessions.models import Session; Session.objects.all().delete()")
	}
	return a.run(t, ProcessOptions{Name: "django", Path: python, Site: site, Dir: dir, Env: env,
		Args: []string{"-m", "django", "runserver", "--noreload", fmt.Sprintf("127.0.0.1:%d", a.Port)}})
}
