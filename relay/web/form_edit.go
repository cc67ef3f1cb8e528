package web

import (
	"strconv"
	"strings"

	"sallyport/relay/connection"
)

// edit does what a button of the form asks that changes the form itself, and
// reports whether do was one. Browsers with scripts do all of this by
// themselves (rows.js, form.js).
func (v *formValues) edit(do string) bool {
	verb, argument, _ := strings.Cut(do, ":")
	switch verb {
	case "add-header":
		v.headers = append(v.headers, connection.Header{})
	case "add-secret":
		v.secrets = append(v.secrets, secretValue{})
	case "paste-headers":
		v.addPasted()
	case "remove-header":
		if i, err := strconv.Atoi(argument); err == nil && i >= 0 && i < len(v.headers) {
			v.headers = append(v.headers[:i:i], v.headers[i+1:]...)
		}
	case "remove-secret":
		if i, err := strconv.Atoi(argument); err == nil && i >= 0 && i < len(v.secrets) {
			if v.secrets[i].set {
				v.removed = append(v.removed, v.secrets[i].name)
			}
			v.secrets = append(v.secrets[:i:i], v.secrets[i+1:]...)
		}
	case "set":
		field, value, _ := strings.Cut(argument, "=")
		v.set(field, value)
	case "pick":
		path, values, _ := strings.Cut(strings.ReplaceAll(argument, "\r\n", "\n"), "\n")
		v.set("ping.successPath", path)
		v.set("ping.successValues", values)
	default:
		return false
	}
	return true
}

// set changes one field, as a hint's Fix or a value picked from a response
// asks, and reports whether the form has it. "ping.successValues[1]" is the
// second line of that field.
func (v *formValues) set(path, value string) bool {
	name, index := indexOf(path)
	for _, f := range formFields() {
		if f.path != name {
			continue
		}
		if index < 0 {
			v.fields[name] = value
			if name == "agentId" {
				v.fields["mode"] = string(connection.OnPremise) // an agent has no meaning in the other
			}
			return true
		}
		lines := nonBlank(v.fields[name])
		if index >= len(lines) {
			return false
		}
		lines[index] = value
		v.fields[name] = strings.Join(lines, "\n")
		return true
	}
	return false
}

// indexOf splits "name[3]" in two; the index is -1 where there is none.
func indexOf(path string) (name string, index int) {
	name, rest, found := strings.Cut(path, "[")
	if i, err := strconv.Atoi(strings.TrimSuffix(rest, "]")); found && err == nil && i >= 0 {
		return name, i
	}
	return path, -1
}

// focus puts the cursor into a field when the page opens.
func (v formView) focus(path string) {
	path, _ = indexOf(path)
	if f, ok := v.fields[path]; ok {
		f.Focus = true
		v.fields[path] = f
	}
}
