package probe

import (
	"fmt"
	"mime"
	"strings"
	"time"
	"unicode/utf8"

	"sallyport/proto"
	"sallyport/relay/road"
)

// previewLimit is how much of a body is shown, in bytes.
const previewLimit = 16 << 10

// show puts the record of an exchange into a step, masked.
func (m *mask) show(s *Step, e *road.Exchange) {
	if e == nil || len(e.Hops) == 0 {
		return
	}
	last := e.Last()
	s.Request = &HTTPRequest{
		Method: last.Method, URL: m.url(last.URL.String()), Headers: m.headers(last.RequestHeader),
	}
	s.Request.Body, _ = preview(m.body(strings.ToValidUTF8(last.RequestBody, "�")))
	s.Timing = shownTiming(e)
	for _, hop := range e.Hops[:len(e.Hops)-1] {
		s.Hops = append(s.Hops, Hop{Status: hop.Status, URL: m.url(hop.URL.String()), Location: m.url(hop.Header.Get("Location"))})
	}
	if last.Status == 0 {
		return
	}
	s.Response = &HTTPResponse{Status: last.Status, Headers: m.headers(last.Header)}
	contentType := last.Header.Get("Content-Type")
	if text, ok := readable(contentType, e.Body, e.Truncated); ok {
		var cut bool
		s.Response.Body, cut = preview(m.body(text))
		s.Response.Truncated = cut || e.Truncated
	} else {
		s.Response.Body = binaryNote(contentType, len(e.Body), e.Truncated)
	}
}

// preview cuts text at a character's edge. It comes after masking: a secret
// that the cut went through would not be recognised.
func preview(text string) (shown string, cut bool) {
	if len(text) <= previewLimit {
		return text, false
	}
	end := previewLimit
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end], true
}

// readable is a body as text, and whether it is any.
func readable(contentType string, body []byte, truncated bool) (string, bool) {
	text := string(toUTF8(contentType, body))
	if strings.ContainsRune(text, 0) {
		return "", false
	}
	if utf8.ValidString(text) {
		return text, true
	}
	wrong := 0
	for i := 0; i < len(text); {
		c, size := utf8.DecodeRuneInString(text[i:])
		if c == utf8.RuneError && size == 1 {
			wrong++
		}
		i += size
	}
	// A few stray bytes are an undeclared Latin-1, or the edge at which a long
	// body was cut; many are an image or an archive.
	if wrong*10 > len(text) && !(truncated && wrong <= utf8.UTFMax) {
		return "", false
	}
	return strings.ToValidUTF8(text, "�"), true
}

func binaryNote(contentType string, size int, truncated bool) string {
	if name, _, err := mime.ParseMediaType(contentType); err == nil {
		contentType = name
	} else {
		contentType = "binary data"
	}
	if truncated {
		return fmt.Sprintf("(more than %d bytes of %s)", size, contentType)
	}
	return fmt.Sprintf("(%d bytes of %s)", size, contentType)
}

// shownTiming adds up the hops: the step took all of them.
func shownTiming(e *road.Exchange) *Timing {
	var sum proto.Timing
	for _, hop := range e.Hops {
		sum.DNS += hop.Timing.DNS
		sum.Connect += hop.Timing.Connect
		sum.TLS += hop.Timing.TLS
		sum.Wait += hop.Timing.Wait
		sum.Tunnel += hop.Timing.Tunnel
	}
	return &Timing{
		DNSMs: milliseconds(sum.DNS), ConnectMs: milliseconds(sum.Connect), TLSMs: milliseconds(sum.TLS),
		WaitMs: milliseconds(sum.Wait), TunnelMs: milliseconds(sum.Tunnel),
	}
}

// milliseconds with three decimals, which is all that a reader can use.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
