package config

import (
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Edit sets keys in the text of an agent.yaml and leaves everything else in it
// as it stands, comments included. A key takes the place of its line, or of the
// line of Example that shows it commented out, or comes to stand at the end.
// The result is checked as a whole. Only keys whose value is text, or true or
// false, can be set.
func Edit(text string, values map[string]string) (string, error) {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for _, o := range Options() {
		value, given := values[o.Key]
		if !given {
			continue
		}
		line, err := keyLine(o, value)
		if err != nil {
			return "", err
		}
		lines = setLine(lines, o.Key, line)
	}
	edited := strings.Join(lines, "\n") + "\n"
	if err := Check(edited); err != nil {
		return "", err
	}
	return edited, nil
}

// Check reports what is wrong with the text of an agent.yaml.
func Check(text string) error {
	c := Defaults()
	return c.parse(text)
}

func keyLine(o Option, value string) (string, error) {
	c := Defaults()
	if err := c.set(o, value); err != nil {
		return "", err
	}
	field := c.fields()[o.Key]
	if kind := field.Kind(); kind != reflect.String && kind != reflect.Bool {
		return "", fmt.Errorf("%s: set it in the file", o.Key)
	}
	scalar, err := yaml.Marshal(field.Interface())
	if err != nil {
		return "", fmt.Errorf("%s: %w", o.Key, err)
	}
	text := strings.TrimRight(string(scalar), "\n")
	if strings.Contains(text, "\n") {
		return "", fmt.Errorf("%s: more than one line", o.Key)
	}
	return o.Key + ": " + text, nil
}

// setLine puts line where the key stands.
func setLine(lines []string, key, line string) []string {
	for _, prefix := range []string{key + ":", "# " + key + ":", "#" + key + ":"} {
		for i, l := range lines {
			if strings.HasPrefix(l, prefix) {
				lines[i] = line
				return lines
			}
		}
	}
	return append(lines, line)
}
