package api

import (
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
)

func TestWhatAValueMustBeIsSaidInPlainWords(t *testing.T) {
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	type inner struct {
		Deep bool `json:"deep,omitempty"`
	}
	type form struct {
		Text  string   `json:"text,omitempty" maxLength:"5" minLength:"2"`
		Flag  bool     `json:"flag,omitempty"`
		Count int      `json:"count,omitempty" minimum:"1" maximum:"9"`
		Rate  float64  `json:"rate,omitempty" exclusiveMinimum:"0"`
		List  []string `json:"list,omitempty" maxItems:"1"`
		Inner inner    `json:"inner,omitempty"`
		Kind  string   `json:"kind,omitempty" enum:"one,two,three"`
	}
	for _, c := range []struct{ text, path, want string }{
		{`{"text": 7}`, "text", mustBeText},
		{`{"text": "too long"}`, "text", "Must have at most 5 characters."},
		{`{"text": "x"}`, "text", "Must have at least 2 characters."},
		{`{"flag": "true"}`, "flag", mustBeBoolean},
		{`{"count": "7"}`, "count", mustBeWhole},
		{`{"count": 1.5}`, "count", mustBeWhole},
		{`{"count": 0}`, "count", "Must be 1 or more."},
		{`{"count": 10}`, "count", "Must be 9 or less."},
		{`{"rate": true}`, "rate", mustBeNumber},
		{`{"rate": 0}`, "rate", "Must be more than 0."},
		{`{"rate": 1e999}`, "rate", outOfRange},
		{`{"list": "none"}`, "list", mustBeList},
		{`{"list": ["a", "b"]}`, "list", "Must have at most 1 item."},
		{`{"list": [7]}`, "list[0]", mustBeText},
		{`{"inner": []}`, "inner", mustBeObject},
		{`{"inner": {"deep": 1}}`, "inner.deep", mustBeBoolean},
		{`{"kind": "four"}`, "kind", "Must be one, two or three."},
		{`{"what": 1}`, "what", unknownField},
		{`[]`, "", `The body must be an object, such as {"name": "Plant 2"}.`},
	} {
		d := document[form]{raw: []byte(c.text)}
		_, faults := d.decode(registry)
		if len(faults) != 1 || strings.TrimPrefix(faults[0].Path, ".") != c.path || faults[0].Message != c.want {
			t.Errorf("%s: got %+v, want %s: %s", c.text, faults, c.path, c.want)
		}
	}
}
