package secret

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"sallyport/internal/escape"
	"sallyport/proto"
)

// maxBody is the longest body in which marks are looked for, in bytes: those of
// a connection are no longer than 1 MiB before secrets are filled in.
const maxBody = 2 << 20

// filling is one request being filled.
type filling struct {
	*Store
	edition *edition
	ctx     context.Context
	from    *http.Request
	out     *http.Request // a copy: others still look at the request as it came
	known   needles       // what was put in, and what else is to be masked
}

// fill returns the request with the secrets in it. The caller closes the body
// where it fails.
func (st *Store) fill(req *http.Request) (*filling, *proto.Error) {
	f := &filling{Store: st, edition: st.current.Load(), ctx: req.Context(), from: req, out: req.Clone(req.Context())}
	f.out.Body, f.out.GetBody = req.Body, req.GetBody
	var lines []proto.Fill
	for _, text := range req.Header[proto.HeaderFill] {
		line, err := proto.ParseFill(text)
		if err != nil {
			return nil, faulty(err)
		}
		lines = append(lines, line)
	}
	delete(f.out.Header, proto.HeaderFill)
	delete(f.out.Header, proto.HeaderMask)
	// All is known before anything is touched.
	written := make([]string, len(lines))
	for i, line := range lines {
		value, err := f.allowed(line.Secret)
		if err != nil {
			return nil, err
		}
		text, why := escape.Kind(line.Escape).Apply(value)
		if why != nil {
			return nil, unfit(line.Secret, where(line), why.Error())
		}
		f.known.add(line.Secret, value)
		written[i] = text
	}
	if err := f.put(lines, written); err != nil {
		return nil, err
	}
	return f, nil
}

// allowed is the value of a secret that may be sent to the request's host.
func (f *filling) allowed(name string) (string, *proto.Error) {
	h := f.edition.held[name]
	if h == nil {
		return "", unknown(name)
	}
	if !h.source.permits(f.from) {
		return "", elsewhere(name, f.from.URL)
	}
	return f.value(f.ctx, f.edition, h)
}

// permits reports whether a secret may be sent with req. A Host field that
// differs from the URL would have a shared server hand it to somebody else.
func (s Source) permits(req *http.Request) bool {
	if len(s.Hosts) == 0 {
		return true
	}
	hosts := []*url.URL{req.URL}
	if req.Host != "" && !strings.EqualFold(req.Host, req.URL.Host) {
		hosts = append(hosts, &url.URL{Scheme: req.URL.Scheme, Host: req.Host})
	}
	for _, u := range hosts {
		match := false
		for _, pattern := range s.Hosts {
			match = match || pattern.Match(u)
		}
		if !match {
			return false
		}
	}
	return true
}

// put writes each secret into its place.
func (f *filling) put(lines []proto.Fill, written []string) *proto.Error {
	var body, uri []string       // pairs of mark and text
	basic := map[string]string{} // header fields, and a secret in each
	for i, line := range lines {
		switch name := line.Header(); {
		case name != "":
			values := slices.Clone(f.out.Header[name])
			for j, v := range values {
				values[j] = strings.ReplaceAll(v, line.Mark, written[i])
			}
			f.out.Header[name] = values
			if line.Escape == string(escape.Basic) {
				basic[name] = line.Secret
			}
		case line.Place == proto.FillInBody:
			body = append(body, line.Mark, written[i])
		default:
			uri = append(uri, line.Mark, written[i])
			if strings.Contains(f.from.URL.EscapedPath(), line.Mark) && climbs(written[i]) {
				return unfit(line.Secret, "the path", "holds a slash or is a dot segment, so that it would lead elsewhere")
			}
		}
	}
	for name, secret := range basic {
		f.encodeBasic(name, secret)
	}
	if len(uri) > 0 {
		f.putURI(uri)
	}
	if len(body) > 0 {
		return f.putBody(body)
	}
	return nil
}

// encodeBasic encodes the name and password of Basic credentials (RFC 7617).
func (f *filling) encodeBasic(name, secret string) {
	for i, v := range f.out.Header[name] {
		scheme, credentials, found := strings.Cut(v, " ")
		if !found || !strings.Contains(credentials, ":") {
			continue
		}
		encoded := base64.StdEncoding.EncodeToString([]byte(credentials))
		f.known.add(secret, encoded)
		f.out.Header[name][i] = scheme + " " + encoded
	}
}

// putURI replaces marks in path and query. The values are percent-encoded, so
// that neither ends before its end.
func (f *filling) putURI(pairs []string) {
	replace := strings.NewReplacer(pairs...)
	u := *f.from.URL
	u.RawQuery = replace.Replace(u.RawQuery)
	escaped := replace.Replace(f.from.URL.EscapedPath())
	if path, err := url.PathUnescape(escaped); err == nil { // whole escapes were added to whole escapes
		u.Path, u.RawPath = path, escaped
	}
	f.out.URL = &u
}

// climbs reports whether a percent-encoded value would change which path it
// stands in, for any server that decodes it before it looks for segments.
func climbs(written string) bool {
	value, err := url.PathUnescape(written)
	return err != nil || value == "." || value == ".." || strings.ContainsAny(value, "/\\;") || strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c == 0x7f })
}

// putBody replaces marks in the body, which changes its length.
func (f *filling) putBody(pairs []string) *proto.Error {
	if f.from.Body == nil || f.from.Body == http.NoBody {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(f.from.Body, maxBody+1))
	_ = f.from.Body.Close() // it was read, or will not be
	if err == nil && len(text) > maxBody {
		err = errors.New("it is too long to have secrets put into it")
	}
	if e := proto.AsError(err); e != nil { // of whoever bounds the body
		refused := *e
		refused.Outcome = proto.OutcomeNotSent
		return &refused
	}
	if err != nil {
		return &proto.Error{Code: proto.CodeCanceled, Outcome: proto.OutcomeNotSent, Err: err, Detail: fmt.Sprintf("The body of the request can't be read: %v.", err)}
	}
	filled := []byte(strings.NewReplacer(pairs...).Replace(string(text)))
	f.out.ContentLength, f.out.TransferEncoding = int64(len(filled)), nil
	f.out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(filled)), nil }
	f.out.Body, _ = f.out.GetBody() // it can't fail
	return nil
}

// where names a place for a person.
func where(line proto.Fill) string {
	switch name := line.Header(); {
	case name != "":
		return "the header " + name
	case line.Place == proto.FillInBody:
		return "the body"
	}
	return "the URI"
}
