package connection

import (
	"fmt"
	"slices"
	"strings"
)

// A placeholder is {{secret.NAME}}, {{agent.secret.NAME}} for a secret that stays
// on the agent's machine, or {{signin.NAME}} for a value that the sign-in brings; blanks inside the braces do no harm. Anything
// else between double braces is text, as templates of other systems use them
// too; but what begins like a placeholder and is none is an error, since it
// would be sent as it stands.
const (
	placeholderOpen  = "{{"
	placeholderClose = "}}"
	secretPrefix     = "secret."
	agentPrefix      = "agent.secret."
)

// MaxSecretName is how long the name of a secret may be, in bytes.
const MaxSecretName = 64

// maxAgentSecrets is how many secrets of the agent one connection may use: they
// are named in the header of each request.
const maxAgentSecrets = 32

// piece is a stretch of text, or a placeholder for the secret that it names.
type piece struct {
	text   string
	secret string // its name, or that of a value of the sign-in
	agents bool   // the secret is the agent's
	signIn bool   // it is a value of the sign-in
}

// ours reports whether the piece stands for a secret of the connection itself.
func (p piece) ours() bool { return p.secret != "" && !p.agents && !p.signIn }

// key is under what the piece's value stands among the connection's secrets.
func (p piece) key() string {
	if p.signIn {
		return signInKey(p.secret)
	}
	return p.secret
}

// shown is the placeholder as a person writes it.
func (p piece) shown() string {
	if p.agents {
		return placeholderOpen + agentPrefix + p.secret + placeholderClose
	}
	if p.signIn {
		return placeholderOpen + signInPrefix + p.secret + placeholderClose
	}
	return placeholderOpen + secretPrefix + p.secret + placeholderClose
}

// PlaceholderError is a placeholder that cannot be filled.
type PlaceholderError struct {
	Placeholder string // as it stands in the text, shortened
	Message     string // a sentence
}

func (e *PlaceholderError) Error() string { return e.Message }

// splitPlaceholders cuts text into pieces. It returns every malformed
// placeholder, and the pieces of the rest.
func splitPlaceholders(text string) (pieces []piece, faults []*PlaceholderError) {
	plain := 0 // where the current stretch of text began
	for at := 0; ; {
		i := strings.Index(text[at:], placeholderOpen)
		if i < 0 {
			break
		}
		start := at + i
		// In "{{{secret.x}}" the last two braces open the placeholder.
		for strings.HasPrefix(text[start+1:], placeholderOpen) {
			start++
		}
		inner, _, closed := strings.Cut(text[start+len(placeholderOpen):], placeholderClose)
		if !looksLikePlaceholder(inner) {
			at = start + len(placeholderOpen)
			continue
		}
		if !closed {
			faults = append(faults, &PlaceholderError{
				Placeholder: shorten(text[start:], 40),
				Message:     fmt.Sprintf("The placeholder %s is not closed: write {{secret.NAME}}.", shorten(text[start:], 40)),
			})
			break
		}
		end := start + len(placeholderOpen) + len(inner) + len(placeholderClose)
		found, fault := readPlaceholder(inner)
		if fault != "" {
			faults = append(faults, &PlaceholderError{Placeholder: shorten(text[start:end], 80), Message: fault})
		} else {
			if start > plain {
				pieces = append(pieces, piece{text: text[plain:start]})
			}
			pieces = append(pieces, found)
			plain = end
		}
		at = end
	}
	if plain < len(text) {
		pieces = append(pieces, piece{text: text[plain:]})
	}
	return pieces, faults
}

// looksLikePlaceholder reports whether the text after two opening braces is
// meant for us: "secret…", "agent.secret…" or "signin…", in whatever case, even if the
// rest of it is wrong.
func looksLikePlaceholder(inner string) bool {
	inner = strings.ToLower(strings.TrimLeft(inner, " \t"))
	return strings.HasPrefix(inner, "secret") || strings.HasPrefix(inner, "agent.secret") || strings.HasPrefix(inner, "signin")
}

// readPlaceholder reads the inside of a placeholder, or says what is wrong with
// it.
func readPlaceholder(inner string) (p piece, fault string) {
	word := strings.Trim(inner, " \t")
	shown := placeholderOpen + shorten(word, 70) + placeholderClose
	name, ok := strings.CutPrefix(word, secretPrefix)
	form := "{{secret.NAME}}"
	if rest, agents := strings.CutPrefix(word, agentPrefix); agents {
		p.agents, name, ok, form = true, rest, true, "{{agent.secret.NAME}}"
	}
	if rest, signIn := strings.CutPrefix(word, signInPrefix); signIn {
		p.signIn, name, ok, form = true, rest, true, "{{signin.NAME}}"
	}
	switch {
	case !ok && strings.HasPrefix(strings.ToLower(word), "signin"):
		return piece{}, fmt.Sprintf("%s is not a placeholder: write {{signin.NAME}}, in lower case and with a dot.", shown)
	case !ok:
		return piece{}, fmt.Sprintf("%s is not a placeholder: write {{secret.NAME}} or {{agent.secret.NAME}}, in lower case and with dots.", shown)
	case name == "" && p.signIn:
		return piece{}, fmt.Sprintf("%s names no value: write %s.", shown, form)
	case name == "":
		return piece{}, fmt.Sprintf("%s names no secret: write %s.", shown, form)
	}
	if p.signIn && signInNameFault(name) != "" {
		return piece{}, fmt.Sprintf("%s: %s", shown, signInNameFault(name))
	}
	if fault := secretNameFault(name); fault != "" {
		return piece{}, fmt.Sprintf("%s: %s", shown, fault)
	}
	p.secret = name
	return p, ""
}

// secretNameFault says what is wrong with the name of a secret, or nothing.
func secretNameFault(name string) string {
	if name == "" {
		return "A secret needs a name."
	}
	if len(name) > MaxSecretName {
		return fmt.Sprintf("The name of a secret has at most %d characters.", MaxSecretName)
	}
	for _, c := range name {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && c != '_' && c != '-' && c != '.' {
			return "The name of a secret is made of letters, digits, “_”, “-” and “.”."
		}
	}
	return ""
}

// Placeholders returns the names of the connection's own secrets that s uses,
// sorted, each once.
func Placeholders(s Spec) []string {
	var names []string
	for _, f := range templates(s) {
		pieces, _ := splitPlaceholders(f.text)
		for _, p := range pieces {
			if p.ours() {
				names = append(names, p.secret)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// template is a field in which placeholders may stand.
type template struct {
	path   string
	text   string
	escape Escape
}

// templates returns the fields of s in which placeholders may stand and are
// used, in the order of the form.
func templates(s Spec) []template {
	var t []template
	for i, h := range s.Headers {
		t = append(t, template{fmt.Sprintf("headers[%d].value", i), h.Value, EscapeHeader})
	}
	t = append(t, s.Auth.templates(s)...)
	t = append(t, template{"ping.uri", s.Ping.URI, EscapeURI})
	if pingSendsBody(s.Ping.Method) {
		t = append(t, template{"ping.body", s.Ping.Body, EscapeFor(s.MediaType)})
	}
	if s.Health != nil {
		t = append(t, template{"health.webhook", s.Health.Webhook, EscapeURI})
	}
	return t
}

func (c *CookieAuth) templates(m MediaType) []template {
	t := []template{{"auth.cookie.uri", c.URI, EscapeURI}}
	if c.Method == "POST" {
		t = append(t, template{"auth.cookie.body", c.Body, EscapeFor(m)})
	}
	return append(t, signInTemplates(c, m)...)
}

func pingSendsBody(method string) bool { return method == "POST" || method == "PUT" }

// shorten cuts s for a message, at a rune's edge.
func shorten(s string, max int) string {
	if len(s) <= max {
		return s
	}
	for max > 0 && s[max]&0xC0 == 0x80 {
		max--
	}
	return s[:max] + "…"
}
