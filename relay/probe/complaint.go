package probe

import (
	"strings"

	"github.com/antchfx/xmlquery"
)

// complaintKeys are where applications say what went wrong when they answer
// 200 all the same, most telling first.
var complaintKeys = []string{
	"error_description", "errormessage", "error_message", "error", "errors", "fault", "faultstring",
	"message", "msg", "detail", "details", "reason", "description", "title", "errorcode", "error_code", "code",
}

// complaint is the application's own word for what went wrong, as the end of a
// sentence: ` (the application says error: “invalid_auth”)`. Empty where it
// has none.
func complaint(d document) string {
	var key, text string
	switch d.format {
	case formatJSON:
		key, text = jsonComplaint(d.json, 3)
	case formatXML:
		key, text = xmlComplaint(d.xml)
	}
	if text == "" {
		return ""
	}
	return "; the application says " + key + ": " + show(text)
}

func jsonComplaint(v any, depth int) (key, text string) {
	if list, ok := v.([]any); ok && len(list) > 0 {
		v = list[0]
	}
	object, ok := v.(map[string]any)
	if !ok || depth == 0 {
		return "", ""
	}
	byLower := make(map[string]string, len(object))
	for name := range object {
		byLower[strings.ToLower(name)] = name
	}
	for _, wanted := range complaintKeys {
		name, ok := byLower[wanted]
		if !ok {
			continue
		}
		switch found := jsonValue(object[name]); found.kind {
		case kindText:
			if strings.TrimSpace(found.text) != "" {
				return name, found.text
			}
		case kindNumber:
			if !isZero(found.text) {
				return name, found.text
			}
		case kindArray:
			if len(found.elements) > 0 && found.elements[0].kind == kindText {
				return name, found.elements[0].text
			}
			fallthrough
		case kindObject:
			if inner, text := jsonComplaint(object[name], depth-1); text != "" {
				return name + "." + inner, text
			}
		}
	}
	return "", ""
}

func xmlComplaint(root *xmlquery.Node) (key, text string) {
	if root == nil {
		return "", ""
	}
	best := len(complaintKeys)
	budget := 5000 // nodes: an error is a small document
	var walk func(n *xmlquery.Node)
	walk = func(n *xmlquery.Node) {
		for c := n.FirstChild; c != nil && budget > 0; c = c.NextSibling {
			budget--
			if c.Type != xmlquery.ElementNode {
				continue
			}
			name := strings.ToLower(c.Data)
			for i, wanted := range complaintKeys[:best] {
				if name == wanted && leaf(c) && strings.TrimSpace(c.InnerText()) != "" {
					best, key, text = i, c.Data, strings.TrimSpace(c.InnerText())
					break
				}
			}
			walk(c)
		}
	}
	walk(root)
	return key, text
}

// leaf reports whether an element holds text alone.
func leaf(n *xmlquery.Node) bool {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Type == xmlquery.ElementNode {
			return false
		}
	}
	return true
}
