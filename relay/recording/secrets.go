package recording

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"sallyport/relay/connection"
)

var (
	// passwordName is the name of a field that holds a password: what makes a
	// request a login.
	passwordName = regexp.MustCompile(`(?i)passw|passphrase|pwd|kennwort|contrase|motdepasse|^(?:user|login|account|j_)?_?-?(?:pass|pin|pw)$|secret$`)
	// secretField is the name of any field whose value nobody should read.
	secretField = regexp.MustCompile(`(?i)passw|passphrase|pwd|kennwort|secret|token|api_?-?key|apikey|access_?-?key|private_?-?key|credential|signature|^(?:user|login|account|j_)?_?-?(?:pass|pin|otp|pw|key|auth|sig)$`)
	// keyHeader is the name of a header that carries a key.
	keyHeader = regexp.MustCompile(`(?i)key|token|secret|auth|passw|credential|signature`)
)

var notInName = regexp.MustCompile(`[^a-z0-9_.-]+`)

// secretName is the name under which a field's value becomes a secret.
func secretName(field string) string {
	name := strings.Trim(notInName.ReplaceAllString(strings.ToLower(field), "_"), "_.-")
	name = strings.TrimPrefix(name, "x-")
	if len(name) > connection.MaxSecretName {
		name = name[:connection.MaxSecretName]
	}
	return orElse(name, "secret")
}

// hide puts a value into the draft's secrets and returns the placeholder for
// it. Equal values are one secret; a name that is taken gets a number.
func (d *Draft) hide(field, value string) string {
	if d.Secrets == nil {
		d.Secrets = map[string]string{}
	}
	name := secretName(field)
	for n := 1; ; n++ {
		tried := name
		if n > 1 {
			tried = fmt.Sprintf("%.60s%d", name, n)
		}
		known, taken := d.Secrets[tried]
		if !taken || known == value {
			d.Secrets[tried] = value
			return placeholder(tried)
		}
	}
}

// stretch is a part of a text that is to be replaced.
type stretch struct {
	from, to int
	with     string
}

func replace(text string, all []stretch) string {
	var b strings.Builder
	at := 0
	for _, s := range all {
		b.WriteString(text[at:s.from])
		b.WriteString(s.with)
		at = s.to
	}
	return b.String() + text[at:]
}

// leaf is one named value in a body, with its place in the text.
type leaf struct {
	name, value string
	from, to    int
	quote       string // what stands around the value in its place
}

// leaves are the named values of a body; nil where it is not of its media type.
func leaves(m connection.MediaType, body string) []leaf {
	switch m {
	case connection.JSON:
		return jsonLeaves(body)
	case connection.XML:
		return xmlLeaves(body)
	case connection.URLEncoded:
		return formLeaves(body)
	}
	return nil
}

func formLeaves(body string) []leaf {
	var found []leaf
	at := 0
	for pair := range strings.SplitSeq(body, "&") {
		name, value, has := strings.Cut(pair, "=")
		if plainName, err := url.QueryUnescape(name); err == nil && has {
			if plain, err := url.QueryUnescape(value); err == nil {
				found = append(found, leaf{name: plainName, value: plain, from: at + len(name) + 1, to: at + len(pair)})
			}
		}
		at += len(pair) + 1
	}
	return found
}

// maxNesting is how deeply a body may be nested.
const maxNesting = 50

// level is an object or a list of a JSON text that is being read.
type level struct {
	object bool
	inside bool   // the name has come, its value not yet
	name   string // of the member
}

func jsonLeaves(body string) []leaf {
	if !json.Valid([]byte(body)) {
		return nil // part of a value is worse than none
	}
	d := json.NewDecoder(strings.NewReader(body))
	d.UseNumber()
	var found []leaf
	levels := []*level{{}}
	for {
		before := int(d.InputOffset())
		token, err := d.Token()
		if err != nil {
			break
		}
		at := levels[len(levels)-1]
		if name, isText := token.(string); isText && at.object && !at.inside {
			at.name, at.inside = name, true
			continue
		}
		l := leaf{name: at.name, to: int(d.InputOffset())}
		l.from = before + len(body[before:]) - len(strings.TrimLeft(body[before:], " \t\r\n:,"))
		switch t := token.(type) {
		case json.Delim:
			if t == '{' || t == '[' {
				if len(levels) > maxNesting {
					return nil
				}
				levels = append(levels, &level{object: t == '{'})
				continue
			}
			levels = levels[:len(levels)-1]
			at = levels[len(levels)-1]
		case string:
			l.value, l.quote = t, `"`
			found = append(found, l)
		case json.Number:
			l.value = t.String()
			found = append(found, l)
		}
		at.inside = false
	}
	return found
}

func xmlLeaves(body string) []leaf {
	d := xml.NewDecoder(strings.NewReader(body))
	d.Strict = false
	var found []leaf
	name, from := "", 0
	for {
		before := int(d.InputOffset())
		token, err := d.Token()
		if err != nil {
			break
		}
		switch t := token.(type) {
		case xml.StartElement:
			name, from = t.Name.Local, int(d.InputOffset())
		case xml.EndElement:
			if name == t.Name.Local && before > from {
				var text bytes.Buffer
				inner := xml.NewDecoder(strings.NewReader("<v>" + body[from:before] + "</v>"))
				for {
					part, err := inner.Token()
					if err != nil {
						break
					}
					if chars, ok := part.(xml.CharData); ok {
						text.Write(chars)
					}
				}
				found = append(found, leaf{name: name, value: text.String(), from: from, to: before})
			}
			name = ""
		}
	}
	return found
}

// hideBody puts the secrets of a body into the draft, and returns the body with
// placeholders. Those that stand there already stay.
func (d *Draft) hideBody(m connection.MediaType, body string) string {
	if m == connection.JSON && body != "" && !json.Valid([]byte(body)) {
		d.note(Check, "The body is not valid JSON, so that passwords in it were not found: put them into secrets yourself.")
	}
	var all []stretch
	for _, l := range leaves(m, body) {
		if looksLikeCSRF(l.name) && l.value != "" && !strings.Contains(l.value, "{{") {
			d.note(Check, "%s looks like a token that the application gives anew for each form: sent again, it will be refused. A HAR file that begins before the login page shows where it comes from.", shorten(l.name, 40))
		}
		if !secretField.MatchString(l.name) || l.value == "" || strings.Contains(l.value, "{{") {
			continue
		}
		with := d.hide(l.name, l.value)
		all = append(all, stretch{l.from, l.to, l.quote + with + l.quote})
		d.note(Understood, "The value of %s is now the secret %s.", shorten(l.name, 40), strings.Trim(with, "{}"))
	}
	return replace(body, all)
}

// hideQuery does the same for a URI's query.
func (d *Draft) hideQuery(query string) string {
	var all []stretch
	for _, l := range formLeaves(query) {
		if secretField.MatchString(l.name) && l.value != "" && !strings.Contains(l.value, "{{") {
			with := d.hide(l.name, l.value)
			all = append(all, stretch{l.from, l.to, with})
			d.note(Understood, "The value of %s in the URI is now the secret %s.", shorten(l.name, 40), strings.Trim(with, "{}"))
		}
	}
	return replace(query, all)
}
