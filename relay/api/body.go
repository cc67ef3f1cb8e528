package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
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
	// drainLimit is how much of a body that is too large is still taken.
	drainLimit = 64 << 20
	// bodyTime is how long a client may take to send a body within the limit.
	bodyTime = time.Minute
	// drainTime is how long a client may take to send what is not read.
	drainTime = 20 * time.Second
)

// readBody reads the whole body within its limit, so that what comes after
// knows that the request arrived complete.
func readBody(w http.ResponseWriter, r *http.Request) *Problem {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	limit := limitOf(r)
	if r.ContentLength > limit {
		return tooLarge(limit) // before one byte of it was asked for
	}
	deadline := http.NewResponseController(w)
	_ = deadline.SetReadDeadline(time.Now().Add(bodyTime)) // a writer without deadlines is a test's
	defer func() { _ = deadline.SetReadDeadline(time.Time{}) }()
	text, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, limit))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return tooLarge(limit)
	case err != nil:
		p := newProblem(http.StatusBadRequest, proto.CodeValidation, "The request ended before its body was complete.")
		p.Hint = "Send it again; nothing was changed."
		return p
	}
	r.Body = io.NopCloser(bytes.NewReader(text))
	r.ContentLength = int64(len(text))
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") && (bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) || json.Valid(text)) {
		// curl -d calls everything a form by itself; what it sent here is
		// meant as JSON, and other sites' forms do not get past the edge.
		r.Header.Set("Content-Type", "application/json")
	}
	return nil
}

func tooLarge(limit int64) *Problem {
	p := newProblem(http.StatusRequestEntityTooLarge, proto.CodeTooLarge, fmt.Sprintf("The body is larger than %d MiB.", limit>>20))
	p.Hint = "Nothing was changed. Bodies of requests through a connection may be longer; this is the limit of calls to the relay itself."
	return p
}

// fullDuplex lets the answer be written before the body is read.
func fullDuplex(w http.ResponseWriter) {
	_ = http.NewResponseController(w).EnableFullDuplex() // a writer without is a test's
}

// drain reads what a client still sends after its answer. One that writes all
// before it reads would otherwise find its connection reset, and never see the
// answer; one that waits to be asked for the body sends nothing any more.
func drain(w http.ResponseWriter, r *http.Request) {
	out := http.NewResponseController(w)
	_ = out.Flush()
	patience := drainTime
	if strings.EqualFold(r.Header.Get("Expect"), "100-continue") {
		patience = drainTime / 10
	}
	_ = out.SetReadDeadline(time.Now().Add(patience))
	_, _ = io.CopyN(io.Discard, r.Body, drainLimit)
}
