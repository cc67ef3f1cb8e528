package probe

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"mime"
	"strings"

	"github.com/antchfx/xmlquery"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"

	"sallyport/relay/connection"
	"sallyport/relay/road"
)

// maxDepth is how deeply an answer may be nested for a path to be looked up in
// it. Real answers stay below twenty; what nests thousands of levels is made
// to exhaust its reader.
const maxDepth = 64

// format is the kind of document that an answer is.
type format int

const (
	formatUnknown format = iota
	formatJSON
	formatXML
	formatHTML
)

func (f format) String() string {
	switch f {
	case formatJSON:
		return "JSON"
	case formatXML:
		return "XML"
	case formatHTML:
		return "an HTML page"
	default:
		return "neither JSON nor XML"
	}
}

// document is an answer in which a path can be looked up.
type document struct {
	format format
	json   any            // numbers as json.Number: as they stood
	xml    *xmlquery.Node // nil unless formatXML
}

// errTruncated: the answer is longer than what was read of it.
var errTruncated = fmt.Errorf("the answer is longer than the %d bytes that are read of it", road.BodyLimit)

// readDocument reads an answer by its own Content-Type, by the connection's
// media type where it has none, and by its looks where neither is a format
// that has paths: many applications send JSON as text/html.
func readDocument(contentType string, m connection.MediaType, body []byte, truncated bool) (document, error) {
	f := formatOf(contentType, m)
	text := bytes.TrimSpace(toUTF8(contentType, body))
	if declaresEncoding(text) {
		text = bytes.TrimSpace(body) // the parser decodes it by its own declaration
	}
	if f == formatUnknown || f == formatHTML {
		f = sniff(text, f)
	}
	d := document{format: f}
	if f == formatUnknown || f == formatHTML {
		return d, nil
	}
	if truncated {
		return d, errTruncated
	}
	if len(text) == 0 {
		return d, errors.New("its body is empty")
	}
	var err error
	if f == formatJSON {
		d.json, err = parseJSON(text)
	} else {
		d.xml, err = parseXML(text)
	}
	return d, err
}

// formatOf is the format that the header names, or the media type in its
// absence.
func formatOf(contentType string, m connection.MediaType) format {
	if strings.TrimSpace(contentType) == "" {
		switch m {
		case connection.JSON:
			return formatJSON
		case connection.XML:
			return formatXML
		}
		return formatUnknown
	}
	name, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		name, _, _ = strings.Cut(strings.ToLower(contentType), ";")
		name = strings.TrimSpace(name)
	}
	switch {
	case name == "application/json" || name == "text/json" || name == "text/javascript" || strings.HasSuffix(name, "+json"):
		return formatJSON
	case name == "text/html" || name == "application/xhtml+xml":
		return formatHTML
	case name == "application/xml" || name == "text/xml" || strings.HasSuffix(name, "+xml"):
		return formatXML
	}
	return formatUnknown
}

// sniff tells JSON and XML by how they begin.
func sniff(text []byte, otherwise format) format {
	switch {
	case len(text) == 0:
		return otherwise
	case text[0] == '{' || text[0] == '[':
		if json.Valid(text) {
			return formatJSON
		}
	case bytes.HasPrefix(text, []byte("<?xml")) && !looksLikeHTML(text):
		return formatXML
	case looksLikeHTML(text):
		return formatHTML
	}
	return otherwise
}

func looksLikeHTML(text []byte) bool {
	start := bytes.ToLower(text[:min(len(text), 1024)])
	return bytes.HasPrefix(start, []byte("<!doctype html")) || bytes.Contains(start, []byte("<html"))
}

// toUTF8 decodes a body of another declared charset and drops a byte order
// mark. What can't be decoded stays as it is.
func toUTF8(contentType string, body []byte) []byte {
	if _, params, err := mime.ParseMediaType(contentType); err == nil && params["charset"] != "" {
		if enc, err := htmlindex.Get(params["charset"]); err == nil {
			if name, err := htmlindex.Name(enc); err == nil && name != "utf-8" {
				if decoded, err := enc.NewDecoder().Bytes(body); err == nil {
					body = decoded
				}
			}
		}
	}
	if bytes.HasPrefix(body, []byte{0xff, 0xfe}) || bytes.HasPrefix(body, []byte{0xfe, 0xff}) { // a mark of UTF-16
		if decoded, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder().Bytes(body); err == nil {
			body = decoded
		}
	}
	return bytes.TrimPrefix(body, []byte("\ufeff"))
}

// declaresEncoding reports whether an XML declaration names the encoding.
func declaresEncoding(text []byte) bool {
	if !bytes.HasPrefix(text, []byte("<?xml")) {
		return false
	}
	declaration, _, _ := bytes.Cut(text, []byte("?>"))
	return bytes.Contains(declaration, []byte("encoding"))
}

func parseJSON(text []byte) (any, error) {
	depth, inString := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return nil, fmt.Errorf("it is nested more than %d levels deep", maxDepth)
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("it is not valid JSON (%w)", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("it is not valid JSON (more follows after its end)")
	}
	return v, nil
}

func parseXML(text []byte) (*xmlquery.Node, error) {
	d := xml.NewDecoder(bytes.NewReader(text))
	d.Strict = false
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // tags are ASCII enough to be counted
	for depth := 0; ; {
		t, err := d.RawToken()
		if err != nil {
			break // the parser below says what is wrong
		}
		switch t.(type) {
		case xml.StartElement:
			if depth++; depth > maxDepth {
				return nil, fmt.Errorf("it is nested more than %d levels deep", maxDepth)
			}
		case xml.EndElement:
			depth--
		}
	}
	node, err := xmlquery.Parse(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("it is not well-formed XML (%w)", err)
	}
	return node, nil
}
