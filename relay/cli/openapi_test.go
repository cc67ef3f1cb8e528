package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// described is the relay's OpenAPI document.
type described struct {
	t   *testing.T
	doc map[string]any
}

func (r *running) described() described {
	r.t.Helper()
	a := r.expect(200, "GET", "/openapi.json", "", "Authorization:")
	d := described{t: r.t}
	if err := json.Unmarshal([]byte(a.body), &d.doc); err != nil {
		r.t.Fatal(err)
	}
	return d
}

// at is the object at a path of keys; nil where there is none.
func (d described) at(keys ...string) map[string]any {
	value := d.doc
	for _, key := range keys {
		value, _ = value[key].(map[string]any)
	}
	return value
}

// faults lists where a value does not conform to a schema, as far as this
// document's schemas go: references, types, enums, required and unknown
// properties, alternatives.
func (d described) faults(schema map[string]any, value any, path string) []string {
	if ref, ok := schema["$ref"].(string); ok {
		name := ref[strings.LastIndexByte(ref, '/')+1:]
		target := d.at("components", "schemas", name)
		if target == nil {
			return []string{path + ": no schema " + name}
		}
		return d.faults(target, value, path)
	}
	if alternatives, ok := schema["oneOf"].([]any); ok {
		for _, one := range alternatives {
			if len(d.faults(one.(map[string]any), value, path)) == 0 {
				return nil
			}
		}
		return []string{path + ": none of the alternatives"}
	}
	types := []string{}
	switch of := schema["type"].(type) {
	case string:
		types = append(types, of)
	case []any:
		for _, one := range of {
			types = append(types, fmt.Sprint(one))
		}
	}
	is := kind(value)
	if len(types) > 0 && !slices.Contains(types, is) && !(is == "integer" && slices.Contains(types, "number")) {
		return []string{fmt.Sprintf("%s: is %s, want %v", path, is, types)}
	}
	if allowed, ok := schema["enum"].([]any); ok && !slices.Contains(allowed, value) {
		return []string{fmt.Sprintf("%s: %v is none of %v", path, value, allowed)}
	}
	var found []string
	switch v := value.(type) {
	case []any:
		items, _ := schema["items"].(map[string]any)
		for i, item := range v {
			found = append(found, d.faults(items, item, fmt.Sprintf("%s[%d]", path, i))...)
		}
	case map[string]any:
		required, _ := schema["required"].([]any)
		for _, name := range required {
			if _, ok := v[name.(string)]; !ok {
				found = append(found, fmt.Sprintf("%s: lacks %s", path, name))
			}
		}
		properties, _ := schema["properties"].(map[string]any)
		for name, inner := range v {
			property, known := properties[name].(map[string]any)
			if !known {
				if property, known = schema["additionalProperties"].(map[string]any); !known {
					found = append(found, fmt.Sprintf("%s: %s is not described", path, name))
					continue
				}
			}
			found = append(found, d.faults(property, inner, path+"."+name)...)
		}
	}
	return found
}

func kind(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case float64:
		if v == float64(int64(v)) {
			return "integer"
		}
		return "number"
	case []any:
		return "array"
	}
	return "object"
}

func TestDocumentDescribesEveryCallOfTheContract(t *testing.T) {
	d := startRelay(t, "").described()
	if d.doc["openapi"] != "3.1.0" {
		t.Errorf("openapi %v", d.doc["openapi"])
	}
	calls := map[string]string{
		"/agents": "get post", "/agents/{id}": "get patch delete", "/agents/{id}/enrollments": "post", "/enroll": "post delete",
		"/connections": "get post", "/connections/{id}": "get put delete", "/connections/test": "post", "/connections/{id}/test": "post",
		"/connections/{id}/session": "get post delete", "/connections/{id}/proxy/{path}": "get head post put patch delete options",
		"/events": "get", "/audit": "get", "/tokens": "get post", "/tokens/{id}": "delete", "/me": "get",
	}
	ids := map[string]bool{}
	for path, methods := range calls {
		for method := range strings.FieldsSeq(methods) {
			op := d.at("paths", "/api/v1"+path, method)
			if op == nil {
				t.Errorf("%s %s is not described", method, path)
				continue
			}
			id, _ := op["operationId"].(string)
			if id == "" || ids[id] {
				t.Errorf("%s %s: operationId %q", method, path, id)
			}
			ids[id] = true
			if op["summary"] == "" || op["security"] == nil {
				t.Errorf("%s %s: summary %v, security %v", method, path, op["summary"], op["security"])
			}
			if d.at("paths", "/api/v1"+path, method, "responses", "default", "content", "application/problem+json") == nil {
				t.Errorf("%s %s: no problem", method, path)
			}
		}
	}
	for _, path := range []string{"/connections/test", "/connections/{id}/test"} {
		for _, mediaType := range []string{"application/json", "text/event-stream"} {
			if d.at("paths", "/api/v1"+path, "post", "responses", "200", "content", mediaType) == nil {
				t.Errorf("%s does not tell of %s", path, mediaType)
			}
		}
		if d.at("paths", "/api/v1"+path, "post", "requestBody", "content", "application/json") == nil {
			t.Errorf("%s has no body", path)
		}
	}
	if d.at("components", "securitySchemes", "token") == nil || d.at("components", "schemas", "ErrorModel") != nil {
		t.Error("security schemes or schemas")
	}
	if faults := d.faults(map[string]any{"$ref": "#/components/schemas/Connection"}, d.at("components", "schemas", "Connection")["examples"].([]any)[0], "example"); len(faults) > 0 {
		t.Errorf("the example: %v", faults)
	}
}

func TestAnswersConformToTheDocument(t *testing.T) {
	relay, app := startRelay(t, ""), startApplication(t)
	d := relay.described()
	agent := relay.expect(201, "POST", "/api/v1/agents", `{"name":"Plant 2"}`)
	id := agent.text(t, "id")
	code := relay.expect(201, "POST", "/api/v1/agents/"+id+"/enrollments", "")
	enrolled := relay.expect(201, "POST", "/api/v1/enroll", enrolBody(t, code.text(t, "code")))
	made := relay.expect(201, "POST", "/api/v1/connections", app.connection(map[string]any{"headers": []any{map[string]any{"name": "X-A", "value": "b"}}}))
	path := "/api/v1/connections/" + made.text(t, "id")
	for _, c := range []struct {
		method, path, status string
		got                  answer
	}{
		{"post", "/agents", "201", agent},
		{"post", "/agents/{id}/enrollments", "201", code},
		{"post", "/enroll", "201", enrolled},
		{"get", "/agents/{id}", "200", relay.call("GET", "/api/v1/agents/"+id, "")},
		{"get", "/agents", "200", relay.call("GET", "/api/v1/agents", "")},
		{"post", "/connections", "201", made},
		{"post", "/connections/{id}/test", "200", relay.call("POST", path+"/test", "")},
		{"post", "/connections/test", "200", relay.call("POST", "/api/v1/connections/test", app.connection(map[string]any{"secrets": map[string]any{"password": "wrong"}}))},
		{"get", "/connections/{id}", "200", relay.call("GET", path, "")},
		{"get", "/connections", "200", relay.call("GET", "/api/v1/connections", "")},
		{"get", "/connections/{id}/session", "200", relay.call("GET", path+"/session", "")},
		{"post", "/connections/{id}/session", "200", relay.call("POST", path+"/session", "")},
		{"get", "/audit", "200", relay.call("GET", "/api/v1/audit", "")},
		{"get", "/tokens", "200", relay.call("GET", "/api/v1/tokens", "")},
		{"post", "/tokens", "201", relay.call("POST", "/api/v1/tokens", `{"name":"x"}`)},
		{"get", "/me", "200", relay.call("GET", "/api/v1/me", "")},
		{"post", "/connections", "default", relay.call("POST", "/api/v1/connections", `{"modee":1}`)},
		{"get", "/connections/{id}", "default", relay.call("GET", "/api/v1/connections/none", "")},
	} {
		mediaType := "application/json"
		if c.status == "default" {
			mediaType = "application/problem+json"
		}
		schema := d.at("paths", "/api/v1"+c.path, c.method, "responses", c.status, "content", mediaType, "schema")
		if schema == nil {
			t.Errorf("%s %s: %s is not described", c.method, c.path, c.status)
			continue
		}
		var value any
		if err := json.Unmarshal([]byte(c.got.body), &value); err != nil {
			t.Errorf("%s %s: %v", c.method, c.path, err)
			continue
		}
		for _, fault := range d.faults(schema, value, "body") {
			t.Errorf("%s %s: %s", c.method, c.path, fault)
		}
	}
}
