package client

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/relay/api"
)

// document is the OpenAPI document that a relay serves.
type document map[string]any

func described(t *testing.T) document {
	t.Helper()
	public, _ := url.Parse("https://relay.example.com")
	w := httptest.NewRecorder()
	api.New(api.Options{PublicURL: public, Version: "1"}).ServeHTTP(w, httptest.NewRequest("GET", "/openapi.json", nil))
	var d document
	if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil {
		t.Fatalf("%v in %s", err, w.Body)
	}
	return d
}

// at is the object at a path of keys; nil where there is none.
func (d document) at(keys ...string) map[string]any {
	value := map[string]any(d)
	for _, key := range keys {
		value, _ = value[key].(map[string]any)
	}
	return value
}

// operations are all calls, by method and path below the API's prefix.
func (d document) operations() map[string]map[string]any {
	all := map[string]map[string]any{}
	for path, methods := range d.at("paths") {
		for method, op := range methods.(map[string]any) {
			all[strings.ToUpper(method)+" "+strings.TrimPrefix(path, prefix)] = op.(map[string]any)
		}
	}
	return all
}

// body is the schema of an operation's request or of its success; nil: none.
func body(of map[string]any, mediaType string) map[string]any {
	content, _ := of["content"].(map[string]any)
	media, _ := content[mediaType].(map[string]any)
	schema, _ := media["schema"].(map[string]any)
	return schema
}

// comparison lists where Go types are not what schemas describe.
type comparison struct {
	document
	seen   map[string]bool
	faults []string
}

func (c *comparison) add(format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}

// differ compares a schema and a type, and what they are made of.
func (c *comparison) differ(schema map[string]any, t reflect.Type, path string) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if ref, ok := schema["$ref"].(string); ok {
		name := ref[strings.LastIndexByte(ref, '/')+1:]
		if key := name + " " + t.String(); c.seen[key] {
			return
		} else {
			c.seen[key] = true
		}
		c.differ(c.at("components", "schemas", name), t, name)
		return
	}
	switch kind := kindOf(schema); {
	case t == reflect.TypeFor[Secret]():
		if schema["oneOf"] == nil {
			c.add("%s: a Secret, but not one of several forms: %v", path, schema)
		}
	case t == reflect.TypeFor[time.Time]():
		if schema["format"] != "date-time" {
			c.add("%s: a time, but %v", path, schema)
		}
	case t == reflect.TypeFor[json.RawMessage]():
	case kind == "object" && schema["properties"] != nil:
		c.differFields(schema, t, path)
	case kind == "object":
		values, ok := schema["additionalProperties"].(map[string]any)
		if t.Kind() != reflect.Map || !ok {
			c.add("%s: %s, but %v", path, t, schema)
			return
		}
		c.differ(values, t.Elem(), path+".*")
	case kind == "array":
		if t.Kind() != reflect.Slice {
			c.add("%s: %s, but a list", path, t)
			return
		}
		items, _ := schema["items"].(map[string]any)
		c.differ(items, t.Elem(), path+"[]")
	default:
		if !slices.Contains(goKinds[kind], t.Kind()) {
			c.add("%s: %s, but %v", path, t, schema["type"])
		}
	}
}

var goKinds = map[string][]reflect.Kind{
	"string": {reflect.String}, "boolean": {reflect.Bool}, "number": {reflect.Float64},
	"integer": {reflect.Int, reflect.Int64},
}

// kindOf is a schema's type, with what OpenAPI 3.1 says of null left out.
func kindOf(schema map[string]any) string {
	switch types := schema["type"].(type) {
	case string:
		return types
	case []any:
		for _, one := range types {
			if one != "null" {
				return fmt.Sprint(one)
			}
		}
	}
	return ""
}

func (c *comparison) differFields(schema map[string]any, t reflect.Type, path string) {
	if t.Kind() != reflect.Struct {
		c.add("%s: %s, but an object with fields", path, t)
		return
	}
	fields := jsonFields(t)
	properties := schema["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		field, ok := fields[name]
		if !ok {
			c.add("%s.%s: %s does not have it", path, name, t)
			continue
		}
		c.differ(properties[name].(map[string]any), field, path+"."+name)
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if properties[name] == nil {
			c.add("%s.%s: only %s has it", path, name, t)
		}
	}
}

// jsonFields are a struct's fields by their name in JSON, those of embedded
// structs included.
func jsonFields(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		fields[name] = f.Type
	}
	return fields
}
