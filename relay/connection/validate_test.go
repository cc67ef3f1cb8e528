package connection

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// valid is the connection of the design's contract.
func valid() Spec {
	return Defaults(Spec{
		Name: "Plant 2 ERP", Mode: OnPremise, AgentID: "agt_1",
		Headers:   []Header{{"X-Company", "{{secret.company}}"}},
		BaseURI:   "https://erp.plant2.internal/api",
		MediaType: JSON,
		Auth: Auth{Type: AuthCookie, Cookie: &CookieAuth{
			Method: "POST", URI: "/session",
			Body: `{"user":"svc","password":"{{secret.password}}"}`, SuccessStatusCode: 200,
		}},
		Ping: Ping{Method: "GET", URI: "/me", SuccessPath: "ok", SuccessValues: []string{"true"}},
	})
}

var secretNames = []string{"company", "password"}

func TestValidateAcceptsTheContractsExample(t *testing.T) {
	if err := Validate(valid(), secretNames); err != nil {
		t.Fatal(err)
	}
	if w := Warnings(valid()); len(w) != 0 {
		t.Errorf("warnings: %q", w)
	}
	if diff := cmp.Diff([]string{"company", "password"}, Placeholders(valid())); diff != "" {
		t.Error(diff)
	}
}

func TestValidateNamesTheField(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Spec)
		path   string
		want   string
	}{
		{"no name", func(s *Spec) { s.Name = "" }, "name", "Give the connection a name"},
		{"name of 101 runes", func(s *Spec) { s.Name = strings.Repeat("ü", 101) }, "name", "101 characters"},
		{"line break in the name", func(s *Spec) { s.Name = "a\nb" }, "name", "control characters"},
		{"no mode", func(s *Spec) { s.Mode = "" }, "mode", "Choose a mode"},
		{"unknown mode", func(s *Spec) { s.Mode = "hybrid" }, "mode", "“hybrid” is not a mode"},
		{"on-premise without agent", func(s *Spec) { s.AgentID = "" }, "agentId", "Choose the agent"},
		{"no base URI", func(s *Spec) { s.BaseURI = "" }, "baseUri", "Enter the base URI"},
		{"relative base URI", func(s *Spec) { s.BaseURI = "/api" }, "baseUri", "must begin with http:// or https://"},
		{"base URI that climbs", func(s *Spec) { s.BaseURI = "https://erp.example/api/.." }, "baseUri", "write the path without them."},
		{"space in the path of the base URI", func(s *Spec) { s.BaseURI = "https://erp.example/my api" }, "baseUri", "write %20 where one is meant"},
		{"space in the query of the base URI", func(s *Spec) { s.BaseURI = "https://erp.example/api?tenant=Plant 2" }, "baseUri", "write %20 where one is meant"},
		{"placeholder in the base URI", func(s *Spec) { s.BaseURI = "https://{{secret.company}}.example" }, "baseUri", "can't hold placeholders"},
		{"unknown media type", func(s *Spec) { s.MediaType = "yaml" }, "mediaType", "“yaml” is not a media type"},
		{"no authentication type", func(s *Spec) { s.Auth = Auth{} }, "auth.type", "Choose an authentication type"},
		{"unknown authentication type", func(s *Spec) { s.Auth = Auth{Type: "kerberos"} }, "auth.type", "“kerberos” is not"},
		{"cookie without its fields", func(s *Spec) { s.Auth.Cookie = nil }, "auth.cookie", "Describe the sign-in"},
		{"no cookie method", func(s *Spec) { s.Auth.Cookie.Method = "" }, "auth.cookie.method", "GET or POST"},
		{"cookie method PUT", func(s *Spec) { s.Auth.Cookie.Method = "PUT" }, "auth.cookie.method", "“PUT”"},
		{"no cookie URI", func(s *Spec) { s.Auth.Cookie.URI = "" }, "auth.cookie.uri", "Enter the URI"},
		{"cookie URI that climbs", func(s *Spec) { s.Auth.Cookie.URI = "../login" }, "auth.cookie.uri", "write the path without them, or the whole URI."},
		{"whole cookie URI that climbs", func(s *Spec) { s.Auth.Cookie.URI = "https://erp.plant2.internal/api/../login" }, "auth.cookie.uri", "write the path without them."},
		{"ping URI that climbs", func(s *Spec) { s.Ping.URI = "../me" }, "ping.uri", "write the path without them."},
		{"status code 99", func(s *Spec) { s.Auth.Cookie.SuccessStatusCode = 99 }, "auth.cookie.successStatusCode", "100 to 599"},
		{"status code 600", func(s *Spec) { s.Auth.Cookie.SuccessStatusCode = 600 }, "auth.cookie.successStatusCode", "100 to 599"},
		{"negative status code", func(s *Spec) { s.Auth.Cookie.SuccessStatusCode = -1 }, "auth.cookie.successStatusCode", "100 to 599"},
		{"body over the limit", func(s *Spec) { s.Auth.Cookie.Body = strings.Repeat("x", MaxBody+1) }, "auth.cookie.body", "at most 1048576"},
		{"ping method DELETE", func(s *Spec) { s.Ping.Method = "DELETE" }, "ping.method", "“DELETE”"},
		{"absolute ping URI below the base", func(s *Spec) { s.Ping.URI = "https://erp.plant2.internal/api/v1/me" }, "ping.uri", "enter /v1/me."},
		{"ping URI on another host", func(s *Spec) { s.Ping.URI = "https://evil.example/me" }, "ping.uri", "another host (evil.example)"},
		{"HEAD with a success path", func(s *Spec) { s.Ping.Method = "HEAD" }, "ping.successPath", "no body"},
		{"faulty JSONPath", func(s *Spec) { s.Ping.SuccessPath = "$.a[" }, "ping.successPath", "not valid JSONPath"},
		{"values without a path", func(s *Spec) { s.Ping.SuccessPath = "" }, "ping.successValues", "Values without a path"},
		{"too many values", func(s *Spec) { s.Ping.SuccessValues = make([]string, 101) }, "ping.successValues", "At most 100"},
		{"header without a name", func(s *Spec) { s.Headers[0].Name = "" }, "headers[0].name", "Enter the header's name"},
		{"blank in a header's name", func(s *Spec) { s.Headers[0].Name = "X Company" }, "headers[0].name", "is not a header name"},
		{"colon after a header's name", func(s *Spec) { s.Headers[0].Name = "X-Company:" }, "headers[0].name", "Leave out the colon"},
		{"CR in a header's value", func(s *Spec) { s.Headers[0].Value = "a\rX-Evil: 1" }, "headers[0].value", "line break"},
		{"LF in a header's value", func(s *Spec) { s.Headers[0].Value = "a\nb" }, "headers[0].value", "character 2"},
		{"NUL in a header's value", func(s *Spec) { s.Headers[0].Value = "a\x00b" }, "headers[0].value", "NUL"},
		{"Host", func(s *Spec) { s.Headers[0].Name = "host" }, "headers[0].name", "base URI"},
		{"Content-Length", func(s *Spec) { s.Headers[0].Name = "Content-Length" }, "headers[0].name", "from the body"},
		{"Transfer-Encoding", func(s *Spec) { s.Headers[0].Name = "transfer-encoding" }, "headers[0].name", "from the body"},
		{"Connection", func(s *Spec) { s.Headers[0].Name = "Connection" }, "headers[0].name", "single hop"},
		{"Proxy-Authorization", func(s *Spec) { s.Headers[0].Name = "Proxy-Authorization" }, "headers[0].name", "proxy"},
		{"our own prefix", func(s *Spec) { s.Headers[0].Name = "sallyport-timeout" }, "headers[0].name", "reserved"},
		{"Content-Type twice", func(s *Spec) {
			s.Headers = []Header{{"Content-Type", "a/b"}, {"content-type", "c/d"}}
		}, "headers[1].name", "set twice (first in line 1)"},
		{"101 headers", func(s *Spec) {
			s.Headers = make([]Header, 101)
			for i := range s.Headers {
				s.Headers[i] = Header{"X-A", "1"}
			}
		}, "headers", "At most 100"},
		{"secret that is not set", func(s *Spec) { s.Ping.URI = "/me?key={{secret.key}}" }, "ping.uri", "The secret key is not set"},
		{"secret of the agent in cloud mode", func(s *Spec) { s.Mode, s.Headers[0].Value = Cloud, "{{agent.secret.key}}" }, "headers[0].value", "in cloud mode there is none"},
		{"secret of the agent in a host", func(s *Spec) { s.Auth.Cookie.URI = "https://{{agent.secret.key}}.example/in" }, "auth.cookie.uri", "in its host"},
		{"secret of the agent without a name", func(s *Spec) { s.Headers[0].Value = "{{agent.secret.}}" }, "headers[0].value", "write {{agent.secret.NAME}}"},
		{"too many secrets of the agent", func(s *Spec) {
			for i := range 33 {
				s.Auth.Cookie.Body += fmt.Sprintf("{{agent.secret.k%d}}", i)
			}
		}, "secrets", "uses 33 secrets of the agent"},
		{"placeholder without a name", func(s *Spec) { s.Headers[0].Value = "{{secret.}}" }, "headers[0].value", "names no secret"},
		{"placeholder in the wrong case", func(s *Spec) { s.Headers[0].Value = "{{Secret.company}}" }, "headers[0].value", "lower case"},
		{"placeholder with a slip", func(s *Spec) { s.Headers[0].Value = "{{secrets.company}}" }, "headers[0].value", "write {{secret.NAME}} or"},
		{"placeholder that is not closed", func(s *Spec) { s.Headers[0].Value = "{{secret.company}" }, "headers[0].value", "not closed"},
		{"placeholder with a blank in its name", func(s *Spec) { s.Headers[0].Value = "{{secret.my company}}" }, "headers[0].value", "made of letters"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := valid()
			test.change(&s)
			err := Validate(s, secretNames)
			if err == nil {
				t.Fatal("valid")
			}
			if len(err.Fields) != 1 || err.Fields[0].Path != test.path || !strings.Contains(err.Fields[0].Message, test.want) {
				t.Errorf("got %v\nwant %s: …%s…", err.Fields, test.path, test.want)
			}
			if m := err.Fields[0].Message; !strings.HasSuffix(m, ".") || strings.ContainsAny(m, "\r\n") {
				t.Errorf("%q is not one sentence", m)
			}
		})
	}
}

func TestValidateReportsEveryFaultAtOnceInTheFormsOrder(t *testing.T) {
	err := Validate(Defaults(Spec{
		Headers: []Header{{"Host", "x"}, {"X-A", "a\nb"}},
		BaseURI: "erp.example", Auth: Auth{Type: AuthCookie, Cookie: &CookieAuth{SuccessStatusCode: 1000}},
		Ping: Ping{Method: "TRACE", SuccessValues: []string{"a"}},
	}), nil)
	var paths []string
	for _, f := range err.Fields {
		paths = append(paths, f.Path)
	}
	want := []string{"name", "mode", "headers[0].name", "headers[1].value", "baseUri", "auth.cookie.method", "auth.cookie.uri",
		"auth.cookie.successStatusCode", "ping.method", "ping.successValues"}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Error(diff)
	}
}

func TestDefaults(t *testing.T) {
	in := Spec{
		Name: " ERP ", Mode: Cloud, AgentID: "agt_1", BaseURI: " https://erp.example ",
		Headers: []Header{{" X-A ", "\t1 "}},
		Auth:    Auth{Type: AuthCookie, Cookie: &CookieAuth{Method: "post", URI: " /in ", Body: " b "}},
		Ping:    Ping{SuccessPath: " ok ", SuccessValues: []string{" true"}},
	}
	got := Defaults(in)
	want := Spec{
		Name: "ERP", Mode: Cloud, BaseURI: "https://erp.example", MediaType: JSON,
		Headers: []Header{{"X-A", "1"}},
		Auth:    Auth{Type: AuthCookie, Cookie: &CookieAuth{Method: "POST", URI: "/in", Body: " b "}},
		Ping:    Ping{Method: "GET", SuccessPath: "ok", SuccessValues: []string{" true"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if in.Headers[0].Name != " X-A " || in.Auth.Cookie.Method != "post" {
		t.Error("Defaults changed what it was given")
	}
	if diff := cmp.Diff(got, Defaults(got)); diff != "" {
		t.Errorf("Defaults twice differs: %s", diff)
	}
}

func TestWarnings(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Spec)
		want   string
	}{
		{"cookie URI on another host", func(s *Spec) { s.Auth.Cookie.URI = "https://login.example/in" }, "leads to login.example"},
		{"http in cloud mode", func(s *Spec) { s.Mode, s.BaseURI = Cloud, "http://erp.example" }, "can be read on the way"},
		{"body that is not JSON", func(s *Spec) { s.Auth.Cookie.Body = `{"password": {{secret.password}}` }, "is not valid JSON"},
		{"body that is not XML", func(s *Spec) { s.MediaType, s.Auth.Cookie.Body = XML, `<a><b></a>` }, "is not well-formed XML"},
		{"JSON for a form", func(s *Spec) { s.MediaType = URLEncoded }, "looks like JSON"},
		{"body of a GET", func(s *Spec) { s.Auth.Cookie.Method = "GET" }, "is not sent"},
		{"path without a ping", func(s *Spec) { s.Ping.URI = "" }, "success path is not used"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := valid()
			test.change(&s)
			if w := Warnings(s); len(w) != 1 || !strings.Contains(w[0], test.want) {
				t.Errorf("got %q, want one with %q", w, test.want)
			}
		})
	}
}

func TestValidateSecrets(t *testing.T) {
	tests := []struct {
		name    string
		secrets map[string]string
		path    string
		want    string
	}{
		{"over the limit", map[string]string{"password": strings.Repeat("x", MaxSecret+1)}, "secrets.password", "at most 65536"},
		{"faulty name", map[string]string{"pass word": "x"}, "secrets.pass word", "made of letters"},
		{"line break for a header", map[string]string{"company": "acme\n"}, "secrets.company", "used in headers[0].value, holds a line break"},
		{"not UTF-8 for JSON", map[string]string{"password": "\xff"}, "secrets.password", "UTF-8"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := ValidateSecrets(valid(), test.secrets)
			if err == nil || err.Fields[0].Path != test.path || !strings.Contains(err.Fields[0].Message, test.want) {
				t.Errorf("got %v, want %s: …%s…", err, test.path, test.want)
			}
		})
	}
	if err := ValidateSecrets(valid(), map[string]string{"company": "acme", "password": "a\nb\""}); err != nil {
		t.Error(err)
	}
}
