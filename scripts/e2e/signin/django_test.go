package signin

import (
	"fmt"
	"testing"

	"sallyport/internal/testkit"
	"sallyport/relay/connection"
)

// django wants, with its sign-in and with each change, a token that only an
// answer before gives. A wrong password is answered with 200 and the form again.
func django(t *testing.T, site *testkit.Site) application {
	app := testkit.StartDjango(t, site)
	return application{
		spec: connection.Spec{
			Name: "Django", BaseURI: fmt.Sprintf("http://127.0.0.1:%d/admin", app.Port), MediaType: connection.URLEncoded,
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
		secrets: map[string]string{"password": app.Password},
		wrong:   refusal{"sign-in", "login-page", "showed its login page again"},
		request: exchange{"GET", "/auth/group/", "", 200, "ada"},
		change:  &exchange{"POST", "/auth/group/add/", "name=Planners+{mode}&_save=Save", 302, ""},
		forget:  app.Forget,
	}
}
