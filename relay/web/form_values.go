package web

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"sallyport/relay/connection"
	"sallyport/relay/registry"
)

// formValues is what a connection form holds, as text: also what no
// connection can be made of, so that it can be given back with its mistakes.
type formValues struct {
	fields  map[string]string // by path
	headers []connection.Header
	paste   string
	secrets []secretValue
	removed []string // saved secrets that were taken out
	version int64    // of the connection that was opened; 0 for a new one
}

type secretValue struct {
	name  string
	value string // typed now; empty with set: keep the saved one
	set   bool   // the saved connection has it
}

func newFormValues(agentID string) formValues {
	v := formValues{fields: map[string]string{
		"mode": string(connection.Cloud), "mediaType": string(connection.JSON), "ping.method": "GET",
	}}
	showAuth(v.fields, connection.Auth{Type: connection.AuthCookie})
	if agentID != "" {
		v.fields["mode"] = string(connection.OnPremise)
		v.fields["agentId"] = agentID
	}
	return v
}

// savedFormValues is the form of a connection on file.
func savedFormValues(c registry.Connection) formValues {
	v := formValues{version: c.Version, headers: slices.Clone(c.Headers), fields: map[string]string{
		"name": c.Name, "mode": string(c.Mode), "agentId": c.AgentID, "baseUri": c.BaseURI,
		"mediaType":   string(c.MediaType),
		"ping.method": c.Ping.Method, "ping.uri": c.Ping.URI, "ping.body": c.Ping.Body,
		"ping.successPath": c.Ping.SuccessPath, "ping.successValues": strings.Join(c.Ping.SuccessValues, "\n"),
	}}
	showAuth(v.fields, c.Auth)
	v.fillRequests(c.Requests)
	v.fillHealth(c.Health)
	for _, name := range c.SecretNames {
		v.secrets = append(v.secrets, secretValue{name: name, set: true})
	}
	return v
}

// postedFormValues reads what a browser sent.
func postedFormValues(form url.Values) formValues {
	v := formValues{fields: map[string]string{}, paste: form.Get("headers.paste"), removed: form["secrets.removed"]}
	for _, f := range formFields() {
		// Browsers send line breaks as CRLF (HTML standard, section 4.10.21.8);
		// the body that was typed has LF.
		v.fields[f.path] = strings.ReplaceAll(form.Get(f.path), "\r\n", "\n")
	}
	v.version, _ = strconv.ParseInt(form.Get("version"), 10, 64)
	values := form["headers.value"]
	for i, name := range form["headers.name"] {
		v.headers = append(v.headers, connection.Header{Name: name, Value: at(values, i)})
	}
	secrets, set := form["secrets.value"], form["secrets.set"]
	for i, name := range form["secrets.name"] {
		v.secrets = append(v.secrets, secretValue{name: strings.TrimSpace(name), value: at(secrets, i), set: at(set, i) == "1"})
	}
	v.keepTyped()
	return v
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return ""
}

// addPasted makes rows of the lines "Name: value" in the paste box; a line
// that is none stays there.
func (v *formValues) addPasted() {
	var left []string
	for _, line := range strings.Split(strings.ReplaceAll(v.paste, "\r\n", "\n"), "\n") {
		name, value, ok := strings.Cut(line, ":")
		switch {
		case strings.TrimSpace(line) == "":
		case !ok || strings.TrimSpace(name) == "":
			left = append(left, line)
		default:
			v.headers = append(v.headers, connection.Header{Name: strings.TrimSpace(name), Value: strings.TrimSpace(value)})
		}
	}
	v.paste = strings.Join(left, "\n")
}

// spec is the connection that the form describes. mistakes are what the form
// itself can tell: text where a number belongs, a secret without a name. The
// rest is for the registry, which is given the same rows: headerRows maps its
// header indices to those of the form, whose blank rows don't count.
func (v formValues) spec() (spec connection.Spec, headerRows []int, mistakes []connection.FieldError) {
	f := v.fields
	spec = connection.Spec{
		Name: f["name"], Mode: connection.Mode(f["mode"]), AgentID: f["agentId"], BaseURI: f["baseUri"],
		MediaType: connection.MediaType(f["mediaType"]),
		Ping:      connection.Ping{Method: f["ping.method"], URI: f["ping.uri"], SuccessPath: f["ping.successPath"]},
	}
	if spec.Mode != connection.OnPremise || spec.AgentID == "install" {
		spec.AgentID = ""
	}
	for i, h := range v.headers {
		if strings.TrimSpace(h.Name) == "" && strings.TrimSpace(h.Value) == "" {
			continue
		}
		spec.Headers = append(spec.Headers, h)
		headerRows = append(headerRows, i)
	}
	spec.Auth, mistakes = readAuth(f)
	if spec.Ping.Method == "POST" || spec.Ping.Method == "PUT" {
		spec.Ping.Body = f["ping.body"]
	}
	spec.Ping.SuccessValues = nonBlank(f["ping.successValues"])
	var numbers []connection.FieldError
	spec.Requests, numbers = v.requests()
	mistakes = append(mistakes, numbers...)
	spec.Health, numbers = v.health()
	mistakes = append(mistakes, numbers...)
	return spec, headerRows, append(mistakes, v.secretMistakes()...)
}

// nonBlank are the lines that hold something, a blank at an end included.
func nonBlank(text string) []string {
	var lines []string
	for _, line := range strings.Split(text, "\n") {
		if line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

func (v formValues) secretMistakes() []connection.FieldError {
	var mistakes []connection.FieldError
	seen := map[string]bool{}
	for i, s := range v.secrets {
		path := "secrets." + strconv.Itoa(i) + ".name"
		switch {
		case s.name == "" && s.value != "":
			mistakes = append(mistakes, connection.FieldError{Path: path, Message: "Give the secret a name, such as password."})
		case s.name != "" && s.value == "" && !s.set:
			mistakes = append(mistakes, connection.FieldError{Path: path, Message: "Enter the value of " + s.name + ", or remove the row."})
		case s.name != "" && seen[s.name]:
			mistakes = append(mistakes, connection.FieldError{Path: path, Message: "There are two secrets named " + s.name + "; rename or remove one."})
		}
		seen[s.name] = true
	}
	return mistakes
}

// changes is what the registry is to do with the secrets: absent keeps, nil
// removes.
func (v formValues) changes() map[string]*string {
	changes := map[string]*string{}
	for _, name := range v.removed {
		changes[name] = nil
	}
	for _, s := range v.secrets {
		if s.name != "" && s.value != "" {
			value := s.value
			changes[s.name] = &value
		}
	}
	return changes
}
