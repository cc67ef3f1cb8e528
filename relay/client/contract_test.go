package client

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/relay/connection"
)

// covered is an operation of the document and the call of this package that
// does it, with everything that it can say.
type covered struct {
	in, out reflect.Type // of request and answer; nil: none
	events  bool         // the answer is a stream
	call    func(ctx context.Context, c *Client) error
}

func coverage() map[string][]covered {
	list := ListOptions{Query: "x", PageSize: 7}
	draft := Connection{Spec: connection.Spec{Name: "ERP"}}
	saved := Connection{ID: "1", Version: 3, Spec: draft.Spec}
	connections, agents := reflect.TypeFor[Connection](), reflect.TypeFor[Agent]()
	result, name := reflect.TypeFor[TestResult](), reflect.TypeFor[agentName]()
	step := func(TestStep) {}
	return map[string][]covered{
		"GET /connections":      {{out: reflect.TypeFor[listed[Connection]](), call: func(ctx context.Context, c *Client) error { return drain(c.Connections(ctx, list)) }}},
		"POST /connections":     {{in: connections, out: connections, call: func(ctx context.Context, c *Client) error { _, err := c.CreateConnection(ctx, draft); return err }}, {in: connections, out: connections, call: func(ctx context.Context, c *Client) error { _, err := c.PlanConnection(ctx, draft); return err }}},
		"GET /connections/{id}": {{out: connections, call: func(ctx context.Context, c *Client) error { _, err := c.Connection(ctx, "1"); return err }}},
		"PUT /connections/{id}": {{in: connections, out: connections, call: func(ctx context.Context, c *Client) error { _, err := c.UpdateConnection(ctx, saved); return err }},
			{in: connections, out: connections, call: func(ctx context.Context, c *Client) error { _, err := c.PlanConnection(ctx, saved); return err }}},
		"DELETE /connections/{id}": {{call: func(ctx context.Context, c *Client) error { return c.DeleteConnection(ctx, "1", 3) }}},
		"POST /connections/test": {{in: connections, out: result, call: func(ctx context.Context, c *Client) error { _, err := c.TestConnection(ctx, draft, nil); return err }},
			{in: connections, events: true, call: func(ctx context.Context, c *Client) error { _, err := c.TestConnection(ctx, draft, step); return err }}},
		"POST /connections/{id}/test": {{out: result, call: func(ctx context.Context, c *Client) error { _, err := c.TestSaved(ctx, "1", nil); return err }},
			{in: connections, events: true, call: func(ctx context.Context, c *Client) error { _, err := c.TestConnection(ctx, saved, step); return err }}},
		"POST /connections/compare": {{in: connections, out: reflect.TypeFor[TestComparison](), call: func(ctx context.Context, c *Client) error {
			_, err := c.CompareConnection(ctx, draft, CompareOptions{SignIn: true, AgentIDs: []string{"2", "3"}})
			return err
		}}, {in: connections, events: true, call: func(ctx context.Context, c *Client) error {
			_, err := c.CompareConnection(ctx, draft, CompareOptions{OnPlace: func(TestReach) {}})
			return err
		}}},
		"POST /connections/{id}/compare": {{out: reflect.TypeFor[TestComparison](), call: func(ctx context.Context, c *Client) error {
			_, err := c.CompareSaved(ctx, "1", CompareOptions{SignIn: true, AgentIDs: []string{"2"}})
			return err
		}}, {in: connections, events: true, call: func(ctx context.Context, c *Client) error {
			_, err := c.CompareConnection(ctx, saved, CompareOptions{OnPlace: func(TestReach) {}})
			return err
		}}},
		"POST /connections/import": {{in: reflect.TypeFor[Recording](), out: reflect.TypeFor[Imported](), call: func(ctx context.Context, c *Client) error {
			_, err := c.ImportConnection(ctx, Recording{Curl: "curl"})
			return err
		}}},
		"GET /connections/{id}/session":    {{out: reflect.TypeFor[Session](), call: func(ctx context.Context, c *Client) error { _, err := c.Session(ctx, "1"); return err }}},
		"POST /connections/{id}/session":   {{out: reflect.TypeFor[Session](), call: func(ctx context.Context, c *Client) error { _, err := c.SignIn(ctx, "1"); return err }}},
		"DELETE /connections/{id}/session": {{call: func(ctx context.Context, c *Client) error { return c.SignOut(ctx, "1") }}},

		"GET /connections/{id}/health":              {{out: reflect.TypeFor[ConnectionHealth](), call: func(ctx context.Context, c *Client) error { _, err := c.Health(ctx, "1", 10); return err }}},
		"POST /connections/{id}/health/test-notice": {{out: reflect.TypeFor[listed[TestNotice]](), call: func(ctx context.Context, c *Client) error { _, err := c.SendTestNotice(ctx, "1"); return err }}},

		"GET /agents":         {{out: reflect.TypeFor[listed[Agent]](), call: func(ctx context.Context, c *Client) error { return drain(c.Agents(ctx, list)) }}},
		"POST /agents":        {{in: name, out: agents, call: func(ctx context.Context, c *Client) error { _, err := c.CreateAgent(ctx, "x"); return err }}},
		"GET /agents/{id}":    {{out: agents, call: func(ctx context.Context, c *Client) error { _, err := c.Agent(ctx, "1"); return err }}},
		"PATCH /agents/{id}":  {{in: name, out: agents, call: func(ctx context.Context, c *Client) error { _, err := c.RenameAgent(ctx, "1", "x"); return err }}},
		"DELETE /agents/{id}": {{call: func(ctx context.Context, c *Client) error { return c.DeleteAgent(ctx, "1") }}},
		"GET /agents/{id}/logs": {{events: true, call: func(ctx context.Context, c *Client) error {
			return drain(c.AgentLogs(ctx, "1", LogOptions{Level: "warn", Instance: "2"}))
		}}},
		"GET /agents/{id}/history":                   {{out: reflect.TypeFor[listed[Happening]](), call: func(ctx context.Context, c *Client) error { return drain(c.AgentHistory(ctx, "1", list)) }}},
		"POST /agents/{id}/enrollments":              {{out: reflect.TypeFor[Enrolment](), call: func(ctx context.Context, c *Client) error { _, err := c.CreateEnrolment(ctx, "1"); return err }}},
		"DELETE /agents/{id}/instances/{instanceId}": {{call: func(ctx context.Context, c *Client) error { return c.RemoveInstance(ctx, "1", "2") }}},

		"GET /events": {{events: true, call: func(ctx context.Context, c *Client) error { return drain(c.Events(ctx)) }}},
		"GET /audit": {{out: reflect.TypeFor[listed[Entry]](), call: func(ctx context.Context, c *Client) error {
			return drain(c.Audit(ctx, AuditFilter{ObjectType: "connection", ObjectID: "1", ActorID: "2"}, list))
		}}},
		"GET /requests": {{out: reflect.TypeFor[listed[SentRequest]](), call: func(ctx context.Context, c *Client) error {
			return drain(c.Requests(ctx, RequestFilter{ConnectionID: "1", Failed: true}, list))
		}}},
		"GET /people":      {{out: reflect.TypeFor[listed[Person]](), call: func(ctx context.Context, c *Client) error { return drain(c.People(ctx, list)) }}},
		"POST /people":     {{in: reflect.TypeFor[NewPerson](), out: reflect.TypeFor[Invitation](), call: func(ctx context.Context, c *Client) error { _, err := c.Invite(ctx, NewPerson{}); return err }}},
		"GET /people/{id}": {{out: reflect.TypeFor[Person](), call: func(ctx context.Context, c *Client) error { _, err := c.Person(ctx, "1"); return err }}},
		"PATCH /people/{id}": {{in: reflect.TypeFor[PersonChange](), out: reflect.TypeFor[Person](), call: func(ctx context.Context, c *Client) error {
			_, err := c.ChangePerson(ctx, "1", PersonChange{})
			return err
		}}},
		"DELETE /people/{id}":            {{call: func(ctx context.Context, c *Client) error { return c.RemovePerson(ctx, "1") }}},
		"POST /people/{id}/sign-in-link": {{out: reflect.TypeFor[SignInLink](), call: func(ctx context.Context, c *Client) error { _, err := c.NewSignInLink(ctx, "1"); return err }}},
		"GET /me":                        {{out: reflect.TypeFor[Me](), call: func(ctx context.Context, c *Client) error { _, err := c.Me(ctx); return err }}},
		"GET /tokens":                    {{out: reflect.TypeFor[listed[Token]](), call: func(ctx context.Context, c *Client) error { _, err := c.Tokens(ctx); return err }}},
		"POST /tokens":                   {{in: reflect.TypeFor[NewToken](), out: reflect.TypeFor[Token](), call: func(ctx context.Context, c *Client) error { _, err := c.CreateToken(ctx, NewToken{}); return err }}},
		"DELETE /tokens/{id}":            {{call: func(ctx context.Context, c *Client) error { return c.RevokeToken(ctx, "1") }}},
	}
}

// left are the operations that are for others.
var left = map[string]string{
	"POST /enroll":   "an agent's own",
	"DELETE /enroll": "an agent's own",
}

// proxied are those of Through, which takes any method.
func proxied(op string) bool { return strings.HasSuffix(op, "/connections/{id}/proxy/{path}") }

func drain[T any](seq iter.Seq2[T, error]) error {
	for _, err := range seq {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestEveryOperationOfTheDocumentHasItsCall(t *testing.T) {
	ops, calls := described(t).operations(), coverage()
	for _, op := range slices.Sorted(maps.Keys(ops)) {
		if calls[op] == nil && left[op] == "" && !proxied(op) {
			t.Errorf("%s (%s): no call of this package does it", op, ops[op]["summary"])
		}
	}
	for op := range calls {
		if ops[op] == nil {
			t.Errorf("%s: the document does not have it", op)
		}
	}
}

func TestTypesAreThoseOfTheDocument(t *testing.T) {
	d := described(t)
	compare := &comparison{document: d, seen: map[string]bool{}}
	ops := d.operations()
	check := func(of map[string]any, mediaType string, typ reflect.Type, what string) {
		schema := body(of, mediaType)
		if (schema == nil) != (typ == nil) {
			t.Errorf("%s: the document has %v, this package %v", what, schema, typ)
			return
		}
		if schema != nil {
			compare.differ(schema, typ, what)
		}
	}
	for op, calls := range coverage() {
		if ops[op] == nil {
			continue // told by another test
		}
		in, _ := ops[op]["requestBody"].(map[string]any)
		responses := document(ops[op]).at("responses")
		success := slices.MinFunc(slices.Collect(maps.Keys(responses)), strings.Compare)
		out, _ := responses[success].(map[string]any)
		for _, c := range calls {
			if c.in != nil || !strings.HasSuffix(op, "{id}/test") && !strings.HasSuffix(op, "{id}/compare") { // whose body may be left out
				check(in, "application/json", c.in, op+" body")
			}
			if c.events {
				if body(out, "text/event-stream") == nil {
					t.Errorf("%s: no stream is described", op)
				}
				continue
			}
			check(out, "application/json", c.out, op+" answer")
		}
		problem, _ := responses["default"].(map[string]any)
		check(problem, "application/problem+json", reflect.TypeFor[Error](), op+" problem")
	}
	for _, fault := range compare.faults {
		t.Error(fault)
	}
}

// TestCallsSayWhatTheDocumentDescribes sends each call to a server that notes
// what came, and compares that with the operation.
func TestCallsSayWhatTheDocumentDescribes(t *testing.T) {
	ops := described(t).operations()
	for op, calls := range coverage() {
		said := map[string]bool{} // parameters of the operation, over all its calls
		for _, c := range calls {
			seen, err := overheard(t, c)
			if err != nil {
				t.Errorf("%s: %v", op, err)
				continue
			}
			if r := seen[0]; !matches(op, r.Method+" "+strings.TrimPrefix(r.URL.Path, prefix)) {
				t.Errorf("%s: sent %s %s", op, r.Method, r.URL)
			}
			for _, r := range seen {
				for name := range r.URL.Query() {
					said["query "+name] = true
				}
				for _, name := range []string{"If-Match", "Accept"} {
					if r.Header.Get(name) != "" {
						said["header "+name] = true
					}
				}
				if r.Header.Get("Authorization") != "Bearer secret" {
					t.Errorf("%s: Authorization %q", op, r.Header.Get("Authorization"))
				}
			}
		}
		parameters, _ := ops[op]["parameters"].([]any)
		for _, p := range parameters {
			p := p.(map[string]any)
			name := fmt.Sprint(p["in"], " ", p["name"])
			if p["in"] != "path" && !said[name] {
				t.Errorf("%s: no call says %s", op, name)
			}
			delete(said, name)
		}
		delete(said, "header Accept") // streams ask for what they are
		for name := range said {
			t.Errorf("%s: %s is not described", op, name)
		}
	}
}

// overheard makes a call and returns the requests that it sent: lists two.
func overheard(t *testing.T, c covered) ([]*http.Request, error) {
	var seen []*http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r)
		switch {
		case c.events:
			fmt.Fprint(w, "event: result\ndata: {}\n\n")
		case len(seen) == 1 && r.URL.Query().Get("limit") != "":
			fmt.Fprint(w, `{"nextCursor":"more"}`)
		default:
			fmt.Fprint(w, `{}`)
		}
	}))
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := c.call(ctx, &Client{Base: server.URL + "/", Token: "secret", HTTP: server.Client()})
	if err == nil && len(seen) == 0 {
		err = fmt.Errorf("nothing was sent")
	}
	return seen, err
}

var parameter = regexp.MustCompile(`\\\{\w+\\\}`)

// matches reports whether a request is one of an operation with {id} and such.
func matches(op, sent string) bool {
	pattern := parameter.ReplaceAllString(regexp.QuoteMeta(op), `[^/]+`)
	return regexp.MustCompile("^" + pattern + "$").MatchString(sent)
}
