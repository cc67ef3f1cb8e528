package signin

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"sallyport/internal/testkit"
	"sallyport/relay/connection"
)

// qbittorrent answers a wrong password with 200 and no cookie, and says by 403
// that a session has ended.
func qbittorrent(t *testing.T, site *testkit.Site) application {
	path := testkit.Program(t, "qbittorrent-nox")
	home, port, password := t.TempDir(), testkit.FreePort(t), "Tor&=+ "+rand.Text()
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
	// No traffic but that of its web interface. A wrong password is to be tried
	// more often than it allows a stranger.
	config := fmt.Sprintf("[LegalNotice]\nAccepted=true\n\n[BitTorrent]\nSession\\DHTEnabled=false\nSession\\LSDEnabled=false\nSession\\Interface=lo\nSession\\InterfaceName=lo\n\n"+
		"[Preferences]\nWebUI\\Username=admin\nWebUI\\LocalHostAuth=true\nWebUI\\Address=127.0.0.1\nWebUI\\MaxAuthenticationFailCount=1000\nConnection\\UPnP=false\nWebUI\\Password_PBKDF2=\"@ByteArray(%s:%s)\"\n",
		base64.StdEncoding.EncodeToString(salt), base64.StdEncoding.EncodeToString(hash))
	if err := os.WriteFile(filepath.Join(dir, "qBittorrent.conf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	start := func(t *testing.T) *testkit.Process {
		return serve(t, port, testkit.ProcessOptions{Name: "qbittorrent-nox", Path: path, Site: site, Args: []string{fmt.Sprintf("--webui-port=%d", port)},
			Env: []string{"HOME=" + home, "XDG_CONFIG_HOME=", "XDG_DATA_HOME=", "XDG_CACHE_HOME="}})
	}
	process := start(t)
	return application{
		spec: connection.Spec{
			Name: "qBittorrent", BaseURI: fmt.Sprintf("http://127.0.0.1:%d/api/v2", port), MediaType: connection.URLEncoded,
			Auth: connection.Auth{Type: connection.AuthCookie, Session: &connection.SessionLife{EndedStatusCodes: []int{401, 403}},
				Cookie: &connection.CookieAuth{Method: "POST", URI: "/auth/login", Body: "username=admin&password={{secret.password}}",
					SignOut: &connection.SignOut{URI: "/auth/logout"}}},
			Ping: connection.Ping{URI: "/app/version"},
		},
		secrets: map[string]string{"password": password},
		wrong:   refusal{"sign-in", "no-cookie", "no cookie"},
		request: exchange{"GET", "/app/version", "", 200, "v"},
		change:  &exchange{"POST", "/app/setPreferences", "json=%7B%22dht%22%3Afalse%7D", 200, ""},
		forget: func(*testing.T) { // a restart forgets its sessions; it lives as long as the application
			process.MustStop(t)
			process = start(t)
		},
	}
}
