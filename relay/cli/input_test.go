package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
)

// faults are the paths of the fields that an answer complains about.
func faults(t *testing.T, a answer) map[string]string {
	t.Helper()
	var body struct {
		Errors []struct{ Path, Message string }
	}
	if err := json.Unmarshal([]byte(a.body), &body); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	found := map[string]string{}
	for _, e := range body.Errors {
		found[e.Path] = e.Message
	}
	return found
}

func TestBadConnectionNamesEveryFaultyFieldAndSavesNothing(t *testing.T) {
	relay, app := startRelay(t, ""), startApplication(t)
	header := func(name, value string) []any { return []any{map[string]any{"name": name, "value": value}} }
	cookie := func(changes map[string]any) map[string]any {
		c := map[string]any{"method": "POST", "uri": "/session", "body": "{}"}
		for k, v := range changes {
			c[k] = v
		}
		return map[string]any{"type": "cookie", "cookie": c}
	}
	for _, c := range []struct {
		name string
		doc  string
		want []string // paths of the faulty fields
	}{
		{"nothing", `{}`, []string{"name", "mode", "baseUri", "auth.type"}},
		{"unknown field", app.connection(map[string]any{"modee": "cloud"}), []string{"modee"}},
		{"unknown field, deep", app.connection(map[string]any{"auth": cookie(map[string]any{"urii": "x"})}), []string{"auth.cookie.urii"}},
		{"unknown field and faulty content", app.connection(map[string]any{"modee": 1, "baseUri": "ftp://x", "name": ""}), []string{"modee", "baseUri", "name"}},
		{"wrong types", app.connection(map[string]any{"name": 7, "headers": "none"}), []string{"name", "headers"}},
		{"number that no field can hold", app.connection(map[string]any{"requests": map[string]any{"timeouts": map[string]any{"totalMs": json.Number("99999999999999999999999")}}}), []string{"requests.timeouts.totalMs"}},
		{"number that no field can hold, beside another fault", app.connection(map[string]any{"modee": 1, "requests": map[string]any{"timeouts": map[string]any{"totalMs": json.Number("99999999999999999999999")}}}), []string{"modee", "requests.timeouts.totalMs"}},
		{"number beyond all others", app.connection(map[string]any{"requests": map[string]any{"limits": map[string]any{"perSecond": json.Number("1e400")}}}), []string{"requests.limits.perSecond"}},
		{"bad URI", app.connection(map[string]any{"baseUri": "http://[::1"}), []string{"baseUri"}},
		{"no scheme", app.connection(map[string]any{"baseUri": "erp.example.com/api"}), []string{"baseUri"}},
		{"user info in the URI", app.connection(map[string]any{"baseUri": "https://u:p@erp.example.com"}), []string{"baseUri"}},
		{"CR in a header's value", app.connection(map[string]any{"headers": header("X-A", "a\r\nX-B: b")}), []string{"headers[0].value"}},
		{"LF in a header's name", app.connection(map[string]any{"headers": header("X\nA", "a")}), []string{"headers[0].name"}},
		{"status code out of range", app.connection(map[string]any{"auth": cookie(map[string]any{"successStatusCode": 99})}), []string{"auth.cookie.successStatusCode"}},
		{"status code as text", app.connection(map[string]any{"auth": cookie(map[string]any{"successStatusCode": "200"})}), []string{"auth.cookie.successStatusCode"}},
		{"values without a path", app.connection(map[string]any{"ping": map[string]any{"uri": "/me", "successValues": []string{"true"}}}), []string{"ping.successValues"}},
		{"secret of another type", app.connection(map[string]any{"secrets": map[string]any{"password": 7}}), []string{"secrets.password"}},
		{"secret that is set to false", app.connection(map[string]any{"secrets": map[string]any{"password": map[string]any{"set": false}}}), []string{"secrets.password"}},
		{"agent that nobody knows", app.connection(map[string]any{"mode": "on-premise", "agentId": "agt_nobody"}), []string{"agentId"}},
		{"on-premise without an agent", app.connection(map[string]any{"mode": "on-premise"}), []string{"agentId"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, path := range []string{"/api/v1/connections", "/api/v1/connections/test"} {
				a := relay.expect(422, "POST", path, c.doc)
				if a.text(t, "code") != "validation" || a.header.Get("Sallyport-Error") != "validation" || a.header.Get("Content-Type") != "application/problem+json" {
					t.Errorf("%s: %v %s", path, a.header, a.body)
				}
				found := faults(t, a)
				for _, want := range c.want {
					if found[want] == "" {
						t.Errorf("%s: nothing about %s in %s", path, want, a.body)
					}
				}
			}
		})
	}
	if list := relay.expect(200, "GET", "/api/v1/connections", ""); list.body != `{"items":[]}`+"\n" {
		t.Errorf("something was saved: %s", list.body)
	}
}

func TestBodyThatIsNoDocumentSaysWhere(t *testing.T) {
	relay := startRelay(t, "")
	for _, c := range []struct {
		name, body, say string
		status          int
	}{
		{"none", "", "needs a JSON document", 400},
		{"not JSON", "{\"name\": \"x\",\n \"mode\" \"cloud\"}", "line 2, column 9", 422},
		{"cut off", `{"name": "x", "mo`, "ends too early", 422},
		{"two documents", `{"name":"x"} {"name":"y"}`, "line 1, column 14", 422},
		{"an array", `[]`, "object", 422},
		{"nothing", `null`, `"detail":"The body must be an object, such as {\"name\": \"Plant 2\"}."`, 422},
		{"not UTF-8", "{\"name\": \"\xff\"}", "UTF-8", 422},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := relay.expect(c.status, "POST", "/api/v1/agents", c.body)
			if a.text(t, "code") != "validation" || !strings.Contains(a.body, c.say) {
				t.Errorf("%s", a.body)
			}
		})
	}
}

func TestFaultyFieldsAreToldInPlainWordsAllAtOnce(t *testing.T) {
	relay := startRelay(t, "")
	for _, c := range []struct {
		method, path, body string
		want               map[string]string // by path, what its message begins with
	}{
		{"POST", "/api/v1/people", `{"email": "nobody", "role": "boss"}`, map[string]string{"email": `"nobody" is not an e-mail address. Write`, "role": `"boss" is not a role. Use`}},
		{"POST", "/api/v1/people", `{}`, map[string]string{"email": "Enter an e-mail address"}},
		{"POST", "/api/v1/people", `{"email": 7, "role": "boss", "nick": "B"}`, map[string]string{"email": "Must be text", "role": `"boss" is not`, "nick": "There is no such field."}},
		{"POST", "/api/v1/people", `{"email": "ada@example.com", "name": "a\nb"}`, map[string]string{"name": "The name must have"}},
		{"POST", "/api/v1/tokens", `{"name": "", "role": "boss", "expiresAt": "2001-01-01T00:00:00Z"}`, map[string]string{"name": "The name must have", "role": `"boss" is not`, "expiresAt": "The time at which"}},
		{"POST", "/api/v1/tokens", `{"name": "ci", "expiresAt": "tomorrow"}`, map[string]string{"expiresAt": "Must be a date and time, such as"}},
		{"POST", "/api/v1/tokens", `{"name": 7, "role": "boss", "expiresAt": "2001-01-01T00:00:00Z", "colour": "red"}`, map[string]string{"name": "Must be text", "role": `"boss" is not`, "expiresAt": "The time at which", "colour": "There is no such field."}},
		{"PATCH", "/api/v1/people/usr_nobody", `{"role": "boss", "disabled": "yes", "nick": "B"}`, map[string]string{"role": `"boss" is not`, "disabled": "Must be true or false", "nick": "There is no such field."}},
		{"PATCH", "/api/v1/people/usr_nobody", `{"disabled": "yes"}`, map[string]string{"disabled": "Must be true or false"}},
		{"POST", "/api/v1/connections", `[]`, map[string]string{"": "The body must be an object"}},
		{"POST", "/api/v1/tokens", `[]`, map[string]string{"": "The body must be an object"}},
		{"POST", "/api/v1/connections", `{"name": "x", "mode": "cloud", "baseUri": "https://erp.example.com", "auth": {"type": "none"}, "requests": {"timeouts": {"totalMs": 1e4}}, "secrets": {"a": 5}}`,
			map[string]string{"requests.timeouts.totalMs": "Must be a whole number in digits alone", "secrets.a": `Must be text, {"set": true} to keep`}},
		{"GET", "/api/v1/requests?failed=maybe&limit=ten", "", map[string]string{"query.failed": "Must be true or false.", "query.limit": "Must be a whole number"}},
		{"GET", "/api/v1/agents?limit=0", "", map[string]string{"query.limit": "Must be 1 or more."}},
		{"GET", "/api/v1/agents?colour=red", "", map[string]string{"query.colour": "There is no such parameter."}},
	} {
		a := relay.expect(422, c.method, c.path, c.body)
		found := faults(t, a)
		for path, want := range c.want {
			if !strings.HasPrefix(found[path], want) {
				t.Errorf("%s %s: %s: got %q, want %q", c.path, c.body, path, found[path], want)
			}
		}
		if len(found) != len(c.want) {
			t.Errorf("%s %s: %d faults: %s", c.path, c.body, len(found), a.body)
		}
	}
}

func TestFormOfTenMegabytesIsTooLarge(t *testing.T) {
	relay := startRelay(t, "")
	big := `{"name":"` + strings.Repeat("a", 10_000_000) + `"}`
	for _, fields := range [][]string{nil, {"Expect: 100-continue"}, {"Content-Type: application/x-www-form-urlencoded"}} {
		a := relay.expect(413, "POST", "/api/v1/connections", big, fields...)
		if a.text(t, "code") != "too_large" {
			t.Errorf("%s", a.body)
		}
	}
}

func TestRequestThatWasCutOffChangesNothing(t *testing.T) {
	relay := startRelay(t, "")
	conn, err := net.Dial("tcp", strings.TrimPrefix(relay.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /api/v1/agents HTTP/1.1\r\nHost: relay\r\nAuthorization: Bearer %s\r\nContent-Length: 500\r\n\r\n{\"name\":\"Plant 2\"}", bootstrapToken)
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("%d", resp.StatusCode)
	}
	if list := relay.expect(200, "GET", "/api/v1/agents", ""); list.body != `{"items":[]}`+"\n" {
		t.Errorf("something was saved: %s", list.body)
	}
}

func TestPathsAndMethodsThatDoNotExistAreProblems(t *testing.T) {
	relay := startRelay(t, "")
	for _, c := range []struct {
		method, path string
		status       int
		code         string
	}{
		{"GET", "/api/v1/nothing", 404, "not_found"},
		{"GET", "/api/v2/connections", 404, "not_found"},
		{"GET", "/api", 404, "not_found"},
		{"GET", "/api/v1/connections/con_nobody", 404, "not_found"},
		{"POST", "/api/v1/connections/con_nobody/test", 404, "not_found"},
		{"GET", "/api/v1/connections/con_nobody/proxy/x", 404, "not_found"},
		{"GET", "/api/v1//connections", 404, "not_found"},
		{"GET", "/api/v1/agents/agt_nobody", 404, "not_found"},
		{"POST", "/api/v1/agents/agt_nobody/enrollments", 404, "not_found"},
		{"PATCH", "/api/v1/connections", 405, "validation"},
		{"GET", "/api/v1/enroll", 405, "validation"},
		{"GET", "/api/v1/connections?limt=5", 422, "validation"},
		{"GET", "/api/v1/connections?limit=0", 422, "validation"},
		{"GET", "/api/v1/connections?limit=many", 422, "validation"},
		{"GET", "/api/v1/connections?cursor=garbage", 422, "validation"},
	} {
		a := relay.call(c.method, c.path, "")
		if a.status != c.status || a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: %d %s", c.method, c.path, a.status, a.body)
			continue
		}
		if a.text(t, "code") != c.code || a.text(t, "requestId") != a.header.Get("X-Request-Id") || a.text(t, "detail") == "" {
			t.Errorf("%s %s: %s", c.method, c.path, a.body)
		}
		if c.status == 405 && a.header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", c.method, c.path)
		}
	}
}

func TestWrongTokenIsToldFromNone(t *testing.T) {
	relay := startRelay(t, "")
	none := relay.expect(401, "GET", "/api/v1/me", "", "Authorization:")
	wrong := relay.expect(401, "GET", "/api/v1/me", "", "Authorization: Bearer nonsense")
	basic := relay.expect(401, "GET", "/api/v1/me", "", "Authorization: Basic dTpw")
	if none.text(t, "detail") == wrong.text(t, "detail") || none.text(t, "detail") == basic.text(t, "detail") {
		t.Errorf("none: %s\nwrong: %s\nbasic: %s", none.body, wrong.body, basic.body)
	}
	for _, a := range []answer{none, wrong, basic} {
		if a.text(t, "code") != "unauthorized" || !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%v %s", a.header, a.body)
		}
	}
	if me := relay.expect(200, "GET", "/api/v1/me", ""); me.text(t, "role") != "admin" {
		t.Errorf("%s", me.body)
	}
}

func TestTokenWorksUntilItIsRevoked(t *testing.T) {
	relay := startRelay(t, "")
	made := relay.expect(201, "POST", "/api/v1/tokens", `{"name":"export","role":"editor"}`)
	bearer := "Authorization: Bearer " + made.text(t, "token")
	if me := relay.expect(200, "GET", "/api/v1/me", "", bearer); me.text(t, "name") != "export" {
		t.Errorf("%s", me.body)
	}
	relay.expect(403, "GET", "/api/v1/tokens", "", bearer)
	if list := relay.expect(200, "GET", "/api/v1/tokens", ""); strings.Contains(list.body, made.text(t, "token")) {
		t.Error("a list shows a token")
	}
	relay.expect(204, "DELETE", "/api/v1/tokens/"+made.text(t, "id"), "")
	relay.expect(401, "GET", "/api/v1/me", "", bearer)
	relay.expect(422, "POST", "/api/v1/tokens", `{"name":"x","role":"emperor"}`)
}

func TestBrowserOfAnotherSiteChangesNothing(t *testing.T) {
	relay := startRelay(t, "")
	a := relay.expect(403, "POST", "/api/v1/agents", `{"name":"x"}`, "Sec-Fetch-Site: cross-site")
	if a.text(t, "code") != "forbidden" {
		t.Errorf("%s", a.body)
	}
	relay.expect(403, "POST", "/api/v1/agents", `{"name":"x"}`, "Origin: https://elsewhere.example")
}
