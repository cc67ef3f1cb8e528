package manifest

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"sallyport/internal/nearest"
	"sallyport/relay/client"
)

// Schema says which fields a connection has, as a relay describes it.
type Schema struct {
	components map[string]shape
	root       shape
}

// shape is a JSON schema as far as files are read by it.
type shape struct {
	Ref        string           `json:"$ref"`
	Type       kinds            `json:"type"`
	Properties map[string]shape `json:"properties"`
	Additional json.RawMessage  `json:"additionalProperties"` // a schema, or false
	Items      *shape           `json:"items"`
	ReadOnly   bool             `json:"readOnly"`
}

// kinds are the JSON types that a value may have: OpenAPI 3.1 writes one, or a
// list of them.
type kinds []string

// UnmarshalJSON reads both forms.
func (k *kinds) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*k = kinds{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(k))
}

// FetchSchema reads the OpenAPI document of a relay.
func FetchSchema(ctx context.Context, c *client.Client) (*Schema, error) {
	var document struct {
		Components struct {
			Schemas map[string]shape `json:"schemas"`
		} `json:"components"`
	}
	if err := c.Do(ctx, "GET", "/openapi.json", nil, &document); err != nil {
		return nil, err
	}
	s := &Schema{components: document.Components.Schemas, root: document.Components.Schemas["Connection"]}
	if len(s.root.Properties) == 0 {
		return nil, errors.New("the relay's /openapi.json does not say what a connection is: is it a Sallyport relay?")
	}
	return s, nil
}

// resolve follows references; what they lead to may refer on.
func (s *Schema) resolve(of shape) shape {
	for range 10 { // no document refers further, and a circle ends
		if of.Ref == "" {
			return of
		}
		of = s.components[of.Ref[strings.LastIndexByte(of.Ref, '/')+1:]]
	}
	return of
}

// values is the shape of the values of an object whose keys are free.
func (of shape) values() (shape, bool) {
	var v shape
	if len(of.Additional) == 0 || of.Additional[0] != '{' {
		return v, false
	}
	return v, json.Unmarshal(of.Additional, &v) == nil
}

// is reports whether a value may be of that JSON type.
func (of shape) is(kind string) bool { return slices.Contains(of.Type, kind) }

// readOnly are the fields that the relay adds.
func (s *Schema) readOnly(name string) bool { return s.root.Properties[name].ReadOnly }

// suggest names the field that an unknown one was meant to be, if one is near.
func suggest(key string, known []string) string {
	best := nearest.Of(key, known...)
	if best == "" || nearest.Distance(strings.ToLower(key), strings.ToLower(best)) > len(key)/2 {
		slices.Sort(known)
		if len(known) > 12 {
			return ""
		}
		return " There are " + strings.Join(known, ", ") + "."
	}
	return " Did you mean " + best + "?"
}

func names(of map[string]shape) []string { return slices.Collect(maps.Keys(of)) }
