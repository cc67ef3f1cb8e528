package config

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"sallyport/internal/nearest"
)

// fileValue is one value of the file, as the text that a flag would have.
type fileValue struct {
	text string
	line int
}

// parseFile reads a file of options: one mapping of keys of the table to
// scalars or, for lists, sequences of scalars. A key that the table lacks is an
// error that names the line and the nearest key, since a misspelt option that
// is silently passed over is found out too late.
func parseFile(name string, body []byte, table []Option) (map[string]fileValue, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(body, &doc); err != nil {
		return nil, fmt.Errorf("%s: %s", name, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	values := map[string]fileValue{}
	if doc.Kind == 0 { // empty, or comments alone
		return values, nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s:%d: want lines of the form \"key: value\"", name, root.Line)
	}
	var faults []error
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		fault := func(format string, args ...any) {
			faults = append(faults, fmt.Errorf("%s:%d: %s", name, key.Line, fmt.Sprintf(format, args...)))
		}
		option, known := find(table, key.Value)
		if !known {
			fault("unknown key %q%s", key.Value, suggestion(table, key.Value))
			continue
		}
		if option.EnvOnly {
			fault("%s can be given as the environment variable %s only", key.Value, option.Env())
			continue
		}
		if before, twice := values[key.Value]; twice {
			fault("%s is already set in line %d", key.Value, before.line)
			continue
		}
		text, ok := scalars(value, option)
		if !ok {
			fault("%s: want one value%s", key.Value, map[bool]string{true: " or a list of values"}[option.Type == "list"])
			continue
		}
		values[key.Value] = fileValue{text: text, line: key.Line}
	}
	return values, errors.Join(faults...)
}

// scalars is the value as a flag would have it: a list joined by commas.
func scalars(value *yaml.Node, option Option) (string, bool) {
	switch {
	case value.Kind == yaml.ScalarNode && value.Tag == "!!null":
		return "", true
	case value.Kind == yaml.ScalarNode:
		return value.Value, true
	case value.Kind == yaml.SequenceNode && option.Type == "list":
		var parts []string
		for _, item := range value.Content {
			if item.Kind != yaml.ScalarNode {
				return "", false
			}
			parts = append(parts, item.Value)
		}
		return strings.Join(parts, ","), true
	}
	return "", false
}

func find(table []Option, key string) (Option, bool) {
	for _, o := range table {
		if o.Key == key {
			return o, true
		}
	}
	return Option{}, false
}

// suggestion names the key of the table that is nearest to one that it lacks,
// where one is near enough to have been meant.
func suggestion(table []Option, key string) string {
	best, distance := "", len(key)/2+1
	for _, o := range table {
		if o.EnvOnly {
			continue
		}
		if d := nearest.Distance(strings.ToLower(strings.ReplaceAll(key, "_", "-")), o.Key); d < distance {
			best, distance = o.Key, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(": did you mean %q?", best)
}
