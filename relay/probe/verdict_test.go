package probe

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sallyport/relay/connection"
)

func jsonAnswer(body string) answer {
	return answer{method: "GET", status: 200, header: http.Header{"Content-Type": {"application/json"}}, body: []byte(body)}
}

func xmlAnswer(body string) answer {
	return answer{method: "GET", status: 200, header: http.Header{"Content-Type": {"text/xml"}}, body: []byte(body)}
}

func TestVerdict(t *testing.T) {
	of := func(contentType, body string) answer {
		a := jsonAnswer(body)
		a.header = http.Header{}
		if contentType != "" {
			a.header.Set("Content-Type", contentType)
		}
		return a
	}
	status := func(code int) answer { a := jsonAnswer(`{"ok":true}`); a.status = code; return a }
	tests := []struct {
		name   string
		path   string
		values []string
		media  connection.MediaType
		answer answer
		cause  cause
		want   string // in the message
	}{
		{"2xx and no path", "", nil, connection.JSON, status(204), causeNone, "204 No Content"},
		{"401 fails whatever the body", "ok", []string{"true"}, connection.JSON, status(401), causeStatus, "401 Unauthorized"},
		{"3xx is no 2xx", "", nil, connection.JSON, status(304), causeStatus, "304"},
		{"Slack's success", "ok", nil, connection.JSON, jsonAnswer(`{"ok":true}`), causeNone, "ok is “true”"},
		{"Slack's failure", "ok", nil, connection.JSON, jsonAnswer(`{"ok":false,"error":"invalid_auth"}`), causeFalsy, "ok is “false”; the application says error: “invalid_auth”"},
		{"Slack's failure with values", "ok", []string{"true"}, connection.JSON, jsonAnswer(`{"ok":false,"error":"invalid_auth"}`), causeNoMatch, "invalid_auth"},
		{"nested complaint", "ok", nil, connection.JSON, jsonAnswer(`{"ok":0,"error":{"code":12,"message":"locked"}}`), causeFalsy, "error.message: “locked”"},
		{"nothing found", "data.ok", nil, connection.JSON, jsonAnswer(`{"ok":true}`), causeNothing, "nothing is found at data.ok"},
		{"number as it stood", "n", []string{"12.50"}, connection.JSON, jsonAnswer(`{"n":12.50}`), causeNone, "12.50"},
		{"number is not rewritten", "n", []string{"12.5"}, connection.JSON, jsonAnswer(`{"n":12.50}`), causeNoMatch, "“12.50”, where “12.5” was expected"},
		{"number beyond 64 bits", "n", []string{"123456789012345678901234567890"}, connection.JSON, jsonAnswer(`{"n":123456789012345678901234567890}`), causeNone, ""},
		{"exponent", "n", []string{"1E2"}, connection.JSON, jsonAnswer(`{"n":1E2}`), causeNone, ""},
		{"null as null", "n", []string{"null"}, connection.JSON, jsonAnswer(`{"n":null}`), causeNone, ""},
		{"null without values is falsy", "n", nil, connection.JSON, jsonAnswer(`{"n":null}`), causeFalsy, ""},
		{"case counts", "ok", []string{"true"}, connection.JSON, jsonAnswer(`{"ok":"True"}`), causeNoMatch, "“True”"},
		{"blanks count", "ok", []string{"true"}, connection.JSON, jsonAnswer(`{"ok":" true"}`), causeNoMatch, "“ true”"},
		{"array, any element", "roles", []string{"admin"}, connection.JSON, jsonAnswer(`{"roles":["user","admin"]}`), causeNone, ""},
		{"several values, any", "items[*].state", []string{"up"}, connection.JSON, jsonAnswer(`{"items":[{"state":"down"},{"state":"up"}]}`), causeNone, ""},
		{"empty string as a value", "s", []string{""}, connection.JSON, jsonAnswer(`{"s":""}`), causeNone, ""},
		{"key with a dot", "$['a.b']", []string{"1"}, connection.JSON, jsonAnswer(`{"a.b":1}`), causeNone, ""},
		{"filter", "$.items[?@.id==2].ok", nil, connection.JSON, jsonAnswer(`{"items":[{"id":1,"ok":false},{"id":2,"ok":true}]}`), causeNone, ""},
		{"JSON by its own type though the connection is XML", "$.ok", nil, connection.XML, jsonAnswer(`{"ok":true}`), causeNone, ""},
		{"problem+json", "ok", nil, connection.Plain, of("application/vnd.x+json; charset=utf-8", `{"ok":1}`), causeNone, ""},
		{"no type: the media type decides", "ok", nil, connection.JSON, of("", `{"ok":1}`), causeNone, ""},
		{"no type, XML", "/r/ok", []string{"1"}, connection.XML, of("", `<r><ok>1</ok></r>`), causeNone, ""},
		{"JSON that says text/html", "ok", nil, connection.JSON, of("text/html", `{"ok":1}`), causeNone, ""},
		{"byte order mark", "ok", nil, connection.JSON, of("application/json", "\ufeff"+`{"ok":1}`), causeNone, ""},
		{"Latin-1", "ort", []string{"Köln"}, connection.JSON, of("application/json; charset=ISO-8859-1", "{\"ort\":\"K\xf6ln\"}"), causeNone, ""},
		{"XML in Latin-1 by its own word", "/r", []string{"Köln"}, connection.XML, of("text/xml", "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><r>K\xf6ln</r>"), causeNone, ""},
		{"XML in Latin-1 by both words", "/r", []string{"Köln"}, connection.XML, of("text/xml; charset=iso-8859-1", "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><r>K\xf6ln</r>"), causeNone, ""},
		{"HTML", "ok", nil, connection.JSON, of("text/html", "<!doctype html><title>Welcome</title>"), causeUnreadable, "an HTML page"},
		{"plain text", "ok", nil, connection.JSON, of("text/plain", "pong"), causeUnreadable, "neither JSON nor XML"},
		{"faulty JSON", "ok", nil, connection.JSON, jsonAnswer(`{"ok":`), causeUnreadable, "not valid JSON"},
		{"two documents", "ok", nil, connection.JSON, jsonAnswer(`{"ok":true}{}`), causeUnreadable, "more follows"},
		{"empty body", "ok", nil, connection.JSON, jsonAnswer(""), causeUnreadable, "body is empty"},
		{"deep JSON", "ok", nil, connection.JSON, jsonAnswer(strings.Repeat("[", 100_000)), causeUnreadable, "nested more than"},
		{"deep XML", "/a", nil, connection.XML, xmlAnswer(strings.Repeat("<a>", 100_000)), causeUnreadable, "nested more than"},
		{"many values", "$..*", []string{"x"}, connection.JSON, jsonAnswer("[" + strings.Repeat("[],", 20_000) + "1]"), causeUnreadable, "more than 10000 values"},
		{"HEAD with a path", "ok", nil, connection.JSON, answer{method: "HEAD", status: 200, header: http.Header{}}, causeUnreadable, "HEAD has no body"},
		{"truncated", "ok", nil, connection.JSON, answer{method: "GET", status: 200, header: http.Header{}, body: []byte(`{"ok":true}`), truncated: true}, causeUnreadable, "longer than the 1048576 bytes"},
		{"XPath", "/r/s", []string{"up"}, connection.XML, xmlAnswer(`<r><s>down</s><s>up</s></r>`), causeNone, ""},
		{"XPath of an attribute", "/r/@code", []string{"0"}, connection.XML, xmlAnswer(`<r code="0"/>`), causeNone, ""},
		{"XPath with a number", "count(//s)", []string{"2"}, connection.XML, xmlAnswer(`<r><s/><s/></r>`), causeNone, ""},
		{"XPath with a truth", "/r/s='up'", nil, connection.XML, xmlAnswer(`<r><s>up</s></r>`), causeNone, ""},
		{"XPath finds nothing", "/r/x", nil, connection.XML, xmlAnswer(`<r><faultstring>locked</faultstring></r>`), causeNothing, "faultstring: “locked”"},
		{"XML false", "/r", nil, connection.XML, xmlAnswer(`<r>false</r>`), causeFalsy, ""},
		{"XML empty", "/r", nil, connection.XML, xmlAnswer(`<r/>`), causeFalsy, ""},
		{"XML element with elements", "/r", nil, connection.XML, xmlAnswer(`<r><a/></r>`), causeNone, ""},
		{"XPath that takes the square of the document", "//a[last()]/b", nil, connection.XML, xmlAnswer("<r>" + strings.Repeat("<a/>", 100_000) + "</r>"), causeUnreadable, "takes too long"},
		{"JSONPath on XML", "$.ok", nil, connection.JSON, xmlAnswer(`<ok>1</ok>`), causeUnreadable, "XML is searched by XPath"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v := judge(connection.Ping{SuccessPath: test.path, SuccessValues: test.values}, test.media, test.answer)
			if v.cause != test.cause || v.ok != (test.cause == causeNone) {
				t.Errorf("got ok %v, cause %q, want cause %q: %s", v.ok, v.cause, test.cause, v.message)
			}
			if !strings.Contains(v.message, test.want) || !strings.HasSuffix(v.message, ".") || strings.ContainsAny(v.message, "\n") {
				t.Errorf("message %q, want one sentence with %q", v.message, test.want)
			}
		})
	}
}

func TestTruthiness(t *testing.T) {
	for body, want := range map[string]bool{
		`true`: true, `1`: true, `-1`: true, `0.1`: true, `"x"`: true, `"0"`: true, `" "`: true, `[0]`: true, `{"a":null}`: true, `"False"`: true,
		`false`: false, `0`: false, `-0`: false, `0.0`: false, `0e5`: false, `""`: false, `"false"`: false, `null`: false, `[]`: false, `{}`: false,
	} {
		v := judge(connection.Ping{SuccessPath: "v"}, connection.JSON, jsonAnswer(`{"v":`+body+`}`))
		if v.ok != want {
			t.Errorf("%s is truthy: %v, want %v", body, v.ok, want)
		}
	}
}

// scalars draws a JSON scalar as it may stand in a document, and its plain text.
func scalars() *rapid.Generator[[2]string] {
	return rapid.Custom(func(t *rapid.T) [2]string {
		switch rapid.IntRange(0, 2).Draw(t, "kind") {
		case 0:
			s := rapid.String().Draw(t, "text")
			b, _ := json.Marshal(s)
			return [2]string{string(b), s}
		case 1:
			n := rapid.StringMatching(`-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?`).Draw(t, "number")
			return [2]string{n, n}
		default:
			w := rapid.SampledFrom([]string{"true", "false", "null"}).Draw(t, "word")
			return [2]string{w, w}
		}
	})
}

func TestValuesMatchIfAndOnlyIfTheirTextIsEqual(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		found := rapid.SliceOfN(scalars(), 1, 4).Draw(t, "found")
		wanted := rapid.SliceOfN(rapid.OneOf(rapid.String(), rapid.Map(rapid.SampledFrom(found), func(f [2]string) string { return f[1] })), 1, 3).Draw(t, "wanted")
		var raw []string
		want := false
		for _, f := range found {
			raw = append(raw, f[0])
			for _, w := range wanted {
				want = want || f[1] == w
			}
		}
		list := "[" + strings.Join(raw, ",") + "]"
		array := judge(connection.Ping{SuccessPath: "v", SuccessValues: wanted}, connection.JSON, jsonAnswer(`{"v":`+list+`}`))
		several := judge(connection.Ping{SuccessPath: "v[*]", SuccessValues: wanted}, connection.JSON, jsonAnswer(`{"v":`+list+`}`))
		for _, w := range wanted {
			want = want || w == compactList(list)
		}
		if array.ok != want || several.ok && !array.ok {
			t.Fatalf("%s against %q: array %v, several %v, want %v", list, wanted, array.ok, several.ok, want)
		}
	})
}

// compactList is the text of the array itself, which may be named as well.
func compactList(list string) string {
	v, err := parseJSON([]byte(list))
	if err != nil {
		return ""
	}
	return compact(v)
}

func TestStatusDecidesBeforeAnythingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := jsonAnswer(rapid.SampledFrom([]string{`{"ok":true}`, `{`, ``, `<html>`}).Draw(t, "body"))
		a.status = rapid.IntRange(100, 599).Draw(t, "status")
		p := connection.Ping{SuccessPath: rapid.SampledFrom([]string{"", "ok"}).Draw(t, "path")}
		v := judge(p, connection.JSON, a)
		good := a.status/100 == 2
		switch {
		case !good && (v.ok || v.cause != causeStatus):
			t.Fatalf("status %d: %+v", a.status, v)
		case good && p.SuccessPath == "" && !v.ok:
			t.Fatalf("status %d without a path: %+v", a.status, v)
		}
	})
}

func FuzzVerdict(f *testing.F) {
	f.Add("ok", "true", "application/json", []byte(`{"ok":true}`))
	f.Add("//a[b='c']", "x", "text/xml", []byte(`<a><b>c</b></a>`))
	f.Add("$..a[?@.b>1,0:2:1]", "1", "", []byte(`[{"a":[{"b":2}]}]`))
	f.Fuzz(func(t *testing.T, path, value, contentType string, body []byte) {
		a := answer{method: "GET", status: 200, header: http.Header{"Content-Type": {contentType}}, body: body}
		for _, m := range connection.MediaTypes() {
			v := judge(connection.Ping{SuccessPath: path, SuccessValues: []string{value}}, m, a)
			if v.ok != (v.cause == causeNone) {
				t.Fatalf("%+v", v)
			}
		}
	})
}
