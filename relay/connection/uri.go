package connection

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// ParseBase reads a base URI: absolute http or https, a host, no user info, no
// fragment. Slashes at the end of its path are dropped, since they make no
// difference. Errors are phrases that go on from "The base URI".
func ParseBase(base string) (*url.URL, error) {
	u, err := parseAbsolute(base)
	if err != nil {
		return nil, err
	}
	return setPath(u, strings.TrimRight(u.EscapedPath(), "/")), nil
}

// JoinURI resolves a URI of the form against the base URI. A relative one, with
// or without a leading slash, continues the base's path, and its query follows
// the base's; an absolute one stands for itself. Errors are phrases that go on
// from the field's name.
func JoinURI(base, ref string) (*url.URL, error) {
	b, err := ParseBase(base)
	if err != nil {
		return nil, fmt.Errorf("can't be joined, for the base URI %w", err)
	}
	if isAbsolute(ref) {
		return parseAbsolute(ref)
	}
	if strings.HasPrefix(ref, "//") {
		return nil, errors.New("must not begin with two slashes; write a path such as /me, or a whole URI with http:// or https://")
	}
	if strings.Contains(ref, "#") {
		return nil, errors.New("must not have a fragment; remove the “#” and what follows it, or write it as %23")
	}
	path, query, _ := strings.Cut(ref, "?")
	return JoinPath(b, path, query)
}

// JoinPath continues the base's path by rawPath, an escaped path with or
// without a leading slash, and the base's query by rawQuery. The result is
// always on the base's own origin and below the base's path: dot segments are
// refused, in every encoding that some server might undo.
func JoinPath(base *url.URL, rawPath, rawQuery string) (*url.URL, error) {
	path, err := encodePath(rawPath)
	if err != nil {
		return nil, err
	}
	query, err := encodeQuery(rawQuery)
	if err != nil {
		return nil, err
	}
	u := *base
	u.Fragment, u.RawFragment, u.User = "", "", nil
	joined := strings.TrimRight(base.EscapedPath(), "/")
	if path != "" {
		joined += "/" + strings.TrimPrefix(path, "/")
	}
	if joined == "" {
		joined = "/"
	}
	switch {
	case u.RawQuery == "":
		u.RawQuery = query
	case query != "":
		u.RawQuery += "&" + query
	}
	u.ForceQuery = false
	return setPath(&u, joined), nil
}

// URL resolves a URI of the form, such as the ping URI, with its placeholders
// filled in, or marked.
func (c *Connection) URL(ref string, marks *Marks) (*url.URL, error) {
	filled, err := Fill(ref, EscapeURI, c.Secrets, marks)
	if err != nil {
		return nil, err
	}
	return JoinURI(c.BaseURI, filled)
}

// SameOrigin reports whether a and b have the same scheme, host and port
// (RFC 6454), default ports and the two ways to write an international name
// being equal.
func SameOrigin(a, b *url.URL) bool {
	return strings.EqualFold(a.Scheme, b.Scheme) && asciiHost(a) == asciiHost(b) && Port(a) == Port(b)
}

// Port is the URI's port, or the default of its scheme.
func Port(u *url.URL) string {
	if p := u.Port(); p != "" {
		if n, err := strconv.Atoi(p); err == nil {
			return strconv.Itoa(n) // 080 is 80
		}
		return p
	}
	if strings.EqualFold(u.Scheme, "https") {
		return "443"
	}
	return "80"
}

func asciiHost(u *url.URL) string {
	host := strings.ToLower(u.Hostname())
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		return ascii
	}
	return host
}

// isAbsolute reports whether ref has a scheme and an authority. "users:search"
// has a colon and is a path.
func isAbsolute(ref string) bool {
	scheme, _, found := strings.Cut(ref, "://")
	if !found || scheme == "" {
		return false
	}
	for i := range len(scheme) {
		c := scheme[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789+-.", rune(c))) {
			return false
		}
	}
	return true
}

// parseAbsolute reads a whole URI of the form.
func parseAbsolute(raw string) (*url.URL, error) {
	scheme, rest, found := strings.Cut(raw, "://")
	scheme = strings.ToLower(scheme)
	if !found || scheme != "http" && scheme != "https" {
		return nil, errors.New("must begin with http:// or https://")
	}
	if strings.Contains(rest, "#") {
		return nil, errors.New("must not have a fragment; remove the “#” and what follows it")
	}
	end := strings.IndexAny(rest, `/?\`)
	if end < 0 {
		end = len(rest)
	}
	authority, rest := rest[:end], rest[end:]
	if strings.Contains(authority, "@") {
		return nil, errors.New("must not hold a user name or password; remove what stands before the “@” and sign in by the authentication type")
	}
	u, err := parseAuthority(scheme, authority)
	if err != nil {
		return nil, err
	}
	path, query, _ := strings.Cut(rest, "?")
	return JoinPath(u, path, query)
}

func parseAuthority(scheme, authority string) (*url.URL, error) {
	if authority == "" {
		return nil, fmt.Errorf("names no host; write %s://, then the host", scheme)
	}
	u, err := url.Parse(scheme + "://" + authority)
	if err != nil || u.Hostname() == "" || strings.ContainsAny(u.Host, `%<>"{}|^`+"`") {
		return nil, fmt.Errorf("has a host that can't be read: “%s”; write a host name or an IP address, and a port after a colon where needed", shorten(authority, 80))
	}
	u.Host = strings.TrimSuffix(u.Host, ":") // an empty port is the default one
	if p := u.Port(); p != "" {
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
			return nil, fmt.Errorf("has port %s; a port is a number from 1 to 65535", shorten(p, 20))
		}
	}
	u.Host = strings.ToLower(u.Host)
	return u, nil
}

// setPath gives u an escaped path and keeps that very spelling on the wire.
func setPath(u *url.URL, escaped string) *url.URL {
	c := *u
	path, err := url.PathUnescape(escaped)
	if err != nil { // encodePath lets only whole escapes through
		path = escaped
	}
	c.Path, c.RawPath = path, escaped
	return &c
}
