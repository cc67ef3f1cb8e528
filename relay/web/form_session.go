package web

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"sallyport/relay/connection"
)

// chainFields are those of what surrounds a cookie sign-in: the request before
// it, what answers give for later, and the sign-out. Lists are text, one a line.
func chainFields() []formField {
	values := "One a line, as name = place: csrf = cookie csrftoken. Places: header NAME, cookie NAME, field NAME (of an HTML form), json PATH, xpath PATH. "
	return []formField{
		{path: "auth.cookie.before.method", label: "First request’s method", inputClass: "short",
			help:    "The answer may have any status; the values in it count.",
			choices: []choice{{Value: "GET", Label: "GET"}, {Value: "POST", Label: "POST"}, {Value: "HEAD", Label: "HEAD"}}},
		{path: "auth.cookie.before.uri", label: "First request’s URI", inputClass: "code", placeholder: "/login",
			help: "Relative to the base URI. Mostly the page that shows the sign-in form. Empty: there is no first request."},
		{path: "auth.cookie.before.headers", label: "First request’s headers", rows: 2, placeholder: "x-csrf-token: Fetch",
			help: "One a line, as Name: value, for this request alone."},
		{path: "auth.cookie.before.values", label: "Values of the first request", rows: 2, placeholder: "csrf = field csrfmiddlewaretoken",
			help: values + "Write {{signin.csrf}} in the cookie body, in a header or in the ping."},
		{path: "auth.cookie.headers", label: "Headers of the sign-in", rows: 2, placeholder: "X-CSRFToken: {{signin.csrf}}",
			help: "One a line, as Name: value, for the sign-in alone."},
		{path: "auth.cookie.values", label: "Values of the sign-in", rows: 2, placeholder: "token = json token",
			help: "What the answer to the sign-in itself gives for later requests, written in the same way. A value that is no cookie stands for the session: then no cookie need be set."},

		{path: "auth.cookie.signOut.method", label: "Sign-out method", inputClass: "short",
			help:    "How the application is told that a session is not needed any more.",
			choices: []choice{{Value: "POST", Label: "POST"}, {Value: "GET", Label: "GET"}, {Value: "PUT", Label: "PUT"}, {Value: "DELETE", Label: "DELETE"}}},
		{path: "auth.cookie.signOut.uri", label: "Sign-out URI", inputClass: "code", placeholder: "/logout",
			help: "Relative to the base URI. Empty: the application is not told, and ends sessions by itself."},
		{path: "auth.cookie.signOut.body", label: "Sign-out body", rows: 2, class: "only-sign-out-body",
			help: "What the sign-out sends. Placeholders work here too."},
	}
}

// sessionFields are those of a session's life, for every type that signs in.
func sessionFields() []formField {
	return []formField{
		{path: "auth.session.idleMinutes", label: "Idle time, minutes", inputClass: "short", inputMode: "numeric", placeholder: "no limit",
			help: "A session that nobody has used for so long is signed out."},
		{path: "auth.session.maxMinutes", label: "Longest life, minutes", inputClass: "short", inputMode: "numeric", placeholder: "no limit",
			help: "After so long the relay signs in anew, before a request has to wait for it."},
		{path: "auth.session.endedStatusCodes", label: "Status codes that end a session", inputClass: "short", placeholder: "401",
			help: "Separated by commas. Some applications answer 403 where nobody is signed in: 401, 403."},
		{path: "auth.session.signInsPerMinute", label: "Sign-ins a minute", inputClass: "short", inputMode: "numeric", placeholder: "10",
			help: "How often the relay signs in at most, by itself."},
	}
}

func showChain(fields map[string]string, how *connection.CookieAuth) {
	before, out := how.Before, how.SignOut
	if before == nil {
		before = &connection.FirstRequest{}
	}
	if out == nil {
		out = &connection.SignOut{}
	}
	fields["auth.cookie.before.method"] = cmp.Or(before.Method, "GET")
	fields["auth.cookie.before.uri"] = before.URI
	fields["auth.cookie.before.headers"] = headerLines(before.Headers)
	fields["auth.cookie.before.values"] = valueLines(before.Values)
	fields["auth.cookie.headers"] = headerLines(how.Headers)
	fields["auth.cookie.values"] = valueLines(how.Values)
	fields["auth.cookie.signOut.method"] = cmp.Or(out.Method, "POST")
	fields["auth.cookie.signOut.uri"] = out.URI
	fields["auth.cookie.signOut.body"] = out.Body
}

// readChain leaves out what is empty; but not what somebody has begun to
// describe, so that nothing is lost.
func readChain(fields map[string]string, how *connection.CookieAuth) (mistakes []connection.FieldError) {
	headers := func(path string) []connection.Header {
		pairs, faults := readPairs(path, fields[path], ":")
		mistakes = append(mistakes, faults...)
		var read []connection.Header
		for _, p := range pairs {
			read = append(read, connection.Header{Name: p.Name, Value: strings.TrimSpace(p.Value)})
		}
		return read
	}
	values := func(path string) []connection.SignInValue {
		read, faults := readValues(path, fields[path])
		mistakes = append(mistakes, faults...)
		return read
	}
	how.Headers, how.Values = headers("auth.cookie.headers"), values("auth.cookie.values")
	before := connection.FirstRequest{URI: fields["auth.cookie.before.uri"], Headers: headers("auth.cookie.before.headers"), Values: values("auth.cookie.before.values")}
	if strings.TrimSpace(before.URI) != "" || len(before.Headers)+len(before.Values) > 0 {
		before.Method = fields["auth.cookie.before.method"]
		how.Before = &before
	}
	out := connection.SignOut{Method: fields["auth.cookie.signOut.method"], URI: fields["auth.cookie.signOut.uri"]}
	if out.SendsBody() {
		out.Body = fields["auth.cookie.signOut.body"]
	}
	if strings.TrimSpace(out.URI)+out.Body != "" {
		how.SignOut = &out
	}
	return mistakes
}

func headerLines(headers []connection.Header) string {
	lines := make([]string, len(headers))
	for i, h := range headers {
		lines[i] = h.Name + ": " + h.Value
	}
	return strings.Join(lines, "\n")
}

func valueLines(values []connection.SignInValue) string {
	lines := make([]string, len(values))
	for i, v := range values {
		lines[i] = fmt.Sprintf("%s = %s %s", v.Name, v.From, v.At)
	}
	return strings.Join(lines, "\n")
}

// readValues reads lines such as "csrf = cookie csrftoken". What is missing or
// wrong in one is for the registry to say.
func readValues(path, text string) (values []connection.SignInValue, mistakes []connection.FieldError) {
	for _, line := range nonBlank(text) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		name, place, found := strings.Cut(line, "=")
		if !found {
			mistakes = append(mistakes, connection.FieldError{Path: path,
				Message: "Write each line as name = place, such as csrf = cookie csrftoken: “" + line + "” has no “=”."})
			continue
		}
		from, at, _ := strings.Cut(strings.TrimSpace(place), " ")
		values = append(values, connection.SignInValue{Name: strings.TrimSpace(name), From: connection.ValueSource(from), At: strings.TrimSpace(at)})
	}
	return values, mistakes
}

func showSession(fields map[string]string, l *connection.SessionLife) {
	if l == nil {
		return
	}
	for path, n := range map[string]int{"idleMinutes": l.IdleMinutes, "maxMinutes": l.MaxMinutes, "signInsPerMinute": l.SignInsPerMinute} {
		if n != 0 {
			fields["auth.session."+path] = strconv.Itoa(n)
		}
	}
	codes := make([]string, len(l.EndedStatusCodes))
	for i, code := range l.EndedStatusCodes {
		codes[i] = strconv.Itoa(code)
	}
	fields["auth.session.endedStatusCodes"] = strings.Join(codes, ", ")
}

func readSession(fields map[string]string) (*connection.SessionLife, []connection.FieldError) {
	var mistakes []connection.FieldError
	number := func(path, text, example string) int {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			mistakes = append(mistakes, connection.FieldError{Path: path, Message: "“" + text + "” is not a whole number: enter one, such as " + example + ", or leave the field empty."})
		}
		return n
	}
	l := &connection.SessionLife{}
	for path, to := range map[string]*int{"idleMinutes": &l.IdleMinutes, "maxMinutes": &l.MaxMinutes, "signInsPerMinute": &l.SignInsPerMinute} {
		if text := fields["auth.session."+path]; strings.TrimSpace(text) != "" {
			*to = number("auth.session."+path, text, "30")
		}
	}
	for _, text := range strings.FieldsFunc(fields["auth.session.endedStatusCodes"], func(c rune) bool { return c == ',' || c == ';' || c == ' ' || c == '\n' }) {
		l.EndedStatusCodes = append(l.EndedStatusCodes, number("auth.session.endedStatusCodes", text, "401, 403"))
	}
	return l, mistakes
}

// Opens reports whether a section of fields that few connections need is shown
// open: something in it is set, or mistaken.
func (v formView) Opens(section string) bool {
	for path, f := range v.fields {
		if f.Error == "" && (f.Value == "" || len(f.Choices) > 0) {
			continue
		}
		switch {
		case strings.HasPrefix(path, section+"."):
			return true
		case section == "auth.cookie.before" && (path == "auth.cookie.headers" || path == "auth.cookie.values"):
			return true
		}
	}
	return false
}
