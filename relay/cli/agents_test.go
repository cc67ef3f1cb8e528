package cli

import (
	"bufio"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/proto"
)

func enrolBody(t *testing.T, code string) string {
	t.Helper()
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return `{"code":"` + code + `","publicKey":"` + base64.StdEncoding.EncodeToString(public) + `","hostname":"erp-1","os":"linux","arch":"amd64","version":"1.2.3"}`
}

func TestAgentIsMadeAndEnrolledByAOneTimeCode(t *testing.T) {
	relay := startRelay(t, "")
	made := relay.expect(201, "POST", "/api/v1/agents", `{"name":"Plant 2"}`)
	id := made.text(t, "id")
	if made.text(t, "status") != "never_connected" || made.header.Get("Location") != "/api/v1/agents/"+id || !strings.Contains(made.body, `"instances":[]`) {
		t.Errorf("%v %s", made.header, made.body)
	}
	e := relay.expect(201, "POST", "/api/v1/agents/"+id+"/enrollments", "")
	code := e.text(t, "code")
	for _, system := range []string{"linux", "windows", "macos"} {
		if !strings.Contains(e.text(t, "commands."+system), code) {
			t.Errorf("the command for %s lacks the code: %s", system, e.body)
		}
	}
	// The agent has no token; the code is the proof.
	first := relay.expect(201, "POST", "/api/v1/enroll", enrolBody(t, code), "Authorization:")
	if first.text(t, "agentId") != id || first.text(t, "instanceId") == "" || first.text(t, "agentName") != "Plant 2" || first.text(t, "relayId") == "" {
		t.Errorf("%s", first.body)
	}
	second := relay.expect(401, "POST", "/api/v1/enroll", enrolBody(t, code), "Authorization:")
	if !strings.Contains(second.text(t, "detail"), "already used") || second.text(t, "hint") == "" {
		t.Errorf("%s", second.body)
	}
	unknown := relay.expect(401, "POST", "/api/v1/enroll", enrolBody(t, "AAAAA-BBBBB-CCCCC-DDDDD-EEEEE"), "Authorization:")
	if second.text(t, "detail") == unknown.text(t, "detail") {
		t.Errorf("%s", unknown.body)
	}
	if a := relay.expect(200, "GET", "/api/v1/agents/"+id, ""); a.text(t, "instances.0.hostname") != "erp-1" || a.json(t, "instances.1") != nil {
		t.Errorf("%s", a.body)
	}
}

func TestAMachineLeavesByItsOwnKey(t *testing.T) {
	relay := startRelay(t, "")
	id := relay.expect(201, "POST", "/api/v1/agents", `{"name":"Plant 2"}`).text(t, "id")
	code := relay.expect(201, "POST", "/api/v1/agents/"+id+"/enrollments", "").text(t, "code")
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	e := relay.expect(201, "POST", "/api/v1/enroll", `{"code":"`+code+`","publicKey":"`+base64.StdEncoding.EncodeToString(public)+`","hostname":"erp-1"}`, "Authorization:")
	instance := e.text(t, "instanceId")
	call := "/api/v1/enroll?agentId=" + id + "&instanceId=" + instance
	relay.expect(401, "DELETE", call, "", "Authorization:")
	relay.expect(204, "DELETE", call, "", "Authorization:", proto.HeaderLeave+": "+proto.SignLeave(key, e.text(t, "relayId"), id, instance))
	if a := relay.expect(200, "GET", "/api/v1/agents/"+id, ""); a.json(t, "instances.0") != nil {
		t.Errorf("still there: %s", a.body)
	}
}

func TestRelayServesWhatInstallsAgents(t *testing.T) {
	downloads := t.TempDir()
	const program = "the agent's program"
	for name, text := range map[string]string{
		"sallyport-agent-linux-amd64": program,
		"SHA256SUMS":                  fmt.Sprintf("%x  sallyport-agent-linux-amd64\n", sha256.Sum256([]byte(program))),
	} {
		if err := os.WriteFile(filepath.Join(downloads, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	relay := startRelay(t, "", "--downloads", downloads)
	id := relay.expect(201, "POST", "/api/v1/agents", `{"name":"Plant 2"}`).text(t, "id")
	e := relay.expect(201, "POST", "/api/v1/agents/"+id+"/enrollments", "")
	if want := "curl -fsSL " + relay.url + "/install.sh | sudo sh -s -- --code " + e.text(t, "code"); e.text(t, "commands.linux") != want {
		t.Errorf("%s, want %s", e.text(t, "commands.linux"), want)
	}
	if e.text(t, "commands.docker") != "" || !strings.HasPrefix(e.text(t, "commands.windows"), "sallyport-agent enroll") {
		t.Errorf("what it has no program for: %s", e.body)
	}
	// Without a login: the machines that ask have none.
	script := relay.expect(200, "GET", "/install.sh", "", "Authorization:")
	if !strings.Contains(script.body, "relay='"+relay.url+"'\n") {
		t.Errorf("%s", script.body)
	}
	if a := relay.expect(200, "GET", "/downloads/sallyport-agent-linux-amd64", "", "Authorization:"); a.body != program {
		t.Errorf("%s", a.body)
	}
	relay.expect(200, "GET", "/install.ps1", "", "Authorization:")
	relay.expect(404, "GET", "/downloads/sallyport-agent-plan9-amd64", "", "Authorization:")
}

func TestEnrolmentSaysWhatIsFaulty(t *testing.T) {
	relay := startRelay(t, "")
	id := relay.expect(201, "POST", "/api/v1/agents", `{"name":"Plant 2"}`).text(t, "id")
	code := relay.expect(201, "POST", "/api/v1/agents/"+id+"/enrollments", "").text(t, "code")
	a := relay.expect(422, "POST", "/api/v1/enroll", `{"code":"`+code+`","publicKey":"short"}`, "Authorization:")
	if faults(t, a)["publicKey"] == "" {
		t.Errorf("%s", a.body)
	}
	relay.expect(422, "POST", "/api/v1/enroll", `{}`, "Authorization:")
	// The code was not used up by that, and a newer agent may say more.
	body := strings.Replace(enrolBody(t, code), "{", `{"labels":["blue"],`, 1)
	relay.expect(201, "POST", "/api/v1/enroll", body, "Authorization:")
}

func TestAgentThatIsUsedIsNotDeleted(t *testing.T) {
	relay, app := startRelay(t, ""), startApplication(t)
	id := relay.expect(201, "POST", "/api/v1/agents", `{"name":"Plant 2"}`).text(t, "id")
	connection := relay.expect(201, "POST", "/api/v1/connections", app.connection(map[string]any{"mode": "on-premise", "agentId": id, "name": "The ERP"})).text(t, "id")
	a := relay.expect(409, "DELETE", "/api/v1/agents/"+id, "")
	if a.text(t, "code") != "conflict" || !strings.Contains(a.body, "The ERP") {
		t.Errorf("%s", a.body)
	}
	offline := relay.expect(503, "GET", "/api/v1/connections/"+connection+"/proxy/x", "")
	if offline.text(t, "code") != "agent_offline" || offline.text(t, "outcome") != "not_sent" || offline.header.Get("Retry-After") == "" {
		t.Errorf("%s", offline.body)
	}
	test := relay.expect(200, "POST", "/api/v1/connections/"+connection+"/test", "")
	if test.json(t, "ok") != false || test.text(t, "steps.0.name") != "agent" || test.text(t, "steps.0.status") != "failed" {
		t.Errorf("%s", test.body)
	}
	relay.expect(204, "DELETE", "/api/v1/connections/"+connection, "")
	relay.expect(200, "PATCH", "/api/v1/agents/"+id, `{"name":"Plant 3"}`)
	relay.expect(204, "DELETE", "/api/v1/agents/"+id, "")
	relay.expect(404, "GET", "/api/v1/agents/"+id, "")
}

func TestAuditNamesWhoDidWhat(t *testing.T) {
	relay := startRelay(t, "")
	relay.expect(201, "POST", "/api/v1/agents", `{"name":"Plant 2"}`)
	a := relay.expect(200, "GET", "/api/v1/audit?limit=1", "")
	if a.text(t, "items.0.action") != "agent.create" || a.text(t, "items.0.actor.kind") != "token" || a.text(t, "items.0.object.name") != "Plant 2" || a.text(t, "nextCursor") == "" {
		t.Errorf("%s", a.body)
	}
}

func TestEventsTellWhatChangesUntilTheRelayStops(t *testing.T) {
	relay := startRelay(t, "")
	req, err := http.NewRequest("GET", relay.url+"/api/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+bootstrapToken)
	resp, err := relay.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := make(chan string)
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(resp.Body)
		for scanner.Scan() {
			if line := scanner.Text(); line != "" {
				lines <- line
			}
		}
	}()
	next := func() string {
		select {
		case line := <-lines:
			return line
		case <-time.After(10 * time.Second):
			t.Fatal("no event came")
			return ""
		}
	}
	if first := next(); first != "event: sync" {
		t.Errorf("began with %q", first)
	}
	next()
	id := relay.expect(201, "POST", "/api/v1/agents", `{"name":"Plant 2"}`).text(t, "id")
	if event, data := next(), next(); event != "event: agent" || !strings.Contains(data, id) {
		t.Errorf("%q %q", event, data)
	}
	stopped := make(chan int, 1)
	go func() { stopped <- relay.stop() }()
	for range lines { // until the stream ends
	}
	if status := <-stopped; status != 0 {
		t.Errorf("exit status %d", status)
	}
}
