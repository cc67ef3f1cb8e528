package cli

import (
	"encoding/json"
	"strings"
	"testing"
)

// The cloud reaches the application of the tests, and an agent that never
// connected does not.
func TestComparingByTheAPI(t *testing.T) {
	relay, app := startRelay(t, ""), startApplication(t)
	var agent struct{ ID string }
	read(t, relay.expect(201, "POST", "/api/v1/agents", `{"name":"Plant 2"}`), &agent)
	type reach struct {
		Mode, AgentID, Name, Status, FailedStep, Code string
		Reached                                       bool
	}
	var got struct{ Places []reach }
	doc := app.connection(nil)
	cloud, plant := reach{"cloud", "", "Cloud", "ok", "", "", true}, reach{"on-premise", agent.ID, "Plant 2", "failed", "agent", "agent_offline", false}
	check := func(what string) {
		t.Helper()
		if len(got.Places) != 2 || got.Places[0] != cloud || got.Places[1] != plant {
			t.Errorf("%s: %+v", what, got.Places)
		}
	}
	read(t, relay.expect(200, "POST", "/api/v1/connections/compare", doc), &got)
	check("a draft")
	read(t, relay.expect(200, "POST", "/api/v1/connections/compare?signIn=true&agentId="+agent.ID, doc), &got)
	check("with a sign-in")
	var saved struct{ ID string }
	read(t, relay.expect(201, "POST", "/api/v1/connections", doc), &saved)
	read(t, relay.expect(200, "POST", "/api/v1/connections/"+saved.ID+"/compare", ""), &got)
	check("as it is saved")
	relay.expect(404, "GET", "/api/v1/connections/"+saved.ID+"/session", "")

	a := relay.expect(200, "POST", "/api/v1/connections/compare", doc, "Accept: text/event-stream")
	if n := strings.Count(a.body, "event: place\n"); n != 4 || !strings.Contains(a.body, "event: result\n") {
		t.Errorf("%d events of places:\n%s", n, a.body)
	}
	// An agent need not be chosen yet; that is what is to be found out.
	var open map[string]any
	if err := json.Unmarshal([]byte(doc), &open); err != nil {
		t.Fatal(err)
	}
	open["mode"] = "on-premise"
	delete(open, "agentId")
	delete(open, "name")
	text, _ := json.Marshal(open)
	read(t, relay.expect(200, "POST", "/api/v1/connections/compare", string(text)), &got)
	check("without an agent")
	relay.expect(422, "POST", "/api/v1/connections/compare", `{"baseUri":"ftp://x"}`)
	relay.expect(404, "POST", "/api/v1/connections/compare?agentId=agt_nobody", doc)
	relay.expect(404, "POST", "/api/v1/connections/con_nobody/compare", "")
}
