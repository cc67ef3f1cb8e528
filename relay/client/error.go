package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sallyport/proto"
)

// Error is an answer other than 2xx: a problem document (RFC 9457) of the
// relay. Decide by Code; Detail and Hint are for people.
type Error struct {
	Type      string            `json:"type"`
	Title     string            `json:"title"`
	Status    int               `json:"status"`
	Code      proto.Code        `json:"code"` // "" where what answered was no Sallyport relay
	Detail    string            `json:"detail"`
	Hint      string            `json:"hint,omitempty"`
	Outcome   proto.Outcome     `json:"outcome,omitempty"` // for requests through a connection
	Reason    proto.Reason      `json:"reason,omitempty"`
	Facts     map[string]string `json:"facts,omitempty"`
	RequestID string            `json:"requestId,omitempty"`
	Errors    []FieldError      `json:"errors,omitempty"`
	// RetryAfter is when to try again, where the relay said so.
	RetryAfter time.Duration `json:"-"`
}

// FieldError is one faulty field of what was sent.
type FieldError struct {
	Path    string `json:"path"` // such as auth.cookie.uri or headers[2].value
	Message string `json:"message"`
}

// Error says what happened, to which fields, and what to do.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d", e.Status)
	if e.Code != "" {
		fmt.Fprintf(&b, " %s", e.Code)
	}
	fmt.Fprintf(&b, ": %s", e.Detail)
	if len(e.Errors) > 1 {
		for _, f := range e.Errors {
			fmt.Fprintf(&b, " %s: %s", f.Path, f.Message)
		}
	}
	if e.Hint != "" {
		b.WriteString(" " + e.Hint)
	}
	return b.String()
}

// AsError returns the *Error within err, or nil.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// Is reports whether err is an answer of the relay with that code.
func Is(err error, code proto.Code) bool {
	e := AsError(err)
	return e != nil && e.Code == code
}

// problemLimit bounds what is read of an answer that failed.
const problemLimit = 1 << 20

// readError reads the problem of an answer, or makes one of what something
// between here and the relay has answered.
func readError(resp *http.Response) *Error {
	text, _ := io.ReadAll(io.LimitReader(resp.Body, problemLimit)) // what has come is shown
	e := &Error{}
	if json.Unmarshal(text, e) != nil || e.Code == "" {
		shown := strings.Join(strings.Fields(string(text)), " ")
		if len(shown) > 200 {
			shown = shown[:200] + "…"
		}
		e = &Error{Title: http.StatusText(resp.StatusCode), Detail: "The answer is none of a Sallyport relay: " + strconv.Quote(shown) + ".",
			Hint: "Look at the address of the relay, and at proxies on the way to it."}
	}
	e.Status = resp.StatusCode
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	return e
}
