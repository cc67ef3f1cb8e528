package manifest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Values tell where the values of secrets come from.
type Values struct {
	Env func(string) (string, bool)
	// Given are values by connection, which is its key or its name, and secret.
	Given map[string]map[string]string
	// Plain lets values stand in the documents themselves.
	Plain bool
}

// ReadSecrets reads a file of values, by connection and name of the secret. A
// value may be a reference as well.
func ReadSecrets(path string, env func(string) (string, bool)) (map[string]map[string]string, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	roots, fault := nodes(path, text)
	if fault != nil {
		return nil, Faults{*fault}
	}
	from := Values{Env: env, Plain: true}
	given := map[string]map[string]string{}
	var faults Faults
	for _, root := range roots {
		r := reading{doc: &Document{File: path, lines: map[string]int{}}}
		if root.Kind != yaml.MappingNode {
			r.fault(root, "", "Must hold, for each connection, its key or name, and below it the secrets with their values.")
		} else {
			for _, c := range r.fields(root, "") {
				if c.value.Kind != yaml.MappingNode {
					r.fault(c.key, c.name, "Must be an object: a line for each secret.")
					continue
				}
				given[c.name] = map[string]string{}
				for _, f := range r.fields(c.value, c.name) {
					value, problem := from.resolve(f.value.Value, filepath.Dir(path))
					if f.value.Kind != yaml.ScalarNode || f.value.Tag == "!!null" {
						problem = "Must be a value, or a reference to one."
					}
					if problem != "" {
						r.fault(f.key, c.name+"."+f.name, "%s", problem)
					}
					given[c.name][f.name] = value
				}
			}
		}
		faults = append(faults, r.faults...)
	}
	return given, faults.orNil()
}

// resolve is the value that a text refers to. dir is where relative paths begin.
// What is wrong with it is told without the value.
func (v Values) resolve(text, dir string) (value, problem string) {
	kind, at, isReference := parseReference(text)
	switch {
	case !isReference && v.Plain:
		return text, ""
	case !isReference:
		return "", "A value stands here, for everybody to read who reads the file. Write ${env:NAME} or ${file:PATH}, or give it with --secrets."
	case kind == "env":
		value, ok := v.Env(at)
		if !ok {
			return "", fmt.Sprintf("The environment variable %s is not set.", at)
		}
		if value == "" {
			return "", fmt.Sprintf("The environment variable %s is empty.", at)
		}
		return value, ""
	}
	if !filepath.IsAbs(at) {
		at = filepath.Join(dir, at)
	}
	content, err := os.ReadFile(at)
	if err != nil {
		return "", fmt.Sprintf("The secret's file can't be read: %s.", err)
	}
	// Editors end a file with a line break, which is no part of a password.
	value = strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	if value == "" {
		return "", fmt.Sprintf("The secret's file %s is empty.", at)
	}
	return value, ""
}

// parseReference takes ${env:NAME} and ${file:PATH} apart.
func parseReference(text string) (kind, at string, ok bool) {
	inner, ok := strings.CutPrefix(strings.TrimSpace(text), "${")
	if !ok {
		return "", "", false
	}
	inner, closed := strings.CutSuffix(inner, "}")
	kind, at, found := strings.Cut(inner, ":")
	return kind, at, closed && found && at != "" && (kind == "env" || kind == "file")
}

// fill makes of a document's secrets what the API takes. fresh: the connection
// is still to be made, and there is nothing to keep.
func (d *Document) fill(from Values, fresh bool) (map[string]any, Faults) {
	out := map[string]any{}
	var faults Faults
	given := from.of(d)
	for name, w := range d.secrets {
		path := "secrets." + name
		value, problem := "", ""
		_, twice := given[name]
		switch {
		case w.kind == removed:
			out[name] = nil
			continue
		case w.kind == kept && fresh && !twice:
			faults = append(faults, d.fault(path, "The relay does not have this secret yet: give its value."))
			continue
		case w.kind == kept:
			continue
		case twice:
			problem = "Its value is given by --secrets as well: keep one of the two."
		default:
			value, problem = from.resolve(w.text, d.dir())
		}
		if problem != "" {
			faults = append(faults, d.fault(path, "%s", problem))
			continue
		}
		out[name] = value
	}
	for name, value := range given {
		if _, have := out[name]; !have {
			out[name] = value
		}
	}
	return out, faults
}

// of are the values that are given for a document's connection.
func (v Values) of(d *Document) map[string]string {
	if given, ok := v.Given[d.Key()]; ok && d.Key() != "" {
		return given
	}
	return v.Given[d.Name()]
}

// unused are the connections that values are given for and no document
// describes: a misspelt one would leave a secret as it was.
func (v Values) unused(docs []*Document) []string {
	known := map[string]bool{}
	for _, d := range docs {
		known[d.Key()], known[d.Name()] = true, true
	}
	var unused []string
	for name := range v.Given {
		if !known[name] {
			unused = append(unused, name)
		}
	}
	return unused
}
