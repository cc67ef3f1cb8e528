package road_test

import (
	"context"
	"net/http"
	"testing"

	"sallyport/relay/connection"
	"sallyport/relay/road"
)

func keyed() *connection.Connection {
	return &connection.Connection{ID: "con_1", Secrets: map[string]string{"key": "k1"}, Spec: connection.Defaults(connection.Spec{
		Mode: connection.OnPremise, AgentID: "agt_1", BaseURI: "https://erp.test/api", MediaType: connection.JSON,
		Auth: connection.Auth{Type: connection.AuthCustom, Custom: &connection.CustomAuth{
			Headers: []connection.Header{{Name: "X-Key", Value: "{{secret.key}}"}},
			Query:   []connection.Pair{{Name: "q", Value: "{{agent.secret.q}}"}},
			Body:    []connection.Pair{{Name: "b", Value: "{{agent.secret.b}}"}},
		}},
	})}
}

func send(t *testing.T, c *connection.Connection, rt http.RoundTripper, method, body string) {
	t.Helper()
	u, err := c.URL("/me", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := road.Send(context.Background(), rt, c, road.Request{Method: method, URL: u, Body: body, FollowRedirects: true}); err != nil {
		t.Fatal(err)
	}
}

func TestCredentialsGoWithEachRequestToTheBaseOrigin(t *testing.T) {
	rt := &recorded{answers: []*http.Response{redirect(302, "/api/next?q=old&a=1"), redirect(302, "https://evil.test/")}}
	send(t, keyed(), rt, "POST", `{"n":1}`)
	first, second, third := rt.got[0], rt.got[1], rt.got[2]
	f := fills(t, first)
	if f["uri"].Secret != "q" || f["body"].Secret != "b" || first.Header.Get("X-Key") != "k1" || first.URL.RawQuery != "q="+f["uri"].Mark || rt.bodies[0] != `{"n":1,"b":"`+f["body"].Mark+`"}` {
		t.Errorf("sent %s %v %s", first.URL, first.Header, rt.bodies[0])
	}
	if f = fills(t, second); second.Header.Get("X-Key") != "k1" || second.URL.RawQuery != "a=1&q="+f["uri"].Mark {
		t.Errorf("at the same origin: %s %v", second.URL, second.Header)
	}
	if third.Header.Get("X-Key") != "" || third.URL.RawQuery != "" || len(fills(t, third)) != 0 {
		t.Errorf("to another origin: %s %v", third.URL, third.Header)
	}
}

func TestAConfiguredHeaderTakesThePlaceOfTheCredentials(t *testing.T) {
	rt := &recorded{}
	c := keyed()
	c.Headers = []connection.Header{{Name: "x-key", Value: "mine"}}
	send(t, c, rt, "GET", "")
	if got := rt.got[0].Header["X-Key"]; len(got) != 1 || got[0] != "mine" {
		t.Errorf("sent %v", got)
	}
}
