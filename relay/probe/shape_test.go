package probe

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sallyport/relay/connection"
)

func shapeOfText(t *testing.T, contentType, text string) *Shape {
	t.Helper()
	doc, err := readDocument(contentType, connection.JSON, []byte(text), false)
	if err != nil {
		t.Fatal(err)
	}
	return shapeOf(doc)
}

func TestTheShapeOfAnAnswerHasItsPathsAndNoValue(t *testing.T) {
	for name, c := range map[string]struct{ contentType, text, want string }{
		"JSON":        {"application/json", `{"ok": true, "data": {"items": [{"id": 1}, {"id": 2, "tag": null}]}, "who": "s3cret"}`, "$ object|data object|data.items array|data.items[] object|data.items[].id number|data.items[].tag null|ok boolean|who string"},
		"a list":      {"application/json", `[1, "a"]`, "$ array|[] number|[] string"},
		"plain value": {"application/json", `"s3cret"`, "$ string"},
		"XML":         {"application/xml", `<r a="s3cret"><x>1</x><x><y/></x></r>`, "/r|/r/@a|/r/x|/r/x/y"},
	} {
		s := shapeOfText(t, c.contentType, c.text)
		if got := strings.Join(s.Paths, "|"); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	if shapeOfText(t, "text/html", "<!doctype html><p>x") != nil {
		t.Error("a page has a shape")
	}
}

func TestAShapeIsTheSameForOtherValuesAndBounded(t *testing.T) {
	a := shapeOfText(t, "application/json", `{"a": 1, "b": [{"c": "x"}]}`)
	b := shapeOfText(t, "application/json", `{"b": [{"c": "y"}, {"c": "z"}], "a": 2.5}`)
	c := shapeOfText(t, "application/json", `{"b": [{"c": "y"}], "a": "2"}`)
	if a.Digest != b.Digest || a.Digest == c.Digest || !slices.Equal(a.Paths, b.Paths) {
		t.Errorf("%+v %+v %+v", a, b, c)
	}
	rows := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"key%d": {"x": 1}`, i)
		}
		return `{"first": 1` + b.String() + `}`
	}
	if s := shapeOfText(t, "application/json", rows(1000)); len(s.Paths) != 1 {
		t.Errorf("a table by key: %v", s.Paths)
	}
	wide := shapeOfText(t, "application/json", `{"a":`+rows(90)+`,"b":`+rows(90)+`}`)
	if len(wide.Paths) != shapePaths || wide.More == 0 {
		t.Errorf("%d paths and %d more", len(wide.Paths), wide.More)
	}
	if s := shapeOfText(t, "application/json", `{"`+strings.Repeat("ä", 500)+`": 1}`); len(s.Paths[1]) > shapePath {
		t.Errorf("a path of %d bytes", len(s.Paths[1]))
	}
}
