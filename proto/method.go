package proto

import "net/http"

// Idempotent says whether doing a request with this method twice is the same as
// doing it once (RFC 9110, section 9.2.2). Only those may be sent again when it
// is not known whether the target has seen them; for the others the agent says
// that it has begun (HeaderStarted).
func Idempotent(method string) bool {
	switch method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}
