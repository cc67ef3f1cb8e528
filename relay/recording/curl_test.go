package recording

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/testkit"
	"sallyport/relay/connection"
)

// A command means here what it means to bash and curl themselves.
func TestACommandIsReadAsBashAndCurlSendIt(t *testing.T) {
	bash := testkit.Program(t, "bash")
	testkit.Program(t, "curl")
	type sent struct {
		method, target, body string
		header               http.Header
	}
	arrived := make(chan sent, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		arrived <- sent{r.Method, r.URL.RequestURI(), string(text), r.Header}
	}))
	defer server.Close()
	for name, command := range map[string]string{
		"plain":                  `curl URL/api/me`,
		"Chrome, for bash":       "curl 'URL/api/session' \\\n  -H 'accept: application/json' \\\n  -H 'content-type: application/json' \\\n  --data-raw '{\"user\":\"svc\",\"password\":\"p\\\"w\"}' \\\n  --insecure",
		"Chrome, with a quote":   `curl 'URL/in' -H 'x-a: b' --data-raw $'{"p":"it\'s \u0041\n\\u00e4"}'`,
		"Firefox":                `curl 'URL/in?a=1&b=%20' -X POST -H 'User-Agent: Mozilla/5.0' -H 'Content-Type: application/x-www-form-urlencoded' --data-raw 'user=svc&password=a%26b'`,
		"per cent":               `curl 'URL/in' --data-raw $'100%25 %d %s \'%'`,
		"a comment":              "curl URL/in -d a=b # as it was",
		"two commands":           `curl URL/in -d a=b; true`,
		"data twice":             `curl -s URL/in -d user=svc -d "password=a b"`,
		"data with line breaks":  "curl URL/in -d 'a=1\nb=2'",
		"binary data":            "curl URL/in --data-binary 'a=1\nb=2'",
		"encoded":                `curl URL/in --data-urlencode 'password=p&w ü' --data-urlencode '=x y' --data-urlencode 'x&y'`,
		"a GET with data":        `curl -G URL/in?x=1 -d a=b --data-urlencode 'c=d e'`,
		"short ones together":    `curl -sSkXPUT -Hx-a:1 URL/in -da=b`,
		"head":                   `curl -I URL/in`,
		"json":                   `curl --json '{"a":1}' URL/in`,
		"json, another type":     `curl URL/in --json '{"a":1}' -H 'Content-Type: application/vnd.api+json'`,
		"user":                   `curl -u svc:p:w URL/in`,
		"user in the address":    `curl http://svc:pw@HOST/in`,
		"bearer":                 `curl --oauth2-bearer abc URL/in`,
		"agent and referer":      `curl -A mine -e http://x/ URL/in`,
		"words without quotes":   `curl URL/in -H x-a:\ b\"c`,
		"double quotes":          `curl "URL/in" -H "x-a: \$b \\ \"c\" 'd'" -d "{\"a\": \"b\"}"`,
		"quotes side by side":    `curl URL/in -d 'a='"'"'b'"'"`,
		"an option after --":     `curl URL/in -d a=b -- `,
		"a pipe after it":        `curl URL/in -d a=b | cat`,
		"a redirection":          `curl URL/in -d a=b > /dev/null 2>&1`,
		"method as it is":        `curl -X PATCH URL/in`,
		"a cookie":               `curl -b 'SID=1; x=y' URL/in`,
		"without a scheme":       `curl HOST/in -d a=b`,
		"url by option":          `curl --url URL/in --request POST`,
		"options with values":    `curl -m 5 --retry 1 -o /dev/null -w '%{http_code}' URL/in --connect-timeout 3 -d a=b`,
		"an ampersand unquoted ": `curl 'URL/in?a=1&b=2' --compressed`,
	} {
		t.Run(name, func(t *testing.T) {
			command = strings.NewReplacer("URL", server.URL, "HOST", strings.TrimPrefix(server.URL, "http://")).Replace(command)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			run := exec.CommandContext(ctx, bash, "-c", command)
			run.Env = []string{"PATH=/usr/bin:/bin", "HOME=/nonexistent"}
			if out, err := run.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			got := <-arrived
			words, err := curlWords(command)
			if err != nil {
				t.Fatal(err)
			}
			c := command1(t, words)
			if c.method != got.method || c.url.RequestURI() != got.target || c.body != got.body {
				t.Errorf("read as %s %s %q, but sent is %s %s %q", c.method, c.url.RequestURI(), c.body, got.method, got.target, got.body)
			}
			header := got.header
			for _, h := range c.header {
				if got := header.Get(h.Name); got != h.Value {
					t.Errorf("%s was read as %q, and is sent as %q", h.Name, h.Value, got)
				}
			}
			if user, password, ok := (&http.Request{Header: header}).BasicAuth(); ok && c.user != user+":"+password {
				t.Errorf("user read as %q, sent as %s:%s", c.user, user, password)
			}
			if strings.HasPrefix(header.Get("Authorization"), "Bearer") && "Bearer "+c.bearer != header.Get("Authorization") {
				t.Errorf("bearer read as %q", c.bearer)
			}
		})
	}
}

func command1(t *testing.T, words []string) *request {
	t.Helper()
	c := command{request: request{method: "GET"}}
	if err := c.read(words); err != nil {
		t.Fatal(err)
	}
	r, err := c.finish()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// As Chrome and Firefox write commands for Windows' command line, today and a
// few years ago.
func TestCommandsForWindowsAreRead(t *testing.T) {
	for name, test := range map[string]struct{ command, body string }{
		"carets, today":    {"curl ^\"https://erp.example/api/session?a=1^&b=2^\" ^\r\n  -H ^\"content-type: application/json^\" ^\r\n  --data-raw ^\"^{^\\^\"user^\\^\":^\\^\"svc^\\^\",^\\^\"password^\\^\":^\\^\"p^%^41^^w^\\^\\x^\\^\"^}^\"", `{"user":"svc","password":"p%41^w\\x"}`},
		"quotes, formerly": {"curl \"https://erp.example/api/session?a=1&b=2\" ^\n  -H \"content-type: application/json\" ^\n  --data-raw \"{\\\"user\\\":\\\"svc\\\",\\\"password\\\":\\\"pw\\\"}\" ^\n  --compressed", `{"user":"svc","password":"pw"}`},
		"a line break":     {"curl ^\"https://erp.example/api/session?a=1^&b=2^\" ^\n  -H ^\"content-type: text/plain^\" ^\n  --data-raw ^\"a^\n\nb^\"", "a\nb"},
	} {
		t.Run(name, func(t *testing.T) {
			words, err := curlWords(test.command)
			if err != nil {
				t.Fatal(err)
			}
			r := command1(t, words)
			if r.url.String() != "https://erp.example/api/session?a=1&b=2" || r.method != "POST" {
				t.Errorf("%s %s", r.method, r.url)
			}
			if strings.ReplaceAll(r.body, `\\`, `\`) != strings.ReplaceAll(test.body, `\\`, `\`) {
				t.Errorf("body %q, want %q", r.body, test.body)
			}
		})
	}
}

func TestALoginThatWasCopiedFillsTheForm(t *testing.T) {
	const chrome = `curl 'https://erp.example.com/api/v2/session' -H 'accept: application/json, text/plain, */*' -H 'accept-language: en' ` +
		`-H 'content-type: application/json' -b 'old=1' -H 'origin: https://erp.example.com' -H 'sec-ch-ua: "Chromium"' -H 'user-agent: Mozilla/5.0' ` +
		`-H 'x-company: 17' -H 'x-requested-with: XMLHttpRequest' --data-raw '{ "user": "svc", "password": "p\"w", "remember": true }' --insecure`
	d, err := Read(chrome)
	if err != nil {
		t.Fatal(err)
	}
	want := connection.Spec{
		Name: "erp.example.com", Mode: connection.Cloud, BaseURI: "https://erp.example.com/api/v2", MediaType: connection.JSON,
		Headers: []connection.Header{{Name: "x-company", Value: "17"}, {Name: "x-requested-with", Value: "XMLHttpRequest"}},
		Auth: connection.Auth{Type: connection.AuthCookie, Cookie: &connection.CookieAuth{Method: "POST", URI: "/session",
			Body: `{ "user": "svc", "password": "{{secret.password}}", "remember": true }`}},
		Ping: connection.Ping{Method: "GET"},
	}
	if diff := cmp.Diff(want, d.Spec); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"password": `p"w`}, d.Secrets); diff != "" {
		t.Error(diff)
	}
	// What is filled in is valid, and what is sent is what was recorded.
	spec := connection.Defaults(d.Spec)
	if invalid := connection.Validate(spec, []string{"password"}); invalid != nil {
		t.Error(invalid)
	}
	sent, err := connection.Fill(spec.Auth.Cookie.Body, connection.EscapeJSON, d.Secrets, nil)
	if err != nil || sent != `{ "user": "svc", "password": "p\"w", "remember": true }` {
		t.Errorf("sent is %s, %v", sent, err)
	}
	notes := notesOf(d)
	for _, part := range []string{"left-out: origin", "left-out: --insecure", "left-out: What the browser adds by itself: accept, accept-language, sec-ch-ua, user-agent", "understood: The value of password", "check: There is no ping yet"} {
		if !strings.Contains(notes, part) {
			t.Errorf("no note %q in\n%s", part, notes)
		}
	}
	if strings.Contains(notes, `p"w`) {
		t.Error("a note tells the password")
	}
}

func notesOf(d Draft) string {
	var b strings.Builder
	for _, n := range d.Notes {
		b.WriteString(string(n.Kind) + ": " + n.Text + "\n")
	}
	return b.String()
}

func TestBodiesOfEachMediaTypeGiveTheirSecrets(t *testing.T) {
	for name, test := range map[string]struct {
		command, body string
		media         connection.MediaType
		secrets       map[string]string
	}{
		"form":          {`curl http://h/login -d 'j_username=svc&j_password=a%26b+c&csrf=1'`, `j_username=svc&j_password={{secret.j_password}}&csrf=1`, connection.URLEncoded, map[string]string{"j_password": "a&b c"}},
		"XML":           {`curl http://h/login -H 'content-type: application/xml' -d '<in><user>svc</user><password a="1">a&amp;b</password></in>'`, `<in><user>svc</user><password a="1">{{secret.password}}</password></in>`, connection.XML, map[string]string{"password": "a&b"}},
		"nested":        {`curl http://h/login --json '{"a":[{"x":1,"auth":{"Pass":"pw"}}],"pin":1234}'`, `{"a":[{"x":1,"auth":{"Pass":"{{secret.pass}}"}}],"pin":{{secret.pin}}}`, connection.JSON, map[string]string{"pass": "pw", "pin": "1234"}},
		"JSON by -d":    {`curl http://h/login -d '{"password":"pw"}'`, `{"password":"{{secret.password}}"}`, connection.JSON, map[string]string{"password": "pw"}},
		"two alike":     {`curl http://h/login --json '{"password":"pw","password2":"pw","pwd":"other","x":{"pwd":"third"}}'`, `{"password":"{{secret.password}}","password2":"{{secret.password2}}","pwd":"{{secret.pwd}}","x":{"pwd":"{{secret.pwd2}}"}}`, connection.JSON, map[string]string{"password": "pw", "password2": "pw", "pwd": "other", "pwd2": "third"}},
		"multipart":     {`curl http://h/login -F user=svc -F 'password=a b' -F file=@x`, `user=svc&password={{secret.password}}`, connection.URLEncoded, map[string]string{"password": "a b"}},
		"variables":     {`curl http://h/login --json "{\"password\":\"$ERP_PASSWORD\"}"`, `{"password":"{{secret.erp_password}}"}`, connection.JSON, nil},
		"an empty name": {`curl http://h/login --json '{"":1,"password":"pw"}'`, `{"":1,"password":"{{secret.password}}"}`, connection.JSON, map[string]string{"password": "pw"}},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Read(test.command)
			if err != nil {
				t.Fatal(err)
			}
			if d.Spec.Auth.Cookie == nil || d.Spec.Auth.Cookie.Body != test.body || d.Spec.MediaType != test.media {
				t.Errorf("%s, %+v", d.Spec.MediaType, d.Spec.Auth.Cookie)
			}
			if diff := cmp.Diff(test.secrets, d.Secrets); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestARequestThatIsSignedInAlreadyBecomesThePing(t *testing.T) {
	d, err := Read(`curl -X POST 'http://10.1.2.3:8080/rest/orders/search?key=k3y&open=1' -H 'Cookie: SID=x' -H 'X-API-Key: abc' -d '{}' -H 'content-type: application/json'`)
	if err != nil {
		t.Fatal(err)
	}
	if d.Spec.Mode != connection.OnPremise || d.Spec.BaseURI != "http://10.1.2.3:8080/rest" || d.Spec.Ping.URI != "/orders/search?key={{secret.key}}&open=1" || d.Spec.Ping.Method != "POST" {
		t.Errorf("%+v", d.Spec)
	}
	if d.Spec.Auth.Type != connection.AuthCookie || !strings.Contains(notesOf(d), "the cookie will end") {
		t.Errorf("the cookie was passed over: %s", notesOf(d))
	}
	if diff := cmp.Diff(map[string]string{"key": "k3y", "api-key": "abc"}, d.Secrets); diff != "" {
		t.Error(diff)
	}
}

func TestCredentialsBecomeTheAuthenticationType(t *testing.T) {
	bearer, other, none := "Bearer", "Token", ""
	password := "{{secret.password}}"
	for command, test := range map[string]struct {
		auth    connection.Auth
		secrets map[string]string
	}{
		`curl -u 'svc:p:w' http://h/me`:                          {connection.Auth{Type: connection.AuthBasic, Basic: &connection.BasicAuth{Username: "svc", Password: password}}, map[string]string{"password": "p:w"}},
		`curl -u svc http://h/me`:                                {connection.Auth{Type: connection.AuthBasic, Basic: &connection.BasicAuth{Username: "svc", Password: password}}, nil},
		`curl -u "svc:$ERP_PW" http://h/me`:                      {connection.Auth{Type: connection.AuthBasic, Basic: &connection.BasicAuth{Username: "svc", Password: "{{secret.erp_pw}}"}}, nil},
		`curl --digest -u svc:pw http://h/me`:                    {connection.Auth{Type: connection.AuthDigest, Digest: &connection.DigestAuth{Username: "svc", Password: password}}, map[string]string{"password": "pw"}},
		`curl http://svc:pw@h/me`:                                {connection.Auth{Type: connection.AuthBasic, Basic: &connection.BasicAuth{Username: "svc", Password: password}}, map[string]string{"password": "pw"}},
		`curl http://h/me -H 'authorization: Basic c3ZjOnB3'`:    {connection.Auth{Type: connection.AuthBasic, Basic: &connection.BasicAuth{Username: "svc", Password: password}}, map[string]string{"password": "pw"}},
		`curl http://h/me -H 'Authorization: Bearer abc'`:        {connection.Auth{Type: connection.AuthToken, Token: &connection.TokenAuth{In: "header", Name: "Authorization", Scheme: &bearer, Token: "{{secret.token}}"}}, map[string]string{"token": "abc"}},
		`curl http://h/me -H "Authorization: Bearer $API_TOKEN"`: {connection.Auth{Type: connection.AuthToken, Token: &connection.TokenAuth{In: "header", Name: "Authorization", Scheme: &bearer, Token: "{{secret.api_token}}"}}, nil},
		`curl http://h/me -H 'Authorization: Token abc'`:         {connection.Auth{Type: connection.AuthToken, Token: &connection.TokenAuth{In: "header", Name: "Authorization", Scheme: &other, Token: "{{secret.token}}"}}, map[string]string{"token": "abc"}},
		`curl http://h/me -H 'Authorization: abc'`:               {connection.Auth{Type: connection.AuthToken, Token: &connection.TokenAuth{In: "header", Name: "Authorization", Scheme: &none, Token: "{{secret.token}}"}}, map[string]string{"token": "abc"}},
		`curl --oauth2-bearer abc http://h/me`:                   {connection.Auth{Type: connection.AuthToken, Token: &connection.TokenAuth{In: "header", Name: "Authorization", Scheme: &bearer, Token: "{{secret.token}}"}}, map[string]string{"token": "abc"}},
	} {
		d, err := Read(command)
		if err != nil {
			t.Errorf("%s: %v", command, err)
			continue
		}
		if diff := cmp.Diff(test.auth, d.Spec.Auth); diff != "" {
			t.Errorf("%s: %s", command, diff)
		}
		if diff := cmp.Diff(test.secrets, d.Secrets); diff != "" {
			t.Errorf("%s: %s", command, diff)
		}
		if len(test.secrets) == 0 && len(d.Missing) != 1 {
			t.Errorf("%s: missing %v", command, d.Missing)
		}
		spec := connection.Defaults(d.Spec)
		spec.AgentID = "agt_1"
		if invalid := connection.Validate(spec, connection.Placeholders(spec)); invalid != nil {
			t.Errorf("%s: %v", command, invalid)
		}
	}
	d, err := Read(`curl -u a:b http://h/login -d password=x`)
	if err != nil || d.Spec.Auth.Type != connection.AuthCookie || len(d.Spec.Headers) != 1 || d.Spec.Headers[0].Value != "Basic a:{{secret.password}}" {
		t.Errorf("a login with credentials: %v %+v", err, d.Spec)
	}
}

func TestATokenRequestBecomesOAuth2(t *testing.T) {
	for command, by := range map[string]string{
		`curl https://login.example/oauth2/token -u 'app:s3cret' -d grant_type=client_credentials -d 'scope=a b&audience=x'`:                 connection.ClientByBasic,
		`curl https://login.example/oauth2/token -d 'grant_type=client_credentials&client_id=app&client_secret=s3cret&scope=a+b&audience=x'`: connection.ClientInBody,
	} {
		d, err := Read(command)
		if err != nil {
			t.Fatal(err)
		}
		secret := map[string]string{connection.ClientByBasic: "{{secret.password}}", connection.ClientInBody: "{{secret.client_secret}}"}[by]
		want := &connection.OAuth2Auth{Grant: connection.ClientCredentials, TokenURI: "/oauth2/token", ClientID: "app", ClientSecret: secret,
			Scopes: []string{"a", "b"}, ClientAuthentication: by, Parameters: []connection.Pair{{Name: "audience", Value: "x"}}}
		if diff := cmp.Diff(want, d.Spec.Auth.OAuth2); diff != "" {
			t.Errorf("%s: %s", command, diff)
		}
		if invalid := connection.Validate(connection.Defaults(d.Spec), connection.Placeholders(d.Spec)); invalid != nil {
			t.Error(invalid)
		}
	}
}

func TestWhatCantBeReadSaysWhatToPaste(t *testing.T) {
	for name, test := range map[string]struct{ text, says string }{
		"nothing":            {" \n", "Paste a request"},
		"prose":              {"please sign in", "no curl command"},
		"PowerShell":         {`Invoke-WebRequest -Uri "http://x"`, "Copy as PowerShell"},
		"fetch":              {`fetch("http://x", {"headers": {}})`, "Copy as fetch"},
		"no address":         {"curl -s", "names no address"},
		"a file":             {"curl file:///etc/passwd", "http"},
		"an open quote":      {"curl 'http://x", "line 1"},
		"a command within":   {`curl "http://x/$(id)"`, "runs another one"},
		"backquotes":         {"curl http://x/`id`", "runs another one"},
		"arithmetic":         {`curl http://x/$((1+1))`, "runs another one"},
		"a computed value":   {`curl http://x/${A:-b}`, "computes a value"},
		"no HAR":             {`{"a":1}`, "no requests"},
		"half a HAR":         {`{"log":{"entries":[`, "not whole"},
		"a HAR of no login":  {`{"log":{"entries":[{"request":{"method":"GET","url":"http://x/"}}]}}`, "sends a password"},
		"JSON of other form": {`{"log":3}`, "no HAR file"},
		"too long":           {"curl http://x -d " + strings.Repeat("x", maxCommand), "at most"},
		"far too long":       {strings.Repeat("{", MaxText+1), "at most"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(test.text)
			var u *Unreadable
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, want %q in it", err, test.says)
			}
			if !asUnreadable(err, &u) {
				t.Errorf("%T", err)
			}
		})
	}
}

// A text that nests without end must not exhaust its reader.
func TestNestingIsBounded(t *testing.T) {
	for _, part := range []string{"(", "$(", "${", "`", "{ ", "[[ ( ", "$((", `"$(`, "@(", "<(", "if ", "! ", "a|", "a&&", "$[", "'", `"`, "$'", "\\\n", "[", "a=("} {
		if _, err := Read("curl http://h/ " + strings.Repeat(part, 40_000/len(part))); err != nil && err.Error() == "" {
			t.Error("no message")
		}
	}
	deep := strings.Repeat(`{"a":`, 20_000)
	for _, text := range []string{"curl http://h/ --json '" + deep + "'", deep, `{"log":` + deep, "curl http://h/ -H 'content-type: text/xml' -d '" + strings.Repeat("<a>", 20_000) + "'"} {
		if _, err := Read(text); err != nil && err.Error() == "" {
			t.Error("no message")
		}
	}
}

func asUnreadable(err error, target **Unreadable) bool {
	u, ok := err.(*Unreadable)
	*target = u
	return ok
}

// Whatever is pasted, it is read or refused, and no secret is left in the draft.
func FuzzRead(f *testing.F) {
	f.Add(`curl 'http://erp.example/in' --data-raw $'{"password":"it\'s"}' -H "a: $B" \` + "\n -u a:b")
	f.Add("curl ^\"http://h/^\" ^\r\n -d ^\"{^\\^\"pin^\\^\":1}^\"")
	f.Add(`{"log":{"entries":[{"request":{"method":"POST","url":"http://h/in","postData":{"mimeType":"application/json","text":"{\"password\":\"pw-of-mine\"}"}},"response":{"status":200}}]}}`)
	f.Add(`curl http://h -d '<a><password>x&#1;</password></a>' -H 'content-type: text/xml'`)
	f.Fuzz(func(t *testing.T, text string) {
		d, err := Read(text)
		if err != nil {
			var u *Unreadable
			if !asUnreadable(err, &u) || u.Message == "" {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		if d.Spec.BaseURI == "" || d.Spec.Auth.Type == "" {
			t.Fatalf("%+v", d.Spec)
		}
		connection.Validate(connection.Defaults(d.Spec), nil)
	})
}
