package road

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"strings"
)

// drainLimit is how much of an unwanted body is read so that the connection
// below can be kept; beyond it a new connection is cheaper.
const drainLimit = 64 << 10

// readBody reads up to BodyLimit bytes and closes the body.
func readBody(body io.ReadCloser) (read []byte, truncated bool, err error) {
	defer body.Close()
	read, err = io.ReadAll(io.LimitReader(body, BodyLimit+1))
	if len(read) > BodyLimit {
		return read[:BodyLimit], true, nil
	}
	return read, false, err
}

// discard ends an answer of which only the header counts.
func discard(body io.ReadCloser) {
	// An error here says nothing about the answer, whose header has been read.
	_, _ = io.CopyN(io.Discard, body, drainLimit)
	_ = body.Close()
}

// decoded undoes a compression that we did not ask for, so that the record can
// be read and a success path can be found in it. What can't be decoded stays as
// it came. A small body that expands without end is cut at BodyLimit.
func decoded(raw []byte, truncated bool, encoding string) ([]byte, bool) {
	var r io.Reader
	var err error
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "gzip", "x-gzip":
		r, err = gzip.NewReader(bytes.NewReader(raw))
	case "deflate":
		r, err = zlib.NewReader(bytes.NewReader(raw))
	default:
		return raw, truncated
	}
	if err != nil {
		return raw, truncated
	}
	plain, err := io.ReadAll(io.LimitReader(r, BodyLimit+1))
	switch {
	case len(plain) > BodyLimit:
		return plain[:BodyLimit], true
	case err != nil && !truncated:
		return raw, truncated
	default: // a truncated body decodes as far as it goes
		return plain, truncated
	}
}
