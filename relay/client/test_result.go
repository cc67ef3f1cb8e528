package client

import (
	"context"

	"sallyport/relay/connection"
)

// TestResult is a finished test.
type TestResult struct {
	OK         bool             `json:"ok"`
	DurationMs float64          `json:"durationMs"`
	Steps      []TestStep       `json:"steps"`
	Session    *TestSessionInfo `json:"session,omitempty"`
	Warnings   []string         `json:"warnings,omitempty"`
	// Ended is a status code to add to those that end a session; nil: none.
	Ended *TestEndedHint `json:"ended,omitempty"`
}

// TestEndedHint is how the application answers where nobody is signed in, and
// the change that tells the connection.
type TestEndedHint struct {
	Status int    `json:"status"`
	Text   string `json:"text"`
	TestFix
}

// TestSessionInfo names the session that the test created.
type TestSessionInfo struct {
	ID string `json:"id"`
}

// TestStep is one stage of a test: agent, sign-in or ping.
type TestStep struct {
	Name       string            `json:"name"`
	Status     string            `json:"status"` // running, ok, failed or skipped
	Code       string            `json:"code,omitempty"`
	Message    string            `json:"message"`
	Hint       string            `json:"hint,omitempty"`
	HintID     string            `json:"hintId,omitempty"`
	Fix        *TestFix          `json:"fix,omitempty"`
	StartMs    float64           `json:"startMs"`
	DurationMs float64           `json:"durationMs"`
	Request    *TestHTTPRequest  `json:"request,omitempty"`
	Response   *TestHTTPResponse `json:"response,omitempty"`
	Timing     *TestTiming       `json:"timing,omitempty"`
	Hops       []TestHop         `json:"hops,omitempty"`
	// Proposals are success paths and values that the ping's answer would pass.
	Proposals []connection.Success `json:"proposals,omitempty"`
	// Curl is the request as a shell command, secrets as variables.
	Curl string `json:"curl,omitempty"`
	// Before is the first request of a sign-in chain.
	Before *TestFirstRequest `json:"before,omitempty"`
	Values []TestValueResult `json:"values,omitempty"` // of the answer to the sign-in itself
}

// TestFirstRequest is the first request of a sign-in chain, and its answer.
type TestFirstRequest struct {
	Request  *TestHTTPRequest  `json:"request,omitempty"`
	Response *TestHTTPResponse `json:"response,omitempty"`
	Hops     []TestHop         `json:"hops,omitempty"`
	Values   []TestValueResult `json:"values,omitempty"`
}

// TestValueResult is what became of one value that an answer was to give.
type TestValueResult struct {
	Name    string `json:"name"`
	From    string `json:"from"`
	At      string `json:"at"`
	Found   bool   `json:"found"`
	Missing string `json:"missing,omitempty"`
}

// TestFix sets one field of the connection to a value, and so mends the step.
type TestFix struct {
	Label string `json:"label"`
	Field string `json:"field"`
	Value string `json:"value"`
}

// TestHTTPRequest is a request as it was sent, secrets masked.
type TestHTTPRequest struct {
	Method  string       `json:"method"`
	URL     string       `json:"url"`
	Headers []TestHeader `json:"headers"`
	Body    string       `json:"body,omitempty"`
}

// TestHTTPResponse is an answer as it was received, secrets masked, its body
// cut.
type TestHTTPResponse struct {
	Status    int          `json:"status"`
	Headers   []TestHeader `json:"headers"`
	Body      string       `json:"body,omitempty"`
	Truncated bool         `json:"truncated,omitempty"`
}

// TestHeader is one header field as shown.
type TestHeader struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// TestHop is a redirect that was followed.
type TestHop struct {
	Status   int    `json:"status"`
	URL      string `json:"url"`
	Location string `json:"location"`
}

// TestTiming is where a step's time went, in milliseconds.
type TestTiming struct {
	DNSMs     float64 `json:"dnsMs"`
	ConnectMs float64 `json:"connectMs"`
	TLSMs     float64 `json:"tlsMs"`
	WaitMs    float64 `json:"waitMs"`
	TunnelMs  float64 `json:"tunnelMs"`
}

// TestConnection tests a connection as it is given, without saving it: a new
// one, or edits of in.ID, whose secrets are kept. onStep, where it is not nil, is
// called when a step begins and when it ends. A test that fails is no error.
func (c *Client) TestConnection(ctx context.Context, in Connection, onStep func(TestStep)) (TestResult, error) {
	return c.test(ctx, testPath(in.ID), in, onStep)
}

// TestSaved tests a connection as it is saved. The session that the test makes
// takes the place of the one before.
func (c *Client) TestSaved(ctx context.Context, id string, onStep func(TestStep)) (TestResult, error) {
	return c.test(ctx, call("connections", id, "test"), nil, onStep)
}

// TestDocument is TestConnection with a document of the API's shape, for who has to
// keep what Connection has no field for; id is the saved one, or "".
func (c *Client) TestDocument(ctx context.Context, id string, document any, onStep func(TestStep)) (TestResult, error) {
	return c.test(ctx, testPath(id), document, onStep)
}

func testPath(id string) string {
	if id == "" {
		return call("connections", "test")
	}
	return call("connections", id, "test")
}

func (c *Client) test(ctx context.Context, path string, in any, onStep func(TestStep)) (TestResult, error) {
	return streamed[TestResult](ctx, c, path, in, "step", onStep)
}
