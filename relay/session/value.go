package session

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/antchfx/htmlquery"
	"github.com/antchfx/xmlquery"
	"github.com/antchfx/xpath"
	"golang.org/x/net/html"
	"golang.org/x/net/html/charset"

	"sallyport/relay/connection"
	"sallyport/relay/road"
)

// FoundValue is what became of one value that a request of the sign-in was to
// give. It never holds the value where it is shown to people: Value is for the
// session.
type FoundValue struct {
	connection.SignInValue
	Value string
	Found bool
	// Missing says in a sentence why it was not found, and what was there.
	Missing string
}

// maxValueBytes bounds one value: tokens are short, and each is sent with every
// request.
const maxValueBytes = 8 << 10

// extract looks values up in an answer. jar holds the cookies by then.
func extract(values []connection.SignInValue, e *road.Exchange, jar *Jar) []FoundValue {
	found := make([]FoundValue, len(values))
	for i, v := range values {
		found[i] = FoundValue{SignInValue: v}
		text, err := lookUp(v, e, jar)
		switch {
		case err != nil:
			found[i].Missing = err.Error()
		case text == "":
			found[i].Missing = fmt.Sprintf("The %s %s is there, but empty.", sourceWord(v.From), v.At)
		case len(text) > maxValueBytes:
			found[i].Missing = fmt.Sprintf("The %s %s has %d bytes; a value has at most %d.", sourceWord(v.From), v.At, len(text), maxValueBytes)
		default:
			found[i].Value, found[i].Found = text, true
		}
	}
	return found
}

func sourceWord(s connection.ValueSource) string {
	switch s {
	case connection.FromField:
		return "form field"
	case connection.FromJSON, connection.FromXPath:
		return "path"
	}
	return string(s)
}

// missingValue is the sentence that says why there is no value.
type missingValue string

func (m missingValue) Error() string { return string(m) }

func missing(format string, args ...any) error { return missingValue(fmt.Sprintf(format, args...)) }

// lookUp finds one value. Its error is a sentence for a person.
func lookUp(v connection.SignInValue, e *road.Exchange, jar *Jar) (string, error) {
	switch v.From {
	case connection.FromHeader:
		return headerValue(v.At, e)
	case connection.FromCookie:
		if text, ok := jar.value(v.At); ok {
			return decodedCookie(text), nil
		}
		return "", missing("No cookie %s was set%s.", v.At, listed("cookies", jar.names()))
	case connection.FromJSON:
		return jsonValue(v.At, e)
	case connection.FromXPath:
		return xpathValue(v.At, e)
	case connection.FromField:
		return fieldValue(v.At, e)
	}
	return "", missing("%q is not a place of a value.", v.From)
}

// headerValue looks through the answers, the last one first: a redirect may
// have carried the value.
func headerValue(name string, e *road.Exchange) (string, error) {
	for i := len(e.Hops) - 1; i >= 0; i-- {
		if e.Hops[i].Header != nil {
			if text := e.Hops[i].Header.Get(name); text != "" {
				return text, nil
			}
		}
	}
	return "", missing("The answer (status %d) has no header %s. Some applications give it only to a request that asks for it, or that is signed in: see the first request's own headers.", e.Last().Status, name)
}

// decodedCookie undoes percent-encoding, as browsers' libraries do before they
// send a cookie's value back as a header (Laravel's XSRF-TOKEN).
func decodedCookie(text string) string {
	text = strings.Trim(text, `"`)
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}

func jsonValue(path string, e *road.Exchange) (string, error) {
	p, err := connection.JSONPath(path)
	if err != nil {
		return "", err
	}
	if e.Truncated {
		return "", missing("The answer is longer than the %d bytes that are read of it.", road.BodyLimit)
	}
	d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(e.Body, []byte("\ufeff"))))
	d.UseNumber()
	var doc any
	if err := d.Decode(&doc); err != nil {
		return "", missing("The answer (status %d) is not JSON, so %s can't be looked up in it.", e.Last().Status, path)
	}
	nodes := p.Select(doc)
	if len(nodes) == 0 {
		return "", missing("The path %s finds nothing in the answer (status %d).", path, e.Last().Status)
	}
	switch v := nodes[0].(type) {
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case bool:
		return strconv.FormatBool(v), nil
	}
	return "", missing("The path %s finds no text in the answer, but an object, a list or null; name the value in it.", path)
}

// xpathValue evaluates an XPath in an XML document or in an HTML page.
func xpathValue(path string, e *road.Exchange) (text string, err error) {
	expr, err := connection.XPath(path)
	if err != nil {
		return "", err
	}
	root, err := navigator(e)
	if err != nil {
		return "", err
	}
	defer func() {
		// The parser is not ours, and the document is a stranger's.
		if p := recover(); p != nil {
			text, err = "", missing("The path %s can't be looked up in this answer: %v.", path, p)
		}
	}()
	switch found := expr.Evaluate(root).(type) {
	case string:
		return strings.TrimSpace(found), nil
	case float64:
		return strconv.FormatFloat(found, 'f', -1, 64), nil
	case bool:
		return strconv.FormatBool(found), nil
	case *xpath.NodeIterator:
		if found.MoveNext() {
			return strings.TrimSpace(found.Current().Value()), nil
		}
	}
	return "", missing("The path %s finds nothing in the answer (status %d).", path, e.Last().Status)
}

// navigator reads an answer as XML where it says that it is, else as HTML,
// which any text can be read as.
func navigator(e *road.Exchange) (xpath.NodeNavigator, error) {
	contentType := e.Last().Header.Get("Content-Type")
	if strings.Contains(contentType, "xml") && !strings.Contains(contentType, "xhtml") || bytes.HasPrefix(bytes.TrimSpace(e.Body), []byte("<?xml")) {
		doc, err := xmlquery.Parse(bytes.NewReader(e.Body))
		if err != nil {
			return nil, missing("The answer is not well-formed XML (%v).", err)
		}
		return newCounted(xmlquery.CreateXPathNavigator(doc)), nil
	}
	doc, err := page(e)
	if err != nil {
		return nil, err
	}
	return newCounted(htmlquery.CreateXPathNavigator(doc)), nil
}

// page is an answer as an HTML document, decoded by what it says of its charset.
func page(e *road.Exchange) (*html.Node, error) {
	var body io.Reader = bytes.NewReader(e.Body)
	if decoded, err := charset.NewReader(body, e.Last().Header.Get("Content-Type")); err == nil {
		body = decoded
	}
	doc, err := html.Parse(body)
	if err != nil {
		return nil, missing("The answer can't be read as HTML (%v).", err)
	}
	return doc, nil
}

// fieldValue finds a form's field by its name, or a meta element's content:
// pages give tokens to their scripts in those.
func fieldValue(name string, e *road.Exchange) (string, error) {
	doc, err := page(e)
	if err != nil {
		return "", err
	}
	var names []string
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		var valueIn string
		switch n.Data {
		case "input":
			valueIn = "value"
		case "meta":
			valueIn = "content"
		default:
			continue
		}
		switch attribute(n, "name") {
		case name:
			return attribute(n, valueIn), nil
		case "":
		default:
			if n.Data == "input" {
				names = append(names, attribute(n, "name"))
			}
		}
	}
	return "", missing("The answer (status %d) has no form field %s%s.", e.Last().Status, name, listed("fields", names))
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Namespace == "" && a.Key == key {
			return a.Val
		}
	}
	return ""
}

// listed names what was there instead, as the end of a sentence.
func listed(what string, names []string) string {
	const most = 8
	if len(names) == 0 {
		return "; there are no " + what + " at all"
	}
	if len(names) > most {
		names = append(names[:most:most], "…")
	}
	return "; its " + what + " are " + strings.Join(names, ", ")
}
