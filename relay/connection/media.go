package connection

// MediaTypes lists the media types in the order in which a form offers them.
func MediaTypes() []MediaType { return []MediaType{JSON, XML, URLEncoded, CSV, Plain} }

// Known reports whether m is one of MediaTypes.
func (m MediaType) Known() bool {
	switch m {
	case JSON, XML, URLEncoded, CSV, Plain:
		return true
	}
	return false
}

// ContentType is the Content-Type of bodies that the connection sends. A
// configured header overrides it.
func (m MediaType) ContentType() string {
	switch m {
	case XML:
		return "application/xml; charset=utf-8"
	case URLEncoded:
		return "application/x-www-form-urlencoded"
	case CSV:
		return "text/csv; charset=utf-8"
	case Plain:
		return "text/plain; charset=utf-8"
	default:
		// RFC 8259 defines no charset parameter; some servers reject one.
		return "application/json"
	}
}

// Accept is the Accept field of requests: the connection's own format first,
// and anything else rather than no answer. An application that is sent forms
// mostly answers in JSON.
func (m MediaType) Accept() string {
	switch m {
	case XML:
		return "application/xml, text/xml;q=0.9, */*;q=0.5"
	case URLEncoded:
		return "application/json, application/x-www-form-urlencoded;q=0.9, */*;q=0.5"
	case CSV:
		return "text/csv, */*;q=0.5"
	case Plain:
		return "text/plain, */*;q=0.5"
	default:
		return "application/json, */*;q=0.5"
	}
}
