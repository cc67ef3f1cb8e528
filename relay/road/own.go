package road

import (
	"net/http"
	"net/textproto"

	"sallyport/proto"
	"sallyport/relay/connection"
)

// own gives req the header fields of this request alone, in the place of others
// of the same name. A redirect to another origin does not carry them away.
func (s *sending) own(req *http.Request, at step) error {
	if len(s.Headers) == 0 || !connection.SameOrigin(s.URL, at.url) {
		return nil
	}
	replaced := map[string]bool{}
	for _, f := range s.Headers {
		value, err := connection.FillHeader(f, s.c.Secrets, s.Marks)
		if err != nil {
			return unfilled("the header "+f.Name, err)
		}
		name := textproto.CanonicalMIMEHeaderKey(f.Name)
		if !replaced[name] {
			replaced[name] = true
			forget(req.Header, name)
		}
		req.Header[name] = append(req.Header[name], value)
		fill(req.Header, s.Marks, proto.FillInHeader+name, value)
	}
	return nil
}

// forget removes a field and what the agent was told to fill in there.
func forget(h http.Header, name string) {
	delete(h, name)
	told := h[proto.HeaderFill]
	kept := told[:0:0]
	for _, line := range told {
		if f, err := proto.ParseFill(line); err != nil || f.Header() != name {
			kept = append(kept, line)
		}
	}
	if len(kept) == 0 {
		delete(h, proto.HeaderFill)
	} else if len(kept) < len(told) {
		h[proto.HeaderFill] = kept
	}
}
