// Package probe tests a connection: is the agent there, does the sign-in work,
// does the ping succeed, and if not, what should be changed. The API and the
// pages show its Result; it holds the verdict and the hints, and sends nothing
// itself but through package session and the road that it is given.
package probe

import "sallyport/relay/connection"

// Status of a step.
type Status string

const (
	Running Status = "running" // only in live updates, never in a finished Result
	OK      Status = "ok"
	Failed  Status = "failed"
	Skipped Status = "skipped"
)

// Names of the steps, in their order.
const (
	StepAgent  = "agent"
	StepSignIn = "sign-in"
	StepPing   = "ping"
)

// Result is a finished test.
type Result struct {
	OK         bool         `json:"ok"`
	DurationMs float64      `json:"durationMs"`
	Steps      []Step       `json:"steps"`
	Session    *SessionInfo `json:"session,omitempty"`
	// Warnings are what is worth knowing although the test passed, such as a
	// cookie URI on another host.
	Warnings []string `json:"warnings,omitempty"`
	// Ended tells how the application answers the ping without a session, where
	// the connection does not know that this means so.
	Ended *EndedHint `json:"ended,omitempty" doc:"A status code that means that a session has ended, which the connection does not name yet."`
}

// EndedHint is a status code to add to those that end a session, and the change
// that does it.
type EndedHint struct {
	Status int    `json:"status"`
	Text   string `json:"text" doc:"A sentence."`
	Fix
}

// SessionInfo names the session that the test created.
type SessionInfo struct {
	ID string `json:"id"`
}

// Step is one stage of a test.
type Step struct {
	Name       string        `json:"name" enum:"agent,sign-in,ping"`
	Status     Status        `json:"status" enum:"running,ok,failed,skipped"`
	Code       string        `json:"code,omitempty" doc:"The error code, where the step failed for want of an answer."`
	Message    string        `json:"message" doc:"One plain sentence."`
	Hint       string        `json:"hint,omitempty" doc:"What to change so that the step passes next time."`
	HintID     string        `json:"hintId,omitempty" doc:"Stable name of the hint, such as value-case."`
	Fix        *Fix          `json:"fix,omitempty" doc:"The change, where one click can make it."`
	StartMs    float64       `json:"startMs" doc:"Since the test began."`
	DurationMs float64       `json:"durationMs"`
	Request    *HTTPRequest  `json:"request,omitempty"`
	Response   *HTTPResponse `json:"response,omitempty"`
	Timing     *Timing       `json:"timing,omitempty"`
	// Proposals are of the ping alone.
	Proposals []connection.Success `json:"proposals,omitempty" doc:"Success paths and values that this answer would pass."`
	Curl      string               `json:"curl,omitempty" doc:"The request as a curl command for a shell on the machine from which it was sent, secrets as variables."`
	// Before is the first request of a sign-in chain.
	Before *FirstRequest `json:"before,omitempty"`
	// Values are those that the answer to the sign-in itself was to give.
	Values []ValueResult `json:"values,omitempty"`
	// Hops are the answers before the last one, where redirects were followed.
	Hops []Hop `json:"hops,omitempty"`
}

// Fix sets one field of the connection's form to a value.
type Fix struct {
	Label string `json:"label" doc:"The button's text, such as: Use GET."`
	Field string `json:"field" doc:"Path of the field in the connection, such as ping.successPath."`
	Value string `json:"value"`
}

// HTTPRequest is a request as it was sent, secrets masked.
type HTTPRequest struct {
	Method  string   `json:"method"`
	URL     string   `json:"url"`
	Headers []Header `json:"headers"`
	Body    string   `json:"body,omitempty"`
}

// HTTPResponse is an answer as it was received, secrets masked, its body cut
// to a preview.
type HTTPResponse struct {
	Status    int      `json:"status"`
	Headers   []Header `json:"headers"`
	Body      string   `json:"body,omitempty"`
	Truncated bool     `json:"truncated,omitempty"`
}

// Header is one header field as shown.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Hop is a redirect that was followed.
type Hop struct {
	Status   int    `json:"status"`
	URL      string `json:"url"`
	Location string `json:"location"`
}

// Timing is where the step's time went, in milliseconds.
type Timing struct {
	DNSMs     float64 `json:"dnsMs"`
	ConnectMs float64 `json:"connectMs"`
	TLSMs     float64 `json:"tlsMs"`
	WaitMs    float64 `json:"waitMs"`
	TunnelMs  float64 `json:"tunnelMs"`
}
