package web

import (
	"slices"
	"strconv"
	"strings"

	"sallyport/relay/connection"
)

// authForm is one authentication type in the form: its entry in the select,
// and the fields of its section. The section itself is a template, shown where
// the type is chosen.
type authForm struct {
	kind   connection.AuthType
	label  string
	fields []formField
	// show writes what is saved into the form's fields, defaults where the
	// connection is of another type. nil: there are no fields.
	show func(fields map[string]string, a connection.Auth)
	// read makes of the fields what the connection is to have. mistakes are
	// what only the form can tell, such as text where a number belongs.
	read func(fields map[string]string, a *connection.Auth) (mistakes []connection.FieldError)
}

// authForms are the types in the order in which the form offers them.
func authForms() []authForm {
	return []authForm{
		cookieForm(),
		noneForm(),
		basicForm(),
		tokenForm(),
		customForm(),
		oauth2Form(),
		digestForm(),
	}
}

// authFields are the fields of all sections.
func authFields() []formField {
	var fields []formField
	for _, kind := range authForms() {
		fields = append(fields, kind.fields...)
	}
	return append(fields, sessionFields()...)
}

func authChoices() []choice {
	var choices []choice
	for _, kind := range authForms() {
		choices = append(choices, choice{Value: string(kind.kind), Label: kind.label})
	}
	return choices
}

// showAuth writes every type's fields, so that changing the type brings up a
// section that is ready to be filled in.
func showAuth(fields map[string]string, a connection.Auth) {
	fields["auth.type"] = string(a.Type)
	for _, kind := range authForms() {
		if kind.show != nil {
			kind.show(fields, a)
		}
	}
	showSession(fields, a.Session)
}

// readAuth reads the section of the type that is chosen.
func readAuth(fields map[string]string) (a connection.Auth, mistakes []connection.FieldError) {
	a.Type = connection.AuthType(fields["auth.type"])
	for _, kind := range authForms() {
		if kind.kind == a.Type && kind.read != nil {
			mistakes = kind.read(fields, &a)
		}
	}
	if a.Type.SignsIn() {
		life, faults := readSession(fields)
		a.Session, mistakes = life, append(mistakes, faults...)
	}
	return a, mistakes
}

// keepTyped makes secrets of passwords that were typed into the section itself:
// a connection's fields can be read, its secrets can't. A name that is taken is
// not used again, since the secret may serve elsewhere.
func (v *formValues) keepTyped() {
	for _, kind := range authForms() {
		for _, f := range kind.fields {
			typed := v.fields[f.path]
			if f.secret == "" || string(kind.kind) != v.fields["auth.type"] || typed == "" || strings.Contains(typed, "{{") {
				continue
			}
			name := v.freeSecret(f.secret)
			v.secrets = append(v.secrets, secretValue{name: name, value: typed})
			v.fields[f.path] = "{{secret." + name + "}}"
		}
	}
}

// freeSecret is a name that no secret of the form has.
func (v *formValues) freeSecret(name string) string {
	taken := func(name string) bool {
		return slices.Contains(v.removed, name) || slices.ContainsFunc(v.secrets, func(s secretValue) bool { return s.name == name })
	}
	free := name
	for n := 2; taken(free); n++ {
		free = name + "-" + strconv.Itoa(n)
	}
	return free
}
