package signin

import (
	"fmt"
	"testing"

	"sallyport/internal/testkit"
	"sallyport/relay/connection"
)

// qbittorrent answers a wrong password with 200 and no cookie, and says by 403
// that a session has ended.
func qbittorrent(t *testing.T, site *testkit.Site) application {
	app := testkit.StartQBittorrent(t, site)
	return application{
		spec: connection.Spec{
			Name: "qBittorrent", BaseURI: fmt.Sprintf("http://127.0.0.1:%d/api/v2", app.Port), MediaType: connection.URLEncoded,
			Auth: connection.Auth{Type: connection.AuthCookie, Session: &connection.SessionLife{EndedStatusCodes: []int{401, 403}},
				Cookie: &connection.CookieAuth{Method: "POST", URI: "/auth/login", Body: "username=admin&password={{secret.password}}",
					SignOut: &connection.SignOut{URI: "/auth/logout"}}},
			Ping: connection.Ping{URI: "/app/version"},
		},
		secrets: map[string]string{"password": app.Password},
		wrong:   refusal{"sign-in", "no-cookie", "no cookie"},
		request: exchange{"GET", "/app/version", "", 200, "v"},
		change:  &exchange{"POST", "/app/setPreferences", "json=%7B%22dht%22%3Afalse%7D", 200, ""},
		forget:  app.Forget,
	}
}
