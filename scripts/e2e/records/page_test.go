//go:build unix

package records

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// TestThePageFollowsTheSitesFile: the agent's page, left open, tells of the
// policy and of a faulty edit of agent.yaml, and no longer once they are mended.
func TestThePageFollowsTheSitesFile(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.startAgent()
	tb := testkit.NewTab(t, s.api.Base, 3*time.Minute)
	tb.Look(1280, "light")
	tb.Open(s.signInLink())
	tb.Press("main button")
	tb.WaitFor(`location.pathname === "/connections"`)
	tb.Open("/agents/" + s.agentID)
	shows := func(text string) {
		t.Helper()
		tb.WaitFor(`document.querySelector("main").innerText.includes(` + "`" + text + "`)")
	}
	const faulty = "The last edit of agent.yaml was not taken"
	shows("No policy: the relay may reach everything that this machine can reach")
	if p := s.policy(); p.Rules != 0 || p.Default != "allow" || !strings.HasPrefix(p.Warning, "No policy") || p.Version == "" {
		t.Errorf("the API says %+v", p)
	}

	s.write("agent.yaml", "policy:\n  rules:\n    - alow GET http://hidden.test/**\n")
	shows(faulty)
	shows("agent.yaml:3: policy: this rule can't be read")
	shows("No policy: the relay may reach everything") // what was in use stays in use
	if tb.JS(`document.documentElement.innerHTML.includes("hidden.test")`) {
		t.Error("the page quotes a rule of the site")
	}
	tb.Keep("records-agent-page-faulty-edit")

	s.write("agent.yaml", "policy:\n  rules:\n    - allow GET http://shown.test/**\n")
	shows("1 rule")
	tb.WaitFor(`!document.querySelector("main").innerText.includes(` + "`" + faulty + "`)" + ` && !document.querySelector("#live-policy .note")`)
	tb.Keep("records-agent-page-with-a-rule")
	if p := s.policy(); p.Rules != 1 || p.Default != "deny" || p.Warning != "" {
		t.Errorf("the API says %+v", p)
	}
}

// signInLink is the path of a link that works once.
func (s *stage) signInLink() string {
	s.t.Helper()
	out, err := exec.CommandContext(s.t.Context(), filepath.Join(bin, "sallyport-relay"), "user", "link", "--public-url", s.api.Base, "--data", s.relayArgs[slices.Index(s.relayArgs, "--data")+1]).Output()
	if err != nil {
		s.t.Fatal(err)
	}
	lines := strings.Fields(string(out))
	return strings.TrimPrefix(lines[len(lines)-1], s.api.Base)
}

// policy is what the API tells of the policy of the agent's one machine.
func (s *stage) policy() (p struct {
	Version, Default, Warning string
	Rules                     int
}) {
	s.t.Helper()
	var agent struct {
		Instances []struct {
			Policy *struct {
				Version, Default, Warning string
				Rules                     int
			}
		}
	}
	if err := s.api.Do(s.t.Context(), "GET", "/api/v1/agents/"+s.agentID, nil, &agent); err != nil {
		s.t.Fatal(err)
	}
	if len(agent.Instances) != 1 || agent.Instances[0].Policy == nil {
		s.t.Fatalf("the API knows of %+v", agent.Instances)
	}
	return *agent.Instances[0].Policy
}
