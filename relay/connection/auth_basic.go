package connection

import (
	"encoding/base64"
	"strings"

	"sallyport/internal/escape"
)

// BasicAuth is a user name and a password, sent with each request (RFC 7617).
type BasicAuth struct {
	Username string `json:"username" doc:"The user name, without a colon. May hold placeholders."`
	Password string `json:"password" doc:"The password: {{secret.NAME}} or {{agent.secret.NAME}}."`
}

func (b *BasicAuth) check(f *faults) {
	checkUserName(f, "auth.basic.username", b.Username)
	checkCredential(f, "auth.basic.password", "password", b.Password)
}

// checkUserName checks what RFC 7617, section 2, asks of a user name; Digest's
// (RFC 7616, section 3.4) is parsed apart by servers in the same way.
func checkUserName(f *faults, path, name string) {
	switch pieces, malformed := splitPlaceholders(name); {
	case name == "":
		f.add(path, "Enter the user name.")
	case len(malformed) > 0: // told by checkPlaceholders
	default:
		for _, p := range pieces {
			if strings.Contains(p.text, ":") {
				f.add(path, "A user name can't hold a colon, which ends it (RFC 7617); enter the password in its own field.")
				return
			}
		}
		checkCredential(f, path, "user name", name)
	}
}

// checkCredential checks a value that ends up in a header field.
func checkCredential(f *faults, path, what, value string) {
	if value == "" {
		f.add(path, "Enter the %s, as {{secret.NAME}}.", what)
		return
	}
	checkHeaderValue(f, path, value)
}

func (b *BasicAuth) templates() []template {
	return []template{
		{"auth.basic.username", b.Username, escape.Basic},
		{"auth.basic.password", b.Password, escape.Basic},
	}
}

// header is the Authorization field's value, in UTF-8 (RFC 7617, section 2.1:
// a server that expects anything says so, and UTF-8 is all that it may say).
// Where a secret of the agent is among the credentials, the agent encodes them.
func (b *BasicAuth) header(secrets map[string]string, marks *Marks) (string, error) {
	return basicHeader(b.Username+":"+b.Password, secrets, marks)
}

// basicHeader makes an Authorization value of name, colon and password.
func basicHeader(credentials string, secrets map[string]string, marks *Marks) (string, error) {
	filled, err := Fill(credentials, escape.Basic, secrets, marks)
	if err != nil {
		return "", err
	}
	if len(marks.In(filled)) == 0 {
		filled = base64.StdEncoding.EncodeToString([]byte(filled))
	}
	return "Basic " + filled, nil
}
