package web_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"sallyport/relay/registry"
)

// filled is the form of a connection to the warehouse, as a browser posts it.
func filled(base string) url.Values {
	return url.Values{
		"do": {"save"}, "version": {"0"}, "name": {"Warehouse"}, "mode": {"cloud"}, "agentId": {""},
		"auth.type": {"cookie"}, "baseUri": {base + "/api"}, "mediaType": {"json"},
		"auth.cookie.method": {"POST"}, "auth.cookie.uri": {"/session"}, "auth.cookie.body": {"{\r\n\"password\": \"{{secret.password}}\"}"},
		"headers.name": {"X-Company", ""}, "headers.value": {"4711", ""},
		"secrets.name": {"password"}, "secrets.value": {password}, "secrets.set": {"0"},
		"ping.method": {"GET"}, "ping.uri": {"/me"}, "ping.successPath": {"data.ok"}, "ping.successValues": {"true\r\n"},
	}
}

func (r *rig) saved() []registry.Connection {
	r.t.Helper()
	items, _, err := r.registry.Connections(context.Background(), r.admin, registry.Page{})
	must(r.t, err)
	return items
}

func TestMistakesAreShownAtTheirFieldsAndNothingIsSaved(t *testing.T) {
	for _, test := range []struct {
		name, field string
		values      []string
		errorAt     string
		says        string
	}{
		{"no name", "name", []string{" "}, "name", "Give the connection a name"},
		{"bad base URI", "baseUri", []string{"erp.example.com"}, "baseUri", "base URI"},
		{"user info in the base URI", "baseUri", []string{"https://u:p@erp.example.com"}, "baseUri", "base URI"},
		{"no cookie URI", "auth.cookie.uri", []string{""}, "auth.cookie.uri", "Enter the URI"},
		{"status code in words", "auth.cookie.successStatusCode", []string{"ok"}, "auth.cookie.successStatusCode", "number from 100 to 599"},
		{"status code out of range", "auth.cookie.successStatusCode", []string{"99"}, "auth.cookie.successStatusCode", "100 to 599"},
		{"CR in a header", "headers.value", []string{"a\rSet-Cookie: b", ""}, "headers.0.value", ""},
		{"bad header name below a blank row", "headers.name", []string{"", "X Company"}, "headers.1.name", ""},
		{"secret that is not there", "auth.cookie.body", []string{"{{secret.nobody}}"}, "auth.cookie.body", "nobody"},
		{"secret without a value", "secrets.value", []string{""}, "secrets.0.name", "Enter the value"},
		{"values without a path", "ping.successPath", []string{""}, "ping.successValues", "without a path"},
		{"no agent", "mode", []string{"on-premise"}, "agentId", "agent"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			c := r.client()
			form := filled("https://erp.example.com")
			form[test.field] = test.values
			if strings.HasPrefix(test.field, "headers.") {
				form["headers.name"], form["headers.value"] = []string{"", "X-B"}, []string{"", "v"}
				form[test.field] = test.values
				if test.field == "headers.value" {
					form["headers.name"] = []string{"X-A", ""}
				}
			}
			a := c.post("/connections/new", form)
			if a.status != http.StatusUnprocessableEntity {
				t.Fatalf("answered %d", a.status)
			}
			slot := between(a.body, `id="e-`+test.errorAt+`">`, "</p>")
			if slot == "" || !strings.Contains(slot, test.says) {
				t.Errorf("at the field stands %q; the page lists: %s", slot, between(a.body, `<div id="form-errors">`, "</div></div>"))
			}
			if n := strings.Count(a.body, " autofocus"); n != 1 {
				t.Errorf("%d fields have the focus", n)
			}
			a.contains(t, "Nothing was saved")
			if saved := r.saved(); len(saved) != 0 {
				t.Errorf("saved: %+v", saved)
			}
		})
	}
}

func between(s, from, to string) string {
	_, s, ok := strings.Cut(s, from)
	if !ok {
		return ""
	}
	s, _, _ = strings.Cut(s, to)
	return s
}

func TestEveryMistakeIsShownAtOnceWithWhatWasTyped(t *testing.T) {
	r := newRig(t)
	form := filled("not a URI <&\">")
	form.Set("name", "")
	form.Set("auth.cookie.successStatusCode", "abc")
	a := r.client().post("/connections/new", form)
	for _, field := range []string{"name", "baseUri", "auth.cookie.successStatusCode"} {
		if between(a.body, `id="e-`+field+`">`, "</p>") == "" {
			t.Errorf("nothing at %s", field)
		}
	}
	a.contains(t, `value="not a URI &lt;&amp;&#34;&gt;/api"`, `value="abc"`, `value="4711"`, "3 things to mend")
}

func TestAConnectionIsSavedTestedUsedChangedAndDeletedWithoutScripts(t *testing.T) {
	r := newRig(t)
	c := r.client()
	app := warehouse(t)

	draft := filled(app.URL)
	draft.Set("do", "test")
	a := c.post("/connections/new", draft)
	a.contains(t, "Test passed", "Sign-in", "Where the time went", `value="pick:data.ok`)
	if len(r.saved()) != 0 {
		t.Fatal("Test saved the connection")
	}

	a = c.post("/connections/new", filled(app.URL))
	if a.status != http.StatusSeeOther {
		t.Fatalf("save: %d %s", a.status, a.body)
	}
	conn := r.saved()[0]
	at := "/connections/" + conn.ID
	if a.header.Get("Location") != at+"?notice=saved" {
		t.Errorf("led to %s", a.header.Get("Location"))
	}
	if len(conn.Headers) != 1 || conn.Auth.Cookie.Body != "{\n\"password\": \"{{secret.password}}\"}" || len(conn.Ping.SuccessValues) != 1 {
		t.Errorf("saved as %+v", conn.Spec)
	}

	a = c.post(at+"/test", nil)
	a.contains(t, "Test passed", "ses_")
	a = c.do(http.MethodPost, at+"/test", nil, "text/event-stream")
	if kind := a.header.Get("Content-Type"); !strings.HasPrefix(kind, "text/event-stream") {
		t.Fatalf("the live test is %s", kind)
	}
	if n := strings.Count(a.body, "event: step\n"); n < 4 { // two steps, each as it begins and as it ends
		t.Errorf("%d steps were streamed:\n%s", n, a.body)
	}
	a.contains(t, "event: result\n", "data-step=\"ping\"")

	a = c.post(at+"/send", url.Values{"method": {"GET"}, "path": {"/me?x=1"}})
	a.contains(t, "200 OK", "&#34;quota&#34;: 12.50", "Waiting for the application")
	a = c.post(at+"/send", url.Values{"method": {"GET"}, "path": {"/../secret"}})
	a.contains(t, "validation")
	if a = c.post(at+"/send", url.Values{"method": {"GET"}, "path": {"https://evil.example/"}}); a.status != http.StatusUnprocessableEntity {
		t.Errorf("an absolute address: %d", a.status)
	}

	form := filled(app.URL)
	form["secrets.value"], form["secrets.set"] = []string{""}, []string{"1"}
	form.Set("version", "1")
	form.Set("name", "Warehouse 2")
	if a = c.post(at+"/edit", form); a.status != http.StatusSeeOther {
		t.Fatalf("change: %d %s", a.status, between(a.body, `<div id="form-errors">`, "</div></div>"))
	}
	c.post(at+"/test", nil).contains(t, "Test passed") // the secret was kept
	form.Set("name", "Warehouse 3")
	a = c.post(at+"/edit", form) // a second person had the first version open
	if a.status != http.StatusConflict {
		t.Errorf("a stale save: %d", a.status)
	}
	a.contains(t, "Someone else has changed this connection", `value="Warehouse 3"`)

	for _, path := range []string{at, at + "/edit", at + "/test"} {
		a = c.get(path)
		if strings.Contains(a.body, "s3ss10n") || strings.Contains(a.body, "ss word") {
			t.Errorf("GET %s shows a secret", path)
		}
	}
	c.post(at+"/sign-out", nil)
	c.get(at).contains(t, "Not signed in")

	c.post(at+"/delete", url.Values{"confirm": {"Warehouse"}}).contains(t, "That is not its name")
	if a = c.post(at+"/delete", url.Values{"confirm": {"Warehouse 2"}}); a.status != http.StatusSeeOther || len(r.saved()) != 0 {
		t.Errorf("delete: %d", a.status)
	}
	if a = c.get(at); a.status != http.StatusNotFound {
		t.Errorf("deleted, but shown: %d", a.status)
	}
}

func TestRemovedSecretsAreRemoved(t *testing.T) {
	r := newRig(t)
	conn := r.connection(spec("https://erp.example.com"))
	c := r.client()
	form := filled("https://erp.example.com")
	form.Set("version", "1")
	form.Set("auth.cookie.body", "")
	form["secrets.value"], form["secrets.set"] = []string{""}, []string{"1"}
	form.Set("do", "remove-secret:0")
	a := c.post("/connections/"+conn.ID+"/edit", form)
	a.contains(t, `name="secrets.removed" value="password"`)
	form.Set("do", "save")
	form.Del("secrets.name")
	form.Set("secrets.removed", "password")
	if a = c.post("/connections/"+conn.ID+"/edit", form); a.status != http.StatusSeeOther {
		t.Fatalf("save: %d", a.status)
	}
	if names := r.saved()[0].SecretNames; len(names) != 0 {
		t.Errorf("left: %v", names)
	}
}

func TestAFormKeepsWhatAConnectionIsKnownByAsCode(t *testing.T) {
	r := newRig(t)
	kept := spec("https://erp.example.com")
	kept.Key, kept.ManagedBy = "erp", "acme/integrations"
	conn := r.connection(kept)
	c := r.client()
	form := filled("https://erp.example.com")
	form.Set("version", "1")
	form.Set("name", "Renamed")
	if a := c.post("/connections/"+conn.ID+"/edit", form); a.status != http.StatusSeeOther {
		t.Fatalf("save: %d", a.status)
	}
	if saved := r.saved()[0]; saved.Name != "Renamed" || saved.Key != "erp" || saved.ManagedBy != "acme/integrations" {
		t.Errorf("%+v", saved.Spec)
	}
	c.get("/connections/"+conn.ID).contains(t, "kept as code by <b>acme/integrations</b>")
}

func TestRowsComeAndGoWithoutScripts(t *testing.T) {
	r := newRig(t)
	c := r.client()
	form := filled("https://erp.example.com")
	form.Set("do", "paste-headers")
	form.Set("headers.paste", "Accept-Language: en\r\nnonsense\r\nX-Token: a:b")
	a := c.post("/connections/new", form)
	a.contains(t, `value="Accept-Language"`, `value="a:b"`, ">nonsense</textarea>", `value="4711"`)
	form.Set("do", "remove-header:0")
	if a = c.post("/connections/new", form); strings.Contains(a.body, `value="4711"`) {
		t.Error("the row is still there")
	}
	form.Set("do", "add-secret")
	if a = c.post("/connections/new", form); strings.Count(between(a.body, `<form class="form"`, "</form>"), `name="secrets.name"`) != 2 {
		t.Error("no row was added")
	}
	form.Set("do", "set:ping.method=HEAD")
	c.post("/connections/new", form).contains(t, `<option value="HEAD" selected>`)
	form.Set("ping.successValues", "yes\r\n\r\nTrue")
	form.Set("do", "set:ping.successValues[1]=true")
	c.post("/connections/new", form).contains(t, ">yes\ntrue</textarea>")
	if len(r.saved()) != 0 {
		t.Error("something was saved")
	}
}

func TestTooLargeAndBrokenFormsSaveNothing(t *testing.T) {
	r := newRig(t)
	c := r.client()
	form := filled("https://erp.example.com")
	form.Set("auth.cookie.body", strings.Repeat("x", 10<<20))
	a := c.post("/connections/new", form)
	if a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("10 MB: %d", a.status)
	}
	a.contains(t, "too large", "4 MB", "Nothing was saved")
	form.Set("auth.cookie.body", strings.Repeat("x", 3<<19))
	a = c.post("/connections/new", form)
	if between(a.body, `id="e-auth.cookie.body">`, "</p>") == "" {
		t.Errorf("a body of 1.5 MB: %d, and nothing at its field", a.status)
	}
	req, err := http.NewRequest(http.MethodPost, r.url+"/connections/new", strings.NewReader("name=%zz"))
	must(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := c.http.Do(req)
	must(t, err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a broken form: %d", resp.StatusCode)
	}
	if len(r.saved()) != 0 {
		t.Error("something was saved")
	}
}

func TestATakenNameIsAWarning(t *testing.T) {
	r := newRig(t)
	conn := r.connection(spec("https://erp.example.com"))
	c := r.client()
	c.get("/connections/name?name=Warehouse").contains(t, "Another connection")
	if a := c.get("/connections/name?name=Warehouse&id=" + conn.ID); a.body != "" {
		t.Errorf("its own name is taken: %s", a.body)
	}
	if a := c.post("/connections/new", filled("https://erp.example.com")); a.status != http.StatusSeeOther {
		t.Errorf("a taken name can't be saved: %d", a.status)
	}
}
