package recording

import (
	"mime"
	"net/url"
	"strings"

	"sallyport/relay/connection"
)

// request is one recorded request, and its answer where there is one.
type request struct {
	method string
	url    *url.URL
	header []connection.Header
	body   string
	// user is NAME:PASSWORD of -u; scheme how it is sent: basic or digest.
	user, scheme string
	bearer       string
	answer       *answer // nil: a command has none
}

// answer is a recorded response.
type answer struct {
	status   int
	header   []connection.Header
	mimeType string
	text     string
}

// field returns the first header field of a name, "" where there is none.
func field(header []connection.Header, name string) string {
	for _, h := range header {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}

// mediaType is that of the body, and whether it is one that a connection has.
func (r *request) mediaType() (connection.MediaType, bool) {
	contentType := field(r.header, "Content-Type")
	name, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		name, _, _ = strings.Cut(contentType, ";")
		name = strings.ToLower(strings.TrimSpace(name))
	}
	switch {
	case name == "" || name == "application/x-www-form-urlencoded" && strings.HasPrefix(strings.TrimSpace(r.body), "{"):
		return mediaOf(r.body), true
	case name == "application/json" || name == "text/json" || strings.HasSuffix(name, "+json"):
		return connection.JSON, name == "application/json"
	case name == "application/xml" || name == "text/xml" || strings.HasSuffix(name, "+xml"):
		return connection.XML, name == "application/xml"
	case name == "application/x-www-form-urlencoded":
		return connection.URLEncoded, true
	case name == "text/csv":
		return connection.CSV, true
	case name == "text/plain":
		return connection.Plain, true
	}
	return connection.Plain, false
}

// mediaOf tells the format of a body by its looks.
func mediaOf(body string) connection.MediaType {
	switch trimmed := strings.TrimSpace(body); {
	case strings.HasPrefix(trimmed, "<"):
		return connection.XML
	case trimmed == "" || strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "["):
		return connection.JSON
	case strings.Contains(trimmed, "="):
		return connection.URLEncoded
	}
	return connection.Plain
}
