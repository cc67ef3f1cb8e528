package connection

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// chained is a valid connection with a sign-in chain.
func chained() Spec {
	return Defaults(Spec{
		Name: "Shop", Mode: Cloud, BaseURI: "https://shop.example", MediaType: URLEncoded,
		Headers: []Header{{"X-CSRF-Token", "{{signin.csrf}}"}},
		Auth: Auth{Type: AuthCookie, Cookie: &CookieAuth{
			Before: &FirstRequest{URI: " /login ", Values: []SignInValue{{"csrf", " FIELD ", " _token "}}},
			Method: "POST", URI: "/login", Body: "_token={{signin.csrf}}&password={{secret.password}}",
			Values:  []SignInValue{{"tenant", FromJSON, "tenant.id"}},
			SignOut: &SignOut{URI: "/logout", Body: "tenant={{signin.tenant}}"},
		}},
		Ping: Ping{URI: "/tenants/{{signin.tenant}}"},
	})
}

func TestAChainIsValidatedFieldByField(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Spec)
		want   string // path and part of the message; "": it is valid
	}{
		"valid":                          {func(*Spec) {}, ""},
		"no URI of the first request":    {func(s *Spec) { s.Auth.Cookie.Before.URI = "" }, "auth.cookie.before.uri: Enter the URI"},
		"a method without sense":         {func(s *Spec) { s.Auth.Cookie.Before.Method = "DELETE" }, "auth.cookie.before.method: “DELETE” can't"},
		"a URI that climbs":              {func(s *Spec) { s.Auth.Cookie.Before.URI = "/../x" }, "auth.cookie.before.uri: The first request's URI"},
		"a bad header of its own":        {func(s *Spec) { s.Auth.Cookie.Before.Headers = []Header{{"X Y", "1"}} }, "auth.cookie.before.headers[0].name: “X Y” is not"},
		"a bad header of the sign-in":    {func(s *Spec) { s.Auth.Cookie.Headers = []Header{{"X", "a\nb"}} }, "auth.cookie.headers[0].value: A header's value is one line"},
		"a value without a name":         {func(s *Spec) { s.Auth.Cookie.Before.Values[0].Name = "" }, "auth.cookie.before.values[0].name: Give the value a name"},
		"a value of two requests":        {func(s *Spec) { s.Auth.Cookie.Values[0].Name = "csrf" }, "auth.cookie.values[0].name: There are two values named csrf"},
		"a place that is none":           {func(s *Spec) { s.Auth.Cookie.Before.Values[0].From = "body" }, "auth.cookie.before.values[0].from: “body” is not a place"},
		"no place":                       {func(s *Spec) { s.Auth.Cookie.Before.Values[0].From = "" }, "auth.cookie.before.values[0].from: Choose where"},
		"a field without a name":         {func(s *Spec) { s.Auth.Cookie.Before.Values[0].At = "" }, "auth.cookie.before.values[0].at: Enter the name of the form's field"},
		"a header that is none":          {func(s *Spec) { s.Auth.Cookie.Values[0] = SignInValue{"tenant", FromHeader, "X: Y"} }, "auth.cookie.values[0].at: “X: Y” is not the name of a header"},
		"a JSONPath with a slip":         {func(s *Spec) { s.Auth.Cookie.Values[0].At = "$.a[" }, "auth.cookie.values[0].at: "},
		"an XPath with a slip":           {func(s *Spec) { s.Auth.Cookie.Values[0] = SignInValue{"tenant", FromXPath, "//a["} }, "auth.cookie.values[0].at: The path is not valid XPath"},
		"a body to look in after HEAD":   {func(s *Spec) { s.Auth.Cookie.Before.Method = "HEAD" }, "auth.cookie.before.values[0].at: The answer to HEAD has no body"},
		"used in the first request":      {func(s *Spec) { s.Auth.Cookie.Before.URI = "/{{signin.csrf}}" }, "auth.cookie.before.uri: {{signin.csrf}} can't stand here: nothing is known"},
		"used in what it comes from":     {func(s *Spec) { s.Auth.Cookie.Body = "{{signin.csrf}}{{signin.tenant}}{{secret.password}}" }, "auth.cookie.body: {{signin.tenant}} can't stand here: it comes with"},
		"unknown in a header":            {func(s *Spec) { s.Headers[0].Value = "{{signin.crsf}}" }, "headers[0].value: There is no value named crsf"},
		"in a host":                      {func(s *Spec) { s.Auth.Cookie.URI = "https://{{signin.csrf}}/login" }, "auth.cookie.uri: The cookie URI can't have a secret of the agent, or a value of the sign-in, in its host"},
		"with a slip":                    {func(s *Spec) { s.Headers[0].Value = "{{SignIn.csrf}}" }, "headers[0].value: {{SignIn.csrf}} is not a placeholder: write {{signin.NAME}}"},
		"without a cookie sign-in":       {func(s *Spec) { s.Auth = Auth{Type: AuthNone} }, "headers[0].value: {{signin.csrf}} is a value of a cookie sign-in"},
		"no URI of the sign-out":         {func(s *Spec) { s.Auth.Cookie.SignOut.URI = "" }, "auth.cookie.signOut.uri: Enter the URI that signs out"},
		"a sign-out by a method unknown": {func(s *Spec) { s.Auth.Cookie.SignOut.Method = "BREW" }, "auth.cookie.signOut.method: “BREW” can't"},
		"a life that is negative":        {func(s *Spec) { s.Auth.Session = &SessionLife{IdleMinutes: -1} }, "auth.session.idleMinutes: -1 is not"},
		"a life without end":             {func(s *Spec) { s.Auth.Session = &SessionLife{MaxMinutes: 1e9} }, "auth.session.maxMinutes: 1000000000 is not"},
		"success that ends a session":    {func(s *Spec) { s.Auth.Session = &SessionLife{EndedStatusCodes: []int{200}} }, "auth.session.endedStatusCodes[0]: 200 can't say"},
		"too many sign-ins":              {func(s *Spec) { s.Auth.Session = &SessionLife{SignInsPerMinute: 601} }, "auth.session.signInsPerMinute: 601 is not"},
	} {
		t.Run(name, func(t *testing.T) {
			s := chained()
			test.change(&s)
			faults := Validate(s, []string{"password"})
			if test.want == "" {
				if faults != nil {
					t.Error(faults)
				}
				return
			}
			for _, f := range append([]FieldError{}, faults.fields()...) {
				if strings.HasPrefix(f.Path+": "+f.Message, test.want) {
					return
				}
			}
			t.Errorf("got %v\nwant %s…", faults.fields(), test.want)
		})
	}
}

func (e *Invalid) fields() []FieldError {
	if e == nil {
		return nil
	}
	return e.Fields
}

func TestDefaultsTidyTheChain(t *testing.T) {
	s := chained()
	want := &FirstRequest{Method: "GET", URI: "/login", Headers: nil, Values: []SignInValue{{"csrf", FromField, "_token"}}}
	if diff := cmp.Diff(want, s.Auth.Cookie.Before); diff != "" {
		t.Error(diff)
	}
	if got := s.Auth.Cookie.SignOut.Method; got != "POST" {
		t.Errorf("the sign-out method is %q", got)
	}
	s.Auth.Session = &SessionLife{}
	if s = Defaults(s); s.Auth.Session != nil {
		t.Error("a session's life that says nothing is kept")
	}
}

func TestChainsAreWarnedOf(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Spec)
		want   string
	}{
		"unused value":          {func(s *Spec) { s.Ping.URI = "/me"; s.Auth.Cookie.SignOut = nil }, "The sign-in gives the value tenant, but nothing uses it"},
		"first request for nil": {func(s *Spec) { s.Auth.Cookie.Before.Values = nil }, "gives no value"},
		"sign-out body by GET":  {func(s *Spec) { s.Auth.Cookie.SignOut.Method = "GET" }, "The sign-out body is not sent"},
		"401 left out":          {func(s *Spec) { s.Auth.Session = &SessionLife{EndedStatusCodes: []int{403}} }, "401 is not among"},
		"500 ends":              {func(s *Spec) { s.Auth.Session = &SessionLife{EndedStatusCodes: []int{401, 500}} }, "500 or above"},
		"idle beyond the end":   {func(s *Spec) { s.Auth.Session = &SessionLife{IdleMinutes: 9, MaxMinutes: 8} }, "no effect"},
	} {
		t.Run(name, func(t *testing.T) {
			s := chained()
			if w := Warnings(s); len(w) > 0 {
				t.Fatalf("before the change: %q", w)
			}
			test.change(&s)
			if w := strings.Join(Warnings(s), "\n"); !strings.Contains(w, test.want) {
				t.Errorf("got %q, want %q", w, test.want)
			}
		})
	}
}

func TestValuesOfTheSignInAreFilledInLikeSecrets(t *testing.T) {
	c := &Connection{Spec: chained(), Secrets: map[string]string{"csrf": "a secret of the same name", "password": "p"}}
	if !c.AwaitsSignIn("x {{signin.csrf}}") || c.AwaitsSignIn("{{secret.password}} signin.csrf") {
		t.Error("what awaits the sign-in is not told from what does not")
	}
	if _, err := Fill("{{signin.csrf}}", EscapeJSON, c.Secrets, nil); err == nil || !strings.Contains(err.Error(), "is not known") {
		t.Errorf("before the sign-in: %v", err)
	}
	signedIn := c.WithSignIn(map[string]string{"csrf": `t"1&2`})
	for escape, want := range map[Escape]string{EscapeJSON: `t\"1&2`, EscapeForm: "t%221%262", EscapeHeader: `t"1&2`, EscapeXML: "t&quot;1&amp;2"} {
		if got, err := Fill("{{ signin.csrf }}", escape, signedIn.Secrets, nil); err != nil || got != want {
			t.Errorf("%s: %q, %v", escape, got, err)
		}
	}
	if got, _ := Fill("{{secret.csrf}}", EscapeNone, signedIn.Secrets, nil); got != "a secret of the same name" {
		t.Errorf("a secret of the same name: %q", got)
	}
	if signedIn.AwaitsSignIn("{{signin.csrf}}") || c.WithSignIn(nil) != c || len(c.Secrets) != 2 {
		t.Error("the connection is not what it was, or does not know its values")
	}
}
