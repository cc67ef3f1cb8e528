package web

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/antchfx/xmlquery"
	"github.com/antchfx/xpath"

	"sallyport/relay/connection"
)

// Every path that a value offers finds that value, in whatever document.
func TestEveryPathThatIsOfferedFindsItsValue(t *testing.T) {
	for _, body := range []string{
		`{"items":[{"name":"x","state":"up"},{"name":"y","state":"down","a.b":{"c d":[1,2.50,true,null]}}]}`,
		`[{"id":7,"ok":true},{"id":8,"ok":false},{"id":8,"ok":null}]`,
		`{"a":{"name":"it's \\ \"so\"","list":[{"name":"it's \\ \"so\"","v":1},{"name":"b\nc","v":2}]}}`,
		`{"deep":[{"key":"k","in":[{"code":"c","v":"1"},{"code":"d","v":"2"}]},{"key":"l","in":[{"code":"c","v":"3"}]}]}`,
		`{"$":1,"@x":2,"":3,"ü":4,"a-b":5,"1a":6,"*":7,"[0]":8,"?":9,"a\tb":10}`,
		`<r><s a="1" n="2">up</s><i><k>1</k></i><i><k>2</k><k>3</k></i></r>`,
		`<?xml version="1.0"?><e:r xmlns:e="urn:x" e:v="9"><e:s>ok &amp; well</e:s><t><![CDATA[<x>]]></t></e:r>`,
	} {
		pieces := pickable(body)
		if pieces == nil {
			t.Errorf("%s: nothing can be picked", body)
		}
		for _, p := range pieces {
			if p.Path == "" {
				continue
			}
			for i, path := range append([]string{p.Path}, p.Ways...) {
				found := lookUp(t, body, path)
				if len(found) == 0 || !slices.Contains(found, p.Plain) && p.Plain != "" || i == 0 && len(found) != 1 {
					t.Errorf("%s: %s finds %q, and %q was picked", body, path, found, p.Plain)
				}
			}
		}
	}
}

func lookUp(t *testing.T, body, path string) (found []string) {
	t.Helper()
	if strings.HasPrefix(body, "<") {
		expr, err := connection.XPath(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return nil
		}
		doc, err := xmlquery.Parse(strings.NewReader(body))
		must(t, err)
		nodes, _ := expr.Evaluate(xmlquery.CreateXPathNavigator(doc)).(*xpath.NodeIterator)
		for nodes != nil && nodes.MoveNext() {
			found = append(found, strings.TrimSpace(nodes.Current().Value()))
		}
		return found
	}
	p, err := connection.JSONPath(path)
	if err != nil {
		t.Errorf("%s: %v", path, err)
		return nil
	}
	var doc any
	d := json.NewDecoder(strings.NewReader(body))
	d.UseNumber()
	must(t, d.Decode(&doc))
	for _, v := range p.Select(doc) {
		if v == nil {
			v = "null"
		}
		found = append(found, fmt.Sprint(v))
	}
	return found
}

func TestValuesInListsAreFoundByWhatTheyAreCalled(t *testing.T) {
	ways := map[string][]string{}
	for _, p := range pickable(`{"items":[{"name":"x","state":"up"},{"name":"y","state":"••••"}]}`) {
		ways[p.Plain] = append([]string{p.Path}, p.Ways...)
	}
	if got := fmt.Sprint(ways["up"]); got != "[items[?@.name=='x'].state items[0].state items[*].state]" {
		t.Errorf("ways to up: %s", got)
	}
	if ways["••••"][0] != "" {
		t.Error("a secret can be picked")
	}
	for _, body := range []string{`<html><body>x</body></html>`, `<a><b></a>`, `<a>`, "<a>" + strings.Repeat("<b>x</b>", 500) + "</a>", strings.Repeat("<a>", 100)} {
		if pickable(body) != nil {
			t.Errorf("%.40s can be picked from", body)
		}
	}
}
