package api

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"sallyport/proto"
)

const (
	// bodyLimit is the largest body of a call to the API itself. A connection
	// with a long sign-in body and many headers stays far below. Requests
	// through the proxy are not limited.
	bodyLimit = 1 << 20
	// drainLimit is how much of a body that is too large is still read, so
	// that a client that writes it all before it reads gets the answer instead
	// of a reset connection.
	drainLimit = 64 << 20
	// bodyTime is how long a client may take to send a body within the limit.
	bodyTime = time.Minute
)

// readBody reads the whole body within its limit, so that what comes after
// knows that the request arrived complete.
func readBody(w http.ResponseWriter, r *http.Request) *Problem {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	if r.ContentLength > bodyLimit && strings.EqualFold(r.Header.Get("Expect"), "100-continue") {
		return tooLarge() // not one byte of it was sent yet
	}
	deadline := http.NewResponseController(w)
	_ = deadline.SetReadDeadline(time.Now().Add(bodyTime)) // a writer without deadlines is a test's
	defer func() { _ = deadline.SetReadDeadline(time.Time{}) }()
	text, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, bodyLimit))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		_, _ = io.CopyN(io.Discard, r.Body, drainLimit)
		return tooLarge()
	case err != nil:
		p := newProblem(http.StatusBadRequest, proto.CodeValidation, "The request ended before its body was complete.")
		p.Hint = "Send it again; nothing was changed."
		return p
	}
	r.Body = io.NopCloser(bytes.NewReader(text))
	r.ContentLength = int64(len(text))
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") && bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		// curl -d calls everything a form by itself; what it sent here is
		// meant as JSON, and other sites' forms do not get past the edge.
		r.Header.Set("Content-Type", "application/json")
	}
	return nil
}

func tooLarge() *Problem {
	p := newProblem(http.StatusRequestEntityTooLarge, proto.CodeTooLarge, "The body is larger than 1 MiB.")
	p.Hint = "Nothing was changed. Bodies of requests through a connection are not limited; those of calls to the relay itself are."
	return p
}
