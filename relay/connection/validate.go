package connection

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of a connection. They are far above what applications ask for, and
// bound what one row of the store and one form can weigh.
const (
	MaxName          = 100     // characters
	MaxHeaders       = 100     // header lines
	MaxHeaderName    = 256     // bytes
	MaxHeaderValue   = 8 << 10 // bytes, placeholders not filled in
	MaxURI           = 8 << 10 // bytes
	MaxBody          = 1 << 20 // bytes, placeholders not filled in
	MaxSuccessValues = 100
	MaxSuccessValue  = 1 << 10  // bytes
	MaxSecrets       = 100      // secrets of one connection
	MaxSecret        = 64 << 10 // bytes
)

// Validate checks a spec to which Defaults was applied. secretNames are the
// secrets that have a value. It returns every fault at once, in the order of
// the form, or nil.
func Validate(s Spec, secretNames []string) *Invalid {
	var f faults
	checkName(&f, s.Name)
	checkAsCode(&f, s)
	checkMode(&f, s)
	checkAuthType(&f, s.Auth)
	checkHeaders(&f, "headers", s.Headers)
	checkBase(&f, s.BaseURI)
	if !s.MediaType.Known() {
		f.add("mediaType", "“%s” is not a media type: choose json, xml, urlencoded, csv or plain.", printable(shorten(string(s.MediaType), 40)))
	}
	checkAuth(&f, s)
	checkPing(&f, s)
	checkRequests(&f, s.Requests)
	checkHealth(&f, s.Health, secretNames)
	checkPlaceholders(&f, s, secretNames)
	return f.invalid()
}

func checkName(f *faults, name string) {
	switch n := utf8.RuneCountInString(name); {
	case n == 0:
		f.add("name", "Give the connection a name.")
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		f.add("name", "The name can't hold line breaks or other control characters; remove them.")
	case n > MaxName:
		f.add("name", "The name has %d characters; at most %d are allowed.", n, MaxName)
	}
}

func checkMode(f *faults, s Spec) {
	switch s.Mode {
	case Cloud:
	case OnPremise:
		if s.AgentID == "" {
			f.add("agentId", "Choose the agent that reaches the application, or install one.")
		}
	case "":
		f.add("mode", "Choose a mode: cloud or on-premise.")
	default:
		f.add("mode", "“%s” is not a mode: choose cloud or on-premise.", printable(shorten(string(s.Mode), 40)))
	}
}

func checkBase(f *faults, base string) {
	if base == "" {
		f.add("baseUri", "Enter the base URI of the application's API, such as https://erp.example.com/api.")
		return
	}
	if len(base) > MaxURI {
		f.add("baseUri", "The base URI has at most %d bytes.", MaxURI)
		return
	}
	if strings.Contains(base, placeholderOpen) {
		f.add("baseUri", "The base URI can't hold placeholders; put them into the cookie URI, the ping URI or a header.")
		return
	}
	// ParseBase escapes spaces, for base URIs that were saved with one. Here it is
	// more likely a slip, and what is sent is to be what was written.
	if _, err := ParseBase(base); err != nil {
		f.add("baseUri", "The base URI %s.", err)
	} else if strings.Contains(base, " ") {
		f.add("baseUri", "The base URI must not hold a space; write %%20 where one is meant, or remove it.")
	}
}

func checkCookie(f *faults, base string, c CookieAuth) {
	switch c.Method {
	case "GET", "POST":
	case "":
		f.add("auth.cookie.method", "Choose the cookie method: GET or POST.")
	default:
		f.add("auth.cookie.method", "“%s” can't be the cookie method: choose GET or POST.", printable(shorten(c.Method, 40)))
	}
	if c.URI == "" {
		f.add("auth.cookie.uri", "Enter the URI that signs in, relative to the base URI, such as /session.")
	} else {
		checkRef(f, "auth.cookie.uri", "The cookie URI", base, c.URI)
	}
	if len(c.Body) > MaxBody {
		f.add("auth.cookie.body", "The body has %d bytes; at most %d are allowed.", len(c.Body), MaxBody)
	}
	if code := c.SuccessStatusCode; code != 0 && (code < 100 || code > 599) {
		f.add("auth.cookie.successStatusCode", "%d is not a status code: enter a number from 100 to 599, or leave it empty for any 2xx.", code)
	}
}

func checkPing(f *faults, s Spec) {
	p := s.Ping
	switch p.Method {
	case "GET", "POST", "PUT", "HEAD":
	default:
		f.add("ping.method", "“%s” can't be the ping method: choose GET, POST, PUT or HEAD.", printable(shorten(p.Method, 40)))
	}
	if isAbsolute(p.URI) {
		f.add("ping.uri", "%s", absolutePing(s.BaseURI, p.URI))
	} else if p.URI != "" {
		checkRef(f, "ping.uri", "The ping URI", s.BaseURI, p.URI)
	}
	if len(p.Body) > MaxBody {
		f.add("ping.body", "The body has %d bytes; at most %d are allowed.", len(p.Body), MaxBody)
	}
	switch {
	case p.SuccessPath == "":
	case p.Method == "HEAD":
		f.add("ping.successPath", "The answer to HEAD has no body in which to look: choose another ping method, or clear the success path.")
	default:
		if err := checkSuccessPath(p.SuccessPath, s.MediaType); err != nil {
			f.add("ping.successPath", "%s", err)
		}
	}
	switch {
	case len(p.SuccessValues) == 0:
	case p.SuccessPath == "":
		f.add("ping.successValues", "Values without a path: enter the ping success path at which to look for them, or remove the values.")
	case len(p.SuccessValues) > MaxSuccessValues:
		f.add("ping.successValues", "At most %d values; there are %d.", MaxSuccessValues, len(p.SuccessValues))
	}
	for i, v := range p.SuccessValues {
		if len(v) > MaxSuccessValue {
			f.add(fmt.Sprintf("ping.successValues[%d]", i), "A success value has at most %d bytes.", MaxSuccessValue)
		}
	}
}

// absolutePing tells how to write an absolute ping URI, which keeps its path
// where it lies below the base URI.
func absolutePing(base, ref string) string {
	const plain = "The ping URI is relative to the base URI: enter the path alone, such as /me."
	b, err := ParseBase(base)
	if err != nil {
		return plain
	}
	u, err := parseAbsolute(ref)
	if err != nil {
		return plain
	}
	if !SameOrigin(b, u) {
		return fmt.Sprintf("The ping URI is relative to the base URI and can't lead to another host (%s): enter a path such as /me.", shorten(u.Host, 80))
	}
	if rest, below := strings.CutPrefix(u.EscapedPath(), b.EscapedPath()+"/"); below && u.RawQuery == "" {
		return fmt.Sprintf("The ping URI is relative to the base URI: enter /%s.", shorten(rest, 200))
	}
	return plain
}

// checkRef checks a URI of the form by joining it to the base URI, with a
// letter in the place of each placeholder. A whole URI is accepted, but for the
// ping's, which has a check of its own before.
func checkRef(f *faults, path, field, base, ref string) {
	if len(ref) > MaxURI {
		f.add(path, "%s has at most %d bytes.", field, MaxURI)
		return
	}
	pieces, malformed := splitPlaceholders(ref)
	if len(malformed) > 0 {
		return // told by checkPlaceholders
	}
	const agents = "x-agent-secret-x" // no host has it by chance
	var b strings.Builder
	for _, p := range pieces {
		switch {
		case p.agents || p.signIn:
			b.WriteString(agents)
		case p.secret != "":
			b.WriteByte('x')
		}
		b.WriteString(p.text)
	}
	ref = b.String()
	if !isAbsolute(ref) {
		// The base URI's own faults are told at its own field.
		base = "http://base.invalid"
	}
	u, err := JoinURI(base, ref)
	switch {
	case errors.Is(err, errDotSegment) && !isAbsolute(ref) && path != "ping.uri":
		f.add(path, "%s %s, or the whole URI.", field, err)
	case err != nil:
		f.add(path, "%s %s.", field, err)
	case strings.Contains(u.Host, agents):
		f.add(path, "%s can't have a secret of the agent, or a value of the sign-in, in its host: where requests go must be known here.", field)
	}
}

func checkPlaceholders(f *faults, s Spec, secretNames []string) {
	for _, t := range templates(s) {
		pieces, malformed := splitPlaceholders(t.text)
		for _, m := range malformed {
			f.add(t.path, "%s", m.Message)
		}
		var told []piece
		for _, p := range pieces {
			if p.secret == "" || slices.Contains(told, p) {
				continue
			}
			told = append(told, p)
			switch {
			case p.agents && s.Mode == Cloud:
				f.add(t.path, "%s", noAgent(p).Message)
			case p.ours() && !slices.Contains(secretNames, p.secret):
				f.add(t.path, "%s", unset(p.secret).Message)
			case p.signIn:
				if fault := signInUseFault(s, t.path, p.secret); fault != "" {
					f.add(t.path, "%s", fault)
				}
			}
		}
	}
	if n := len(AgentSecrets(s)); n > maxAgentSecrets {
		f.add("secrets", "The connection uses %d secrets of the agent; at most %d are allowed.", n, maxAgentSecrets)
	}
}

// ValidateSecrets checks the names and values of secrets, and that each value
// can stand where s uses it, such as a header that can't hold a line break.
// No message holds a value.
func ValidateSecrets(s Spec, secrets map[string]string) *Invalid {
	var f faults
	if len(secrets) > MaxSecrets {
		f.add("secrets", "At most %d secrets; there are %d.", MaxSecrets, len(secrets))
	}
	for _, name := range sortedNames(secrets) {
		path := "secrets." + printable(shorten(name, MaxSecretName))
		if fault := secretNameFault(name); fault != "" {
			f.add(path, "%s", fault)
		}
		if len(secrets[name]) > MaxSecret {
			f.add(path, "The secret has %d bytes; at most %d are allowed.", len(secrets[name]), MaxSecret)
		} else if !utf8.ValidString(secrets[name]) {
			f.add(path, "The secret is not valid UTF-8; enter it anew.")
		}
	}
	for _, t := range templates(s) {
		pieces, _ := splitPlaceholders(t.text)
		for _, p := range pieces {
			value, set := secrets[p.secret]
			if !p.ours() || !set {
				continue
			}
			if _, err := t.escape.Apply(value); err != nil {
				f.add("secrets."+p.secret, "The value, which is used in %s, %s.", t.path, err)
			} else if t.path == "auth.basic.username" && strings.Contains(value, ":") {
				f.add("secrets."+p.secret, "The value, which is used in %s, holds a colon, which ends a user name (RFC 7617); remove it from the secret.", t.path)
			}
		}
	}
	return f.invalid()
}

func sortedNames(secrets map[string]string) []string {
	names := make([]string, 0, len(secrets))
	for name := range secrets {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
