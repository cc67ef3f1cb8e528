package api

import (
	"context"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"sallyport/relay/probe"
)

// routes is every call of the API on one screen. The proxy is not here: it is
// matched before the mux, see ServeHTTP, and described in openapi.go.
func (h *handler) routes() {
	const (
		agents      = "Agents"
		connections = "Connections"
		workspace   = "Workspace"
	)
	route(h, "GET", "/agents", agents, "List agents", 200, h.listAgents)
	route(h, "POST", "/agents", agents, "Create an agent", 201, h.createAgent)
	route(h, "GET", "/agents/{id}", agents, "Read an agent", 200, h.readAgent)
	route(h, "PATCH", "/agents/{id}", agents, "Rename an agent", 200, h.renameAgent)
	route(h, "DELETE", "/agents/{id}", agents, "Delete an agent", 204, h.deleteAgent)
	route(h, "GET", "/agents/{id}/logs", agents, "Follow what an agent's machines log", 200, h.agentLogs, logAnswers)
	route(h, "GET", "/agents/{id}/history", agents, "When an agent's machines came and went, newest first", 200, h.agentHistory)
	route(h, "DELETE", "/agents/{id}/instances/{instanceId}", agents, "Remove a machine from an agent", 204, h.removeInstance)
	route(h, "POST", "/agents/{id}/enrollments", agents, "Make a one-time enrolment code", 201, h.createEnrolment)
	route(h, "POST", "/enroll", agents, "Exchange an enrolment code for an identity", 201, h.enrol, noLogin)
	route(h, "DELETE", "/enroll", agents, "End the enrolment of the machine that asks", 204, h.leave, noLogin)

	route(h, "GET", "/connections", connections, "List connections", 200, h.listConnections)
	route(h, "POST", "/connections", connections, "Create a connection", 201, h.createConnection, createAnswers)
	route(h, "POST", "/connections/test", connections, "Test a connection that is not saved", 200, h.testDraft, testAnswers)
	route(h, "POST", "/connections/import", connections, "Make a draft from a recorded login", 200, h.importConnection, importAnswers)
	route(h, "GET", "/connections/{id}", connections, "Read a connection", 200, h.readConnection)
	route(h, "PUT", "/connections/{id}", connections, "Replace a connection", 200, h.updateConnection)
	route(h, "DELETE", "/connections/{id}", connections, "Delete a connection", 204, h.deleteConnection)
	route(h, "POST", "/connections/{id}/test", connections, "Test a saved connection, or edits of it", 200, h.testSaved, testAnswers)
	route(h, "POST", "/connections/compare", connections, "Compare from where a connection that is not saved is reached", 200, h.compareDraft, compareAnswers)
	route(h, "POST", "/connections/{id}/compare", connections, "Compare from where a saved connection, or edits of it, is reached", 200, h.compareSaved, compareAnswers)
	route(h, "GET", "/connections/{id}/session", connections, "Read the stored session, without its cookies' values", 200, h.readSession)
	route(h, "POST", "/connections/{id}/session", connections, "Sign in now, in the place of the session that there is", 200, h.signInSession)
	route(h, "DELETE", "/connections/{id}/session", connections, "Sign out: forget the stored session", 204, h.dropSession)
	route(h, "GET", "/connections/{id}/health", connections, "How a connection does: state, history, availability, notices", 200, h.readHealth)
	route(h, "POST", "/connections/{id}/health/test-notice", connections, "Send a test notice to everybody who would be told", 200, h.sendTestNotice)

	route(h, "GET", "/events", workspace, "Follow what changes", 200, h.events, eventAnswers)
	route(h, "GET", "/audit", workspace, "Who did what", 200, h.listAudit)
	route(h, "GET", "/requests", workspace, "What was sent through connections lately, by the relay that answers", 200, h.listRequests)
	route(h, "GET", "/people", workspace, "List people", 200, h.listPeople)
	route(h, "POST", "/people", workspace, "Invite somebody", 201, h.invite)
	route(h, "GET", "/people/{id}", workspace, "Read a person", 200, h.readPerson)
	route(h, "PATCH", "/people/{id}", workspace, "Change a person's role, lock them out or let them in", 200, h.changePerson)
	route(h, "DELETE", "/people/{id}", workspace, "Remove a person", 204, h.removePerson)
	route(h, "POST", "/people/{id}/sign-in-link", workspace, "Make a one-time sign-in link for a person", 201, h.newSignInLink)
	route(h, "GET", "/me", workspace, "Who am I", 200, h.me)
	route(h, "GET", "/tokens", workspace, "List API tokens", 200, h.listTokens)
	route(h, "POST", "/tokens", workspace, "Make an API token", 201, h.createToken)
	route(h, "DELETE", "/tokens/{id}", workspace, "Revoke an API token", 204, h.revokeToken)

	h.describeProxy()
	describe(h.huma.OpenAPI())
}

// route adds one call. The handlers' errors are translated here, once.
func route[I, O any](h *handler, method, path, tag, summary string, status int, serve func(context.Context, *I) (*O, error), more ...func(*huma.Operation)) {
	op := huma.Operation{
		OperationID:      operationID(method, path),
		Method:           method,
		Path:             Prefix + path,
		Summary:          summary,
		Tags:             []string{tag},
		DefaultStatus:    status,
		SkipValidateBody: true, // document.decode reports form and content together
		MaxBodyBytes:     bodyLimit + 1,
		Security:         []map[string][]string{{"token": {}}, {"browser": {}}},
		// Unknown parameters are refused as unknown fields are: a misspelt
		// filter that is passed over answers with everything.
		RejectUnknownQueryParameters: true,
		Responses:                    map[string]*huma.Response{"default": problemResponse(h.huma.OpenAPI())},
	}
	for _, change := range more {
		change(&op)
	}
	huma.Register(h.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := serve(ctx, in)
		if err != nil {
			return nil, h.problemOf(ctx, err)
		}
		return out, nil
	})
}

func noLogin(op *huma.Operation) { op.Security = []map[string][]string{} }

// nothing is the answer of calls that only do.
type nothing struct{}

// Identified is the input of calls on one thing.
type Identified struct {
	ID string `path:"id" doc:"The thing's id." maxLength:"64"`
}

// page is the part of a list that is asked for.
type page struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"How many at most."`
	Cursor string `query:"cursor" doc:"nextCursor of the page before." maxLength:"512"`
	Query  string `query:"q" doc:"Only those whose name contains this." maxLength:"200"`
}

// items is one page of a list.
type items[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"nextCursor,omitempty" doc:"Where the next page begins; left out on the last."`
}

type listed[T any] struct{ Body items[T] }

func listOf[From, To any](from []From, next string, convert func(From) To) *listed[To] {
	out := &listed[To]{Body: items[To]{Items: make([]To, 0, len(from)), NextCursor: next}}
	for _, f := range from {
		out.Body.Items = append(out.Body.Items, convert(f))
	}
	return out
}

func newHuma(mux *http.ServeMux, o Options) huma.API {
	config := huma.DefaultConfig("Sallyport", o.Version)
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "", "", "" // see docs.go
	config.CreateHooks = nil                                             // they would add $schema links to every body
	config.FieldsOptionalByDefault = true                                // what is missing is reported by the rules, not by the form
	config.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", schemaName)
	config.Formats = map[string]huma.Format{"application/json": strictJSON(), "json": strictJSON()}
	config.DefaultFormat = "application/json"
	config.Transformers = []huma.Transformer{ownProblems}
	return humago.New(mux, config)
}

// schemaName is the name of a type in the OpenAPI document. Those of package
// probe are about tests, and some bear names that others bear too.
func schemaName(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if inner, ok := strings.CutPrefix(t.Name(), "items["); ok {
		inner = strings.TrimSuffix(inner, "]")
		return inner[strings.LastIndexByte(inner, '.')+1:] + "List"
	}
	name := huma.DefaultSchemaNamer(t, hint)
	if t.PkgPath() == reflect.TypeFor[probe.Result]().PkgPath() {
		return "Test" + name
	}
	return name
}
