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

// syncthingConfig has nothing switched on but the REST API: no announcements, no
// relays, no updates.
const syncthingConfig = `<configuration version="36">
<gui enabled="true" tls="false"><address>127.0.0.1:%d</address><apikey>%s</apikey></gui>
<options><listenAddress>tcp://127.0.0.1:%d</listenAddress><globalAnnounceEnabled>false</globalAnnounceEnabled>
<localAnnounceEnabled>false</localAnnounceEnabled><relaysEnabled>false</relaysEnabled><natEnabled>false</natEnabled>
<startBrowser>false</startBrowser><urAccepted>-1</urAccepted><autoUpgradeIntervalH>0</autoUpgradeIntervalH>
<crashReportingEnabled>false</crashReportingEnabled></options></configuration>
`

// syncthing takes an API key in a header field, and answers 403 to another one.
func syncthing(t *testing.T, site *testkit.Site) application {
	path := testkit.Program(t, "syncthing")
	home, port, key := t.TempDir(), testkit.FreePort(t), rand.Text()
	config := fmt.Sprintf(syncthingConfig, port, key, testkit.FreePort(t))
	if err := os.WriteFile(filepath.Join(home, "config.xml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	serve(t, port, testkit.ProcessOptions{Name: "syncthing", Path: path, Site: site,
		Args: []string{"serve", "--home=" + home, "--no-browser", "--no-restart", "--no-default-folder", "--no-upgrade"},
		Env:  []string{"HOME=" + home, "STNOUPGRADE=1", "STNORESTART=1"}})
	return application{
		spec: connection.Spec{
			Name: "Syncthing", BaseURI: fmt.Sprintf("http://127.0.0.1:%d/rest", port), MediaType: connection.JSON,
			Auth: connection.Auth{Type: connection.AuthToken, Token: &connection.TokenAuth{Name: "X-API-Key", Token: "{{secret.key}}"}},
			Ping: connection.Ping{URI: "/system/ping", SuccessPath: "ping", SuccessValues: []string{"pong"}},
		},
		secrets: map[string]string{"key": key},
		wrong:   refusal{"ping", "credentials", "did not recognise the credentials"},
		request: exchange{"GET", "/system/version", "", 200, `"version"`},
		change:  &exchange{"PATCH", "/config/options", `{"reconnectionIntervalS": 61}`, 200, ""},
	}
}
