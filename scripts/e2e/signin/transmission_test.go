package signin

import (
	"fmt"
	"testing"

	"sallyport/internal/testkit"
	"sallyport/relay/connection"
)

// transmission wants Basic credentials and a token of its own, which it gives
// with the 409 to a request without one. It has no cookies.
func transmission(t *testing.T, site *testkit.Site) application {
	app := testkit.StartTransmission(t, site)
	return application{
		spec: connection.Spec{
			Name: "Transmission", BaseURI: fmt.Sprintf("http://127.0.0.1:%d/transmission", app.Port), MediaType: connection.JSON,
			Headers: []connection.Header{
				{Name: "Authorization", Value: "Basic ada:{{secret.password}}"},
				{Name: "X-Transmission-Session-Id", Value: "{{signin.id}}"},
			},
			Auth: connection.Auth{Type: connection.AuthCookie, Session: &connection.SessionLife{EndedStatusCodes: []int{401, 409}},
				Cookie: &connection.CookieAuth{Method: "GET", URI: "/rpc", SuccessStatusCode: 409,
					Values: []connection.SignInValue{{Name: "id", From: connection.FromHeader, At: "X-Transmission-Session-Id"}}}},
			Ping: connection.Ping{Method: "POST", URI: "/rpc", Body: `{"method": "session-stats"}`, SuccessPath: "result", SuccessValues: []string{"success"}},
		},
		secrets: map[string]string{"password": app.Password},
		wrong:   refusal{"sign-in", "sign-in-401", "check the user name and the password"},
		request: exchange{"POST", "/rpc", `{"method": "session-stats"}`, 200, `"success"`},
		forget:  app.Forget,
	}
}
