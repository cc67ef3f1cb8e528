package e2e

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// qbittorrent is a real application with a cookie sign-in, whose wrong
// password is answered with 200 and no cookie.
type qbittorrent struct {
	t        *testing.T // of the whole test
	port     int
	password string
	home     string
	process  *testkit.Process
	site     *testkit.Site
}

// startQBittorrent starts one inside the site, on all its addresses, so that
// only the firewall keeps the outside away.
func startQBittorrent(t *testing.T, site *testkit.Site, port int) *qbittorrent {
	t.Helper()
	q := &qbittorrent{t: t, port: port, password: "Tor&=+ " + rand.Text(), home: t.TempDir(), site: site}
	// Newer versions make up a password at each start unless one is set; so one
	// is set, in the form in which qBittorrent keeps it.
	salt := make([]byte, 16)
	_, _ = rand.Read(salt)
	hash, err := pbkdf2.Key(sha512.New, q.password, salt, 100_000, 64)
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("[LegalNotice]\nAccepted=true\n\n[Preferences]\nWebUI\\Username=admin\n"+
		"WebUI\\LocalHostAuth=true\nWebUI\\Password_PBKDF2=\"@ByteArray(%s:%s)\"\n",
		base64.StdEncoding.EncodeToString(salt), base64.StdEncoding.EncodeToString(hash))
	dir := filepath.Join(q.home, ".config", "qBittorrent")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "qBittorrent.conf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	q.start()
	return q
}

func (q *qbittorrent) start() {
	t := q.t
	t.Helper()
	path := testkit.Program(t, "qbittorrent-nox")
	q.process = testkit.Start(t, testkit.ProcessOptions{
		Name: "qbittorrent-nox", Path: path, Site: q.site,
		Args: []string{fmt.Sprintf("--webui-port=%d", q.port)},
		Env:  []string{"HOME=" + q.home, "XDG_CONFIG_HOME=", "XDG_DATA_HOME=", "XDG_CACHE_HOME="},
	})
	testkit.Eventually(t, 30*time.Second, "qBittorrent listens", func() error {
		select {
		case <-q.process.Done():
			t.Fatalf("qbittorrent-nox has ended: %v\n%s", q.process.Err(), q.process.Log())
		default:
		}
		return q.site.Dial(fmt.Sprintf("127.0.0.1:%d", q.port))
	})
}

// connection is a connection to it, as an integrator would describe it.
func (q *qbittorrent) connection(agentID string) object {
	return object{
		"name": "Plant 2 downloads", "mode": "on-premise", "agentId": agentID,
		"baseUri": fmt.Sprintf("http://127.0.0.1:%d/api/v2", q.port), "mediaType": "urlencoded",
		"headers": []object{{"name": "X-Company", "value": "{{secret.company}}"}},
		"auth": object{"type": "cookie", "cookie": object{
			"method": "POST", "uri": "/auth/login", "body": "username=admin&password={{secret.password}}"}},
		"ping":    object{"uri": "/app/version"},
		"secrets": object{"password": q.password, "company": "company-" + q.password},
	}
}
