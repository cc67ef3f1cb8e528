package secret

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"io"
	"net/http"
	"slices"
	"strings"
	"unicode/utf16"

	"sallyport/internal/escape"
)

// hidden stands where a secret stood. ASCII, so that it fits any encoding.
const hidden = "***"

// shortest is the shortest text that is looked for, in bytes. What is shorter
// appears anywhere by chance, and is no secret.
const shortest = 4

// needles are what must not be told: values, in each form in which they may be
// written.
type needles struct {
	texts  []string
	values map[string]string // that were added, and the secret of each
}

func (n *needles) add(name, value string) {
	if len(value) < shortest || n.values[value] != "" {
		return
	}
	if n.values == nil {
		n.values = make(map[string]string)
	}
	n.values[value] = name
	forms := append(escape.Nested(value), escape.Base64Within(value)...)
	forms = append(forms, wide(value, binary.LittleEndian), wide(value, binary.BigEndian))
	for _, f := range forms {
		if len(f) >= shortest && !slices.Contains(n.texts, f) {
			n.texts = append(n.texts, f)
		}
	}
}

// wide is a text in UTF-16.
func wide(s string, order binary.AppendByteOrder) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(s)) {
		b = order.AppendUint16(b, unit)
	}
	return string(b)
}

// hide is a short text with the secrets hidden.
func (n *needles) hide(text string) string {
	if !n.in(text) {
		return text
	}
	shown, _ := io.ReadAll(newMasking(io.NopCloser(strings.NewReader(text)), n.texts)) // from memory: it can't fail
	return string(shown)
}

func (n *needles) in(text string) bool {
	return slices.ContainsFunc(n.texts, func(needle string) bool { return strings.Contains(text, needle) })
}

// masked is an answer with the secrets hidden in it. A cookie can't be hidden
// and work: an answer with a secret in one is not passed on.
func (f *filling) masked(resp *http.Response) (*http.Response, error) {
	n := &f.known
	if len(n.texts) == 0 {
		return resp, nil
	}
	if slices.ContainsFunc(resp.Header["Set-Cookie"], n.in) {
		_ = resp.Body.Close() // nobody reads it
		return nil, echoed(n.namesIn(resp.Header["Set-Cookie"]))
	}
	resp.Status = n.hide(resp.Status)
	for name, values := range resp.Header {
		for i, v := range values {
			if name != "Set-Cookie" {
				values[i] = n.hide(v)
			}
		}
	}
	resp.Trailer = nil
	if resp.Request.Method == http.MethodHead || resp.ContentLength == 0 || resp.Body == http.NoBody {
		return resp, nil
	}
	resp.Body = newMasking(decoded(resp), n.texts)
	resp.ContentLength = -1
	resp.Header.Del("Content-Length")
	return resp, nil
}

// namesIn are the secrets that lines hold, for a person.
func (n *needles) namesIn(lines []string) string {
	var names []string
	for value, name := range n.values {
		var one needles
		one.add(name, value)
		if slices.ContainsFunc(lines, one.in) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// decoded is the answer's body without its compression, through which nothing
// could be found. One that can't be undone is left out whole.
func decoded(resp *http.Response) io.ReadCloser {
	encoding := strings.ToLower(strings.TrimSpace(resp.Header.Get("Content-Encoding")))
	if encoding == "" || encoding == "identity" {
		return resp.Body
	}
	resp.Header.Del("Content-Encoding")
	switch encoding {
	case "gzip", "x-gzip":
		return &unpacking{body: resp.Body, open: func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }}
	case "deflate":
		return &unpacking{body: resp.Body, open: func(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) }}
	}
	return &unpacking{body: resp.Body, open: func(io.Reader) (io.Reader, error) { return bytes.NewReader(nil), nil }}
}

// unpacking undoes a compression as it is read.
type unpacking struct {
	body io.ReadCloser
	open func(io.Reader) (io.Reader, error)
	from io.Reader // nil: not begun
}

func (u *unpacking) Read(p []byte) (int, error) {
	if u.from == nil {
		from, err := u.open(u.body)
		if err != nil {
			return 0, err
		}
		u.from = from
	}
	return u.from.Read(p)
}

func (u *unpacking) Close() error { return u.body.Close() }
