package api

import (
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"sallyport/relay/probe"
)

// describe completes the OpenAPI document with what the calls don't say
// themselves.
func describe(doc *huma.OpenAPI) {
	doc.Info.Description = "Sallyport signs in to applications in the cloud and behind firewalls, and sends requests through the sessions that it keeps.\n\n" +
		"Every error is a problem document (RFC 9457) with a `code`. An answer that the relay or an agent made in place of an application carries the header field `Sallyport-Error`."
	doc.Info.License = nil
	doc.Servers = []*huma.Server{{URL: "/"}}
	doc.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token":   {Type: "http", Scheme: "bearer", Description: "An API token."},
		"browser": {Type: "apiKey", In: "cookie", Name: "sallyport", Description: "The session of a signed-in browser."},
	}
	doc.Tags = []*huma.Tag{
		{Name: "Connections", Description: "How to reach and sign in to an application, and requests through it."},
		{Name: "Agents", Description: "Sites behind a firewall, and the machines that serve them."},
		{Name: "Workspace", Description: "Tokens, live changes and the audit trail."},
	}
	// Schemas that only hand-written answers name.
	doc.Components.Schemas.Schema(reflect.TypeFor[probe.Result](), true, "")
	doc.Components.Schemas.Schema(reflect.TypeFor[probe.Comparison](), true, "")
	// Huma's own error, which no call answers with: see ownProblems.
	delete(doc.Components.Schemas.Map(), "ErrorModel")
	delete(doc.Components.Schemas.Map(), "ErrorDetail")
	// What must be there is reported by the rules, with all other faults; the
	// document says it for those who generate clients.
	require(doc, "Connection", "name", "mode", "baseUri", "auth")
	require(doc, "Header", "name", "value")
	require(doc, "Auth", "type")
	require(doc, "CookieAuth", "method", "uri")
	require(doc, "AgentName", "name")
	require(doc, "Agent", "id", "name", "status", "instances", "usedBy", "createdAt")
	require(doc, "Problem", "type", "title", "status", "code", "detail")
	require(doc, "TestResult", "ok", "durationMs", "steps")
	require(doc, "TestComparison", "places", "durationMs")
	require(doc, "TestReach", "mode", "name", "status", "reached", "message")
	require(doc, "TestStep", "name", "status", "message", "startMs", "durationMs")
	if s := doc.Components.Schemas.Map()["Connection"]; s != nil {
		s.Examples = []any{exampleConnection()}
	}
}

// require marks properties as required for readers of the document alone:
// huma has precomputed what it validates by.
func require(doc *huma.OpenAPI, schema string, names ...string) {
	if s := doc.Components.Schemas.Map()[schema]; s != nil {
		s.Required = names
	}
}

func exampleConnection() map[string]any {
	return map[string]any{
		"name": "Plant 2 ERP", "mode": "on-premise", "agentId": "agt_0198a2b477aa7cde",
		"headers": []any{map[string]any{"name": "X-Company", "value": "{{secret.company}}"}},
		"baseUri": "https://erp.plant2.internal/api", "mediaType": "json",
		"auth": map[string]any{"type": "cookie", "cookie": map[string]any{
			"method": "POST", "uri": "/session", "body": `{"user":"svc","password":"{{secret.password}}"}`, "successStatusCode": 200}},
		"ping":    map[string]any{"method": "GET", "uri": "/me", "successPath": "ok", "successValues": []any{"true"}},
		"secrets": map[string]any{"company": "17", "password": "correct horse"},
	}
}

// problemResponse is the answer of every call that failed.
func problemResponse(doc *huma.OpenAPI) *huma.Response {
	return &huma.Response{
		Description: "What went wrong; code tells which.",
		Headers: map[string]*huma.Param{
			"X-Request-Id":    {Schema: &huma.Schema{Type: huma.TypeString}, Description: "Under which the logs have more."},
			"Sallyport-Error": {Schema: &huma.Schema{Type: huma.TypeString}, Description: "The problem's code."},
		},
		Content: map[string]*huma.MediaType{
			"application/problem+json": {Schema: doc.Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "")},
		},
	}
}

// describeProxy adds the calls that never reach the mux.
func (h *handler) describeProxy() {
	doc := h.huma.OpenAPI()
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
		op := &huma.Operation{
			OperationID: strings.ToLower(method) + "-through-connection",
			Method:      method,
			Path:        Prefix + "/connections/{id}/proxy/{path}",
			Summary:     "Send a " + method + " through a connection",
			Description: "Any method is sent, streaming both ways. The path is taken as it is, slashes included, and joined to the base URI; the query goes along. " +
				"Status and body are the application's; an answer of the relay or the agent carries Sallyport-Error instead.",
			Tags:     []string{"Connections"},
			Security: []map[string][]string{{"token": {}}, {"browser": {}}},
			Parameters: []*huma.Param{
				{Name: "id", In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString}, Description: "The connection."},
				{Name: "path", In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString}, Description: "The rest of the URI, relative to the base URI; may hold slashes."},
				{Name: "Idempotency-Key", In: "header", Schema: &huma.Schema{Type: huma.TypeString}, Description: "With POST and PATCH: a key of the caller's own for this request. A repeated request with the same key is not sent, but gets the first one's result, for 24 hours."},
				{Name: "Prefer", In: "header", Schema: &huma.Schema{Type: huma.TypeString}, Description: "wait=SECONDS (RFC 7240): how long the request may be held where its agent is away for a moment. It goes on to the application, too."},
			},
			Responses: map[string]*huma.Response{
				"default": {
					Description: "The application's answer, whatever it is, or a problem with Sallyport-Error.",
					Headers: map[string]*huma.Param{
						"Server-Timing":        {Schema: &huma.Schema{Type: huma.TypeString}, Description: "Where the time went: total, queue, retry, held, tunnel, dns, connect, tls, wait."},
						"Sallyport-Outcome":    {Schema: &huma.Schema{Type: huma.TypeString, Enum: []any{"not_sent", "sent", "unknown"}}, Description: "Whether the application may have acted on the request; sent where it answered."},
						"Sallyport-Attempts":   {Schema: &huma.Schema{Type: huma.TypeInteger}, Description: "How often the request was tried, where the connection lets it be tried more than once."},
						"Idempotency-Replayed": {Schema: &huma.Schema{Type: huma.TypeString}, Description: "true, where this is the result of an earlier request with the same Idempotency-Key."},
						"Preference-Applied":   {Schema: &huma.Schema{Type: huma.TypeString}, Description: "wait=SECONDS, where that preference was heeded."},
						"Retry-After":          {Schema: &huma.Schema{Type: huma.TypeInteger}, Description: "With agent_offline, agent_paused, too_many_requests and sign_in_failed: when to try again, in seconds."},
						"Sallyport-Error":      {Schema: &huma.Schema{Type: huma.TypeString}, Description: "Only on answers that the relay or the agent made itself: the problem's code."},
					},
					Content: map[string]*huma.MediaType{
						"*/*":                      {Schema: &huma.Schema{}},
						"application/problem+json": {Schema: doc.Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "")},
					},
				},
			},
		}
		if method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch {
			op.RequestBody = &huma.RequestBody{Content: map[string]*huma.MediaType{"*/*": {Schema: &huma.Schema{}}}}
		}
		doc.AddOperation(op)
	}
}

// operationID names a call for generated clients: GET /agents/{id} is
// get-agents-id.
func operationID(method, path string) string {
	name := strings.NewReplacer("/", "-", "{", "", "}", "").Replace(path)
	return strings.ToLower(method) + name
}

func (h *handler) schemas() huma.Registry { return h.huma.OpenAPI().Components.Schemas }
