package signin

import (
	"crypto/rand"
	"fmt"
	"testing"

	"sallyport/internal/testkit"
	"sallyport/relay/connection"
)

// transmission wants Basic credentials and a token of its own, which it gives
// with the 409 to a request without one. It has no cookies.
func transmission(t *testing.T, site *testkit.Site) application {
	path := testkit.Program(t, "transmission-daemon")
	dir, port, peers, password := t.TempDir(), testkit.FreePort(t), testkit.FreePort(t), rand.Text()
	start := func(t *testing.T) *testkit.Process {
		return serve(t, port, testkit.ProcessOptions{Name: "transmission-daemon", Path: path, Site: site, Env: []string{"HOME=" + dir},
			Args: []string{"--foreground", "--config-dir", dir, "--rpc-bind-address", "127.0.0.1", "--port", fmt.Sprint(port),
				"--bind-address-ipv4", "127.0.0.1", "--bind-address-ipv6", "::1", "--peerport", fmt.Sprint(peers), "--no-portmap", "--no-dht", "--no-lpd", "--no-utp",
				"--auth", "--username", "ada", "--password", password}})
	}
	process := start(t)
	return application{
		spec: connection.Spec{
			Name: "Transmission", BaseURI: fmt.Sprintf("http://127.0.0.1:%d/transmission", port), MediaType: connection.JSON,
			Headers: []connection.Header{
				{Name: "Authorization", Value: "Basic ada:{{secret.password}}"},
				{Name: "X-Transmission-Session-Id", Value: "{{signin.id}}"},
			},
			Auth: connection.Auth{Type: connection.AuthCookie, Session: &connection.SessionLife{EndedStatusCodes: []int{401, 409}},
				Cookie: &connection.CookieAuth{Method: "GET", URI: "/rpc", SuccessStatusCode: 409,
					Values: []connection.SignInValue{{Name: "id", From: connection.FromHeader, At: "X-Transmission-Session-Id"}}}},
			Ping: connection.Ping{Method: "POST", URI: "/rpc", Body: `{"method": "session-stats"}`, SuccessPath: "result", SuccessValues: []string{"success"}},
		},
		secrets: map[string]string{"password": password},
		wrong:   refusal{"sign-in", "sign-in-401", "check the user name and the password"},
		request: exchange{"POST", "/rpc", `{"method": "session-stats"}`, 200, `"success"`},
		forget: func(*testing.T) { // a restart makes a new token; it lives as long as the application
			process.MustStop(t)
			process = start(t)
		},
	}
}
