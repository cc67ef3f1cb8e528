package testkit

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// StartQBittorrent starts qBittorrent, whose API lies at /api/v2: POST /auth/login
// sets a cookie, a wrong password is answered with 200 and none, and 403 says that
// nobody is signed in. Inside a site it listens on all addresses, so that only the
// firewall keeps the outside away.
func StartQBittorrent(t testing.TB, site *Site) *App {
	t.Helper()
	path := Program(t, "qbittorrent-nox")
	home := t.TempDir()
	a := &App{Port: FreePort(t), User: "admin", Password: "Tor&=+ " + rand.Text()}
	// Newer versions make up a password at each start unless one is set; so one
	// is set, in the form in which qBittorrent keeps it.
	salt := make([]byte, 16)
	_, _ = rand.Read(salt)
	hash, err := pbkdf2.Key(sha512.New, a.Password, salt, 100_000, 64)
	if err != nil {
		t.Fatal(err)
	}
	address := ""
	if site == nil {
		address = "WebUI\\Address=127.0.0.1\n"
	}
	// No traffic but that of its web interface. A stranger who tries wrong
	// passwords is not banned, for the tests do.
	config := fmt.Sprintf("[LegalNotice]\nAccepted=true\n\n[BitTorrent]\nSession\\DHTEnabled=false\nSession\\LSDEnabled=false\nSession\\Interface=lo\nSession\\InterfaceName=lo\n\n"+
		"[Preferences]\nConnection\\UPnP=false\nWebUI\\Username=admin\nWebUI\\LocalHostAuth=true\nWebUI\\MaxAuthenticationFailCount=1000\n%sWebUI\\Password_PBKDF2=\"@ByteArray(%s:%s)\"\n",
		address, base64.StdEncoding.EncodeToString(salt), base64.StdEncoding.EncodeToString(hash))
	dir := filepath.Join(home, ".config", "qBittorrent")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "qBittorrent.conf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return a.run(t, ProcessOptions{Name: "qbittorrent-nox", Path: path, Site: site, Args: []string{fmt.Sprintf("--webui-port=%d", a.Port)},
		Env: []string{"HOME=" + home, "XDG_CONFIG_HOME=", "XDG_DATA_HOME=", "XDG_CACHE_HOME="}})
}
