package web_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport/proto"
	"sallyport/relay/hub"
	"sallyport/relay/registry"
)

func TestAnAgentIsInstalledByOneCommand(t *testing.T) {
	r := newRig(t)
	c := r.client()
	if a := c.post("/agents/new", url.Values{"name": {" "}}); a.status != http.StatusUnprocessableEntity {
		t.Errorf("no name: %d", a.status)
	} else {
		a.contains(t, `<p class="error" id="e-name">The agent needs a name`)
	}
	a := c.post("/agents/new", url.Values{"name": {"Plant 2"}})
	install := a.header.Get("Location")
	if a.status != http.StatusTemporaryRedirect || !strings.HasSuffix(install, "/install") {
		t.Fatalf("create: %d to %s", a.status, install)
	}
	a = c.post(install, nil)
	a.contains(t, "curl -fsSL "+r.url+"/install.sh | sudo sh -s -- --code ", "It fetches the agent from this relay, checks it, and installs it as a service.",
		"Waiting for the agent", `id="sys-windows"`, `id="sys-docker"`)
	// The rig's relay has no program for macOS.
	a.contains(t, "sallyport-agent enroll --relay "+r.url+" --code ", "In Terminal, where sallyport-agent is installed.")
	code, _, _ := strings.Cut(between(a.body, "--code ", "<"), " ")
	follow := strings.ReplaceAll(between(a.body, `data-live-from="`, `"`), "&#43;", "+")

	enrolled, err := r.registry.Enrol(context.Background(), registry.EnrolRequest{Code: code, PublicKey: []byte(strings.Repeat("k", 32)), Hostname: "erp-gw-01", OS: "linux", Arch: "amd64", Version: "0.1.0", Address: "192.0.2.1"})
	must(t, err)
	c.get(follow).contains(t, "Waiting for the agent")
	r.connect(enrolled.AgentID, hub.Instance{ID: enrolled.InstanceID, Hostname: "erp-gw-01", OS: "linux", Arch: "amd64", Version: "0.1.0", ConnectedAt: time.Now(), LastSeenAt: time.Now(), Latency: 34 * time.Millisecond})
	a = c.get(follow)
	a.contains(t, "Online", "New connection through it")
	if strings.Contains(a.body, "Waiting") {
		t.Error("it still waits")
	}

	second := c.post(install, nil) // another machine: that the first is online says nothing
	second.contains(t, "Waiting for the agent")
	c.get("/agents").contains(t, "Plant 2", "Online", "1 machine", "34 ms")
	c.get("/agents/options?selected="+enrolled.AgentID).contains(t, "Plant 2 · ● Online · 1 machine · 34 ms", " selected", "Install a new agent…")
	c.get("/agents/"+enrolled.AgentID).contains(t, "erp-gw-01", "Linux amd64")

	if a = c.post("/agents/"+enrolled.AgentID+"/machines/"+enrolled.InstanceID+"/remove", nil); a.status != http.StatusSeeOther {
		t.Errorf("remove the machine: %d", a.status)
	}
	c.get("/agents/"+enrolled.AgentID).contains(t, "No machine is enrolled yet")
}

func TestAFaultyEditOfTheSitesConfigurationIsShown(t *testing.T) {
	r := newRig(t)
	c := r.client()
	agent, enrolled := r.agent("Plant 2", "erp-gw-01")
	in := hub.Instance{ID: enrolled[0].InstanceID, Hostname: "erp-gw-01", OS: "linux", Arch: "amd64", Version: "0.1.0", ConnectedAt: time.Now(), LastSeenAt: time.Now()}
	in.Config = &proto.ConfigState{Version: "0a1b2c3d", LoadedAt: time.Now()}
	r.connect(agent.ID, in)
	if a := c.get("/agents/" + agent.ID); strings.Contains(a.body, "agent.yaml") {
		t.Error("nothing is wrong, and it says so")
	}
	in.Config = &proto.ConfigState{Version: "0a1b2c3d", LoadedAt: time.Now(), Since: time.Now(), NeedsRestart: []string{"relay"},
		Error: "agent.yaml:2: unknown key \"prxoy\"; did you mean \"proxy\"?\nagent.yaml:4: <b>"}
	r.connect(agent.ID, in)
	c.get("/agents/"+agent.ID).contains(t, "The last edit of agent.yaml was not taken", "agent.yaml:2: unknown key &#34;prxoy&#34;; did you mean &#34;proxy&#34;?",
		"<li>agent.yaml:4: &lt;b&gt;</li>", "Needs a restart of the agent: relay")
}

func TestAnAgentInUseIsNotRemoved(t *testing.T) {
	r := newRig(t)
	c := r.client()
	agent, _ := r.agent("Plant 2", "erp-gw-01")
	s := spec("https://erp.plant2.internal")
	s.Name, s.Mode, s.AgentID = "Plant 2 ERP", "on-premise", agent.ID
	conn := r.connection(s)

	at := "/agents/" + agent.ID
	a := c.get(at + "/remove")
	a.contains(t, "still in use", "/connections/"+conn.ID)
	if a = c.post(at+"/remove", url.Values{"confirm": {"Plant 2"}}); a.status != http.StatusConflict {
		t.Errorf("removed while in use: %d", a.status)
	}
	must(t, r.registry.DeleteConnection(context.Background(), r.admin, conn.ID, 0))
	c.post(at+"/remove", url.Values{"confirm": {"plant"}}).contains(t, "That is not its name")
	if a = c.post(at+"/remove", url.Values{"confirm": {"Plant 2"}}); a.status != http.StatusSeeOther {
		t.Errorf("remove: %d", a.status)
	}
	c.get("/agents?notice=agent-removed").contains(t, "The agent was removed", "Reach what is behind a firewall")
	c.get("/connections/new?agent="+agent.ID).contains(t, "An agent that no longer exists")
}

func TestListsAreSearchedAndPaged(t *testing.T) {
	r := newRig(t)
	c := r.client()
	s := spec("https://erp.example.com")
	for i := range 60 {
		s.Name = "Connection " + string(rune('A'+i/26)) + string(rune('A'+i%26))
		r.connection(s)
	}
	a := c.get("/connections")
	if n := strings.Count(a.body, `<td class="main">`); n != 50 {
		t.Errorf("the first page has %d rows", n)
	}
	next := strings.ReplaceAll(between(a.body, `" href="/connections?cursor`, `"`), "&amp;", "&")
	a = c.get("/connections?cursor" + next)
	if n := strings.Count(a.body, `<td class="main">`); n != 10 {
		t.Errorf("the second page has %d rows", n)
	}
	a.contains(t, "First page")
	if a = c.get("/connections?q=ab"); strings.Count(a.body, `<td class="main">`) == 0 {
		t.Error("the search finds nothing")
	}
	c.get("/connections?q=zzz").contains(t, "Nothing matches", "Show all connections")
	if a = c.get("/connections?cursor=nonsense"); a.status != http.StatusUnprocessableEntity {
		t.Errorf("a cursor that is none: %d", a.status)
	}
}
