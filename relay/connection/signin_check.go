package connection

import (
	"fmt"
	"slices"
	"strings"
)

const (
	// MaxSignInValues is how many values one request of a sign-in may give.
	MaxSignInValues = 20
	// beforePath is the first request's place in the API.
	beforePath = "auth.cookie.before"
)

type indexedHeader struct {
	Header
	path string
}

func indexedHeaders(path string, headers []Header) []indexedHeader {
	all := make([]indexedHeader, len(headers))
	for i, h := range headers {
		all[i] = indexedHeader{h, fmt.Sprintf("%s[%d]", path, i)}
	}
	return all
}

// checkSignIn checks the chain and the sign-out of a cookie sign-in.
func checkSignIn(f *faults, base string, c CookieAuth) {
	checkHeaders(f, "auth.cookie.headers", c.Headers)
	named := map[string]bool{}
	if b := c.Before; b != nil {
		if !slices.Contains([]string{"GET", "POST", "HEAD"}, b.Method) {
			f.add(beforePath+".method", "“%s” can't be the first request's method: choose GET, POST or HEAD.", printable(shorten(b.Method, 40)))
		}
		if b.URI == "" {
			f.add(beforePath+".uri", "Enter the URI of the first request, relative to the base URI, such as /login, or leave the first request out.")
		} else {
			checkRef(f, beforePath+".uri", "The first request's URI", base, b.URI)
		}
		checkHeaders(f, beforePath+".headers", b.Headers)
		checkSignInValues(f, beforePath+".values", b.Values, b.Method, named)
	}
	checkSignInValues(f, "auth.cookie.values", c.Values, c.Method, named)
	if o := c.SignOut; o != nil {
		if !slices.Contains([]string{"GET", "POST", "PUT", "DELETE"}, o.Method) {
			f.add("auth.cookie.signOut.method", "“%s” can't be the sign-out method: choose POST, GET, PUT or DELETE.", printable(shorten(o.Method, 40)))
		}
		if o.URI == "" {
			f.add("auth.cookie.signOut.uri", "Enter the URI that signs out, relative to the base URI, such as /logout, or leave the sign-out out.")
		} else {
			checkRef(f, "auth.cookie.signOut.uri", "The sign-out URI", base, o.URI)
		}
		if len(o.Body) > MaxBody {
			f.add("auth.cookie.signOut.body", "The body has %d bytes; at most %d are allowed.", len(o.Body), MaxBody)
		}
	}
}

func checkSignInValues(f *faults, path string, values []SignInValue, method string, named map[string]bool) {
	if len(values) > MaxSignInValues {
		f.add(path, "At most %d values; there are %d.", MaxSignInValues, len(values))
	}
	for i, v := range values {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch fault := signInNameFault(v.Name); {
		case fault != "":
			f.add(at+".name", "%s", fault)
		case named[v.Name]:
			f.add(at+".name", "There are two values named %s; rename or remove one.", v.Name)
		}
		named[v.Name] = true
		if fault := v.placeFault(method); fault != "" {
			field := ".at"
			if !slices.Contains(ValueSources(), v.From) {
				field = ".from"
			}
			f.add(at+field, "%s", fault)
		}
	}
}

func signInNameFault(name string) string {
	if name == "" {
		return "Give the value a name, such as csrf: it is used as {{signin.csrf}}."
	}
	if secretNameFault(name) != "" {
		return fmt.Sprintf("The name of a value is made of up to %d letters, digits, “_”, “-” and “.”.", MaxSecretName)
	}
	return ""
}

// placeFault says what is wrong with where the value is to be found.
func (v SignInValue) placeFault(method string) string {
	if method == "HEAD" && v.From != FromHeader && v.From != FromCookie && slices.Contains(ValueSources(), v.From) {
		return "The answer to HEAD has no body in which to look: choose GET."
	}
	switch v.From {
	case FromHeader, FromCookie:
		if v.At == "" {
			return fmt.Sprintf("Enter the name of the %s in which the value comes.", v.From)
		}
		if !isToken(v.At) {
			return fmt.Sprintf("“%s” is not the name of a %s: enter the name alone.", printable(shorten(v.At, 60)), v.From)
		}
	case FromJSON:
		if v.At == "" {
			return "Enter the JSONPath of the value, such as token or data.csrf."
		}
		if _, err := JSONPath(v.At); err != nil {
			return err.Error()
		}
	case FromXPath:
		if v.At == "" {
			return "Enter the XPath of the value, such as //input[@name='_token']/@value."
		}
		if _, err := XPath(v.At); err != nil {
			return err.Error()
		}
	case FromField:
		if v.At == "" {
			return "Enter the name of the form's field, such as csrfmiddlewaretoken."
		}
		if len(v.At) > MaxHeaderName {
			return fmt.Sprintf("A field's name has at most %d bytes.", MaxHeaderName)
		}
	case "":
		return "Choose where the value stands: header, cookie, json, xpath or field."
	default:
		return fmt.Sprintf("“%s” is not a place of a value: choose header, cookie, json, xpath or field.", printable(shorten(string(v.From), 40)))
	}
	return ""
}

// signInKnown are the values that are known when the request is made to which a
// field belongs.
func signInKnown(s Spec, path string) []SignInValue {
	c := s.Auth.Cookie
	switch {
	case s.Auth.Type != AuthCookie || c == nil || strings.HasPrefix(path, beforePath):
		return nil
	case path == "auth.cookie.uri" || path == "auth.cookie.body" || strings.HasPrefix(path, "auth.cookie.headers"):
		if c.Before == nil {
			return nil
		}
		return c.Before.Values
	}
	return c.SignInValues()
}

// signInUseFault says why a value can't stand in a field, or nothing.
func signInUseFault(s Spec, path, name string) string {
	is := func(v SignInValue) bool { return v.Name == name }
	if slices.ContainsFunc(signInKnown(s, path), is) {
		return ""
	}
	shown := piece{secret: name, signIn: true}.shown()
	c := s.Auth.Cookie
	switch {
	case s.Auth.Type != AuthCookie || c == nil:
		return fmt.Sprintf("%s is a value of a cookie sign-in, and this connection has none; take it out.", shown)
	case strings.HasPrefix(path, beforePath):
		return fmt.Sprintf("%s can't stand here: nothing is known before the first request is answered.", shown)
	case slices.ContainsFunc(c.Values, is):
		return fmt.Sprintf("%s can't stand here: it comes with the answer to this very request.", shown)
	}
	return fmt.Sprintf("There is no value named %s: add it to those that the first request or the sign-in gives, or take %s out.", name, shown)
}

// signInWarnings tells of values that nothing uses, and of a header that
// nobody gets.
func signInWarnings(s Spec) []string {
	c := s.Auth.Cookie
	if s.Auth.Type != AuthCookie || c == nil {
		return nil
	}
	used := map[string]bool{}
	for _, t := range templates(s) {
		pieces, _ := splitPlaceholders(t.text)
		for _, p := range pieces {
			if p.signIn {
				used[p.secret] = true
			}
		}
	}
	var w []string
	for _, v := range c.SignInValues() {
		if !used[v.Name] {
			w = append(w, fmt.Sprintf("The sign-in gives the value %s, but nothing uses it: write {{signin.%s}} where it belongs, such as in a header.", v.Name, v.Name))
		}
	}
	if c.Before != nil && len(c.Before.Values) == 0 {
		w = append(w, "The first request gives no value: it is sent for its cookies alone.")
	}
	if o := c.SignOut; o != nil {
		if o.SendsBody() {
			w = append(w, bodyWarnings("sign-out body", o.Body, s)...)
		} else if o.Body != "" {
			w = append(w, "The sign-out body is not sent, since the sign-out method is "+o.Method+".")
		}
	}
	return w
}
