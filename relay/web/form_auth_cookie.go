package web

import (
	"cmp"
	"strconv"
	"strings"

	"sallyport/relay/connection"
)

func cookieForm() authForm {
	return authForm{kind: connection.AuthCookie, label: "Cookie", show: showCookie, read: readCookie, fields: append([]formField{
		{path: "auth.cookie.method", label: "Cookie method", required: true, inputClass: "short",
			help:    "The HTTP method to use when querying the cookie.",
			choices: []choice{{Value: "GET", Label: "GET"}, {Value: "POST", Label: "POST"}}},
		{path: "auth.cookie.uri", label: "Cookie URI", required: true, inputClass: "code", placeholder: "/session",
			help: "The relative URI to the cookie. It is relative to the base URI."},
		{path: "auth.cookie.body", label: "Cookie body", class: "only-cookie-post", rows: 4,
			placeholder: `{"user": "svc", "password": "{{secret.password}}"}`,
			help:        "What the sign-in sends. Write {{secret.NAME}} for each secret; it is escaped for the media type."},
		{path: "auth.cookie.successStatusCode", label: "Cookie success status code", inputClass: "short", inputMode: "numeric", placeholder: "any 2xx",
			help: "The expected status code for success. Empty: any 2xx. At least one cookie must be set in either case."},
	}, chainFields()...)}
}

func showCookie(fields map[string]string, a connection.Auth) {
	how := a.Cookie
	if how == nil {
		how = &connection.CookieAuth{}
	}
	fields["auth.cookie.method"] = cmp.Or(how.Method, "POST")
	fields["auth.cookie.uri"] = how.URI
	fields["auth.cookie.body"] = how.Body
	showChain(fields, how)
	if how.SuccessStatusCode != 0 {
		fields["auth.cookie.successStatusCode"] = strconv.Itoa(how.SuccessStatusCode)
	}
}

func readCookie(fields map[string]string, a *connection.Auth) (mistakes []connection.FieldError) {
	how := &connection.CookieAuth{Method: fields["auth.cookie.method"], URI: fields["auth.cookie.uri"]}
	if how.Method != "GET" {
		how.Body = fields["auth.cookie.body"]
	}
	if code := strings.TrimSpace(fields["auth.cookie.successStatusCode"]); code != "" {
		n, err := strconv.Atoi(code)
		if err != nil || n == 0 {
			mistakes = append(mistakes, connection.FieldError{Path: "auth.cookie.successStatusCode",
				Message: "A status code is a number from 100 to 599, such as 200. Leave it empty for any 2xx."})
		}
		how.SuccessStatusCode = n
	}
	mistakes = append(mistakes, readChain(fields, how)...)
	a.Cookie = how
	return mistakes
}
