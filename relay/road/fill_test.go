package road_test

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/road"
)

// recorded is a road that keeps what goes down it.
type recorded struct {
	answers []*http.Response // nil or none left: 200
	got     []*http.Request
	bodies  []string
}

func (r *recorded) RoundTrip(req *http.Request) (*http.Response, error) {
	body := ""
	if req.Body != nil {
		b, _ := io.ReadAll(req.Body)
		body = string(b)
	}
	r.got, r.bodies = append(r.got, req), append(r.bodies, body)
	if len(r.answers) > 0 {
		next := r.answers[0]
		r.answers = r.answers[1:]
		return next, nil
	}
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}, nil
}

func redirect(status int, location string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Location": {location}}, Body: http.NoBody}
}

// fills are the options of a request: place, escape and secret by mark.
func fills(t *testing.T, req *http.Request) map[string]proto.Fill {
	t.Helper()
	found := map[string]proto.Fill{}
	for _, line := range req.Header[proto.HeaderFill] {
		f, err := proto.ParseFill(line)
		if err != nil {
			t.Fatal(err)
		}
		found[f.Place] = f
	}
	return found
}

// guarded is a connection that uses a secret of its agent everywhere.
func guarded() *connection.Connection {
	return &connection.Connection{ID: "con_1", Spec: connection.Spec{
		Mode: connection.OnPremise, BaseURI: "https://erp.test/api", MediaType: connection.JSON,
		Headers: []connection.Header{{Name: "x-key", Value: "id {{agent.secret.key}}"}, {Name: "X-Plain", Value: "1"}},
		Auth:    connection.Auth{Type: connection.AuthCookie, Cookie: &connection.CookieAuth{Method: "POST", URI: "/in/{{agent.secret.key}}?k={{agent.secret.key}}", Body: `{"p":"{{agent.secret.p}}"}`}},
	}}
}

func signIn(t *testing.T, c *connection.Connection, rt http.RoundTripper) (*road.Exchange, error) {
	t.Helper()
	marks := &connection.Marks{}
	u, err := c.URL(c.Auth.Cookie.URI, marks)
	if err != nil {
		t.Fatal(err)
	}
	return road.Send(context.Background(), rt, c, road.Request{Method: "POST", URL: u, Marks: marks, Body: c.Auth.Cookie.Body, FollowRedirects: true})
}

func TestSendNamesTheMarksToTheAgent(t *testing.T) {
	rt := &recorded{}
	e, err := signIn(t, guarded(), rt)
	if err != nil {
		t.Fatal(err)
	}
	req := rt.got[0]
	f := fills(t, req)
	key, uri, body := f["header=X-Key"], f["uri"], f["body"]
	if len(f) != 3 || key.Secret != "key" || key.Escape != "header" || uri.Secret != "key" || uri.Escape != "uri" || body.Secret != "p" || body.Escape != "json" {
		t.Fatalf("options %v", req.Header[proto.HeaderFill])
	}
	if req.Header.Get("X-Key") != "id "+key.Mark || req.URL.String() != "https://erp.test/api/in/"+uri.Mark+"?k="+uri.Mark || rt.bodies[0] != `{"p":"`+body.Mark+`"}` {
		t.Errorf("sent %s %v %s", req.URL, req.Header, rt.bodies[0])
	}
	if got := req.Header[proto.HeaderMask]; !slices.Equal(got, []string{"key", "p"}) {
		t.Errorf("to be masked: %v", got)
	}
	// The record is for people.
	hop := e.Last()
	shown := hop.URL.String() + hop.RequestHeader.Get("X-Key") + hop.RequestBody
	if strings.Contains(shown, key.Mark) || strings.Contains(shown, uri.Mark) || strings.Contains(shown, body.Mark) ||
		hop.RequestHeader.Get("X-Key") != "id {{agent.secret.key}}" || hop.RequestBody != `{"p":"{{agent.secret.p}}"}` || hop.URL.RawQuery != "k={{agent.secret.key}}" {
		t.Errorf("shown as %s", shown)
	}
}

func TestMarksFollowRedirectsOnlyWhereTheyMay(t *testing.T) {
	for name, test := range map[string]struct {
		answer *http.Response
		places []string
	}{
		"same origin, body kept": {redirect(307, "/elsewhere"), []string{"body", "header=X-Key"}},
		"same origin, by GET":    {redirect(302, "?again=1"), []string{"header=X-Key", "uri"}},
		"another origin":         {redirect(302, "https://evil.test/{{agent.secret.p}}"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			rt := &recorded{answers: []*http.Response{test.answer}}
			if _, err := signIn(t, guarded(), rt); err != nil {
				t.Fatal(err)
			}
			var places []string
			for place := range fills(t, rt.got[1]) {
				places = append(places, place)
			}
			slices.Sort(places)
			if !slices.Equal(places, test.places) {
				t.Errorf("marks in %v, want %v", places, test.places)
			}
		})
	}
}

func TestErrorsShowPlaceholders(t *testing.T) {
	rt := &recorded{answers: []*http.Response{redirect(307, "https://evil.test/")}}
	_, err := signIn(t, guarded(), rt)
	e := proto.AsError(err)
	if e == nil || strings.Contains(e.Detail+e.Hint, fills(t, rt.got[0])["uri"].Mark) || !strings.Contains(e.Hint, "agent.secret.key") {
		t.Errorf("got %+v", e)
	}
}

func TestConnectionsWithoutAgentSecretsAskForNothing(t *testing.T) {
	rt := &recorded{}
	c := guarded()
	c.Headers = nil
	c.Auth.Cookie = &connection.CookieAuth{Method: "POST", URI: "/in", Body: "{}"}
	if _, err := signIn(t, c, rt); err != nil {
		t.Fatal(err)
	}
	if h := rt.got[0].Header; h[proto.HeaderFill] != nil || h[proto.HeaderMask] != nil {
		t.Errorf("options %v", h)
	}
}
