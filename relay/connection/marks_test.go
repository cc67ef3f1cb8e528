package connection

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/escape"
)

func TestAgentsSecretsAreMarked(t *testing.T) {
	marks := &Marks{}
	own := map[string]string{"user": `s"vc`, "password": "never this one"}
	body, err := Fill(`{"user":"{{secret.user}}","password":"{{ agent.secret.password }}","again":"{{agent.secret.password}}"}`, EscapeJSON, own, marks)
	if err != nil {
		t.Fatal(err)
	}
	uri, err := Fill("/in?k={{agent.secret.password}}", EscapeURI, own, marks)
	if err != nil {
		t.Fatal(err)
	}
	inBody, inURI := marks.In(body), marks.In(uri)
	if len(inBody) != 1 || len(inURI) != 1 || inBody[0] == inURI[0] || inBody[0].Secret != "password" || inBody[0].Escape != EscapeJSON || inURI[0].Escape != EscapeURI {
		t.Fatalf("body has %+v, URI %+v", inBody, inURI)
	}
	m := inBody[0].Text
	if want := `{"user":"s\"vc","password":"` + m + `","again":"` + m + `"}`; body != want {
		t.Errorf("got %s, want %s", body, want)
	}
	for _, k := range escape.Kinds() {
		if written, err := k.Apply(m); err != nil || written != m {
			t.Errorf("%s changes the mark into %q, %v", k, written, err)
		}
	}
	if got := marks.Shown(body); got != `{"user":"s\"vc","password":"{{agent.secret.password}}","again":"{{agent.secret.password}}"}` {
		t.Errorf("shown as %s", got)
	}
	if again, _ := Fill("{{agent.secret.password}}", EscapeJSON, nil, &Marks{}); again == m || !strings.HasPrefix(again, "agent.secret.password.") {
		t.Errorf("another request has the mark %q", again)
	}
	if (*Marks)(nil).In(body) != nil || (&Marks{}).In(body) != nil {
		t.Error("marks of nobody were found")
	}
}

// None is the beginning of another, so that they can be replaced one after the
// other.
func TestMarksDoNotOverlap(t *testing.T) {
	marks := &Marks{}
	var all []string
	for range 2 {
		for _, name := range []string{"a", "a.b", "ab"} {
			for _, k := range escape.Kinds() {
				all = append(all, marks.mark(name, k))
			}
		}
	}
	distinct := map[string]bool{}
	for _, m := range all {
		distinct[m] = true
	}
	if len(distinct) != 3*len(escape.Kinds()) {
		t.Errorf("%d marks", len(distinct))
	}
	for a := range distinct {
		for b := range distinct {
			if a != b && strings.Contains(b, a) {
				t.Errorf("%s lies within %s", a, b)
			}
		}
	}
}

func TestCSVKnowsOpenQuotes(t *testing.T) {
	marks := &Marks{}
	if _, err := Fill(`{{agent.secret.a}},"{{agent.secret.b}}"`, EscapeCSV, nil, marks); err != nil {
		t.Fatal(err)
	}
	if marks.made[0].Escape != EscapeCSV || marks.made[1].Escape != escape.CSVQuoted {
		t.Errorf("%+v", marks.made)
	}
}

func TestFillHeader(t *testing.T) {
	secrets := map[string]string{"p": "a:b\"c", "token": "dG9rZW4="}
	basic := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, test := range []struct{ name, value, want string }{
		{"X-Key", "id {{secret.p}}", `id a:b"c`},
		{"Authorization", "Bearer {{secret.token}}", "Bearer dG9rZW4="},
		{"Authorization", "Basic {{secret.token}}", "Basic dG9rZW4="}, // encoded already
		{"authorization", "basic svc:{{secret.p}}", basic(`svc:a:b"c`)},
		{"Authorization", "Basic svc:plain", basic("svc:plain")},
		{"X-Authorization", "Basic svc:{{secret.p}}", `Basic svc:a:b"c`},
	} {
		got, err := FillHeader(Header{test.name, test.value}, secrets, &Marks{})
		if err != nil || got != test.want {
			t.Errorf("%s: %s gave %q, %v, want %q", test.name, test.value, got, err, test.want)
		}
	}
	marks := &Marks{}
	got, err := FillHeader(Header{"Authorization", "Basic {{secret.token}}:{{agent.secret.p}}"}, secrets, marks)
	if err != nil || got != "Basic dG9rZW4=:"+marks.made[0].Text || marks.made[0].Escape != escape.Basic {
		t.Errorf("%q, %v, %+v", got, err, marks.made)
	}
}

func TestAgentSecretsOfAConnection(t *testing.T) {
	s := valid()
	s.Headers[0].Value = "{{agent.secret.company}}"
	s.Auth.Cookie.Body = "{{agent.secret.password}}{{agent.secret.company}}{{secret.password}}"
	if diff := cmp.Diff([]string{"company", "password"}, AgentSecrets(s)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"password"}, Placeholders(s)); diff != "" {
		t.Error(diff)
	}
	if err := Validate(s, []string{"password"}); err != nil {
		t.Error(err)
	}
	if err := ValidateSecrets(s, map[string]string{"password": "x", "company": "line\nbreak"}); err != nil {
		t.Errorf("the connection's own secret was taken for the agent's: %v", err)
	}
	s.Mode = Cloud
	if got := AgentSecrets(s); got != nil {
		t.Errorf("cloud mode has %v", got)
	}
}
