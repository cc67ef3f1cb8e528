package connection

import (
	"regexp"
	"strings"
)

// credentialFields are the fields of a connection, as its JSON has them, that are
// there to hold a credential; * is each item of a list.
var credentialFields = []string{
	"auth.basic.password", "auth.digest.password", "auth.token.token", "auth.oauth2.clientSecret",
	"auth.custom.headers.*.value", "auth.custom.query.*.value", "auth.custom.body.*.value",
	"auth.cookie.body", "auth.cookie.signOut.body",
}

// namedFields are lists of pairs of which some may be credentials, by their names.
var namedFields = []string{"headers", "auth.cookie.headers", "auth.cookie.before.headers", "auth.oauth2.parameters"}

var credentialName = regexp.MustCompile(`(?i)auth|cookie|passw|secret|token|api[-_]?key|credential|session|signature|^x-key$`)

// ReplaceTyped replaces, in a connection as its JSON has it, each credential that
// was typed in where a placeholder should stand.
func ReplaceTyped(fields map[string]any, with func(value string) any) {
	for _, path := range credentialFields {
		replaceAt(fields, strings.Split(path, "."), with)
	}
	for _, path := range namedFields {
		replaceAt(fields, append(strings.Split(path, "."), "*", "value?"), with)
	}
}

func replaceAt(at any, path []string, with func(string) any) {
	switch at := at.(type) {
	case []any:
		if path[0] == "*" {
			for _, item := range at {
				replaceAt(item, path[1:], with)
			}
		}
	case map[string]any:
		field, byName := strings.CutSuffix(path[0], "?")
		if len(path) > 1 {
			replaceAt(at[field], path[1:], with)
			return
		}
		if name, _ := at["name"].(string); byName && !credentialName.MatchString(name) {
			return
		}
		if value, ok := at[field].(string); ok && value != "" && !strings.Contains(value, placeholderOpen) {
			at[field] = with(value)
		}
	}
}
