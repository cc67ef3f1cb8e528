package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sallyport/proto"
)

// A site's admin writes rules; the integrator's test says which line is missing,
// the admin adds it with the agent's own command, and requests through the
// connection get what the rules allow and nothing else.
func TestPolicyOfTheSite(t *testing.T) {
	h := newHouse(t)
	agentData := filepath.Join(h.data, "agent")
	if err := os.MkdirAll(agentData, 0o700); err != nil {
		t.Fatal(err)
	}
	const before = "# rules of plant 2\npolicy:\n  rules:\n    - allow * http://erp.plant2.internal\n"
	if err := os.WriteFile(filepath.Join(agentData, "agent.yaml"), []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	h.start()
	s := &stage{api: h.api}
	h.api.HTTP = http.DefaultClient
	connection := h.connection(t)
	base, _ := connection["baseUri"].(string)

	r := s.test(t, connection)
	want := "allow POST " + base + "/session"
	if r.statuses() != "agent ok, sign-in failed, ping skipped" || !strings.Contains(r.Steps[1].Hint, want) || r.Steps[1].Code != string(proto.CodePolicyDenied) {
		t.Fatalf("%s: %+v", r.statuses(), r.Steps)
	}

	// What the hint says is what the command takes.
	line := regexp.MustCompile(`allow \S+ \S+$`).FindString(r.Steps[1].Hint)
	agent := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "sallyport-agent"), append(args, "--data", agentData)...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for _, rule := range []string{line, "GET " + base + "/me", "GET " + base + "/orders/** rate=2/h"} {
		if out, err := agent("policy", "allow", rule); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if out, err := agent("policy", "check", "GET", base+"/orders/1001"); err != nil || !strings.Contains(out, "Allowed by rule 4") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := agent("policy", "check", "DELETE", base+"/orders/1001"); err == nil || !strings.Contains(out, "other method") {
		t.Errorf("%v: %s", err, out)
	}
	h.interrupt(t)
	h.start() // reads the file anew
	if r := s.test(t, connection); !r.OK {
		t.Fatalf("%+v", r.Steps)
	}
	id := s.save(t, connection)
	if a := s.get(t, id, "/orders"); a.StatusCode != http.StatusOK || a.code() != "" {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	refused := s.send(t, s.proxyRequest(t, "DELETE", id, "/orders/1001", nil))
	var problem struct {
		Code, Detail, Hint, Outcome string
		Facts                       map[string]string
	}
	if err := json.Unmarshal([]byte(refused.body), &problem); err != nil {
		t.Fatal(err)
	}
	if want := "allow DELETE " + base + "/orders/*"; refused.StatusCode != http.StatusForbidden || refused.code() != "policy_denied" || problem.Code != "policy_denied" ||
		problem.Outcome != "not_sent" || problem.Facts["line"] != want || !strings.HasSuffix(problem.Hint, want) {
		t.Errorf("%d %s", refused.StatusCode, refused.body)
	}
	if a := s.get(t, id, "/orders?limit=1"); a.StatusCode != http.StatusOK {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if a := s.get(t, id, "/orders"); a.StatusCode != http.StatusTooManyRequests || a.code() != "too_many_requests" || a.Header.Get("Retry-After") == "" {
		t.Errorf("%d %q %s", a.StatusCode, a.Header.Get("Retry-After"), a.body)
	}

	out, err := agent("status", "--json")
	var status struct {
		Policy struct {
			Version, Default, Warning string
			Rules                     int
		}
	}
	if err == nil {
		err = json.Unmarshal([]byte(out), &status)
	}
	if err != nil || status.Policy.Rules != 4 || status.Policy.Default != "deny" || status.Policy.Warning != "" || status.Policy.Version == "" {
		t.Errorf("%v: %s", err, out)
	}
	after, err := os.ReadFile(filepath.Join(agentData, "agent.yaml"))
	if want := before + fmt.Sprintf("    - %s\n    - allow GET %s/me\n    - allow GET %s/orders/** rate=2/h\n", line, base, base); err != nil || string(after) != want {
		t.Errorf("%v, got\n%s\nwant\n%s", err, after, want)
	}
	h.interrupt(t)
}
