package recording

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/relay/connection"
)

// har writes a HAR file of entries.
func har(entries ...map[string]any) string {
	text, err := json.Marshal(map[string]any{"log": map[string]any{"version": "1.2", "entries": entries}})
	if err != nil {
		panic(err)
	}
	return string(text)
}

func sent(method, url string, header map[string]string, mime, body string) map[string]any {
	request := map[string]any{"method": method, "url": url, "headers": pairs(header)}
	if mime != "" {
		request["postData"] = map[string]any{"mimeType": mime, "text": body}
	}
	return map[string]any{"request": request, "response": map[string]any{"status": 200, "headers": []any{}, "content": map[string]any{}}}
}

func answered(entry map[string]any, status int, header map[string]string, mime, text string) map[string]any {
	entry["response"] = map[string]any{"status": status, "headers": pairs(header), "content": map[string]any{"mimeType": mime, "text": text}}
	return entry
}

func pairs(m map[string]string) []any {
	all := []any{}
	for name, value := range m {
		all = append(all, map[string]string{"name": name, "value": value})
	}
	return all
}

func TestAHARFileOfALoginFillsTheForm(t *testing.T) {
	browser := map[string]string{":authority": "erp.plant2.internal", "User-Agent": "Mozilla/5.0", "X-Company": "17", "Sec-Fetch-Mode": "cors"}
	d, err := Read(har(
		answered(sent("GET", "https://erp.plant2.internal/login", browser, "", ""), 200, nil, "text/html", "<html>"),
		answered(sent("GET", "https://cdn.example/x.js", browser, "", ""), 200, nil, "application/javascript", "x"),
		answered(sent("POST", "https://erp.plant2.internal/api/session", browser, "application/json", `{"user":"svc","password":"wrong"}`), 401, nil, "application/json", `{}`),
		answered(sent("POST", "https://erp.plant2.internal/api/session", browser, "application/json", `{"user":"svc","password":"right"}`), 200, map[string]string{"Set-Cookie": "SID=1"}, "application/json", `{}`),
		answered(sent("GET", "https://erp.plant2.internal/api/translations?lang=en", browser, "", ""), 200, nil, "application/json", `{"ok":true}`),
		answered(sent("GET", "https://erp.plant2.internal/api/me", browser, "", ""), 200, nil, "application/json; charset=utf-8", `{"data":{"user.info":{"authenticated":true}},"id":7}`),
		answered(sent("GET", "https://erp.plant2.internal/api/orders", browser, "", ""), 200, nil, "application/json", `[]`),
		answered(sent("GET", "https://analytics.example/me", browser, "", ""), 200, nil, "application/json", `{}`),
		answered(sent("DELETE", "https://erp.plant2.internal/api/logout", browser, "", ""), 204, nil, "", ""),
	))
	if err != nil {
		t.Fatal(err)
	}
	want := connection.Spec{
		Name: "erp.plant2.internal", Mode: connection.OnPremise, BaseURI: "https://erp.plant2.internal/api", MediaType: connection.JSON,
		Headers: []connection.Header{{Name: "X-Company", Value: "17"}},
		Auth: connection.Auth{Type: connection.AuthCookie, Cookie: &connection.CookieAuth{Method: "POST", URI: "/session", Body: `{"user":"svc","password":"{{secret.password}}"}`,
			SignOut: &connection.SignOut{Method: "DELETE", URI: "/logout"}}},
		Ping: connection.Ping{Method: "GET", URI: "/me", SuccessPath: "data['user.info'].authenticated", SuccessValues: []string{"true"}},
	}
	if diff := cmp.Diff(want, d.Spec); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"password": "right"}, d.Secrets); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(notesOf(d), "right") || !strings.Contains(notesOf(d), "choose the agent") {
		t.Error(notesOf(d))
	}
}

func TestPagesAndAPIOfOneApplicationShareTheBaseURI(t *testing.T) {
	form := map[string]any{"request": map[string]any{"method": "POST", "url": "https://app.example/login", "headers": []any{},
		"postData": map[string]any{"mimeType": "application/x-www-form-urlencoded", "params": []any{
			map[string]string{"name": "user", "value": "svc"}, map[string]string{"name": "password", "value": "a%26b"}}}},
		"response": map[string]any{"status": 302, "headers": []any{}, "content": map[string]any{}}}
	d, err := Read(har(form, answered(sent("GET", "https://app.example/api/v1/whoami", nil, "", ""), 200, nil, "application/json", `{"user":{"name":"svc","email":"s@x"}}`)))
	if err != nil {
		t.Fatal(err)
	}
	if d.Spec.BaseURI != "https://app.example" || d.Spec.Auth.Cookie.URI != "/login" || d.Spec.Ping.URI != "/api/v1/whoami" || d.Spec.Ping.SuccessPath != "user.email" || d.Spec.MediaType != connection.URLEncoded {
		t.Errorf("%+v %+v", d.Spec, d.Spec.Auth.Cookie)
	}
	if d.Spec.Auth.Cookie.Body != "user=svc&password={{secret.password}}" || d.Secrets["password"] != "a&b" || !strings.Contains(notesOf(d), "redirect (302)") {
		t.Errorf("%s %v %s", d.Spec.Auth.Cookie.Body, d.Secrets, notesOf(d))
	}
}

func TestAHARFileWithoutALoginGivesItsAuthorization(t *testing.T) {
	d, err := Read(har(answered(sent("GET", "https://api.example/v1/status", map[string]string{"Authorization": "Bearer abc.def"}, "", ""), 200, nil, "application/json", `{"status":"ok"}`)))
	if err != nil {
		t.Fatal(err)
	}
	if d.Secrets["token"] != "abc.def" || d.Spec.Ping.URI != "/status" || d.Spec.BaseURI != "https://api.example/v1" || d.Spec.Ping.SuccessPath != "status" {
		t.Errorf("%+v %v", d.Spec, d.Secrets)
	}
}

// Django's form, Laravel's cookie and SAP's header, and a JSON API that hands out
// its token.
func TestATokenOfTheLoginIsFetchedAnewForEachSignIn(t *testing.T) {
	const token = "Ab3dEf9h-k"
	for name, test := range map[string]struct {
		page, login map[string]any
		first       connection.FirstRequest
		body        string
		headers     []connection.Header
	}{
		"a field of the form": {
			answered(sent("GET", "https://app.example/login", nil, "", ""), 200, nil, "text/html", `<form><input type="hidden" name="csrfmiddlewaretoken" value="Ab3dEf9h-k"></form>`),
			sent("POST", "https://app.example/login", nil, "application/x-www-form-urlencoded", "csrfmiddlewaretoken=Ab3dEf9h-k&username=svc&password=pw"),
			connection.FirstRequest{Method: "GET", URI: "/login", Values: []connection.SignInValue{{Name: "csrfmiddlewaretoken", From: "field", At: "csrfmiddlewaretoken"}}},
			"csrfmiddlewaretoken={{signin.csrfmiddlewaretoken}}&username=svc&password={{secret.password}}", nil},
		"a cookie, sent back as a header": {
			answered(sent("GET", "https://app.example/sanctum/csrf-cookie", nil, "", ""), 204, map[string]string{"Set-Cookie": "XSRF-TOKEN=Ab3dEf9h%2Dk; path=/"}, "", ""),
			sent("POST", "https://app.example/login", map[string]string{"X-XSRF-TOKEN": token}, "application/json", `{"password":"pw"}`),
			connection.FirstRequest{Method: "GET", URI: "/sanctum/csrf-cookie", Values: []connection.SignInValue{{Name: "xsrf-token", From: "cookie", At: "XSRF-TOKEN"}}},
			`{"password":"{{secret.password}}"}`, []connection.Header{{Name: "X-XSRF-TOKEN", Value: "{{signin.xsrf-token}}"}}},
		"a header": {
			answered(sent("GET", "https://app.example/start?a=1", nil, "", ""), 200, map[string]string{"x-csrf-token": token}, "text/html", "<html>"),
			sent("POST", "https://app.example/login", map[string]string{"x-csrf-token": token}, "application/json", `{"password":"pw"}`),
			connection.FirstRequest{Method: "GET", URI: "/start?a=1", Values: []connection.SignInValue{{Name: "csrf-token", From: "header", At: "x-csrf-token"}}},
			`{"password":"{{secret.password}}"}`, []connection.Header{{Name: "x-csrf-token", Value: "{{signin.csrf-token}}"}}},
		"JSON": {
			answered(sent("GET", "https://app.example/init", nil, "", ""), 200, nil, "application/json", `{"data":{"flow.id":"Ab3dEf9h-k"}}`),
			sent("POST", "https://app.example/login", nil, "application/json", `{"flow":"Ab3dEf9h-k","password":"pw"}`),
			connection.FirstRequest{Method: "GET", URI: "/init", Values: []connection.SignInValue{{Name: "flow", From: "json", At: "data['flow.id']"}}},
			`{"flow":"{{signin.flow}}","password":"{{secret.password}}"}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Read(har(test.page, test.login))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&test.first, d.Spec.Auth.Cookie.Before); diff != "" {
				t.Error(diff)
			}
			if d.Spec.Auth.Cookie.Body != test.body {
				t.Errorf("body %s", d.Spec.Auth.Cookie.Body)
			}
			if diff := cmp.Diff(test.headers, d.Spec.Headers); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(map[string]string{"password": "pw"}, d.Secrets); diff != "" {
				t.Error(diff)
			}
			if invalid := connection.Validate(connection.Defaults(d.Spec), []string{"password"}); invalid != nil {
				t.Error(invalid)
			}
		})
	}
	d, err := Read(har(sent("POST", "https://app.example/login", nil, "application/x-www-form-urlencoded", "_token=Ab3dEf9h-k&password=pw")))
	if err != nil || d.Spec.Auth.Cookie.Before != nil || !strings.Contains(notesOf(d), "begins before the login page") {
		t.Errorf("%v %+v %s", err, d.Spec.Auth.Cookie, notesOf(d))
	}
}
