package cli

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strings"
	"testing"
)

// The same is proved for agents, with the binaries as built, in scripts/e2e.
func TestNothingSecretIsLogged(t *testing.T) {
	relay, app := startRelay(t, "", "--log-format", "json"), startApplication(t)
	made := relay.expect(201, "POST", "/api/v1/tokens", `{"name":"export"}`).text(t, "token")
	agent := relay.expect(201, "POST", "/api/v1/agents", `{"name":"Plant 2"}`).text(t, "id")
	code := relay.expect(201, "POST", "/api/v1/agents/"+agent+"/enrollments", "").text(t, "code")
	relay.expect(201, "POST", "/api/v1/enroll", enrolBody(t, code), "Authorization:")

	relay.expect(200, "POST", "/api/v1/connections/test", app.connection(nil))
	relay.expect(422, "POST", "/api/v1/connections", app.connection(map[string]any{"secrets": map[string]any{"password": appPassword, "bad name": "x"}}))
	path := "/api/v1/connections/" + relay.expect(201, "POST", "/api/v1/connections", app.connection(nil)).text(t, "id")
	bearer := "Authorization: Bearer " + made
	relay.expect(200, "POST", path+"/test", "", bearer)
	relay.expect(200, "POST", path+"/proxy/orders?key=query-value", `{"body":"body-value"}`, bearer)
	app.expired.Store(true)
	relay.expect(200, "GET", path+"/proxy/orders?key=query-value", "", bearer, "Cookie: own=callers-cookie")
	relay.expect(401, "GET", path+"/proxy/orders", "", "Authorization: Bearer a-wrong-token-of-somebody")
	app.Close()
	relay.expect(502, "GET", path+"/proxy/orders?key=query-value", "", bearer)
	relay.expect(204, "DELETE", path, "")
	if status := relay.stop(); status != 0 {
		t.Errorf("exit status %d", status)
	}

	log := relay.log.String()
	if strings.Count(log, "\n") < 20 || !strings.Contains(log, `"level":"debug"`) {
		t.Errorf("the log is too short to prove anything:\n%s", log)
	}
	for _, secret := range []string{appPassword, appCookie, bootstrapToken, made, code, "query-value", "body-value", "callers-cookie", "a-wrong-token-of-somebody"} {
		for _, form := range []string{secret, url.QueryEscape(secret), strings.ReplaceAll(strings.ReplaceAll(secret, `\`, `\\`), `"`, `\"`),
			base64.StdEncoding.EncodeToString([]byte(secret)), hex.EncodeToString([]byte(secret))} {
			if strings.Contains(log, form) {
				t.Errorf("the log shows %q", form)
			}
		}
	}
}
