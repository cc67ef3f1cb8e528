package web

import (
	"cmp"
	"strings"

	"sallyport/relay/connection"
)

// The forms of the types whose credentials go with each request.

func noneForm() authForm { return authForm{kind: connection.AuthNone, label: "None"} }

func basicForm() authForm {
	return authForm{kind: connection.AuthBasic, label: "Basic",
		fields: userFields("auth.basic", "Sent with each request. What you type is kept as a secret. Or write {{secret.NAME}}, on-premise also {{agent.secret.NAME}}."),
		show: func(fields map[string]string, a connection.Auth) {
			if a.Basic == nil {
				a.Basic = &connection.BasicAuth{}
			}
			fields["auth.basic.username"], fields["auth.basic.password"] = a.Basic.Username, a.Basic.Password
		},
		read: func(fields map[string]string, a *connection.Auth) []connection.FieldError {
			a.Basic = &connection.BasicAuth{Username: fields["auth.basic.username"], Password: fields["auth.basic.password"]}
			return nil
		}}
}

func digestForm() authForm {
	return authForm{kind: connection.AuthDigest, label: "Digest",
		fields: userFields("auth.digest", "Only a proof of it is sent. What you type is kept as a secret. Or write {{secret.NAME}}; it can’t be one of the agent’s."),
		show: func(fields map[string]string, a connection.Auth) {
			if a.Digest == nil {
				a.Digest = &connection.DigestAuth{}
			}
			fields["auth.digest.username"], fields["auth.digest.password"] = a.Digest.Username, a.Digest.Password
		},
		read: func(fields map[string]string, a *connection.Auth) []connection.FieldError {
			a.Digest = &connection.DigestAuth{Username: fields["auth.digest.username"], Password: fields["auth.digest.password"]}
			return nil
		}}
}

func userFields(path, help string) []formField {
	return []formField{
		{path: path + ".username", label: "User name", required: true, class: "half", placeholder: "svc",
			help: "The name by which the application knows who sends a request, without a colon."},
		{path: path + ".password", label: "Password", required: true, inputClass: "code", secret: "password", placeholder: "{{secret.password}}", help: help},
	}
}

func tokenForm() authForm {
	return authForm{kind: connection.AuthToken, label: "Token", show: showToken, read: readToken, fields: []formField{
		{path: "auth.token.token", label: "Token", required: true, inputClass: "code", secret: "token", placeholder: "{{secret.token}}",
			help: "Sent with each request. What you type is kept as a secret. Or write {{secret.NAME}}, on-premise also {{agent.secret.NAME}}."},
		{path: "auth.token.in", label: "Sent in", required: true, class: "half",
			help:    "Where the application looks for the token, as documented in its API guide.",
			choices: []choice{{Value: connection.InHeader, Label: "A header"}, {Value: connection.InQuery, Label: "A query parameter"}}},
		{path: "auth.token.name", label: "Name", class: "half", inputClass: "code", placeholder: "Authorization",
			help: "The name of the header or parameter. Empty: Authorization, or access_token in the query."},
		{path: "auth.token.scheme", label: "Scheme", class: "half only-token-header", inputClass: "code", placeholder: "none",
			help: "The word before the token, such as Bearer. Empty: the token alone."},
	}}
}

func showToken(fields map[string]string, a connection.Auth) {
	how := a.Token
	if how == nil {
		scheme := "Bearer"
		how = &connection.TokenAuth{Scheme: &scheme}
	}
	fields["auth.token.token"] = how.Token
	fields["auth.token.in"] = cmp.Or(how.In, connection.InHeader)
	fields["auth.token.name"] = how.Name
	if how.Scheme != nil {
		fields["auth.token.scheme"] = *how.Scheme
	}
}

func readToken(fields map[string]string, a *connection.Auth) []connection.FieldError {
	a.Token = &connection.TokenAuth{In: fields["auth.token.in"], Name: fields["auth.token.name"], Token: fields["auth.token.token"]}
	if a.Token.In == connection.InHeader {
		scheme := fields["auth.token.scheme"]
		a.Token.Scheme = &scheme
	}
	return nil
}

func customForm() authForm {
	return authForm{kind: connection.AuthCustom, label: "Custom", show: showCustom, read: readCustom, fields: []formField{
		{path: "auth.custom.headers", label: "Headers", rows: 3, placeholder: "X-Api-Key: {{secret.key}}",
			help: "One a line, as Name: value. Sent with each request."},
		{path: "auth.custom.query", label: "Query parameters", rows: 2, placeholder: "api_key={{secret.key}}",
			help: "One a line, as name=value. Added to each URI."},
		{path: "auth.custom.body", label: "Body fields", rows: 2, placeholder: "apiKey={{secret.key}}",
			help: "One a line, as name=value. Added to JSON objects and form bodies that are sent; other bodies, and those over 1 MiB, go as they are."},
	}}
}

func showCustom(fields map[string]string, a connection.Auth) {
	if a.Custom == nil {
		return
	}
	var lines []string
	for _, h := range a.Custom.Headers {
		lines = append(lines, h.Name+": "+h.Value)
	}
	fields["auth.custom.headers"] = strings.Join(lines, "\n")
	fields["auth.custom.query"] = pairLines(a.Custom.Query)
	fields["auth.custom.body"] = pairLines(a.Custom.Body)
}

func readCustom(fields map[string]string, a *connection.Auth) (mistakes []connection.FieldError) {
	a.Custom = &connection.CustomAuth{}
	headers, faults := readPairs("auth.custom.headers", fields["auth.custom.headers"], ":")
	mistakes = append(mistakes, faults...)
	for _, p := range headers {
		a.Custom.Headers = append(a.Custom.Headers, connection.Header{Name: p.Name, Value: strings.TrimSpace(p.Value)})
	}
	a.Custom.Query, faults = readPairs("auth.custom.query", fields["auth.custom.query"], "=")
	mistakes = append(mistakes, faults...)
	a.Custom.Body, faults = readPairs("auth.custom.body", fields["auth.custom.body"], "=")
	return append(mistakes, faults...)
}

func pairLines(pairs []connection.Pair) string {
	lines := make([]string, len(pairs))
	for i, p := range pairs {
		lines[i] = p.Name + "=" + p.Value
	}
	return strings.Join(lines, "\n")
}

// readPairs reads a field that has a name and a value on each line.
func readPairs(path, text, separator string) (pairs []connection.Pair, mistakes []connection.FieldError) {
	for _, line := range nonBlank(text) {
		name, value, found := strings.Cut(line, separator)
		if !found && strings.TrimSpace(line) != "" {
			mistakes = append(mistakes, connection.FieldError{Path: path,
				Message: "Write each line as name" + separator + "value: “" + line + "” has no “" + separator + "”."})
			continue
		}
		if strings.TrimSpace(line) != "" {
			pairs = append(pairs, connection.Pair{Name: strings.TrimSpace(name), Value: value})
		}
	}
	return pairs, mistakes
}
