package connection

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Warnings returns what is worth a second look in a valid spec, each a
// sentence. None of it keeps the connection from being saved.
func Warnings(s Spec) []string {
	var w []string
	base, err := ParseBase(s.BaseURI)
	if err != nil {
		return nil
	}
	if s.Mode == Cloud && base.Scheme == "http" {
		w = append(w, "The base URI is http: what is sent to the application, passwords and cookies included, can be read on the way.")
	}
	for _, h := range s.Headers {
		switch {
		case strings.EqualFold(h.Name, "Cookie") && s.Auth.Type == AuthCookie:
			w = append(w, "The configured Cookie header takes the place of the session's cookies; remove it unless that is meant.")
		case strings.EqualFold(h.Name, "Accept-Encoding"):
			w = append(w, "The configured Accept-Encoding header may bring answers that Test can't read.")
		}
	}
	w = append(w, authWarnings(s)...)
	if c := s.Auth.Cookie; s.Auth.Type == AuthCookie && c != nil {
		if isAbsolute(c.URI) {
			if u, err := parseAbsolute(withoutPlaceholders(c.URI)); err == nil && !SameOrigin(base, u) {
				w = append(w, fmt.Sprintf("The cookie URI leads to %s, not to the base URI's %s: the configured headers are not sent there, and its cookies may not be valid here.", u.Host, base.Host))
			}
		}
		if c.Method == "POST" {
			w = append(w, bodyWarnings("cookie body", c.Body, s)...)
			if c.Body == "" {
				w = append(w, "The cookie method is POST, but its body is empty.")
			}
		} else if c.Body != "" {
			w = append(w, "The cookie body is not sent, since the cookie method is "+c.Method+".")
		}
	}
	w = append(w, signInWarnings(s)...)
	w = append(w, sessionWarnings(s)...)
	if pingSendsBody(s.Ping.Method) {
		w = append(w, bodyWarnings("ping body", s.Ping.Body, s)...)
	} else if s.Ping.Body != "" {
		w = append(w, "The ping body is not sent, since the ping method is "+s.Ping.Method+".")
	}
	if s.Ping.URI == "" && s.Ping.SuccessPath != "" {
		w = append(w, "The success path is not used, since there is no ping URI.")
	}
	return w
}

// bodyWarnings tells of a body that is not of its media type, which is mostly
// a missing quote. It is not an error, because some applications are sent odd
// things on purpose.
func bodyWarnings(field, body string, s Spec) []string {
	if body == "" {
		return nil
	}
	for _, h := range s.Headers {
		if strings.EqualFold(h.Name, "Content-Type") {
			return nil // the body may well be of that type
		}
	}
	// A digit is right both inside of a string and as a number.
	filled := withoutPlaceholders(body)
	switch s.MediaType {
	case JSON:
		if err := json.Unmarshal([]byte(filled), new(json.RawMessage)); err != nil {
			return []string{fmt.Sprintf("The %s is not valid JSON: %s.", field, jsonFault(err))}
		}
	case XML:
		if err := wellFormed(filled); err != nil {
			return []string{fmt.Sprintf("The %s is not well-formed XML: %s.", field, strings.TrimPrefix(err.Error(), "XML syntax error on "))}
		}
	case URLEncoded:
		if strings.HasPrefix(strings.TrimSpace(body), "{") {
			return []string{fmt.Sprintf("The %s looks like JSON, but the media type is URL encoded.", field)}
		}
	}
	return nil
}

func jsonFault(err error) string {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Sprintf("%s, at byte %d", syntax.Error(), syntax.Offset)
	}
	return err.Error()
}

func wellFormed(body string) error {
	d := xml.NewDecoder(strings.NewReader(body))
	// The declared encoding says how bytes travel; these are characters already.
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	elements := 0
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			if elements == 0 {
				return errors.New("it has no element")
			}
			return nil
		}
		if err != nil {
			return err
		}
		if _, ok := t.(xml.StartElement); ok {
			elements++
		}
	}
}

// withoutPlaceholders puts a digit in the place of each placeholder.
func withoutPlaceholders(text string) string {
	pieces, _ := splitPlaceholders(text)
	var b strings.Builder
	for _, p := range pieces {
		if p.secret != "" {
			b.WriteByte('0')
		}
		b.WriteString(p.text)
	}
	return b.String()
}
