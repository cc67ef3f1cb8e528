package signin

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"sallyport/internal/testkit"
	"sallyport/relay/connection"
)

// radicale is a calendar server: Basic credentials, XML, and methods that only
// WebDAV has.
func radicale(t *testing.T, site *testkit.Site) application {
	program := testkit.Program(t, "radicale")
	dir, port, password := t.TempDir(), testkit.FreePort(t), "with: a colon "+rand.Text()
	config := fmt.Sprintf("[server]\nhosts = 127.0.0.1:%d\n[auth]\ntype = htpasswd\nhtpasswd_filename = %s/users\nhtpasswd_encryption = plain\ndelay = 0\n"+
		"[storage]\nfilesystem_folder = %s/data\n", port, dir, dir)
	for name, text := range map[string]string{"config": config, "users": "ada:" + password + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	serve(t, port, testkit.ProcessOptions{Name: "radicale", Path: program, Site: site, Args: []string{"--config", filepath.Join(dir, "config")},
		Env: []string{"HOME=" + dir, "PYTHONDONTWRITEBYTECODE=1"}})
	return application{
		spec: connection.Spec{
			Name: "Radicale", BaseURI: fmt.Sprintf("http://127.0.0.1:%d", port), MediaType: connection.XML,
			Auth: connection.Auth{Type: connection.AuthBasic, Basic: &connection.BasicAuth{Username: "ada", Password: "{{secret.password}}"}},
			Ping: connection.Ping{URI: "/.web/"},
		},
		secrets: map[string]string{"password": password},
		wrong:   refusal{"ping", "ping-401", "letter by letter"},
		request: exchange{"PROPFIND", "/ada/", "", 207, "<principal"},
		change:  &exchange{"MKCALENDAR", "/ada/{mode}/", "", 201, ""},
	}
}
