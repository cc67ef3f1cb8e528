package connection

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// refusedHeader says why a header may not be configured, or nothing.
func refusedHeader(name string) string {
	lower := strings.ToLower(name)
	switch lower {
	case "host":
		return "Host is set from the base URI; remove this header."
	case "content-length", "transfer-encoding":
		return name + " is set from the body; remove this header."
	case "connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade", "http2-settings":
		return name + " concerns a single hop of the way (RFC 9110, section 7.6.1) and can't be configured; remove this header."
	case "proxy-authorization", "proxy-authenticate", "proxy-authentication-info":
		return name + " is meant for a proxy, not for the application; set the proxy where the relay or the agent is configured."
	case "expect":
		return "Expect is handled by Sallyport itself; remove this header."
	}
	if strings.HasPrefix(lower, "sallyport-") {
		return "Names that begin with Sallyport- are reserved for relay and agent; choose another name."
	}
	return ""
}

func checkHeaders(f *faults, path string, headers []Header) {
	if len(headers) > MaxHeaders {
		f.add(path, "At most %d headers; there are %d.", MaxHeaders, len(headers))
	}
	seen := map[string]int{}
	for i, h := range headers {
		name := fmt.Sprintf("%s[%d].name", path, i)
		if checkHeaderName(f, name, h.Name) {
			lower := strings.ToLower(h.Name)
			if first, twice := seen[lower]; twice && singleton(lower) {
				f.add(name, "%s is set twice (first in line %d) and may be sent once only; remove one.", h.Name, first+1)
			} else if !twice {
				seen[lower] = i
			}
		}
		checkHeaderValue(f, fmt.Sprintf("%s[%d].value", path, i), h.Value)
	}
}

// checkHeaderName reports whether a header of the name may be configured.
func checkHeaderName(f *faults, path, name string) bool {
	before := len(*f)
	switch {
	case name == "":
		f.add(path, "Enter the header's name, or remove the line.")
	case strings.HasSuffix(name, ":"):
		f.add(path, "Leave out the colon: the name alone is %s.", strings.TrimRight(shorten(name, 60), ":"))
	case !isToken(name):
		f.add(path, "“%s” is not a header name (RFC 9110): use letters, digits and !#$%%&'*+-.^_`|~ only, without blanks.", printable(shorten(name, 60)))
	case len(name) > MaxHeaderName:
		f.add(path, "A header's name has at most %d characters.", MaxHeaderName)
	case refusedHeader(name) != "":
		f.add(path, "%s", refusedHeader(name))
	}
	return len(*f) == before
}

func checkHeaderValue(f *faults, path, value string) {
	if len(value) > MaxHeaderValue {
		f.add(path, "A header's value has at most %d bytes.", MaxHeaderValue)
		return
	}
	if !utf8.ValidString(value) {
		f.add(path, "The value is not valid UTF-8; enter it anew.")
		return
	}
	for i := range len(value) {
		switch c := value[i]; {
		case c == '\r' || c == '\n':
			f.add(path, "A header's value is one line: remove the line break (CR or LF) at character %d.", utf8.RuneCountInString(value[:i])+1)
			return
		case c < ' ' && c != '\t' || c == 0x7f:
			f.add(path, "A header's value can't hold control characters such as NUL: remove the one at character %d.", utf8.RuneCountInString(value[:i])+1)
			return
		}
	}
}

// singleton reports whether a second field of this name changes the meaning of
// the first (RFC 9110, section 5.3).
func singleton(lower string) bool {
	switch lower {
	case "content-type", "authorization", "user-agent", "referer", "origin", "from", "content-location":
		return true
	}
	return false
}

// isToken reports whether s is a token of RFC 9110, section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

// printable replaces control characters, so that a message stays one line.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c == utf8.RuneError {
			return '␣'
		}
		return c
	}, s)
}
