package connection

import (
	"slices"
	"strings"
)

// Defaults returns s as it is stored: defaults filled in, blanks around single
// line fields removed, methods in upper case, and nothing kept that its mode
// or authentication type does not use. Bodies and success values stay as they
// were entered, to the byte. s itself is left alone.
func Defaults(s Spec) Spec {
	s.Name = strings.TrimSpace(s.Name)
	s.AgentID = strings.TrimSpace(s.AgentID)
	s.BaseURI = strings.TrimSpace(s.BaseURI)
	if s.Mode != OnPremise {
		s.AgentID = ""
	}
	if s.MediaType == "" {
		s.MediaType = JSON
	}
	s.Headers = trimHeaders(s.Headers)
	s.Auth = s.Auth.defaults()
	s.Ping.Method = strings.ToUpper(strings.TrimSpace(s.Ping.Method))
	if s.Ping.Method == "" {
		s.Ping.Method = "GET"
	}
	s.Ping.URI = strings.TrimSpace(s.Ping.URI)
	s.Ping.SuccessPath = strings.TrimSpace(s.Ping.SuccessPath)
	s.Ping.SuccessValues = slices.Clone(s.Ping.SuccessValues)
	defaultsAsCode(&s)
	s.Health = defaultHealth(s.Health)
	return s
}

func (c *CookieAuth) defaults() *CookieAuth {
	if c == nil {
		return nil
	}
	d := *c
	d.Method = strings.ToUpper(strings.TrimSpace(d.Method))
	d.URI = strings.TrimSpace(d.URI)
	signInDefaults(&d)
	return &d
}

func trimHeaders(headers []Header) []Header {
	headers = slices.Clone(headers)
	for i, h := range headers {
		// Blanks around a value are no part of it (RFC 9110, section 5.5).
		headers[i] = Header{Name: strings.TrimSpace(h.Name), Value: strings.Trim(h.Value, " \t")}
	}
	return headers
}
