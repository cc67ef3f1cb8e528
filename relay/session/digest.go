package session

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"sallyport/relay/connection"
)

// digest tells settings of a sign-in apart: all of a connection but its name
// and ping, and of OAuth 2.0 only what the token depends on. It is made for each request, so it is one pass over one buffer.
// Every part is preceded by its length, so that no two connections read alike.
func digest(c *connection.Connection) string {
	buf := make([]byte, 0, 1024)
	add := func(s string) {
		buf = strconv.AppendInt(buf, int64(len(s)), 10)
		buf = append(buf, ':')
		buf = append(buf, s...)
	}
	add(string(c.Mode))
	add(c.AgentID)
	add(c.BaseURI)
	if c.Auth.Type == connection.AuthOAuth2 && c.Auth.OAuth2 != nil {
		return sum(oauth2Settings(buf, c))
	}
	add(string(c.MediaType))
	addHeaders := func(headers []connection.Header) {
		for _, h := range headers {
			add(h.Name)
			add(h.Value)
		}
		add("") // no header has an empty name: the end of the list
	}
	addValues := func(values []connection.SignInValue) {
		for _, v := range values {
			add(v.Name)
			add(string(v.From))
			add(v.At)
		}
		add("")
	}
	addHeaders(c.Headers)
	if how := c.Auth.Cookie; how != nil {
		add(how.Method)
		add(how.URI)
		add(how.Body)
		add(strconv.Itoa(how.SuccessStatusCode))
		addHeaders(how.Headers)
		if first := how.Before; first != nil {
			add(first.Method)
			add(first.URI)
			addHeaders(first.Headers)
			addValues(first.Values)
		}
		addValues(how.Values)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Secrets)) {
		add(name)
		add(c.Secrets[name])
	}
	return sum(buf)
}

func sum(settings []byte) string {
	sum := sha256.Sum256(settings)
	return hex.EncodeToString(sum[:16])
}

// oauth2Settings are what a token depends on. Headers and other secrets are no
// part of it, nor is how it ends: a person need not sign in again because one was
// changed.
func oauth2Settings(buf []byte, c *connection.Connection) []byte {
	how := *c.Auth.OAuth2
	how.RevocationURI = ""
	text, err := json.Marshal(how)
	if err != nil { // strings and lists of them can always be written
		text = nil
	}
	buf = append(buf, text...)
	auth := c.Auth
	auth.OAuth2 = &how
	for _, name := range connection.Placeholders(connection.Spec{Auth: auth}) {
		buf = strconv.AppendQuote(append(buf, name...), c.Secrets[name])
	}
	return buf
}

// Settings tells what a connection's session depends on: a session that was
// made with other settings is not used.
func Settings(c *connection.Connection) string { return digest(c) }
